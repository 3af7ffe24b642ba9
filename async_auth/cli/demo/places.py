"""Where the demo takes place: an embedded server of its own, or somebody's real GoTrue.

A place opens as a `Site`: a client that is ready to sign in, and something protected to call.
Leaving it closes the client first, then the server.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs
from yarl import URL

from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.story_clock import StoryClock
from async_auth.clock import SystemClock
from async_auth.errors import AuthError
from async_auth.gotrue import GoTrueClient
from async_auth.ports import Clock
from async_auth.testing import GoTrueServer

#: Seconds that a request to the embedded server may take. HTTP counts these by the real time, and
#: nobody signs in twice: a machine that stands still again and again has to be waited for.
PATIENCE = 120.0


@attrs.frozen(kw_only=True)
class Account:
    """
    Who signs in at a real server.

    Args:
        email: The address; or
        phone: the number. One of the two.
        password: The password.
    """

    email: str | None
    phone: str | None
    password: str = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Site:
    """
    An open place.

    Args:
        client: Signed out as yet.
        sign_in: Signs it in; raises AuthError.
        target: What the workers call.
        origin: Where `bearer` may send the token: that of *target*.
        headers: What else every call carries.
        mark_of: Returns what tells the token of an accepted call from others, out of the body.
        server: The embedded server, if that is what it is.
    """

    client: GoTrueClient
    sign_in: Callable[[], Awaitable[object]]
    target: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    mark_of: Callable[[bytes], Hashable | None] = attrs.field(default=lambda _: None, repr=False)
    server: GoTrueServer | None = None

    @property
    def origin(self) -> URL:
        """Where the token may go."""
        return URL(self.target).origin()


class Place(Protocol):
    """Where it takes place."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    def clock(self) -> AbstractAsyncContextManager[Clock]:
        """Return what tells the time there, for as long as it is held."""
        ...

    def open(self, plan: Plan, clock: Clock) -> AbstractAsyncContextManager[Site]:
        """
        Open it.

        Args:
            plan: What is to be done there.
            clock: What time it is there.

        Raises:
            AuthError: It cannot be opened; the message says why.
        """
        ...


@attrs.frozen
class Embedded:
    """A `GoTrueServer` in this process; its protected endpoint checks tokens by itself."""

    name: str = attrs.field(init=False, default="an embedded server")

    def clock(self) -> AbstractAsyncContextManager[Clock]:
        """See `Place.clock`: what stands still while this process does, for all are in it."""
        return StoryClock().running()

    @contextlib.asynccontextmanager
    async def open(self, plan: Plan, clock: Clock) -> AsyncIterator[Site]:
        """See `Place.open`."""
        # GoTrue cuts `exp` down to whole seconds, so that twelve seconds may be hardly more than
        # eleven, with an outage in the last two. Here each token lives for as long as it says.
        server = GoTrueServer(jwt_expiry=plan.token_life + 0.99, clock=clock)
        email, password = "demo@example.com", secrets.token_urlsafe()
        server.create_user(email=email, password=password)
        policy = attrs.evolve(plan.policy, request_timeout=PATIENCE)
        async with server, GoTrueClient(server.url, policy=policy, clock=clock) as client:
            yield Site(
                client=client,
                sign_in=lambda: client.sign_in_with_password(email=email, password=password),
                target=server.protected_url,
                mark_of=issued_at,
                server=server,
            )


@attrs.frozen
class Real:
    """
    A real GoTrue; the workers ask it who they are.

    Args:
        url: Its auth root.
        api_key: Its key, if it wants one.
        account: Who signs in; that session is signed out at the end.
    """

    url: str
    api_key: str | None = attrs.field(repr=False)
    account: Account

    @property
    def name(self) -> str:
        """The host; an URL may hold more than is to be shown."""
        return URL(self.url).host or "a server"

    def clock(self) -> AbstractAsyncContextManager[Clock]:
        """See `Place.clock`: the server's tokens run out by the real time."""
        return contextlib.nullcontext(SystemClock())

    @contextlib.asynccontextmanager
    async def open(self, plan: Plan, clock: Clock) -> AsyncIterator[Site]:
        """See `Place.open`."""
        who = self.account
        async with GoTrueClient(self.url, self.api_key, policy=plan.policy, clock=clock) as client:
            yield Site(
                client=client,
                sign_in=lambda: client.sign_in_with_password(
                    email=who.email, phone=who.phone, password=who.password
                ),
                target=f"{self.url.rstrip('/')}/user",
                headers={} if self.api_key is None else {"apikey": self.api_key},
            )
            # Politeness: no session shall be left behind. It is no part of what is judged.
            with contextlib.suppress(AuthError):
                await client.sign_out(scope="local")


def issued_at(body: bytes) -> Hashable | None:
    """Return the `iat` that the protected endpoint read in the token, if that is what came."""
    try:
        shown = json.loads(body)
    except ValueError:
        return None
    mark = shown.get("iat") if isinstance(shown, dict) else None
    return mark if isinstance(mark, int) else None
