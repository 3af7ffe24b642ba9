"""What a run is asked for, and what came of it: plain values."""

from __future__ import annotations

from collections import Counter

import attrs

#: What the auth server does with a refresh token that was spent before. `default` is what the real
#: one does as it is hosted, `v2` the same with tokens of the second kind; `strict` forgives nothing.
RULES = {
    "default": {"reuse_interval": 10, "parent_rule": True},
    "v2": {"reuse_interval": 10, "parent_rule": True, "token_version": 2},
    "parent": {"reuse_interval": 0, "parent_rule": True},
    # Longer than it is hosted, for the processes and the machine may stand still.
    "interval": {"reuse_interval": 120, "parent_rule": False},
    "strict": {"reuse_interval": 0, "parent_rule": False},
}

#: Where one process ends. Before these nothing was spent …
SPENT_NOTHING = ("idle", "before the lock", "not sent yet", "lost on the way")
#: … between these the server has given the only new token to a process that is no more …
UNSAVED = ("done by the server", "answered")
#: … and from here others have it.
SAVED = ("saved",)
#: A few milliseconds after all were told at once: whatever it is doing then.
RANDOM = "random"
MOMENTS = (*SPENT_NOTHING, *UNSAVED, *SAVED, RANDOM)
#: Where a worker stops by itself; at the others the parent looks on.
STAGED = ("before the lock", "not sent yet", "answered", "saved")


@attrs.frozen(kw_only=True)
class Plan:
    """
    What a run is to be.

    Args:
        store: `files` or `redis`.
        rules: One of `RULES`.
        processes: How many there are.
        tasks: How many want the token, in each process.
        lives: How many lives of a token it lasts.
        trouble: What happens in every life: `none`; `kill`, a process dies; `freeze`, a process
            stands still until the others have gone on; `restart`, Redis dies and comes back with
            nothing; `pause`, Redis answers nobody.
        moments: Where a process is killed or frozen, or where one is when Redis fails; drawn anew
            for each life but for the first ones, which have each of these once.
        timers: Whether timers refresh, at the parent's word: nobody lets a token expire.
        timed: Whether a token lives for so many seconds of real time, with timers; else it expires
            at the parent's word, however long everybody takes.
        lease: Seconds of the lock in Redis of a process that is to be killed or frozen, or of all
            where it is Redis that fails; the others keep theirs however slow they are.
        patience: Seconds that a call to Redis may take.
        sleep: For how many lives a process that was frozen sleeps.
        pause: Seconds for which Redis answers nobody.
        seed: Draws whatever is drawn.
    """

    store: str = "files"
    rules: str = "strict"
    processes: int = 8
    tasks: int = 50
    lives: int = 200
    trouble: str = "none"
    moments: tuple[str, ...] = MOMENTS
    timers: bool = False
    timed: float | None = None
    lease: float = 2.0
    patience: float = 60.0
    sleep: int = 1
    pause: float = 3.0
    seed: int = 1


@attrs.define(kw_only=True)
class Figures:
    """
    What came of it.

    Args:
        lives: How many lives a token had.
        refreshes: New refresh tokens that the server gave for old ones.
        requests: Refresh requests that reached the server.
        tokens: How often a task was given a token.
        errors: What tasks were told instead, and how often.
        troubles: How often what happened, by moment.
        sign_outs: How often that ended the session for all, by moment.
        slowest: Seconds from the trouble until every task had a token again, at most.
        seconds: How long the whole run took.
    """

    lives: int = 0
    refreshes: int = 0
    requests: int = 0
    tokens: int = 0
    errors: Counter[str] = attrs.field(factory=Counter)
    troubles: Counter[str] = attrs.field(factory=Counter)
    sign_outs: Counter[str] = attrs.field(factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
