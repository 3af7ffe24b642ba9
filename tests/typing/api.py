"""The public API as its users' type checkers see it: checked by `nox -s typing`, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from async_auth.core.policy import RefreshPolicy
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    NetworkError,
    RefreshRejected,
    SignInRequired,
    TemporaryError,
    TokenTheftDetected,
    WeakPassword,
)
from async_auth.events import (
    InitialSession,
    Lagged,
    RefreshFailed,
    SignedOut,
    StoreFailed,
    TokenRefreshed,
)
from async_auth.http_messages import Request, Response
from async_auth.ports import Clock, RefreshLock, SessionStore, Transport
from async_auth.session import AccessToken, Session, Status
from async_auth.stores import FileStore, MemoryStore


def sessions_are_values(session: Session) -> None:
    """What a session holds, and what it may lack."""
    assert_type(session.access_token, str)
    assert_type(session.refresh_token, str | None)
    assert_type(session.expires_at, float | None)
    assert_type(session.issued_at, float | None)
    assert_type(session.scopes, tuple[str, ...])
    assert_type(session.generation, int)
    assert_type(session.extra, Mapping[str, Any])
    assert_type(session.lifetime, float | None)
    Session(access_token="t", refresh_token=None, expires_at=1.5, scopes=("a", "b"))
    session.access_token = ""  # type: ignore[misc]  # frozen
    Session("t")  # type: ignore[call-arg]  # keyword-only


def tokens_have_a_header(token: AccessToken) -> None:
    """What a request needs of a token."""
    assert_type(token.header, str)
    assert_type(token.value, str)
    assert_type(token.expires_at, float | None)


def policies_are_seconds() -> None:
    """Whole and fractional seconds alike; everything by name."""
    policy = RefreshPolicy(margin=10, jitter=0.5)
    assert_type(policy.backoff_max, float)
    RefreshPolicy(10.0)  # type: ignore[call-arg]  # keyword-only


def errors_say_what_to_do(error: AuthError) -> None:
    """Each branch of the tree has its own facts."""
    assert_type(error.code, str | None)
    assert_type(error.status, int | None)
    match error:
        case TokenTheftDetected():
            assert_type(error.user_id, str | None)
        case RefreshRejected() | AuthSessionMissing():
            needed: SignInRequired = error
            assert_type(needed.message, str)
        case NetworkError():
            assert_type(error.sent, bool)
        case TemporaryError():
            assert_type(error.retry_after, float | None)
        case WeakPassword():
            assert_type(error.reasons, tuple[str, ...])
        case _:
            assert_type(error.message, str)


def events_are_matched(
    event: InitialSession | TokenRefreshed | RefreshFailed | StoreFailed | SignedOut | Lagged,
) -> None:
    """A `match` over events knows what each of them carries."""
    assert_type(event.name, str)
    assert_type(event.at, float)
    match event:
        case InitialSession() | TokenRefreshed():
            assert_type(event.session, Session | None)
        case (
            RefreshFailed(error=error, retry_at=retry_at)
            | StoreFailed(error=error, retry_at=retry_at)
        ):
            assert_type(error, Exception)
            assert_type(retry_at, float | None)
        case SignedOut(reason=reason):
            assert_type(reason, str)
        case Lagged(missed=missed):
            assert_type(missed, int)


def every_status_is_known(status: Status) -> str:
    """`match` over `Status` is complete without a default."""
    match status:
        case Status.SIGNED_OUT | Status.REJECTED | Status.CLOSED:
            return "sign in"
        case Status.FRESH | Status.DUE | Status.EXPIRED:
            return "carry on"


def our_stores_fit_the_port(store: SessionStore) -> RefreshLock:
    """Any store will do, and each brings its lock."""
    stores: list[SessionStore] = [store, MemoryStore(), FileStore(), FileStore("folder")]
    return stores[0].lock


class FixedClock:
    """A user's own clock needs no base class."""

    def now(self) -> float:
        """Return unix seconds."""
        return 0.0

    def monotonic(self) -> float:
        """Return seconds."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


class DeadLine:
    """Nor does a user's own transport."""

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Never reach anybody."""
        raise NetworkError(f"{request.method} got nowhere within {timeout} s", sent=False)


CLOCK: Clock = FixedClock()
TRANSPORT: Transport = DeadLine()
