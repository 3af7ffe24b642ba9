"""What a simulated program runs: managers or a pool of the engine, watched from outside.

Nothing of the engine is replaced. What a broadcast is given to publish is noted on its way, and
what subscribers get is compared with that.
"""

from __future__ import annotations

import asyncio

from simulated import invariants
from simulated.invariants import Subscription
from simulated.network import Network

from async_auth import RefreshPolicy, SessionManager, SessionPool
from async_auth.events import (
    InitialSession,
    RefreshFailed,
    SignedIn,
    SignedOut,
    StoreFailed,
    TokenRefreshed,
)

POLICY = RefreshPolicy(backoff_max=20.0, lock_timeout=20.0)
#: How long an outage may echo: requests under way, their retry, a back-off with Retry-After.
ECHO = 2 * POLICY.request_timeout + POLICY.backoff_max + POLICY.lock_timeout + 10.0


class Unit:
    """
    A pool, or a manager for each key, in one process.

    Args:
        world: Where.
        process: In which process.
        number: Its number, for messages.
        pooled: Whether it is a pool.
        store: Its store.
        lock: Its lock, or `None` for the store's own.
    """

    def __init__(self, world, process, number, *, pooled, store, lock):
        self.world = world
        self.process = process
        self.number = number
        self.closed = False
        #: By key: what was told, and the session that was current when that was told.
        self.told = {key: [] for key in world.keys}
        self.told_all = []
        self.current = {}
        #: By key: the sign-in that the user asked to end, until another one is told of.
        self.asked = {}
        self.subscriptions = []
        #: Sign-ins that the user has ended here.
        self.ended = set()
        #: The sign-ins and generations of which an end was told.
        self.told_ends = set()
        #: By key: the spend whose new tokens have come and were not told of yet.
        self.owed = {}
        #: By key: what was told last of a store that does not work.
        self.store_failed = {}
        #: By key: when the last refresh failed, on the monotonic clock, and how long to wait.
        self.failed = {}
        options = {
            "store": store,
            "lock": lock,
            "policy": POLICY,
            "transport": Network(world, self),
            "clock": process.clock,
            "random": world.engine_random.random,
        }
        provider = world.server.provider
        if pooled:
            self.pool = SessionPool(
                provider, **options, active_for=6 * world.plan.life, idle_after=20 * world.plan.life
            )
            self.managers = {}
            self._instrument(self.pool._home)
        else:
            self.pool = None
            self.managers = {
                key: SessionManager(provider, key=key, **options) for key in world.keys
            }
            for manager in self.managers.values():
                self._instrument(manager._home)

    def handle(self, key):
        """Return what a program asks about a session."""
        return self.managers[key] if self.pool is None else self.pool.session(key)

    def member(self, key):
        """Return a session's place in memory, if it has one."""
        return self.handle(key)._found()

    def press(self, key):
        """Note that somebody wants a request whatever the back-off says."""
        self.failed.pop(key, None)

    def must_wait(self, key):
        """Return for how many seconds nothing may be sent for a session, as far as it is known."""
        if key not in self.failed:
            return 0.0
        at, wait, true_at = self.failed[key]
        if max(self.process.stepped_at, self.process.frozen_at) >= true_at:
            return 0.0
        return at + wait - self.process.clock.monotonic()

    def things(self):
        """Return what has to be closed."""
        return list(self.managers.values()) if self.pool is None else [self.pool]

    def subscribe(self, key, buffer):
        """Return a new stream and what it must get; *key* `None` for all of a pool's."""
        if key is None:
            stream = self.pool.events(buffer=buffer)
            expected = Subscription(self.told_all, len(self.told_all), greeted=True)
        else:
            handle = self.handle(key)
            stream = handle.events(buffer=buffer)
            expected = Subscription(self.told[key], len(self.told[key]), greeted=False)
            # One that is not loaded is greeted when it is.
            if not stream._welcomed:
                self.subscriptions.append((key, expected))
        return stream, expected

    def _instrument(self, home):
        broadcast = home.ground.broadcast
        publish, welcome = broadcast.publish, broadcast.welcome

        def publish_and_note(event):
            self._note(event)
            publish(event)

        def welcome_and_note(event):
            self.current[event.key] = event.session
            for key, expected in self.subscriptions:
                if key == event.key:
                    expected.place = len(expected.told)
            self.subscriptions = [one for one in self.subscriptions if one[0] != event.key]
            welcome(event)

        broadcast.publish, broadcast.welcome = publish_and_note, welcome_and_note

    def _note(self, event):
        world, key, history = self.world, event.key, self.told[event.key]
        before = self.current.get(key)
        ending = None if before is None else (before.sign_in_id, before.generation)
        broken = invariants.told_once(event, history, ending=ending, ended=self.told_ends)
        world.hold("told_once", broken)
        if isinstance(event, SignedOut):
            self.told_ends.add(ending)
        holder = world.holder_of(key)
        broken = invariants.told_outside_locks(
            event, holder is not None and holder is asyncio.current_task()
        )
        world.hold("told_outside_locks", broken)
        back = event.session is not None and event.session.sign_in_id in self.ended
        if isinstance(event, SignedIn | TokenRefreshed):
            world.hold("told_once", invariants.stays_ended(event, back=back))
            self._judge_saved(event)
            self.failed.pop(key, None)
            self.owed.pop(key, None)
        if isinstance(event, RefreshFailed):
            self._note_refresh_failed(event)
        if isinstance(event, SignedOut):
            self._judge_end(event)
            self.failed.pop(key, None)
            self.owed.pop(key, None)
            if event.reason == "user" and self.current.get(key) is not None:
                self._left(self.current[key])
        if isinstance(event, StoreFailed):
            self._note_store_failed(event)
        history.append(event)
        self.told_all.append(event)
        if event.session is not None:
            world.seen(event.session)
        # Both may be told at once, if he asks before anybody has heard of it.
        if isinstance(event, SignedIn) and self.asked.get(key) != event.session.sign_in_id:
            self.asked.pop(key, None)
        if not isinstance(event, InitialSession):
            self.current[key] = event.session
        world.note(f"{self.number} tells {event.name} of {key}")
        world.show(event)

    def _note_refresh_failed(self, event):
        world, key = self.world, event.key
        owed = self.owed.pop(key, None)
        same = owed is not None and owed.task is asyncio.current_task()
        world.hold("never_dropped", invariants.never_dropped(owed if same else None))
        flying = self.member(key).keeper._flying
        wait = max(1.0, getattr(event.error, "retry_after", None) or 0.0)
        # One that began before the failure may be about to send.
        if not flying:
            self.failed[key] = (self.process.clock.monotonic(), wait, world.loop.now)

    def _note_store_failed(self, event):
        self.store_failed[event.key] = event
        if event.retry_at is not None:
            wait = max(event.retry_at - self.process.clock.now(), 0.0) + ECHO
            self.world.loop.at(wait, self._tried_again, event, self.world.loop.now)

    def _judge_saved(self, event):
        world, session = self.world, event.session
        written = world.backing.written.get(event.key, ())
        since = world.ledger.issued_at.get(session.refresh_token, float("-inf"))
        broken = invariants.saved_before_told(
            event,
            written=(session.sign_in_id, session.generation) in written,
            failed=world.ledger.excuse(event.key, since, ("store",)),
        )
        world.hold("saved_before_told", broken)

    def _tried_again(self, event, told_at):
        """Look whether what could not be saved was saved, some time after the next try."""
        world, process = self.world, self.process
        if self.closed or not process.alive or self.store_failed[event.key] is not event:
            return
        if process.frozen or max(process.stepped_at, process.frozen_at) >= told_at:
            return
        member = self.member(event.key)
        if member is None or member.keeper._untold:
            # It has left memory, with nothing to save; or there is news that was not told yet.
            return
        lost = world.ledger.excuse(event.key, told_at, ("loss",))
        world.look_at_record(self, event.key, lost=lost)

    def _left(self, session):
        # It may have come to memory with the very call that has ended it.
        self.ended.add(session.sign_in_id)
        server = self.world.ledger.session_of(session.refresh_token)
        if server is not None:
            server.left = True

    def _judge_end(self, event):
        world, key = self.world, event.key
        session, backing = self.current.get(key), world.backing
        asked = key in self.asked
        server = None if session is None else world.ledger.session_of(session.refresh_token)
        record = backing.record_of(key)
        newer = None
        if session is not None and record is not None and server is not None:
            refused_at = server.refused_at.get(self.number, float("-inf"))
            readable = not world.ledger.excuse(key, refused_at, ("store",))
            if (
                readable
                and record.sign_in_id == session.sign_in_id
                and record.generation > session.generation
                and backing.written_at.get(key, refused_at) < refused_at
            ):
                newer = record.generation
        over = backing.over.get(key, {})
        gone = session is not None and session.sign_in_id in over
        broken = invariants.ended_by_somebody(
            event.reason,
            asked=asked,
            refused=asked or (server is not None and self.number in server.refused_at),
            elsewhere=gone or world.ledger.excuse(key, float("-inf"), ("loss",)),
            newer=None if asked else newer,
        )
        world.hold("ended_by_somebody", broken)
