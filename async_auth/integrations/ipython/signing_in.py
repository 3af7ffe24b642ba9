"""Signing in from a cell: a session that is kept is taken up again, else somebody is asked.

What is typed goes to the server and nowhere else: no variable of the notebook, no history and no
output holds the password. Everything else is the client's business.
"""

from __future__ import annotations

import builtins
import getpass
from collections.abc import Callable
from typing import Any

from async_auth.engine import arguments
from async_auth.errors import ConfigurationError, SignInRequired, TemporaryError
from async_auth.gotrue.client import GoTrueClient
from async_auth.ports import SessionStore
from async_auth.session import fingerprint
from async_auth.stores.file import FileStore

_CANNOT_ASK = (
    "Nobody can be asked here: this kernel has no input. Sign in once where there is somebody (the "
    "session is kept in the store), or give email and password."
)


async def login(
    url: str,
    api_key: str | None = None,
    *,
    email: str | None = None,
    password: str | None = None,
    provider: str | None = None,
    store: SessionStore | None = None,
    key: str | None = None,
    **options: Any,
) -> GoTrueClient:
    """
    Return a client that is signed in and running.

    In a cell: `auth = await login("https://x.supabase.co/auth/v1", api_key)`. A session that the store has is taken up again and nobody is asked, also after the kernel was
    restarted; without a server, too, if it is there but the server is not. Otherwise the address
    and the password are asked for below the cell, or, with *provider*, the user's own browser
    signs in, on the machine where the kernel runs. While somebody is asked the kernel's event
    loop stands still. Call it from one task at a time.

    Args:
        url: The auth root, as `GoTrueClient` has it.
        api_key: Sent as `apikey`.
        email: Who signs in. A session of somebody else under the same key is replaced.
        password: Better left out: it would stand in the notebook.
        provider: `github`, `google`, …: sign in with the browser instead.
        store: Where the session is kept; by default files in the user's folder for program
            state, 0600.
        key: Which session of the store; by default one for each *url* and *email*.
        options: What else `GoTrueClient` takes.

    Raises:
        ApiError: The server refused: InvalidCredentials, …
        SignInRequired: Nobody came back from the browser in time.
        TemporaryError: The server could not be asked.
        StoreError: The store cannot be read.
        ConfigurationError: An argument is wrong, or nobody can be asked here.
        KeyboardInterrupt: Whoever was asked has interrupted the kernel.
    """
    for name, value in (("email", email), ("password", password), ("provider", provider)):
        if value is not None:
            arguments.check_text(name, value)
    if provider is not None and (email is not None or password is not None):
        raise ConfigurationError(
            "provider: with a browser, email and password are not ours to ask."
        )
    if password is not None and email is None:
        raise ConfigurationError("password: whose is it? Give email too.")
    client = GoTrueClient(
        url,
        api_key,
        store=FileStore() if store is None else store,
        key=key_for(url, email) if key is None else key,
        **options,
    )
    try:
        await client.start()
        if not await _taken_up(client, email):
            await _sign_in(client, email=email, password=password, provider=provider)
    except BaseException:
        await client.aclose()
        raise
    return client


def key_for(url: str, email: str | None) -> str:
    """
    Return the key of the session that a notebook keeps for a server, and perhaps an account.

    Of the address it has a fingerprint only: keys are shown, and notebooks are handed on.
    """
    account = [] if email is None else [fingerprint(email.lower()).strip("<>")]
    return " ".join(["notebook", url.rstrip("/"), *account])


async def _taken_up(client: GoTrueClient, email: str | None) -> bool:
    session = client.session
    if session is None or not _is_of(email, session.user):
        return False
    try:
        return await client.get_session() is not None
    except SignInRequired:
        return False
    except TemporaryError:
        # It is kept, and the first call that reaches the server puts everything right.
        return True


def _is_of(email: str | None, user: object) -> bool:
    # Of an anonymous user, and of one with a phone number, the address is empty: somebody else.
    known = getattr(user, "email", None) or ""
    return email is None or user is None or email.lower() == str(known).lower()


async def _sign_in(
    client: GoTrueClient, *, email: str | None, password: str | None, provider: str | None
) -> None:
    if provider is not None:
        await client.sign_in_with_browser(provider)
        return
    # Looked up at each call: a kernel puts its own in their place while a cell runs.
    if email is None:
        email = _asked(builtins.input, "E-mail: ").strip()
    if password is None:
        password = _asked(getpass.getpass, f"Password of {email}: ")
    await client.sign_in_with_password(email=email, password=password)


def _asked(ask: Callable[[str], str], prompt: str) -> str:
    try:
        return ask(prompt)
    except (NotImplementedError, EOFError) as error:
        # IPython's StdinNotImplementedError is one; a program without a terminal has the other.
        raise ConfigurationError(_CANNOT_ASK) from error
