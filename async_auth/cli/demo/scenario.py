"""The demo itself: workers that call, a client that tells, mischief, and a view that is shown it.

One task steps through the time and is the only one that talks to the view. Whatever was started
has ended when `run()` returns or raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any, Self

from yarl import URL

from async_auth.cli.demo.faults import REFRESH, Mischief
from async_auth.cli.demo.pauses import pause
from async_auth.cli.demo.places import Place, Site
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.story_clock import StoryClock
from async_auth.cli.demo.tally import UNAUTHORIZED, Summary, Tally
from async_auth.cli.demo.view import EventNote, Note, Snapshot, View
from async_auth.cli.demo.workers import Crew, open_http
from async_auth.engine.broadcast import EventStream
from async_auth.ports import Clock

#: How often it looks: often enough to time an outage, and for a bar that moves smoothly.
STEP = 0.05
#: The rate is that of the last so many seconds.
RATE_OVER = 2.0
#: A token may be replaced between the last call and a look at it, but hardly twice in a row.
LAST_CALLS = 3


async def run(plan: Plan, place: Place, view: View, *, clock: Clock | None = None) -> Summary:
    """
    Play the demo to its end; SIGINT and SIGTERM bring that forward.

    Args:
        plan: What to do.
        place: Where.
        view: Who is shown it, the summary too.
        clock: What time it is, for everybody; the place's own if `None`.

    Raises:
        AuthError: The place cannot be opened, or the sign-in failed.
        OSError: The view cannot show it.
    """
    tally = Tally(policy=plan.policy)
    async with AsyncExitStack() as stack:
        if clock is None:
            clock = await stack.enter_async_context(place.clock())
        bell = Bell(clock)
        listener = Listener(tally, bell, clock)
        # Left last: the stream ends when the client is closed, and then all has been told.
        await stack.enter_async_context(listener)
        site = await stack.enter_async_context(place.open(plan, clock))
        listener.listen(site.client.events())
        await site.sign_in()
        http = await stack.enter_async_context(open_http(site))
        crew = Crew(plan, site, tally, http, clock)
        scenario = Scenario(plan, site, tally, listener, view)
        with stopped_by_signals(bell):
            view.begin(plan, place.name)
            async with crew.at_work():
                await scenario.play(bell)
            seconds = listener.elapsed
            last_used = await call_once_more(crew, site)
    scenario.show_news()
    summary = scenario.sum_up(seconds=seconds, last_used=last_used, interrupted=bell.stop)
    view.end(summary)
    return summary


async def call_once_more(crew: Crew, site: Site) -> int | None:
    """
    Call until the token that is current has been used; return its generation.

    A refresh in the very last moment would bring a token that nobody used, and the endpoint
    could not tell of it.
    """
    for _ in range(LAST_CALLS):
        before = generation_of(site)
        await crew.call()
        if generation_of(site) == before:
            break
    return generation_of(site)


def generation_of(site: Site) -> int | None:
    """Return which token is current, or `None` without a session."""
    session = site.client.session
    return None if session is None else session.generation


@contextlib.contextmanager
def stopped_by_signals(bell: Bell) -> Iterator[None]:
    """Let Ctrl-C or SIGTERM ask for the end; a second one does what it would always do."""
    loop = asyncio.get_running_loop()
    caught: list[signal.Signals] = []

    def release() -> None:
        while caught:
            loop.remove_signal_handler(caught.pop())

    def ask_to_stop() -> None:
        bell.stop = True
        bell.ring()
        release()

    # Not every loop can, and only the main thread's may.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        for one in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(one, ask_to_stop)
            caught.append(one)
    try:
        yield
    finally:
        release()


class Bell:
    """
    Wakes the one who steps: there is news, or *stop* is asked for.

    Args:
        clock: What counts the seconds of a wait.
    """

    def __init__(self, clock: Clock) -> None:
        self.stop = False
        self._clock = clock
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake it."""
        self._rung.set()

    async def wait(self, seconds: float) -> None:
        """Return when it rings, or after *seconds*."""
        await pause(self._clock, seconds, self._rung)
        self._rung.clear()


