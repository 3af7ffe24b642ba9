"""What a request is answered when there is no session to go on with, and by our own routes.

Pure: a status, a JSON body, and which tokens the answer takes away. The words are those of
SuperTokens' own back ends, for front ends and people look for them. An error that is nobody's
fault but ours (a wrong setting, a core that talks nonsense) has no answer here and goes on up to
the framework, as 500.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.core.web.outgoing import Outgoing
from async_auth.errors import (
    AuthError,
    InvalidClaims,
    TemporaryError,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.supertokens.backend.attach import clear, clear_both
from async_auth.supertokens.backend.settings import Settings
from async_auth.supertokens.wire import TransferMethod

CONTENT_TYPE = "application/json; charset=utf-8"
#: Seconds to name in Retry-After where nobody knows better.
RETRY_AFTER = 5.0

_OK, _UNAVAILABLE = 200, 503
_BOTH: tuple[TransferMethod, ...] = ("cookie", "header")


@attrs.frozen(kw_only=True)
class Answer:
    """
    An answer in place of the handler's, or one of our own routes'.

    Args:
        status: The HTTP status.
        body: A JSON object.
        clears: The methods whose tokens it takes away, with the front token.
        retry_after: Seconds to name in `Retry-After`, rounded up; `None` for no such header.
        max_age: Seconds for which it may be kept by whoever asked; `None` to say nothing of that.
    """

    status: int
    body: Mapping[str, Any]
    clears: tuple[TransferMethod, ...] = ()
    retry_after: float | None = None
    max_age: int | None = None

    def content(self) -> bytes:
        """Return the body as it is sent."""
        text = json.dumps(dict(self.body), separators=(",", ":"), ensure_ascii=False)
        return text.encode(errors="replace")

    def headers(self) -> list[tuple[str, str]]:
        """Return its own headers, without what it clears."""
        headers = [("content-type", CONTENT_TYPE)]
        if self.retry_after is not None:
            headers.append(("retry-after", str(max(1, math.ceil(self.retry_after)))))
        if self.max_age is not None:
            headers.append(("cache-control", f"max-age={self.max_age}, must-revalidate"))
        return headers

    def clear_in(self, outgoing: Outgoing, settings: Settings) -> None:
        """Add to *outgoing* what the answer takes away."""
        if self.clears == _BOTH:
            clear_both(outgoing, settings)
        else:
            for method in self.clears:
                clear(outgoing, settings, method)


#: A refresh that brought new tokens.
REFRESHED = Answer(status=_OK, body={})
#: A refresh that only took away cookies of an older domain: the front end tries again.
DUPLICATES_CLEARED = Answer(
    status=_OK,
    body={
        "message": "The request had cookies of an older domain. They are cleared; refresh again."
    },
)


class RefreshAgain(TryRefreshToken):
    """
    A refresh that only took away cookies of an older domain; its answer is `DUPLICATES_CLEARED`.

    It is a `TryRefreshToken`, for that is what the front end does next.
    """


def signed_out(method: TransferMethod) -> Answer:
    """Return the answer to a sign-out of a session that came by this method."""
    return Answer(status=_OK, body={"status": "OK"}, clears=(method,))


def answer_to(error: AuthError, settings: Settings) -> Answer:
    """
    Return what a caller is told of an error.

    A core that cannot be reached is 503 and says nothing about anybody's session, so it clears
    nothing; SuperTokens' own back ends answer 500, or 401 and so start a storm of refreshes.

    Args:
        error: What was raised.
        settings: The statuses.

    Raises:
        AuthError: *error* itself, where it is no caller's business.
    """
    expired = settings.session_expired_status_code
    match error:
        case RefreshAgain():
            return DUPLICATES_CLEARED
        case TryRefreshToken():
            return _message(expired, "try refresh token")
        case TokenTheftDetected():
            return _message(expired, "token theft detected", clears=_BOTH)
        case Unauthorised():
            return _message(expired, "unauthorised", clears=_BOTH if error.clear_tokens else ())
        case InvalidClaims():
            body = {"message": "invalid claim", "claimValidationErrors": list(error.reasons)}
            return Answer(status=settings.invalid_claim_status_code, body=body)
        case TemporaryError():
            return Answer(
                status=_UNAVAILABLE,
                body={"message": "The session service is not available; try again later."},
                retry_after=RETRY_AFTER if error.retry_after is None else error.retry_after,
            )
        case _:
            raise error


def _message(status: int, text: str, *, clears: tuple[TransferMethod, ...] = ()) -> Answer:
    return Answer(status=status, body={"message": text}, clears=clears)
