"""Sessions out of what answers say: the values that the engine keeps. Pure.

An access token's end is `ate` of the front token, else its own `exp`, on this machine's clock:
corrected by how far the server's clock is off, which `iat` shows, else the answer's `Date`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.core.plain_json import number
from async_auth.core.token_text import is_token
from async_auth.core.web.cookie_values import decode_value, encode_value
from async_auth.errors import Malformed, ProtocolError
from async_auth.session import Session
from async_auth.supertokens import access_token as tokens
from async_auth.supertokens import wire
from async_auth.supertokens.client.responses import Told
from async_auth.supertokens.front_token import FrontToken
from async_auth.supertokens.wire import TransferMethod

#: A clock that is less than this off counts as right, as for SuperTokens' own front ends.
SKEW_LEAST = 7.0
#: What changes with every token and is no change of the claims.
VOLATILE = frozenset(
    {"iat", "exp", "refreshTokenHash1", "parentRefreshTokenHash1", "antiCsrfToken"}
)

#: Members of a session's `extra`.
TRANSFER, FRONT_TOKEN, ANTI_CSRF, COOKIES, SKEW = (
    "transfer",
    "front_token",
    "anti_csrf",
    "cookies",
    "clock_skew",
)


def transfer_of(session: Session, default: TransferMethod = "header") -> TransferMethod:
    """Return how the session's tokens travel; *default* where it does not say."""
    stated = session.extra.get(TRANSFER)
    if stated == "cookie":
        return "cookie"
    return "header" if stated == "header" else default


def cookie_of(session: Session, name: str) -> str | None:
    """Return the value of one of the session's cookies, as it is to be sent."""
    kept = session.extra.get(COOKIES)
    value = kept.get(name) if isinstance(kept, Mapping) else None
    if isinstance(value, str):
        return value
    # A session that came without cookies, such as a refresh token from elsewhere.
    known = session.access_token if name == wire.ACCESS_COOKIE else session.refresh_token
    return encode_value(known) if known else None


def anti_csrf_of(session: Session) -> str | None:
    """Return the session's anti-CSRF token, if it has one."""
    value = session.extra.get(ANTI_CSRF)
    return value if isinstance(value, str) else None


def skew_of(session: Session) -> float:
    """Return how many seconds the server's clock is ahead of this machine's, as far as known."""
    return number(session.extra.get(SKEW)) or 0.0


def payload_of(session: Session) -> dict[str, Any]:
    """Return the access token's claims; empty where nobody can read them."""
    front = session.extra.get(FRONT_TOKEN)
    if isinstance(front, str):
        try:
            return dict(FrontToken.decode(front).payload)
        except ProtocolError:
            pass
    try:
        return dict(tokens.parse(session.access_token).payload)
    except Malformed:
        return {}


def user_id_of(session: Session) -> str | None:
    """Return whose session it is."""
    found = session.user.get("id") if isinstance(session.user, Mapping) else None
    return found if isinstance(found, str) else None


