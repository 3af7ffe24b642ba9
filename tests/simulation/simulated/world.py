"""One world: everything that a seed makes, set going, troubled, healed and taken down.

It promises that the same seed gives the same trace, and that a broken law ends the world at once
with the law's name, the moment, and what broke.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import weakref
from collections import Counter
from collections.abc import Callable

import attrs
from simulated import invariants
from simulated.actors import Actors
from simulated.ledger import Ledger
from simulated.loop import Process, SimLoop, running
from simulated.memory import LookedAtLock, LookedAtMemory
from simulated.network import MOODS
from simulated.plan import Plan
from simulated.servers import API_KEY, PASSWORD, server_of
from simulated.store import Shared, View, WatchedView
from simulated.units import ECHO, Unit

from async_auth.clock import SLICE
from async_auth.engine.single_flight import Flight
from async_auth.errors import TemporaryError
from async_auth.stores import EncryptedStore, EncryptionKeys

START = 1_700_000_000.0
#: Of so many things that could be shown, one is.
SHOWN = 7

logger = logging.getLogger("async_auth")


@attrs.frozen(kw_only=True)
class Broken:
    """A law that was broken."""

    law: str
    what: str
    at: float
    step: int

    def __str__(self) -> str:
        return f"{self.law}: {self.what} ({self.at:.3f} s after the start, step {self.step})"


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of a world."""

    seed: int
    broken: Broken | None
    trace: int
    steps: int
    refreshes: int
    requests: int
    counts: Counter
    outcomes: Counter


