"""What is true: which tokens there are, who spent them when, what ended, and what went wrong.

It is written by the network, the servers, the store and the actors, and read by the laws. The
engine never sees it.
"""

from __future__ import annotations

from collections import Counter

import attrs


@attrs.define(eq=False)
class Spend:
    """One request that spends a refresh token."""

    label: str
    sid: int
    key: str
    process: object
    sent_at: float
    task: object
    #: The tasks that have lost their lease to somebody else.
    losers: set
    by_hand: bool = False
    #: Whether its session had been ended by its user when it was sent.
    left: bool = False
    #: When its token was issued, if the server has given it to two, or who sends it signed in.
    excused_from: float = float("inf")
    #: Whether the server has granted it, and its answer is on its way.
    answered: bool = False
    delivered: bool = False
    #: Whether its sender waits for the answer no longer.
    given_up: bool = False

    @property
    def robbed(self):
        """Whether its sender has lost the lease of the lock that it took for it."""
        return self.task in self.losers


@attrs.define(eq=False)
class ServerSession:
    """One session at the server."""

    number: int
    key: str
    opened_at: float
    #: Who ended it, if it has ended.
    ended: str | None = None
    #: By unit: when it got the last final refusal of one of its tokens.
    refused_at: dict = attrs.field(factory=dict)
    #: Whether its user has signed out somewhere.
    left: bool = False


@attrs.define
class Ledger:
    """The truth."""

    now: object
    #: Refresh tokens: their label and session.
    refresh_tokens: dict = attrs.field(factory=dict)
    #: Access tokens: when the server sees them end, and their session.
    access_tokens: dict = attrs.field(factory=dict)
    #: By refresh token: when it was issued first, and the units that it was given to.
    issued_at: dict = attrs.field(factory=dict)
    takers: dict = attrs.field(factory=dict)
    #: By refresh token: the process whose sign-in has brought it.
    signed_in: dict = attrs.field(factory=dict)
    #: The refresh token that was issued last.
    newest: str = ""
    secrets: dict = attrs.field(factory=dict)
    sessions: list = attrs.field(factory=list)
    #: By the server's own name of the session.
    by_name: dict = attrs.field(factory=dict)
    spends: dict = attrs.field(factory=dict)
    flights: dict = attrs.field(factory=dict)
    by_hand: set = attrs.field(factory=set)
    losers: set = attrs.field(factory=set)
    #: Since when a task has held the shared lock that it has, or had.
    held_since: dict = attrs.field(factory=dict)
    troubles: dict = attrs.field(factory=dict)
    counts: Counter = attrs.field(factory=Counter)

    def session_named(self, name, key=""):
        """Return the session that the server calls so."""
        session = self.by_name.get(name)
        if session is None:
            session = ServerSession(len(self.sessions), key, self.now())
            self.sessions.append(session)
            self.by_name[name] = session
        return session

    def issued(self, name, key, *, access, refresh, ends):
        """Note a pair of tokens that a server has issued."""
        session = self.session_named(name, key)
        if access not in self.access_tokens:
            self.secrets[access] = f"access token {len(self.access_tokens)}"
        self.access_tokens[access] = (ends, session.number)
        if refresh not in self.refresh_tokens:
            label = f"token {len(self.refresh_tokens)} of session {session.number}"
            self.refresh_tokens[refresh] = (label, session.number)
            self.secrets[refresh] = f"refresh {label}"
            self.issued_at[refresh] = self.now()
        self.newest = refresh
        return session

    def taken(self, unit):
        """Note that a unit has asked for what was issued last."""
        self.takers.setdefault(self.newest, set()).add(unit)

    def place_of(self, refresh):
        """Return a refresh token's session, and its place among all that were issued."""
        label, number = self.refresh_tokens[refresh]
        return number, int(label.split()[1])

    def session_of(self, refresh):
        """Return the session of a refresh token."""
        found = self.refresh_tokens.get(refresh)
        return None if found is None else self.sessions[found[1]]

    def depart(self, refresh, process, task):
        """Note that a refresh token is sent; return the spend and those before it."""
        found = self.refresh_tokens.get(refresh)
        if found is None:
            return None, []
        label, number = found
        session = self.sessions[number]
        spend = Spend(
            label,
            number,
            session.key,
            process,
            self.now(),
            task,
            self.losers,
            by_hand=refresh in self.by_hand,
            left=session.left,
        )
        if len(self.takers.get(refresh, ())) > 1 or self.signed_in.get(refresh) is process:
            spend.excused_from = self.issued_at[refresh]
        before = self.spends.setdefault(refresh, [])
        before.append(spend)
        self.flights[spend] = None
        return spend, before[:-1]

    def land(self, spend):
        """Note that its sender waits for it no longer."""
        self.flights.pop(spend, None)

    def trouble(self, key, kind):
        """Note something that excuses what would be a mistake without it."""
        self.troubles.setdefault(key, {})[kind] = self.now()

    def excuse(self, key, since, kinds):
        """Say whether there was trouble of one of these *kinds* since then."""
        troubles = self.troubles.get(key, {})
        return any(troubles.get(kind, float("-inf")) >= since for kind in kinds)

    def count(self, what, times=1):
        """Count a fault that was injected."""
        self.counts[what] += times