def lasting(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims without those that every new token changes."""
    return {name: value for name, value in payload.items() if name not in VOLATILE}


def session_in(
    told: Told, *, prefer: TransferMethod = "header", sent_at: float, now: float
) -> Session | None:
    """
    Return the session that an answer sets, `None` if it does not set a whole one.

    Args:
        told: What the answer says.
        prefer: Which tokens count if it has both those of headers and those of cookies.
        sent_at: When the request was sent (unix seconds).
        now: When the answer came.
    """
    if told.removed:
        return None
    for method in (prefer, "cookie" if prefer == "header" else "header"):
        pair = _pair(told, method)
        if pair is not None:
            break
    else:
        return None
    access_token, refresh_token = pair
    try:
        facts = _Facts.of(access_token, told.front)
    except Malformed:
        return None
    skew = clock_skew(facts.issued_at, date=told.date, sent_at=sent_at, now=now)
    extra: dict[str, Any] = {TRANSFER: method, SKEW: skew}
    if told.front_token is not None:
        extra[FRONT_TOKEN] = told.front_token
    if told.anti_csrf is not None:
        extra[ANTI_CSRF] = told.anti_csrf
    if method == "cookie":
        extra[COOKIES] = dict(told.cookies)
    return Session(
        access_token=access_token,
        refresh_token=refresh_token,
        expires_at=facts.expires_at - skew,
        issued_at=sent_at if facts.issued_at is None else facts.issued_at - skew,
        user={"id": facts.user_id},
        extra=extra,
    )


def session_from_tokens(
    access_token: str,
    refresh_token: str,
    *,
    front_token: str | None,
    anti_csrf: str | None,
    transfer: TransferMethod,
    now: float,
) -> Session:
    """
    Return the session of tokens that were obtained elsewhere.

    Args:
        access_token: The token; in cookie mode the cookie's value, byte for byte.
        refresh_token: Likewise; `""` if there is none.
        front_token: What came with them.
        anti_csrf: What came with them.
        transfer: How they travel.
        now: Unix seconds.

    Raises:
        Malformed: Neither the front token nor the access token can be read.
        ProtocolError: The front token cannot be read.
    """
    front = None if front_token is None else FrontToken.decode(front_token)
    extra: dict[str, Any] = {TRANSFER: transfer, SKEW: 0.0}
    if front_token is not None:
        extra[FRONT_TOKEN] = front_token
    if anti_csrf is not None:
        extra[ANTI_CSRF] = anti_csrf
    if transfer == "cookie":
        given = {wire.ACCESS_COOKIE: access_token, wire.REFRESH_COOKIE: refresh_token}
        extra[COOKIES] = {name: value for name, value in given.items() if value}
        access_token, refresh_token = decode_value(access_token), decode_value(refresh_token)
    facts = _Facts.of(access_token, front)
    return Session(
        access_token=access_token,
        refresh_token=refresh_token or None,
        expires_at=facts.expires_at,
        issued_at=now if facts.issued_at is None else min(facts.issued_at, now),
        user={"id": facts.user_id},
        extra=extra,
    )


def amended(session: Session, told: Told, *, sent_at: float, now: float) -> Session | None:
    """
    Return *session* with what an answer to a request of its own replaces in it.

    Args:
        session: The session now; of the generation that the request was sent with.
        told: What the answer says. A refresh token in it makes another session, not this one.
        sent_at: When the request was sent (unix seconds).
        now: When the answer came.

    Returns:
        The session, or `None` if there is nothing to gain: no new token, an older one, one of
        another session, or one that says nothing that the present one does not.
    """
    new = _with_access_token(session, told, sent_at=sent_at, now=now)
    if told.refresh_token == "":
        new = attrs.evolve(new, refresh_token=None)
    if told.anti_csrf is not None and told.anti_csrf != anti_csrf_of(session):
        new = attrs.evolve(new, extra={**new.extra, ANTI_CSRF: told.anti_csrf})
    return None if new == session else new


def clock_skew(iat: float | None, *, date: float | None, sent_at: float, now: float) -> float:
    """
    Return how many seconds the server's clock is ahead; 0 if that is less than `SKEW_LEAST`.

    Args:
        iat: When a token was made that did not exist before the request, by the server's clock.
        date: The answer's `Date`, where there is no *iat*.
        sent_at: When the request was sent, by this machine's clock.
        now: When the answer came.
    """
    seen = date if iat is None else iat
    # Whole seconds, rounded down: one less than `sent_at` is no difference yet.
    if seen is None or sent_at - 1 <= seen <= now:
        return 0.0
    skew = seen - sent_at
    return skew if abs(skew) >= SKEW_LEAST else 0.0


@attrs.frozen(kw_only=True)
class _Facts:
    """What a token says of itself, by the server's clock."""

    user_id: str
    expires_at: float
    issued_at: float | None
    payload: Mapping[str, Any]

    @classmethod
    def of(cls, access_token: str, front: FrontToken | None) -> _Facts:
        if front is None:
            info = tokens.parse(access_token)
            return cls(
                user_id=info.user_id,
                expires_at=info.expires_at,
                issued_at=info.issued_at,
                payload=info.payload,
            )
        iat = number(front.payload.get("iat"))
        return cls(
            user_id=front.user_id,
            expires_at=front.expires_at,
            # Some cores write whole seconds as floats, in scientific notation even.
            issued_at=None if iat is None else float(int(iat)),
            payload=front.payload,
        )


def _pair(told: Told, method: TransferMethod) -> tuple[str, str] | None:
    if method == "header":
        access_token, refresh_token = told.access_token, told.refresh_token
    else:
        access_token = decode_value(told.cookies.get(wire.ACCESS_COOKIE, ""))
        refresh_token = decode_value(told.cookies.get(wire.REFRESH_COOKIE, ""))
    # A cookie's value may be percent-encoded, and so hold anything at all.
    return (
        (access_token, refresh_token)
        if is_token(access_token) and is_token(refresh_token)
        else None
    )


def _with_access_token(session: Session, told: Told, *, sent_at: float, now: float) -> Session:
    in_cookies = transfer_of(session) == "cookie"
    cookie = told.cookies.get(wire.ACCESS_COOKIE)
    access_token = decode_value(cookie or "") if in_cookies else told.access_token
    if not is_token(access_token):
        cleared = access_token == "" and not in_cookies
        return attrs.evolve(session, expires_at=_by(now, session)) if cleared else session
    try:
        facts = _Facts.of(access_token, told.front)
    except Malformed:
        return session
    if not _gains(session, payload_of(session), facts):
        return session
    before = number(payload_of(session).get("iat"))
    skew = skew_of(session)
    if facts.issued_at is not None and before is not None and facts.issued_at > before:
        # Made for this very answer; one that only had its hashes changed may be as old as ours.
        skew = clock_skew(facts.issued_at, date=told.date, sent_at=sent_at, now=now)
    extra = {**session.extra, SKEW: skew}
    extra.pop(FRONT_TOKEN, None)
    if told.front_token is not None:
        extra[FRONT_TOKEN] = told.front_token
    if in_cookies and cookie is not None:
        kept = session.extra.get(COOKIES)
        others = kept if isinstance(kept, Mapping) else {}
        extra[COOKIES] = {**others, wire.ACCESS_COOKIE: cookie}
    return attrs.evolve(
        session, access_token=access_token, expires_at=facts.expires_at - skew, extra=extra
    )


def _by(now: float, session: Session) -> float:
    return now if session.expires_at is None else min(session.expires_at, now)


def _gains(session: Session, payload: Mapping[str, Any], facts: _Facts) -> bool:
    new = facts.payload
    if user_id_of(session) != facts.user_id:
        return False
    if payload.get("sessionHandle") != new.get("sessionHandle"):
        return False
    iat, before = facts.issued_at, number(payload.get("iat"))
    if iat is not None and before is not None and iat < int(before):
        return False
    # Up to CDI 5.5 every use of a token that is not committed brings one that is: one is enough.
    uncommitted = payload.get("parentRefreshTokenHash1") is not None
    committed_now = uncommitted and new.get("parentRefreshTokenHash1") is None
    changed = lasting(new) != lasting(payload) or facts.expires_at != _end_of(session, payload)
    return committed_now or changed


def _end_of(session: Session, payload: Mapping[str, Any]) -> float | None:
    front = session.extra.get(FRONT_TOKEN)
    if isinstance(front, str):
        try:
            return FrontToken.decode(front).expires_at
        except ProtocolError:
            pass
    return number(payload.get("exp"))
