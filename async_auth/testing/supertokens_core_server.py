"""`SuperTokensCoreServer`: an embedded SuperTokens core on loopback, for tests and demos.

It speaks the session part of the Core Driver Interface as real cores were recorded to, with both
of their refresh algorithms, on a clock of yours, and goes wrong when asked to.

It has no users, recipes, dashboards, roles or apps: any user id is taken as it comes, any tenant
exists, and no accounts are linked. Sessions are in memory, and one that has expired is gone at
once, where a real core's row waits for a sweep. The texts that no recording has (a changed refresh
token, reuse that is reported as UNAUTHORISED, a missing query parameter) follow the core's style
and are not to be relied on. It prints nothing, and it is no server for people.
"""

from __future__ import annotations

import random as randomness
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self

from async_auth.clock import SystemClock
from async_auth.errors import ConfigurationError
from async_auth.ports import Clock
from async_auth.testing.loopback.faults import Faults
from async_auth.testing.loopback.listener import Listener
from async_auth.testing.supertokens import access_tokens
from async_auth.testing.supertokens.app import CoreApp
from async_auth.testing.supertokens.core import PUBLIC_TENANT, Core, Wish
from async_auth.testing.supertokens.keys import make_private_key
from async_auth.testing.supertokens.rotation import SessionRow
from async_auth.testing.supertokens.settings import Settings
from async_auth.testing.supertokens.versions import CDI_VERSIONS, check_versions

_WEEK = 168 * 3600.0


