"""What a world is like: drawn from the seed, all at once, and never changed."""

from __future__ import annotations

import random

import attrs

SYSTEMS = ("gotrue 1", "gotrue 2", "supertokens lazy", "supertokens rotating")
STORES = ("memory", "encrypted memory", "shared", "encrypted shared")


@attrs.frozen(kw_only=True)
class Plan:
    """
    One world.

    Args:
        seed: Where all of it comes from.
        system: The auth system, and its version or algorithm.
        life: Seconds that an access token lives.
        forgiving: Whether the server forgives a refresh token whose answer was lost, for long.
        store: Where sessions are kept.
        watched: Whether the shared store tells of changes.
        keys: How many sessions there are.
        processes: How many processes share the store.
        pools: Whether a process has a pool; else it has a manager for each session.
        twins: Whether a process has two of these.
        refreshes: About how many refreshes the world should see.
        latency: Seconds that a way through the network takes, on average.
        lose: How often a request or its answer is lost, from 0 to 1.
        spells: Whether the server has bad times: 429, 5xx, no connection.
        store_fails: How often a call of the store fails while the store is ill.
        lock_fails: The same of the lock.
        forgets: Whether the store may lose a record.
        crashes: Whether processes are killed, and others take their place.
        suspends: Whether machines are suspended.
        steps: Whether wall clocks are set.
        skew: Seconds that wall clocks are off from the beginning, for each process.
        cancels: How often a caller is cancelled, per step.
        moods: How often users sign in and out, spend tokens by hand and end sessions elsewhere.
        lease: Seconds of the shared lock's lease.
        shuffle: See `SimLoop`.
        verbose: Whether all that is logged is looked at, down to the least important.
        closes: Whether processes are ended in good order, and others take their place.
    """

    seed: int
    system: str
    life: int
    forgiving: bool
    store: str
    watched: bool
    keys: int
    processes: int
    pools: tuple[bool, ...]
    twins: bool
    refreshes: int
    latency: float
    lose: float
    spells: bool
    store_fails: float
    lock_fails: float
    forgets: bool
    crashes: bool
    suspends: bool
    steps: bool
    skew: tuple[float, ...]
    cancels: float
    moods: float
    lease: float
    shuffle: float
    verbose: bool
    closes: bool

    @property
    def shared(self) -> bool:
        """Whether the store is one that processes can share."""
        return "shared" in self.store

    @property
    def hurried(self) -> bool:
        """
        Whether one refresh may take as long as its token is good for.

        Way by way, at their slowest: to the lock and back to let it go (0.36 of the latency each),
        to the store before and after (1.08 each), and to the server and back (3.6). A token is
        good until it is due, at four fifths of its life less a tenth for a pool's spread.
        """
        return 6.5 * self.latency >= 0.7 * self.life

    @property
    def duration(self) -> float:
        """Seconds of true time in which faults happen."""
        return self.refreshes / self.keys * max(self.life * 0.8, 2.0)

    @classmethod
    def of(cls, seed: int) -> Plan:
        """Draw the plan of a seed."""
        draw = random.Random(f"plan {seed}")
        # What was thought of later is drawn apart: the worlds that have found something stay.
        apart = random.Random(f"good order {seed}")

        def maybe(chance: float) -> bool:
            return draw.random() < chance

        store = draw.choices(STORES, weights=(3, 1, 6, 2))[0]
        shared = "shared" in store
        processes = draw.choice((1, 2, 2, 3)) if shared else 1
        skewed = maybe(0.2)
        system, life = draw.choice(SYSTEMS), draw.choice((6, 10, 20, 45, 90, 200))
        steps = maybe(0.3)
        if system.startswith("supertokens") and (steps or skewed):
            # There a clock that is up to 7 s off counts as right, as for SuperTokens' own SDKs.
            life = max(life, 45)
        plan = cls(
            seed=seed,
            system=system,
            life=life,
            forgiving=maybe(0.7),
            store=store,
            watched=shared and maybe(0.5),
            keys=draw.choice((1, 1, 2, 3)),
            processes=processes,
            pools=tuple(maybe(0.4) for _ in range(processes)),
            twins=maybe(0.3 if shared else 0.6),
            refreshes=draw.choice((90, 110, 130)),
            latency=draw.choice((0.01, 0.1, 0.4, 1.5)),
            lose=draw.choice((0.0, 0.0, 0.03, 0.15)),
            spells=maybe(0.5),
            store_fails=draw.choice((0.0, 0.0, 0.3, 0.9)),
            lock_fails=draw.choice((0.0, 0.0, 0.3)) if shared else 0.0,
            forgets=shared and maybe(0.15),
            crashes=shared and maybe(0.4),
            suspends=maybe(0.4),
            steps=steps,
            # Machines that share a store are kept in time by NTP; one alone may be off by an hour.
            skew=(
                (draw.choice((-3600.0, -120.0, 120.0, 3600.0)),)
                if skewed and processes == 1
                else tuple(draw.uniform(-0.5, 0.5) if skewed else 0.0 for _ in range(processes))
            ),
            cancels=draw.choice((0.0, 0.001, 0.01)),
            moods=draw.choice((0.0, 0.3, 1.0)),
            lease=draw.choice((3.0, 6.0, 15.0)),
            shuffle=draw.choice((0.0, 0.0, 0.2)),
            verbose=maybe(0.25),
            closes=False,
        )
        return attrs.evolve(plan, closes=shared and not plan.crashes and apart.random() < 0.4)
