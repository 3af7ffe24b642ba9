"""What a 401 is about: the token, or something that another token would not mend. Pure.

It promises to take every 401 for a refusal of the token unless the answer names a reason that
says nothing against it. It also says what a client adapter needs of whoever has the token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

from async_auth.core.digits import is_whole, whole_number
from async_auth.session import AccessToken

UNAUTHORIZED = 401
#: A 401 that declares a larger body is judged by its headers alone.
BODY_MAX = 64 * 1024
#: Refusals that say nothing against the token: it is good, but not for this.
NOT_THE_TOKEN = frozenset({"insufficient_aal", "insufficient_scope"})
#: The error parameter of a challenge (RFC 6750 section 3).
CHALLENGE_ERROR = re.compile(r'\berror\s*=\s*"?([^\s",]+)')


class TokenSource(Protocol):
    """What a client adapter needs of a manager: any client, manager or pool handle has it."""

    async def get_token(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        """Return a good token; see `SessionManager.get_token`."""
        ...


def current_generation(manager: TokenSource) -> int | None:
    """Return the generation of the manager's session, if it shows one."""
    generation = getattr(getattr(manager, "session", None), "generation", None)
    return generation if isinstance(generation, int) else None


def declares_much(length: str) -> bool:
    """Say whether a `Content-Length`, or `""` for none, is of a body that is not looked at."""
    found = whole_number(length)
    return is_whole(length) and (found is None or found > BODY_MAX)


def headers_spare_token(error_codes: Iterable[str], challenges: Iterable[str]) -> bool:
    """
    Say whether the headers of a 401 name a reason that says nothing against the token.

    Args:
        error_codes: The values of `x-sb-error-code`.
        challenges: The values of `WWW-Authenticate`.
    """
    codes = set(error_codes)
    for challenge in challenges:
        codes.update(CHALLENGE_ERROR.findall(challenge))
    return not NOT_THE_TOKEN.isdisjoint(codes)


def answer_spares_token(answer: Any) -> bool:
    """
    Say whether the JSON value in a 401 names such a reason, in GoTrue's or OAuth's members.

    Args:
        answer: Anything; what is no object names none.
    """
    if not isinstance(answer, dict):
        return False
    values = (answer.get(name) for name in ("error_code", "code", "error"))
    return not NOT_THE_TOKEN.isdisjoint(value for value in values if isinstance(value, str))
