"""The core's memory and what its calls do to it; what a token is worth is decided in `rotation`.

Every method takes *now* and is done when it returns: nothing here waits. Each returns the JSON
that the call is answered with, or raises `Refused`. A session past its end is gone at once; a
real core's row stays until it is swept, which only a look at the row itself would show.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from async_auth.testing.supertokens import access_tokens
from async_auth.testing.supertokens.access_tokens import (
    AccessToken,
    BadAccessToken,
    milliseconds,
)
from async_auth.testing.supertokens.answers import (
    Json,
    Refused,
    session_of,
    theft,
    try_refresh,
    unauthorised,
)
from async_auth.testing.supertokens.keys import KeyRing
from async_auth.testing.supertokens.refresh_tokens import BadRefreshToken, RefreshTokens
from async_auth.testing.supertokens.rotation import (
    Granted,
    Lineage,
    Reuse,
    SessionRow,
    digest,
    is_on_a_living_branch,
    refresh_lazily,
    refresh_rotating,
    verify_lazily,
)
from async_auth.testing.supertokens.settings import Settings
from async_auth.testing.supertokens.versions import CdiVersion

PUBLIC_TENANT = "public"

_UNKNOWN = "Session does not exist."
_GONE = "Session missing in db or has expired"
_BLACKLISTED = "Either the session has ended or has been blacklisted"
_NOT_IN_DATABASE = "Session missing in db"
_DISPLACED = "rotated-out token branch; refresh required"
_ANTI_CSRF_REFRESH = "Anti CSRF token missing, or not matching"
_ANTI_CSRF_VERIFY = "anti-csrf check failed"
#: Not recorded: the wording is ours.
_REUSED = "Refresh token was used that had been replaced"


@attrs.frozen(kw_only=True)
class Wish:
    """
    How a caller wants the tokens of a new pair.

    Args:
        anti_csrf: Whether they are bound to an anti-CSRF token.
        static_key: Whether the static key signs; `None`: as the session has it.
        lifetime: Seconds that the access token shall live; `None`: as configured.
    """

    anti_csrf: bool = False
    static_key: bool | None = None
    lifetime: float | None = None


@attrs.define
class Core:
    """
    Sessions and keys; all of it is lost with this object.

    Args:
        settings: The rules' numbers.
        started_at: When its first key is made, unix seconds.
        rows: The sessions by handle, the oldest first.
        keys: What signs access tokens.
    """

    settings: Settings
    started_at: float
    _last_ms: int = 0
    rows: dict[str, SessionRow] = attrs.field(init=False, factory=dict, repr=False)
    keys: KeyRing = attrs.field(init=False)
    _refresh_tokens: RefreshTokens = attrs.field(init=False, factory=RefreshTokens)

    def __attrs_post_init__(self) -> None:
        self.keys = KeyRing(
            interval=self.settings.key_interval,
            token_validity=self.settings.access_token_validity,
            last_ms=self._last_ms,
            make_key=self.settings.make_key,
        )
        self.keys.dynamic(self.started_at)

    # ── sessions ───────────────────────────────────────────────────────────────────────────────

    def successor(self, now: float) -> Core:
        """Return a core that remembers nothing; no key of it is named as one of this one's."""
        return Core(self.settings, now, self.keys.last_ms)

    def row(self, handle: str, *, now: float) -> SessionRow | None:
        """Return a session that has not ended."""
        row = self.rows.get(handle)
        return row if row is not None and now < row.expires_at else None

    def create(
        self,
        version: CdiVersion,
        user_id: str,
        *,
        payload: Mapping[str, Any],
        data: Mapping[str, Any],
        tenant_id: str,
        wish: Wish,
        now: float,
    ) -> Json:
        """Begin a session."""
        suffix = "" if tenant_id == PUBLIC_TENANT else f"_{tenant_id}"
        handle = f"{uuid.uuid4()}{suffix}"
        anti_csrf = str(uuid.uuid4()) if wish.anti_csrf else None
        text, lineage = self._refresh_tokens.make(handle, user_id, anti_csrf=anti_csrf)
        row = self.rows[handle] = SessionRow(
            handle=handle,
            user_id=user_id,
            tenant_id=tenant_id,
            current=digest(lineage.own),
            created_at=now,
            expires_at=now + self.settings.refresh_token_validity,
            payload=dict(payload),
            data=dict(data),
            static_key=bool(wish.static_key),
        )
        answer = self._pair(
            version, row, text, lineage, anti_csrf=anti_csrf, lifetime=wish.lifetime, now=now
        )
        return {**answer, **self.signing_keys(now)} if version.has_handshake else answer

    def refresh(
        self, version: CdiVersion, token: str, *, anti_csrf: str | None, wish: Wish, now: float
    ) -> Json:
        """Spend a refresh token."""
        try:
            spent = self._refresh_tokens.read(token)
        except BadRefreshToken as error:
            return unauthorised(str(error))
        if wish.anti_csrf and spent.anti_csrf not in (None, anti_csrf):
            return unauthorised(_ANTI_CSRF_REFRESH)
        row = self.row(spent.handle, now=now)
        if row is None:
            return unauthorised(_GONE)
        child_csrf = str(uuid.uuid4()) if wish.anti_csrf else None
        text, child = self._refresh_tokens.make(
            row.handle, row.user_id, parent=spent.lineage.own, anti_csrf=child_csrf
        )
        verdict = self._judge(version, row, spent.lineage, child, now=now)
        if isinstance(verdict, Reuse):
            return self._report(version, row, verdict)
        row = verdict.row
        if wish.static_key is not None:
            row = attrs.evolve(row, static_key=wish.static_key)
        self.rows[row.handle] = row
        issued = Lineage(child.own, verdict.parent)
        return self._pair(
            version, row, text, issued, anti_csrf=child_csrf, lifetime=wish.lifetime, now=now
        )

    def _judge(
        self, version: CdiVersion, row: SessionRow, token: Lineage, child: Lineage, *, now: float
    ) -> Granted | Reuse:
        validity = self.settings.refresh_token_validity
        if not version.rotates_in_refresh:
            return refresh_lazily(row, token, now=now, validity=validity)
        return refresh_rotating(
            row, token, child, now=now, validity=validity, grace=self.settings.grace
        )

    def _report(self, version: CdiVersion, row: SessionRow, reuse: Reuse) -> Json:
        if reuse.ends_session:
            del self.rows[row.handle]
        lenient = self.settings.reuse_behaviour == "UNAUTHORISED"
        if lenient and reuse.subtype in ("RECENT_PREV", "ORPHANED_BRANCH"):
            return unauthorised(_REUSED, reuse.subtype)
        return theft(row, version, reuse.subtype)

    def verify(
        self,
        version: CdiVersion,
        text: str,
        *,
        anti_csrf: str | None,
        check_anti_csrf: bool,
        check_database: bool,
        now: float,
    ) -> Json:
        """Check an access token, and up to CDI 5.5 commit the rotation that it came from."""
        try:
            token = access_tokens.verify(text, self.keys, now=now)
        except BadAccessToken as error:
            return self._try_refresh(version, str(error), now)
        if check_anti_csrf and (anti_csrf is None or anti_csrf != token.anti_csrf):
            return self._try_refresh(version, _ANTI_CSRF_VERIFY, now)
        if version.rotates_in_refresh:
            return self._verify_statelessly(version, token, check_database=check_database, now=now)
        return self._verify_and_commit(version, token, check_database=check_database, now=now)

    def _verify_statelessly(
        self, version: CdiVersion, token: AccessToken, *, check_database: bool, now: float
    ) -> Json:
        answer: Json = {"session": self._session(version, token, token.payload)}
        if check_database:
            row = self.row(token.handle, now=now)
            if row is None:
                return unauthorised(_BLACKLISTED)
            if not is_on_a_living_branch(row, token.lineage):
                return unauthorised(_DISPLACED)
            answer["payloadUpdateAvailable"] = row.payload != token.payload
        return {**answer, "status": "OK"}

    def _verify_and_commit(
        self, version: CdiVersion, token: AccessToken, *, check_database: bool, now: float
    ) -> Json:
        payload, access = token.payload, {}
        if check_database or token.lineage.parent is not None:
            row = self.row(token.handle, now=now)
            if row is None:
                return unauthorised(_BLACKLISTED if check_database else _NOT_IN_DATABASE)
            verdict = verify_lazily(
                row,
                token.lineage,
                payload_changed=check_database and row.payload != token.payload,
                now=now,
                validity=self.settings.refresh_token_validity,
            )
            row = self.rows[row.handle] = verdict.row
            if verdict.replace:
                payload = row.payload
                orphan = Lineage(token.lineage.own)
                access = self._replacement(token, row, lineage=orphan, payload=payload, now=now)
        answer = {"session": self._session(version, token, payload), **access, "status": "OK"}
        return {**answer, **self.signing_keys(now)} if version.has_handshake else answer

    def regenerate(
        self, version: CdiVersion, text: str, payload: Mapping[str, Any] | None, *, now: float
    ) -> Json:
        """
        Put a payload into the session, and into a new access token that expires as the old one.

        Raises:
            Refused: The token is none: a core fails at that, with status 500.
        """
        try:
            token = access_tokens.read(text).said
        except BadAccessToken as error:
            raise Refused(500, str(error)) from None
        row = self.row(token.handle, now=now)
        if row is None:
            return unauthorised(_UNKNOWN)
        if payload is not None:
            row = self.rows[row.handle] = attrs.evolve(row, payload=dict(payload))
        answer = {"session": self._session(version, token, row.payload)}
        if not access_tokens.has_expired(token, now=now):
            answer |= self._replacement(
                token, row, lineage=token.lineage, payload=row.payload, now=now
            )
        return {**answer, "status": "OK"}

    # ── what an administrator asks ─────────────────────────────────────────────────────────────

    def information(self, version: CdiVersion, handle: str, *, now: float) -> Json:
        """Say what is known of a session."""
        row = self.row(handle, now=now)
        if row is None:
            return unauthorised(_UNKNOWN)
        answer: Json = {"sessionHandle": row.handle, "userId": row.user_id}
        if version.names_recipe_users:
            answer["recipeUserId"] = row.user_id
        answer |= {
            "userDataInDatabase": row.data,
            "expiry": milliseconds(row.expires_at),
            "userDataInJWT": row.payload,
            "timeCreated": milliseconds(row.created_at),
            "status": "OK",
        }
        return {**answer, "tenantId": row.tenant_id} if version.names_tenants else answer

    def handles(self, user_id: str, tenant_id: str | None, *, now: float) -> list[str]:
        """Return the handles of a user's sessions, of one tenant or (`None`) of all."""
        return [
            row.handle
            for row in self.rows.values()
            if row.user_id == user_id
            and tenant_id in (None, row.tenant_id)
            and now < row.expires_at
        ]

    def remove(self, handles: Iterable[str], *, now: float) -> list[str]:
        """End sessions and return the handles of those that there were."""
        removed = [handle for handle in dict.fromkeys(handles) if self.row(handle, now=now)]
        for handle in removed:
            del self.rows[handle]
        return removed

    def change(
        self,
        handle: str,
        *,
        data: Mapping[str, Any] | None = None,
        payload: Mapping[str, Any] | None = None,
        now: float,
    ) -> Json:
        """Replace a session's *data* or *payload*, if given."""
        row = self.row(handle, now=now)
        if row is None:
            return unauthorised(_UNKNOWN)
        self.rows[handle] = attrs.evolve(
            row,
            data=row.data if data is None else data,
            payload=row.payload if payload is None else payload,
        )
        return {"status": "OK"}

    # ── keys ───────────────────────────────────────────────────────────────────────────────────

    def jwks(self, now: float) -> Json:
        """Return the JWK set."""
        return {"keys": [key.jwk() for key in self.keys.published(now)]}

    def signing_keys(self, now: float) -> Json:
        """Return the dynamic keys as CDI up to 2.20 says them."""
        keys = self.keys.dynamic(now)
        kept = 2 * self.settings.access_token_validity
        current = self.keys.signer(now, static=False)
        return {
            "jwtSigningPublicKey": current.spki(),
            "jwtSigningPublicKeyExpiryTime": milliseconds(current.signs_until or now),
            "jwtSigningPublicKeyList": [
                {
                    "publicKey": key.spki(),
                    "expiryTime": milliseconds((key.signs_until or now) + kept),
                    "createdAt": milliseconds(key.created_at),
                }
                for key in keys
            ],
        }

    def handshake(self, now: float) -> Json:
        """Answer a handshake of CDI up to 2.20."""
        return {
            "status": "OK",
            **self.signing_keys(now),
            "accessTokenBlacklistingEnabled": False,
            "accessTokenValidity": milliseconds(self.settings.access_token_validity),
            "refreshTokenValidity": milliseconds(self.settings.refresh_token_validity),
        }

    # ── answers ────────────────────────────────────────────────────────────────────────────────

    def _try_refresh(self, version: CdiVersion, message: str, now: float) -> Json:
        keys = self.signing_keys(now) if version.has_handshake else {}
        return {**try_refresh(message), **keys}

    def _session(self, version: CdiVersion, token: AccessToken, payload: object) -> Json:
        return session_of(
            version,
            handle=token.handle,
            user_id=token.user_id,
            tenant_id=token.tenant_id,
            payload=payload,
        )

    def _pair(
        self,
        version: CdiVersion,
        row: SessionRow,
        refresh: str,
        lineage: Lineage,
        *,
        anti_csrf: str | None,
        lifetime: float | None,
        now: float,
    ) -> Json:
        settings = self.settings
        lifetime = settings.access_token_validity if lifetime is None else lifetime
        token = AccessToken(
            version=version.token_version,
            handle=row.handle,
            user_id=row.user_id,
            tenant_id=row.tenant_id,
            lineage=lineage,
            anti_csrf=anti_csrf,
            created_at=now,
            expires_at=now + lifetime * (1 - settings.jitter * settings.random()),
            payload=row.payload,
        )
        times = {
            "expiry": milliseconds(now + settings.refresh_token_validity),
            "createdTime": milliseconds(now),
        }
        answer: Json = {
            "session": self._session(version, token, row.payload),
            **self._access(token, static=row.static_key, now=now),
            "refreshToken": {"token": refresh, **times},
        }
        if version.has_handshake:
            answer["idRefreshToken"] = {"token": str(uuid.uuid4()), **times}
        if anti_csrf is not None:
            answer["antiCsrfToken"] = anti_csrf
        return {**answer, "status": "OK"}

    def _replacement(
        self,
        token: AccessToken,
        row: SessionRow,
        *,
        lineage: Lineage,
        payload: Mapping[str, Any],
        now: float,
    ) -> Json:
        """Return the same access token anew: its expiry stays, so its life grows shorter."""
        fresh = attrs.evolve(token, lineage=lineage, payload=payload, created_at=now)
        return self._access(fresh, static=row.static_key, now=now)

    def _access(self, token: AccessToken, *, static: bool, now: float) -> Json:
        # Version 2 names no key, and its readers know the dynamic ones only.
        has_kid = token.version > 2  # noqa: PLR2004 - the last version without a kid
        key = self.keys.signer(now, static=static and has_kid)
        return {
            "accessToken": {
                "token": access_tokens.write(token, key),
                "expiry": token.expiry,
                "createdTime": token.created_time,
            }
        }
