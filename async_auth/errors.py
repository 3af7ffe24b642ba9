"""Every error this library raises, grouped by what the caller can do next.

    AuthError                               .message .code .status, never a token
    ├─ SignInRequired                       there is nothing to go on with: sign in again
    │  ├─ AuthSessionMissing                no session, or no refresh token
    │  ├─ RefreshRejected                   the server refused the refresh token for good
    │  │  └─ TokenTheftDetected             reuse detected; .user_id .session_handle .subtype
    │  └─ UserDoesntExist                   the access token matches no user
    ├─ TemporaryError                       try again later: .retry_after
    │  ├─ NetworkError                      no answer; .sent says whether the request left
    │  ├─ ServerUnavailable                 an answer that says nothing about the session
    │  ├─ CoreUnavailable                   no SuperTokens core could be asked (back end)
    │  ├─ RateLimited                       429
    │  └─ LockTimeout                       another holder kept the session's lock
    ├─ ApiError                             the server refused this call
    │  ├─ InvalidCredentials
    │  └─ WeakPassword                      .reasons
    ├─ InvalidToken                         a JWT that does not verify
    │  ├─ Malformed
    │  ├─ BadSignature
    │  ├─ TokenExpired
    │  ├─ TokenNotYetValid
    │  ├─ WrongAudience
    │  ├─ WrongIssuer
    │  ├─ MissingClaim
    │  └─ UnknownKey
    ├─ ProtocolError                        an answer that no such server should give
    ├─ StoreError                           the session store failed
    │  └─ Conflict                          the stored generation is not the expected one
    ├─ ConfigurationError                   an argument is wrong; it names the argument
    ├─ ManagerClosed                        aclose() was called
    ├─ TryRefreshToken                      back end: the caller has to refresh its session
    ├─ Unauthorised                         back end: the caller has no session; .clear_tokens
    └─ InvalidClaims                        back end: the session lacks a claim; .reasons

It imports nothing of ours. Every error can be copied and pickled with its attributes.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

ErrorT = TypeVar("ErrorT", bound=Exception)


class AuthError(Exception):
    """
    The base of everything raised on purpose by this library.

    Args:
        message: What happened and, where there is one, what to do. Never holds a secret.
        code: The server's own word for it (`error_code`, or OAuth's `error`), if there was one.
        status: The HTTP status of the answer, if there was one.
    """

    def __init__(self, message: str = "", *, code: str | None = None, status: int | None = None):
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status

    def __str__(self) -> str:
        facts = ", ".join(
            f"{name} {value}"
            for name, value in (("status", self.status), ("code", self.code))
            if value is not None
        )
        return f"{self.message} ({facts})" if facts else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # The default pickles by calling the class with `args`, which would lose every keyword.
        return (_rebuild, (type(self), self.args, dict(self.__dict__)))


def _rebuild(cls: type[AuthError], args: tuple[Any, ...], state: dict[str, Any]) -> AuthError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


def fresh_copy(error: ErrorT) -> ErrorT:
    """Return a copy to raise: raising one error in many tasks would pile up its traceback."""
    clone = copy.copy(error)
    clone.__cause__ = error.__cause__
    return clone


class SignInRequired(AuthError):
    """There is nothing to go on with: the user has to sign in again."""


class AuthSessionMissing(SignInRequired):
    """There is no session, or the session has no refresh token."""

    def __init__(
        self,
        message: str = "Auth session missing!",
        *,
        code: str | None = None,
        status: int | None = 400,
    ):
        super().__init__(message, code=code, status=status)


class RefreshRejected(SignInRequired):
    """The server refused the refresh token for good; `.code` is its reason."""


class TokenTheftDetected(RefreshRejected):
    """A refresh token was used again after it had been replaced: somebody else may hold it."""

    def __init__(
        self,
        message: str = "Token theft detected",
        *,
        code: str | None = None,
        status: int | None = None,
        user_id: str | None = None,
        session_handle: str | None = None,
        subtype: str | None = None,
    ):
        super().__init__(message, code=code, status=status)
        self.user_id = user_id
        self.session_handle = session_handle
        self.subtype = subtype


class UserDoesntExist(SignInRequired):
    """The access token is well-formed but belongs to no user."""


class TemporaryError(AuthError):
    """
    The call may succeed later; the session is kept.

    Args:
        retry_after: Seconds until another try makes sense, if anybody said so.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(message, code=code, status=status)
        self.retry_after = retry_after


