"""The demo in this process: short runs, in which something is wrong on purpose."""

from __future__ import annotations

import contextlib
import math

import attrs
import pytest

from async_auth.cli.demo.places import Embedded
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.scenario import run
from async_auth.errors import InvalidCredentials


class Calm(Plan):
    """A plan in which nothing goes wrong but what the test spoils, however slow the machine is."""

    faults_from = math.inf


SHORT = Calm(seconds=0.3, workers=5, pause=0.02)
#: Something else ends it.
ENDLESS = attrs.evolve(SHORT, seconds=math.inf)


class Keeping:
    """A view that keeps what it is shown."""

    def __init__(self, fail_at=None):
        self.begun = []
        self.notes = []
        self.ticks = []
        self.ended = []
        self.fail_at = fail_at

    def begin(self, plan, place):
        """See `View.begin`."""
        self.begun.append((plan, place))

    def note(self, note):
        """See `View.note`."""
        self.notes.append(note)

    def tick(self, now):
        """See `View.tick`."""
        if self.fail_at == len(self.ticks):
            raise BrokenPipeError
        self.ticks.append(now)

    def end(self, summary):
        """See `View.end`."""
        self.ended.append(summary)


@attrs.frozen
class Spoilt:
    """An embedded server with which something is wrong once somebody has signed in."""

    spoil: object
    name: str = "a spoilt server"

    @contextlib.asynccontextmanager
    async def open(self, plan):
        """See `Place.open`."""
        async with Embedded().open(plan) as site:

            async def sign_in():
                await site.sign_in()
                await self.spoil(site)

            yield attrs.evolve(site, sign_in=sign_in)


async def test_a_run_that_goes_well():
    """The view is shown the beginning, what happens, how it stands, and the end."""
    view = Keeping()
    summary = await run(SHORT, Embedded(), view)
    names = [type(note.event).__name__ for note in view.notes]

    assert summary.ok, summary.problems
    assert ([(SHORT, "an embedded server")], [summary]) == (view.begun, view.ended)
    assert ["InitialSession", "SignedIn"] == names
    assert 1 == view.ticks[0].generation
    assert (1, 0, 0) == (summary.lives, summary.issued, summary.refused)
    assert {200} == set(summary.answers)
    assert not summary.interrupted


async def test_no_time_at_all():
    """How it stands is shown all the same, once, and a worker's call has been counted."""
    view = Keeping()
    summary = await run(attrs.evolve(SHORT, seconds=0.0), Embedded(), view)

    assert [1] == [now.generation for now in view.ticks]
    assert {200} == set(summary.answers)
    assert summary.ok, summary.problems


async def test_a_401_that_a_worker_saw():
    """The middleware has refreshed and asked again, in vain: that is no success."""

    async def spoil(site):
        site.server.faults.add("/rest/v1/echo", status=401, times=None)

    summary = await run(SHORT, Spoilt(spoil), Keeping())

    assert not summary.ok
    assert [401] == list(summary.answers)
    assert summary.refused > summary.answers[401]


async def test_an_answer_that_is_hidden_from_the_workers():
    """One 401 costs a refresh before its time, which is told, though no worker saw anything."""

    async def spoil(site):
        site.server.faults.add("/rest/v1/echo", status=401)

    # A refresh is never repeated within a second.
    summary = await run(SHORT, Spoilt(spoil), Keeping())

    assert {200} == set(summary.answers)
    assert (1, 1) == (summary.refused, summary.early)
    assert ("once a token was replaced before it was due",) == summary.problems[-1:]


async def test_an_exception_that_a_worker_saw():
    """It is counted under its name."""

    async def spoil(site):
        site.server.faults.add("/rest/v1/echo", drop="before", times=None)

    summary = await run(SHORT, Spoilt(spoil), Keeping())

    assert not summary.ok
    assert ["ServerDisconnectedError"] == list(summary.exceptions)


async def test_a_session_that_ends():
    """The workers are refused a token, and the reason is told."""

    async def spoil(site):
        await site.client.sign_out()

    summary = await run(SHORT, Spoilt(spoil), Keeping())

    assert not summary.ok
    assert ["AuthSessionMissing: Auth session missing! (status 400)"] == list(summary.exceptions)


async def test_a_refresh_too_many():
    """A token that is replaced early is found by all who count."""

    async def spoil(site):
        await site.client.refresh_session()

    summary = await run(SHORT, Spoilt(spoil), Keeping())

    assert (1, 1) == (summary.early, summary.issued)
    assert not summary.ok


async def test_a_sign_in_that_fails():
    """It is raised, before anything is shown, and nothing is left running."""

    async def spoil(site):
        raise InvalidCredentials("Invalid login credentials")

    view = Keeping()
    with pytest.raises(InvalidCredentials):
        await run(SHORT, Spoilt(spoil), view)

    assert ([], [], []) == (view.begun, view.ticks, view.ended)


@pytest.mark.parametrize("at", [0, 2])
async def test_a_view_that_fails(at):
    """Its error ends the demo, and is not wrapped into a group."""
    view = Keeping(fail_at=at)
    with pytest.raises(BrokenPipeError):
        await run(ENDLESS, Embedded(), view)

    assert (at, []) == (len(view.ticks), view.ended)
