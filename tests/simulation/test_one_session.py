"""One session in a quiet world, and whatever Hypothesis does to it: it shrinks what breaks a law."""

from __future__ import annotations

import attrs
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from simulated.loop import running
from simulated.network import MOODS
from simulated.plan import STORES, SYSTEMS, Plan
from simulated.world import World

QUIET = attrs.evolve(
    Plan.of(0),
    life=45,
    keys=1,
    processes=1,
    pools=(False,),
    twins=True,
    latency=0.1,
    lose=0.0,
    spells=False,
    store_fails=0.9,
    lock_fails=0.0,
    forgets=False,
    crashes=False,
    suspends=False,
    steps=False,
    skew=(0.0,),
    cancels=0.0,
    moods=0.0,
    shuffle=0.0,
    closes=False,
)
#: What a manager and a pool on one store are asked for.
VERBS = (
    "get_token",
    "get_session",
    "use",
    "refresh",
    "subscribe",
    "sign_out",
    "sign_in",
    "sign_in_once",
    "by_hand",
    "outside",
    "revoked",
    "replace_user",
)


class OneSession(RuleBasedStateMachine):
    """A manager and a pool of one process, on one session."""

    world = None

    @initialize(
        system=st.sampled_from(SYSTEMS),
        store=st.sampled_from(STORES),
        forgiving=st.booleans(),
        watched=st.booleans(),
    )
    def begin(self, system, store, forgiving, watched):
        """Make the world."""
        plan = attrs.evolve(
            QUIET,
            system=system,
            store=store,
            forgiving=forgiving,
            watched=watched and "shared" in store,
        )
        self.world = World(plan)
        with running(self.world.loop):
            self.world.begin_process(0)

    @rule(unit=st.integers(0, 1), verb=st.sampled_from(VERBS))
    def ask(self, unit, verb):
        """Let somebody want something."""
        world = self.world
        with running(world.loop):
            one = world.units[unit]
            world.spawn_caller(one, world.actors.verbs[verb](one, world.keys[0]), verb)

    @rule(seconds=st.sampled_from((0.0, 0.05, 0.3, 1.0, 10.0, 36.0, 44.0, 60.0)))
    def wait(self, seconds):
        """Let time pass."""
        with running(self.world.loop):
            self.world.run_for(seconds)

    @rule(mood=st.sampled_from((None, *MOODS)))
    def server(self, mood):
        """Let the server be well, or not."""
        self.world.mood = mood

    @rule(ill=st.booleans())
    def store(self, ill):
        """Let the shared store be well, or not."""
        if self.world.plan.shared:
            self.world.backing.ill = ill

    @rule(number=st.integers(0, 9))
    def cancel(self, number):
        """Cancel somebody who waits."""
        waiting = [task for task in self.world.callers if not task.done()]
        if waiting:
            task = waiting[number % len(waiting)]
            self.world.cancelled.add(task)
            with running(self.world.loop):
                task.cancel()

    @invariant()
    def no_law_is_broken(self):
        """Nothing is broken so far."""
        assert self.world is None or self.world.broken is None, str(self.world.broken)

    def teardown(self):
        """Let all heal, and close it."""
        world = self.world
        if world is None:
            return
        try:
            with running(world.loop):
                world.heal()
                world.run_for(180.0)
                if not world.stuck() and not world.ask_all(180.0):
                    world.take_down()
            assert world.broken is None, str(world.broken)
        finally:
            world.bury()


TestOneSession = OneSession.TestCase
TestOneSession.settings = settings(
    max_examples=12,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