class NetworkError(TemporaryError):
    """
    No answer came.

    Args:
        sent: Whether the request may have reached the server. Only `False` is a promise: then
            the server has seen nothing. `True` means that the *response* may be what was lost.
    """

    def __init__(
        self,
        message: str = "",
        *,
        sent: bool = False,
        code: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ):
        super().__init__(message, code=code, status=status, retry_after=retry_after)
        self.sent = sent


class ServerUnavailable(TemporaryError):
    """The server (or a proxy before it) answered, but not about the session."""


class CoreUnavailable(TemporaryError):
    """No host of the SuperTokens core answered: this says nothing about anybody's session."""


class RateLimited(TemporaryError):
    """Too many requests (429)."""


class LockTimeout(TemporaryError):
    """Another holder kept the session's lock for longer than we were willing to wait."""


class ApiError(AuthError):
    """The server refused this call."""


class InvalidCredentials(ApiError):
    """Wrong e-mail, phone number or password."""


class WeakPassword(ApiError):
    """
    The password does not meet the server's rules.

    Args:
        reasons: The rules it breaks, in the server's words (`length`, `characters`, `pwned`, …).
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        reasons: tuple[str, ...] = (),
    ):
        super().__init__(message, code=code, status=status)
        self.reasons = reasons


class InvalidToken(AuthError):
    """A JWT that does not verify."""


class Malformed(InvalidToken):
    """Not a JWT, or one of a kind that is refused unread (`alg: none`, `crit`, JWE, oversized)."""


class BadSignature(InvalidToken):
    """The signature does not belong to the content."""


class TokenExpired(InvalidToken):
    """`exp` has passed (RFC 7519 section 4.1.4)."""


class TokenNotYetValid(InvalidToken):
    """`nbf` has not come yet (RFC 7519 section 4.1.5)."""


class WrongAudience(InvalidToken):
    """`aud` does not name us (RFC 7519 section 4.1.3)."""


class WrongIssuer(InvalidToken):
    """`iss` is not the expected issuer (RFC 7519 section 4.1.1)."""


class MissingClaim(InvalidToken):
    """A required claim is absent."""


class UnknownKey(InvalidToken):
    """No key with the token's `kid` is known."""


class ProtocolError(AuthError):
    """The server gave an answer that no such server should give."""


class StoreError(AuthError):
    """The session store could not be read or written."""


class Conflict(StoreError):
    """The store holds another generation than the writer expected; nothing was written."""


class ConfigurationError(AuthError):
    """An argument is wrong; the message names it and says what to do."""


class ManagerClosed(AuthError):
    """The manager was closed by `aclose()`."""

    def __init__(
        self,
        message: str = "The session manager is closed; make a new one.",
        *,
        code: str | None = None,
        status: int | None = None,
    ):
        super().__init__(message, code=code, status=status)


class TryRefreshToken(AuthError):
    """The access token will not do, but the session may be alive: the caller has to refresh."""


class Unauthorised(AuthError):
    """
    The caller has no session.

    Args:
        clear_tokens: Whether the answer takes the tokens away that the caller sent.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        clear_tokens: bool = True,
    ):
        super().__init__(message, code=code, status=status)
        self.clear_tokens = clear_tokens


class InvalidClaims(AuthError):
    """
    The session is good, but a claim is not what was asked for.

    Args:
        reasons: What failed, one `{"id": …, "reason": …}` for each validator, as it is answered.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        reasons: tuple[Any, ...] = (),
    ):
        super().__init__(message, code=code, status=status)
        self.reasons = reasons
