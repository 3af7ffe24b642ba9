"""What a presented refresh token is worth: GoTrue's reuse rules, as pure functions.

Neither function changes anything; they look at a session and say what is to be done. The rules
are those of `facts` as observed on the real server, for version 1 and version 2.
"""

from __future__ import annotations

import attrs

from async_auth.testing.gotrue.options import Options
from async_auth.testing.gotrue.rows import RefreshToken, SessionRow


@attrs.frozen
class Rotate:
    """Replace the presented token by a new one."""


@attrs.frozen
class Repeat:
    """
    Hand out the active token again, and nothing new.

    Args:
        causes: Why it is forgiven, for the header of version 2.
    """

    causes: tuple[str, ...] = ()


@attrs.frozen
class Reuse:
    """The token was replaced too long ago: somebody else may hold it."""


Verdict = Rotate | Repeat | Reuse


def _within(since: float, interval: float, now: float) -> bool:
    # An interval of 0 forgives nothing, not even at the same instant of an injected clock.
    return interval > 0 and now <= since + interval


def judge_v1(token: RefreshToken, session: SessionRow, options: Options, *, now: float) -> Verdict:
    """
    Judge a refresh token of version 1.

    The parent of the active token is forgiven for ever, because its answer may have been lost.
    An older one inside the interval forks the family. The interval counts from the last change
    of the token itself, so a family that was just revoked still has that long.
    """
    if not token.revoked:
        return Rotate()
    active = session.active
    if options.parent_rule and active is not None and active.parent == token.token:
        return Repeat()
    return Rotate() if _within(token.updated_at, options.reuse_interval, now) else Reuse()


def judge_v2(counter: int, session: SessionRow, options: Options, *, now: float) -> Verdict:
    """
    Judge a refresh token of version 2 by its counter.

    There are no forks: whatever is forgiven gets the active token. The interval counts from the
    session's last rotation.
    """
    if counter == session.counter:
        return Rotate()
    concurrent = _within(session.refreshed_at, options.reuse_interval, now)
    lost = options.parent_rule and counter == session.counter - 1
    causes = [("concurrent-refresh", concurrent), ("fail-to-save", lost)]
    forgiven = tuple(cause for cause, applies in causes if applies)
    return Repeat(forgiven) if forgiven else Reuse()