class World:
    """
    A world.

    Args:
        plan: What it is like.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self.loop = SimLoop(plan.seed, start=START, shuffle=plan.shuffle)
        #: What the world draws, and what the engine does: a change in one leaves the other alone.
        self.random = random.Random(f"world {plan.seed}")
        self.engine_random = random.Random(f"engine {plan.seed}")
        self.ledger = Ledger(lambda: self.loop.now)
        self.keys = [f"account-{number}" for number in range(plan.keys)]
        self.mood = None
        self.faulty = True
        self.broken = None
        self.tell = None
        #: Whether it is over, and what happens now is nobody's doing.
        self.buried = False
        self.outcomes = Counter()
        self.units = []
        self.callers = {}
        self.cancelled = set()
        self.asking = {}
        self.texts = []
        self._shown = 0
        self._first_seen = {}
        self._doomed = None
        self.server = server_of(self)
        for key in self.keys:
            self.server.add(key)
        self.backing = Shared(self) if plan.shared else LookedAtMemory(self)
        self._encryption = EncryptionKeys(EncryptionKeys.generate())
        self.actors = Actors(self)

    # What others ask the world.

    def hold(self, law, broken):
        """Note that a law is broken, if it is; the first one counts."""
        if broken is not None and self.broken is None and not self.buried:
            self.broken = Broken(law=law, what=broken, at=self.loop.time(), step=self.loop.steps)

    def note(self, text):
        """Make something part of the trace."""
        self.loop.note(text)
        if self.tell is not None:
            self.tell(f"{self.loop.time():10.3f} {text}")

    def count(self, what):
        """Count a fault that was injected."""
        self.ledger.count(what)

    def delay(self):
        """Return for how long something is on its way, in seconds."""
        latency = self.plan.latency * (0.2 + 1.6 * self.random.random())
        if self.faulty and self.random.random() < 0.01:
            latency += 20 * self.random.random()
        return latency

    def fate(self):
        """Return what becomes of a request."""
        lose = self.plan.lose if self.faulty else 0.0
        if lose and self.random.random() < lose:
            fate = self.random.choice(("lost before", "lost after"))
            self.count(fate)
            return fate
        return "arrives"

    def clocks_agree(self, process):
        """
        Say whether a machine must know by its clock what the server sees as expired.

        Not for a slice after it was set. Nor where what was stored before is read after: an expiry
        in a store is on the clock of who wrote it.
        """
        plan = self.plan
        if not plan.steps:
            return True
        alone = not (plan.shared or plan.twins or plan.pools[0])
        return alone and self.loop.now - max(process.stepped_at, process.frozen_at) > SLICE + 1.0

    def seen(self, session):
        """Note that a sign-in is known."""
        self._first_seen.setdefault(session.sign_in_id, self.loop.now)

    def first_seen(self, sign_in_id):
        """Return when a sign-in was first known."""
        return self._first_seen.setdefault(sign_in_id, self.loop.now)

    def holder_of(self, key):
        """Return the task that holds a session's lock."""
        if self.plan.shared:
            holder, _ = self.backing.holders.get(key, (None, 0.0))
            return None if holder is None else holder.task
        return self.backing.holding.get(key)

    def show(self, thing):
        """Look at what a thing prints, now and then."""
        self._shown += 1
        if self._shown % SHOWN:
            return
        self.texts.append(f"{thing!r}")
        self.texts.append(f"{thing}")
        cause, chain = thing, []
        while isinstance(cause, BaseException) and cause not in chain:
            # A copy of an error may be among its own causes.
            chain.append(cause)
            self.texts.append(f"{cause!r} {cause}")
            cause = cause.__cause__ or cause.__context__

    def spawn_caller(self, unit, work, name):
        """Let somebody do something with a unit."""
        if unit.closed or not unit.process.alive:
            work.close()
            return None
        task = self.loop.spawn(unit.process, work, f"caller {name}")
        self.callers[task] = unit
        task.add_done_callback(self._gone)
        return task

    def spawn_reader(self, unit, work):
        """Let somebody read events."""
        self.loop.spawn(unit.process, work, "reader")

    def _gone(self, task):
        self.callers.pop(task, None)
        self.asking.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            self.hold("typed_error", f"a caller ended by {task.exception()!r}")

    def judge_sign_out(self, unit, key, session):
        """Look whether a sign-out has done what it says."""
        current = unit.handle(key).session
        broken = invariants.sign_out_wins(session, current)
        self.hold("sign_out_wins", broken)

    # The run.

    def run(self) -> Outcome:
        """Run it to its end."""
        handler = _Listener(self)
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if self.plan.verbose else logging.WARNING)
        propagate, logger.propagate = logger.propagate, False
        try:
            with running(self.loop):
                self._live()
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
            self.bury()
        return Outcome(
            seed=self.plan.seed,
            broken=self.broken,
            trace=self.loop.trace,
            steps=self.loop.steps,
            refreshes=self.ledger.counts.pop("refreshes", 0),
            requests=self.ledger.counts.pop("requests", 0),
            counts=self.ledger.counts,
            outcomes=self.outcomes,
        )

    def _live(self):
        plan, loop = self.plan, self.loop
        for number in range(plan.processes):
            self.begin_process(number)
        for key in self.keys:
            unit = self.units[0]
            self.spawn_caller(unit, self.actors.sign_in_once(unit, key), "sign_in_once")
        loop.run(loop.now + 5.0, self._is_broken)
        self._plan_faults()
        self._next_act()
        loop.before_step = self._before_step
        if self.run_for(plan.duration):
            return
        self.heal()
        waited = ECHO + plan.lease
        if self.run_for(waited):
            return
        # Before the next refresh could do it.
        self._look_at_store(refreshed=False)
        if self.run_for(2.0 * plan.life):
            return
        waited += 2.0 * plan.life
        if self.stuck():
            return
        if self.ask_all(waited):
            return
        self._look_at_store(refreshed=True)
        self.take_down()

    def _is_broken(self):
        return self.broken is not None

    def run_for(self, seconds):
        """Let time pass; say whether something is broken."""
        self.loop.run(self.loop.now + seconds, self._is_broken)
        return self._is_broken()

    # Processes.

    def begin_process(self, number):
        """Start the process that has this place, with its units."""
        plan = self.plan
        process = Process(self.loop, len(self.loop.processes), offset=plan.skew[number])
        process.place = number
        self.loop.processes.append(process)
        lock = None
        if plan.shared:
            store = (WatchedView if plan.watched else View)(self.backing, process)
        else:
            store = self.backing
            lock = LookedAtLock(store.lock, store.holding)
        if "encrypted" in plan.store:
            store = EncryptedStore(store, self._encryption)
        kinds = [plan.pools[number], not plan.pools[number]][: 2 if plan.twins else 1]
        for pooled in kinds:
            self.units.append(
                Unit(self, process, len(self.units), pooled=pooled, store=store, lock=lock)
            )

    def _able(self):
        return [
            unit
            for unit in self.units
            if unit.process.alive and not (unit.process.frozen or unit.closed)
        ]

    def _kill(self, process):
        if not process.alive:
            return
        self.count("crashes")
        self._end(process, "dies")

    def _end(self, process, how):
        self.note(f"{process.index} {how}")
        process.kill()
        self.callers = {t: u for t, u in self.callers.items() if u.process is not process}
        self.loop.at(self.random.expovariate(1 / 5.0), self.begin_process, process.place)

    def sent_refresh(self, process):
        """Have who has just sent a refresh end in good order, now and then."""
        if self.faulty and self.plan.closes and self.random.random() < 0.02:
            self.loop.at(self.delay(), self._close, process)

    def _close(self, process):
        units = [unit for unit in self._able() if unit.process is process]
        if self.faulty and units:
            self.count("closes")
            for unit in units:
                unit.closed = True
            self.loop.spawn(process, self._closing(process, units), "closing")

    async def _closing(self, process, units):
        await asyncio.gather(*(thing.aclose() for unit in units for thing in unit.things()))
        flights = [one for one in self.ledger.flights if one.process is process]
        self.hold("let_finish", invariants.close_waits(flights))
        self.loop.at(0.0, self._leave, process)

    def _leave(self, process):
        if process.alive:
            self._end(process, "leaves")

    # Faults.

    def _plan_faults(self):
        plan = self.plan
        if plan.spells:
            self._now_and_then(self._begin_spell, 5)
        if plan.shared and (plan.store_fails or plan.lock_fails):
            self._now_and_then(self._fall_ill, 5)
        if plan.crashes:
            self._now_and_then(self._doom, 5)
        if plan.suspends:
            self._now_and_then(self._suspend, 6)
        if plan.steps:
            self._now_and_then(self._step, 6)
        if plan.forgets:
            self._now_and_then(self._forget, 3)

    def _now_and_then(self, fault, times):
        wait = self.random.expovariate(times / self.plan.duration)
        self.loop.at(wait, self._fault, fault, times)

    def _fault(self, fault, times):
        if self.faulty:
            fault()
            self._now_and_then(fault, times)

    def _for_a_while(self, most, end, *arguments):
        self.loop.at(most * self.random.random(), end, *arguments)

    def _begin_spell(self):
        self.mood = self.random.choice(MOODS)
        self.note(self.mood)
        self._for_a_while(max(10.0, 1.5 * self.plan.life), self._end_spell)

    def _end_spell(self):
        self.mood = None

    def _fall_ill(self):
        self.backing.ill = True
        self._for_a_while(max(10.0, 1.5 * self.plan.life), self._recover)

    def _recover(self):
        self.backing.ill = False

    def _doom(self):
        able = self._able()
        if able:
            # At some step soon, in the midst of whatever it does then.
            self._doomed = [self.random.choice(able).process, self.random.randint(1, 60)]

    def took_lock(self, process):
        """Stop who has just got the lock, now and then: that is where it hurts."""
        if self.faulty and self.plan.suspends and self.random.random() < 0.02:
            self.loop.at(self.delay() * 0.3, self._suspend, process)

    def _suspend(self, process=None):
        able = [unit.process for unit in self._able()]
        if process is None and able:
            process = self.random.choice(able)
        if self.faulty and process in able:
            process.frozen, process.frozen_at = True, self.loop.now
            process.stopped = self.random.random() < 0.5
            self.count("stops" if process.stopped else "suspends")
            self.note(f"{process.index} sleeps")
            self._for_a_while(2 * self.plan.lease + 2 * self.plan.life, self._wake, process)

    def _wake(self, process):
        if process.frozen:
            process.frozen, process.frozen_at = False, self.loop.now

    def _step(self):
        able = self._able()
        if able:
            process = self.random.choice(able).process
            step = self.random.choice((-1, 1)) * self.random.uniform(2.0, 3 * self.plan.life)
            if step < 0:
                self._look_at_clocks(process)
            process.clock.step(step)
            process.stepped_at = self.loop.now
            self.count("clock steps")

    def _look_at_clocks(self, process):
        """Remember what is left of the sessions of a process, before its clock is set back."""
        wait = SLICE + 1.0
        if self.loop.now - max(process.stepped_at, process.frozen_at) < wait:
            # Nobody may have noticed the step before this one: the two are one then.
            return
        for unit in self.units:
            for key in self.keys if unit.process is process else ():
                member, session = unit.member(key), unit.handle(key).session
                if session is not None and session.expires_at is not None:
                    left = session.expires_at - process.clock.now()
                    self.loop.at(wait, self._followed, unit, key, member, session, left, wait)

    def _followed(self, unit, key, member, before, left, passed):
        process, session = unit.process, unit.handle(key).session
        # One that was read from the store again is on the clock of whoever stored it; so is what a
        # forgiving server gave somebody else for the same token, under the same generation.
        if session is None or unit.member(key) is not member or unit.closed:
            return
        if (session.sign_in_id, session.generation) != (before.sign_in_id, before.generation):
            return
        if session.refresh_token != before.refresh_token:
            return
        touched_at = max(process.stepped_at, process.frozen_at)
        if not process.alive or process.frozen or touched_at > self.loop.now - passed + 1e-3:
            return
        broken = invariants.follows_its_clock(
            before=left, passed=passed, left=session.expires_at - process.clock.now()
        )
        self.hold("follows_its_clock", broken)

    def look_at_record(self, unit, key, *, lost):
        """Look whether what a unit has in memory is stored."""
        session = unit.handle(key).session
        if session is not None and not self._over(key, session):
            broken = invariants.all_saved(session, self.backing.record_of(key), lost=lost)
            self.hold("all_saved", broken)

    def _forget(self):
        self.backing.forget(self.random.choice(self.keys))

    def _before_step(self):
        if self._doomed is not None:
            self._doomed[1] -= 1
            if self._doomed[1] <= 0:
                process, self._doomed = self._doomed[0], None
                self._kill(process)
        cancels = self.plan.cancels
        if cancels and self.faulty and self.callers and self.random.random() < cancels:
            task = self.random.choice(list(self.callers))
            if task.process.alive and not task.done():
                self.cancelled.add(task)
                self.count("cancellations")
                task.cancel()

    # Life.

    def _next_act(self):
        pause = self.plan.duration / (2.5 * self.plan.refreshes)
        self.loop.at(self.random.expovariate(1 / pause), self._act)

    def _act(self):
        if not self.faulty:
            return
        able = self._able()
        if able:
            self.actors.act(self.random.choice(able), self.random.choice(self.keys))
        self._next_act()

    # The end.

    def heal(self):
        """End all faults."""
        self.faulty = False
        self.mood, self._doomed = None, None
        if self.plan.shared:
            self.backing.ill = False
        for process in self.loop.processes:
            self._wake(process)

    def stuck(self):
        """Say whether callers wait for ever, or something else is broken."""
        old = [t.get_name() for t in self.callers if t.process.alive and not t.done()]
        if old:
            self.hold("healed", f"callers wait for ever: {old}")
        return self._is_broken()

    def ask_all(self, waited):
        """Have every unit asked once more; say whether something is broken."""
        asked = [
            self.spawn_caller(unit, self._ask(unit, key, waited), "healed")
            for unit in self._able()
            for key in self.keys
        ]
        bound = ECHO * self._asks()
        self.loop.run(
            self.loop.now + bound, lambda: self._is_broken() or all(task.done() for task in asked)
        )
        return self._is_broken() or self.stuck()

    def _asks(self):
        return invariants.ASKS if self.plan.hurried else 1

    async def _ask(self, unit, key, waited):
        handle, began = unit.handle(key), self.loop.now
        for left in reversed(range(self._asks())):
            session, error = handle.session, None
            try:
                token = await handle.get_token()
            except TemporaryError as raised:
                error = raised
                if left:
                    await unit.process.clock.sleep(max(raised.retry_after or 0.0, 1.0))
                    continue
            except Exception as raised:
                error = raised
            else:
                self.actors.judge_last(unit, key, token)
            break
        waited += self.loop.now - began
        self.hold("healed", invariants.healed(error, over=self._over(key, session), waited=waited))

    def _over(self, key, session):
        if session is None:
            return True
        server = self.ledger.session_of(session.refresh_token)
        ended = server is None or server.ended is not None
        return ended or session.sign_in_id in self.backing.over.get(key, {})

    def _look_at_store(self, *, refreshed):
        for key in self.keys:
            written_at = self.backing.written_at.get(key, float("-inf"))
            lost = not refreshed and self.ledger.excuse(key, written_at, ("loss",))
            for unit in self._able():
                self.look_at_record(unit, key, lost=lost)

    def take_down(self):
        """Close everything, and look what is left."""
        tasks = []
        for unit in self._able():
            unit.closed = True
            for thing in unit.things():
                self.texts.append(repr(thing))
                tasks.append(self.loop.spawn(unit.process, thing.aclose(), "closing"))
        self.loop.run(
            self.loop.now + ECHO, lambda: self._is_broken() or all(t.done() for t in tasks)
        )
        if self._is_broken():
            return
        self.run_for(3.0 * 3.0 * self.plan.life + 5.0)
        for process in self.loop.processes[1:]:
            if process.alive:
                self.hold("nothing_left", invariants.nothing_left(process))
        if self.loop.complaints:
            self.hold("nothing_left", f"asyncio complains: {self.loop.complaints[0]}")
        self._look_at_texts()

    def _look_at_texts(self):
        secrets = [(name, secret) for secret, name in self.ledger.secrets.items()]
        secrets += [("the password", PASSWORD), ("the API key", API_KEY)]
        self.hold("no_secret", invariants.no_secret("\n".join(self.texts), secrets))

    def bury(self):
        """Let go of what is left of the dead, without a word."""
        self.buried = True
        with running(self.loop):
            for process in self.loop.processes:
                process.kill()
                for task in list(process.tasks):
                    task._log_destroy_pending = False
                    if not task.done():
                        _close(task.get_coro())
        self.loop.close()


def _close(coroutine):
    # The process is dead: nobody hears it.
    with contextlib.suppress(BaseException):
        coroutine.close()


class _Listener(logging.Handler):
    def __init__(self, world):
        super().__init__()
        self._world = world

    def emit(self, record):
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" {record.exc_info[1]!r}"
        self._world.texts.append(text)


def run_seed(seed: int, *, tell: Callable[[str], object] | None = None) -> Outcome:
    """
    Run the world of a seed.

    Args:
        seed: Which.
        tell: Called with each line of its story.
    """
    # Garbage is collected between worlds: when it is must not depend on the interpreter's mood.
    enabled = gc.isenabled()
    gc.disable()
    finalizers = weakref.finalize._registry
    others = set(finalizers)
    try:
        world = World(Plan.of(seed))
        world.tell = tell
        return world.run()
    finally:
        # A process that dies takes them along. Here they would keep its loop, with all that waits
        # there: two megabytes a world.
        for finalizer in set(finalizers) - others:
            finalizer.detach()
        gc.collect()
        if enabled:
            gc.enable()


#: Flights are kept in sets by address; they are few, and order must not hang on that.
Flight.__hash__ = lambda _: 0