class SuperTokensCoreServer:
    """
    A SuperTokens core on 127.0.0.1, inside your process: `async with … as core`.

    All of it runs on the event loop that started it; the methods that change something take
    effect at once and may be called at any time, from that loop's thread.

    Args:
        cdi_versions: What it speaks. The `cdi-version` of a request chooses the algorithm: up to
            5.5 a refresh commits when its child is first used, from 5.6 at once, with a grace
            period. A request that names none gets the newest.
        grace: Seconds for which CDI 5.6 forgives the refresh token before the current one, 0 to
            300; 0: not at all.
        access_token_validity: Seconds that an access token lives. From version 3 on its times
            are whole seconds, so a fraction is cut off.
        refresh_token_validity: Seconds that a session lives after its last rotation.
        access_token_jitter: The part of its life by which an access token may be shortened. Real
            cores have 0.05 from 12.1 on; 0: none.
        random: Draws from 0 to 1 for that.
        reuse_behaviour: `TOKEN_THEFT`, or `UNAUTHORISED` to have CDI 5.6 report the reuse of a
            recent token as that. The session ends in both.
        key_update_interval: Seconds that a dynamic signing key signs.
        make_key: Makes each of its signing keys, when it is first needed: a private RSA key of
            cryptography's, another at each call. By default a new one of 2048 bits, which takes
            a tenth of a second; a test suite may hand out the same ones to core after core.
        api_keys: If any, one of them has to come with each call (header `api-key`).
        clock: Its time is the core's, in tokens, rules, delays and the `Date` header. The
            system's if `None`.
        port: Where to listen; 0 for a free port.

    Raises:
        ConfigurationError: A value is out of range; it names the argument.
    """

    def __init__(
        self,
        *,
        cdi_versions: Iterable[str] = CDI_VERSIONS,
        grace: float = 30,
        access_token_validity: float = 3600,
        refresh_token_validity: float = 144_000 * 60,
        access_token_jitter: float = 0.0,
        random: Callable[[], float] = randomness.random,
        reuse_behaviour: str = "TOKEN_THEFT",
        key_update_interval: float = _WEEK,
        make_key: Callable[[], Any] = make_private_key,
        api_keys: Iterable[str] | None = None,
        clock: Clock | None = None,
        port: int = 0,
    ) -> None:
        if isinstance(api_keys, str):
            raise ConfigurationError("SuperTokensCoreServer: api_keys must be several strings.")
        self._settings = Settings(
            versions=check_versions(cdi_versions),
            access_token_validity=access_token_validity,
            refresh_token_validity=refresh_token_validity,
            grace=grace,
            reuse_behaviour=reuse_behaviour,
            jitter=access_token_jitter,
            random=random,
            key_interval=key_update_interval,
            api_keys=frozenset(api_keys or ()),
            make_key=make_key,
        )
        self.clock: Clock = SystemClock() if clock is None else clock
        self._app = CoreApp(Core(self._settings, self.clock.now()), self.clock)
        self._listener = Listener("SuperTokensCoreServer", self._app.gate.application, port)

    def __repr__(self) -> str:
        where = self.url if self._listener.is_up else "closed"
        return f"<SuperTokensCoreServer {where} sessions={len(self.sessions)}>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    # ── up and down ────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """
        Listen; nothing happens if it does already.

        After `stop()` it listens on the same port again, with all its sessions: to its clients
        that was an outage.

        Raises:
            OSError: The port is taken.
        """
        await self._listener.start()

    async def stop(self) -> None:
        """Stop listening and close every connection; twice is fine. Sessions and keys are kept."""
        await self._listener.aclose()

    async def aclose(self) -> None:
        """Do as `stop()`, under the name that our other servers have for it."""
        await self.stop()

    async def restart(self, *, lose_memory: bool = False) -> None:
        """
        Stop and start on the same port.

        Args:
            lose_memory: Whether sessions and keys are gone after, as with a core that has no
                database: access tokens of before are refused, refresh tokens are unknown.
        """
        await self.stop()
        if lose_memory:
            self._app.core = self._app.core.successor(self.clock.now())
        await self.start()

    def pause(self) -> None:
        """Take connections and requests, and answer none: a core that hangs. Twice is fine."""
        self._app.gate.pause()

    def resume(self) -> None:
        """Answer what waits, and what comes; it is no error if nothing was paused."""
        self._app.gate.resume()

    def replica(self, *, port: int = 0) -> SuperTokensCoreServer:
        """
        Return a second server on the same sessions and keys: two cores on one database.

        It is not started. It counts its own requests, and has faults of its own. A server that
        restarts with `lose_memory=True` leaves the common memory for one of its own.

        Args:
            port: Where it is to listen; 0 for a free port.
        """
        other = SuperTokensCoreServer(clock=self.clock, port=port)
        other._settings, other._app.core = self._settings, self._app.core
        return other

    # ── where it is and what it saw ────────────────────────────────────────────────────────────

    @property
    def url(self) -> str:
        """The `connection_uri`, such as `http://127.0.0.1:40123`; the same while it is down."""
        return self._listener.url

    @property
    def counts(self) -> Counter[str]:
        """
        Requests by path, as `counts["/recipe/session/refresh"]`, faulty and held ones included.

        Answers are counted by path and status as well (`/recipe/session 200`); a dropped
        connection has no status. A tenant's path counts for itself.
        """
        return self._app.gate.counts

    @property
    def faults(self) -> Faults:
        """What is to go wrong: `faults.add("/recipe/session/refresh", drop="after")`."""
        return self._app.gate.faults

    @property
    def sessions(self) -> dict[str, SessionRow]:
        """The sessions that have not ended, by handle: frozen rows in a mapping of your own."""
        now = self.clock.now()
        rows = self._app.core.rows
        return {handle: row for handle, row in rows.items() if now < row.expires_at}

    def jwks(self) -> dict[str, Any]:
        """Return what `/.well-known/jwks.json` shows."""
        return self._app.core.jwks(self.clock.now())

    # ── what an administrator could do ─────────────────────────────────────────────────────────

    def create_session(
        self,
        user_id: str,
        *,
        payload: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        tenant_id: str = PUBLIC_TENANT,
        anti_csrf: bool = False,
        static_key: bool = False,
        cdi_version: str | None = None,
    ) -> dict[str, Any]:
        """
        Begin a session without a request and return what `POST /recipe/session` answers.

        Args:
            user_id: Whose it is.
            payload: Claims for the access token.
            data: Data for the database.
            tenant_id: Where it is.
            anti_csrf: Whether it is bound to an anti-CSRF token.
            static_key: Whether the static key signs its access tokens.
            cdi_version: How the answer is to look; the newest if `None`.

        Raises:
            ConfigurationError: The core does not speak *cdi_version*.
        """
        versions = self._settings.versions
        if cdi_version is not None and cdi_version not in versions:
            raise ConfigurationError(
                f"create_session: cdi_version must be one of {', '.join(versions)}."
            )
        return self._app.core.create(
            self._settings.newest if cdi_version is None else versions[cdi_version],
            user_id,
            payload=payload or {},
            data=data or {},
            tenant_id=tenant_id,
            wish=Wish(anti_csrf=anti_csrf, static_key=static_key),
            now=self.clock.now(),
        )

    def revoke_session(self, handle: str) -> None:
        """End one session, as another back end would; one that is not there is no error."""
        self._app.core.remove([handle], now=self.clock.now())

    def revoke_sessions(self, user_id: str) -> None:
        """End all of the user's sessions, in every tenant."""
        core, now = self._app.core, self.clock.now()
        core.remove(core.handles(user_id, None, now=now), now=now)

    def rotate_keys(self, *, keep_old: bool = True) -> None:
        """
        Sign with a new dynamic key from now on; the static one stays.

        Args:
            keep_old: Whether the old keys stay in the JWK set for two lives of an access token,
                as they do after the rotation that comes by itself; that one is published a
                minute ahead. Without, the tokens of before are refused at once.
        """
        self._app.core.keys.rotate(self.clock.now(), keep_old=keep_old)

    def sign(
        self,
        claims: Mapping[str, Any],
        *,
        headers: Mapping[str, Any] | None = None,
        static_key: bool = False,
    ) -> str:
        """Return any claims as a token signed by this core, for what it would never issue."""
        key = self._app.core.keys.signer(self.clock.now(), static=static_key)
        usual = {"kid": key.kid, "typ": "JWT", "version": "5", "alg": "RS256"}
        return access_tokens.sign({**usual, **(headers or {})}, claims, key)
