"""The ways in, for `login`: each opens the client, signs in, and sees to it that it was kept."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from async_auth.cli.clients import Opened, gotrue_client, is_kept, supertokens_client
from async_auth.cli.login_plan import is_phone
from async_auth.cli.profile import Profile
from async_auth.errors import AuthSessionMissing, StoreError
from async_auth.session import Session

if TYPE_CHECKING:
    from async_auth.gotrue.browser import OpenBrowser
    from async_auth.stores.file import FileStore
    from async_auth.stores.keyring import KeyringStore

    Store = FileStore | KeyringStore


async def with_password(profile: Profile, store: Store, *, account: str, password: str) -> Session:
    """Sign in at GoTrue with a password; raises what `sign_in_with_password` raises."""
    async with gotrue_client(profile, store) as client:
        if is_phone(account):
            await client.sign_in_with_password(phone=account, password=password)
        else:
            await client.sign_in_with_password(email=account, password=password)
        return await kept(Opened(profile=profile, store=store, client=client))


async def send_code(profile: Profile, store: Store, *, account: str) -> None:
    """Have GoTrue send a code to somebody it knows; raises what `sign_in_with_otp` raises."""
    async with gotrue_client(profile, store) as client:
        # A typing error shall not make a new user.
        if is_phone(account):
            await client.sign_in_with_otp(phone=account, should_create_user=False)
        else:
            await client.sign_in_with_otp(email=account, should_create_user=False)


async def with_code(profile: Profile, store: Store, *, account: str, code: str) -> Session:
    """Sign in at GoTrue with the code that was sent; raises what `verify_otp` raises."""
    async with gotrue_client(profile, store) as client:
        if is_phone(account):
            await client.verify_otp(type="sms", phone=account, token=code)
        else:
            await client.verify_otp(type="email", email=account, token=code)
        return await kept(Opened(profile=profile, store=store, client=client))


async def with_browser(
    profile: Profile, store: Store, *, provider: str, open_it: bool, timeout: float
) -> Session:
    """Sign in at GoTrue with the user's browser; raises what `sign_in_with_browser` raises."""
    from async_auth.web_browser import open_in_browser

    opening: OpenBrowser = open_in_browser if open_it else show_address
    async with gotrue_client(profile, store) as client:
        await client.sign_in_with_browser(provider, open_browser=opening, timeout=timeout)
        return await kept(Opened(profile=profile, store=store, client=client))


def show_address(url: str) -> None:
    """Print where to go; a browser of this machine must do that."""
    print(f"Open this address in a browser on this machine:\n\n  {url}\n", file=sys.stderr)  # noqa: T201 - click's echo would not flush before the wait


async def at_supertokens(
    profile: Profile, store: Store, *, account: str, password: str, path: str | None
) -> Session:
    """Sign in at an API before SuperTokens; raises what `supertokens_sign_in.sign_in` raises."""
    from async_auth.cli import supertokens_sign_in

    async with supertokens_client(profile, store) as client:
        await supertokens_sign_in.sign_in(client, account=account, password=password, path=path)
        return await kept(Opened(profile=profile, store=store, client=client))


async def kept(opened: Opened) -> Session:
    """
    Return the new session, which is stored.

    Raises:
        AuthSessionMissing: The server signed nobody in.
        StoreError: It could not be stored.
    """
    session = opened.client.session
    if session is None:
        raise AuthSessionMissing("The server gave no session; something is still to be confirmed.")
    if not await is_kept(opened):
        raise StoreError(
            f"You are signed in, but the session could not be kept in {opened.place}. "
            "`async-auth doctor` looks at the disk and the keyring; `--keep file` needs no keyring."
        )
    return session