class Listener:
    """Reads the client's events in a task of its own, for the tally at once and for the view."""

    def __init__(self, tally: Tally, bell: Bell, clock: Clock):
        self.clock = clock
        self.began = clock.monotonic()
        self._tally = tally
        self._bell = bell
        self._news: deque[EventNote] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the demo began."""
        return self.clock.monotonic() - self.began

    def listen(self, stream: EventStream) -> None:
        """Read *stream* until it ends."""
        self._task = asyncio.create_task(self._read(stream))

    def take_news(self) -> list[EventNote]:
        """Return what has come since the last call."""
        news = list(self._news)
        self._news.clear()
        return news

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._task is not None:
            await self._task

    async def _read(self, stream: EventStream) -> None:
        async for event in stream:
            left = self._tally.left(event.at)
            self._tally.told(event)
            self._news.append(EventNote(elapsed=self.elapsed, event=event, left=left))
            self._bell.ring()


class Scenario:
    """
    Steps through the demo.

    Args:
        plan: What to do.
        site: Where.
        tally: What came of it so far.
        listener: Who knows the client's news, and the time.
        view: Who is shown it.
    """

    def __init__(self, plan: Plan, site: Site, tally: Tally, listener: Listener, view: View):
        self._plan = plan
        self._site = site
        self._tally = tally
        self._listener = listener
        self._view = view
        self._pace: deque[tuple[float, int]] = deque()
        self._mischief = (
            None if site.server is None else Mischief(site.server, plan.faults_from, plan.spell)
        )

    async def play(self, bell: Bell) -> None:
        """
        Step until the time is over or *bell* asks for the end.

        How it stands is shown once at the least: signing in may have taken all the time there was.
        """
        while True:
            self.show_news()
            self._view.tick(self._look())
            if bell.stop or self._listener.elapsed >= self._plan.seconds:
                return
            await bell.wait(STEP)

    def show_news(self) -> None:
        """Show what has happened since the last time: faults first, for they are the causes."""
        news: list[Note] = []
        if self._mischief is not None:
            news += self._mischief.step(self._listener.elapsed)
        for note in (*news, *self._listener.take_news()):
            self._view.note(note)

    def sum_up(self, *, seconds: float, last_used: int | None, interrupted: bool) -> Summary:
        """Return what came of it."""
        facts: dict[str, Any] = {}
        if isinstance(self._listener.clock, StoryClock):
            facts["stalled"] = self._listener.clock.lost
        server, mischief = self._site.server, self._mischief
        if server is not None and mischief is not None:
            refused = f"{URL(self._site.target).path} {UNAUTHORIZED}"
            facts |= {
                "issued": server.issued,
                "refresh_requests": server.counts[REFRESH],
                "refused": server.counts[refused],
                "faults": mischief.so_far,
            }
        return self._tally.summary(
            seconds=seconds,
            workers=self._plan.workers,
            interrupted=interrupted,
            last_used=last_used,
            **facts,
        )

    def _look(self) -> Snapshot:
        tally, client, server = self._tally, self._site.client, self._site.server
        session, elapsed = client.session, self._listener.elapsed
        lifetime = None if session is None else session.lifetime
        left = None
        if session is not None and session.expires_at is not None:
            left = session.expires_at - self._listener.clock.now()
        return Snapshot(
            elapsed=elapsed,
            requests=tally.requests,
            rate=self._rate(elapsed),
            refused=tally.answers[UNAUTHORIZED],
            unwanted=tally.unwanted,
            exceptions=tally.exceptions.total(),
            status=client.status,
            generation=0 if session is None else session.generation,
            left=left,
            life=lifetime,
            margin=self._plan.policy.margin_for(lifetime),
            refreshed=tally.refreshed,
            failed=tally.failed,
            issued=None if server is None else server.issued,
            fault="" if self._mischief is None else self._mischief.now,
        )

    def _rate(self, elapsed: float) -> float:
        self._pace.append((elapsed, self._tally.requests))
        while elapsed - self._pace[0][0] > RATE_OVER:
            self._pace.popleft()
        since, count = self._pace[0]
        return (self._tally.requests - count) / (elapsed - since) if elapsed > since else 0.0
