"""The demo in this process: short runs, in which something is wrong on purpose."""

from __future__ import annotations

import contextlib
import json
import math
from random import Random

import attrs
import pytest

from async_auth.cli.demo.json_lines import JsonLines
from async_auth.cli.demo.places import Account, Embedded, Real
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.scenario import run
from async_auth.errors import InvalidCredentials
from async_auth.testing import GoTrueServer

PASSWORD = "correct-horse-battery"


class Calm(Plan):
    """A plan in which nothing goes wrong but what the test spoils, however slow the machine is."""

    faults_from = math.inf


#: Its token outlasts the test on any machine.
SHORT = Calm(seconds=0.3, workers=5, pause=0.02, token_life=3600)
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

    def clock(self):
        """See `Place.clock`."""
        return Embedded().clock()

    @contextlib.asynccontextmanager
    async def open(self, plan, clock):
        """See `Place.open`."""
        async with Embedded().open(plan, clock) as site:

            async def sign_in():
                await site.sign_in()
                await self.spoil(site)

            yield attrs.evolve(site, sign_in=sign_in)


async def test_the_whole_story(play, capsys):
    """An outage and a lost answer later nobody has seen a 401, and each life cost one token."""
    # All as for everyone, but for fewer calls.
    await play(Plan(workers=5, pause=0.5), Embedded(), JsonLines())
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    begin, summary = told[0], told[-1]
    faults = [(one["fault"], one["phase"]) for one in told if one["type"] == "fault"]
    events = [one["event"] for one in told if one["type"] == "event"]

    assert ("begin", "summary") == (begin["type"], summary["type"])
    assert {"begin", "event", "fault", "state", "summary"} == {one["type"] for one in told}
    assert [("outage", "begin"), ("outage", "end"), ("lost answer", "once")] == faults
    # Of the second refresh one try fails, and another a second later; it lasts for 1.5 seconds.
    failed, refreshed = "RefreshFailed", "TokenRefreshed"
    begun, outage = ["InitialSession", "SignedIn"], [failed, failed]
    assert [*begun, refreshed, *outage, refreshed, refreshed, refreshed] == events
    assert summary["ok"]
    assert [] == summary["problems"]
    assert ["200"] == list(summary["answers"])
    assert 4 == summary["issued"] == summary["refreshed"] == summary["lives"] - 1
    assert 0 == summary["early"] == summary["refused"]
    # Every failed try, every rotation, and the one whose answer was lost.
    assert 2 == summary["failed"]
    assert 2 + 4 + 1 == summary["refresh_requests"]


async def test_a_machine_that_stands_still(play, manual_clock):
    """Stalls of ten seconds, wherever they come, cost nobody a token, and are told of."""
    stalls = Random(1)  # noqa: S311 - when it stands still is no secret
    summary = await play(
        Plan(seconds=24, workers=4, pause=0.5), Embedded(), Keeping(), stalls=stalls
    )

    assert summary.ok, summary.problems
    assert 2 == len(summary.faults)
    assert 2 == summary.issued
    assert summary.stalled > 100.0


async def test_a_real_server(play, manual_clock):
    """The workers ask it who they are; a token that is due is replaced, and nothing goes wrong."""
    async with GoTrueServer(jwt_expiry=12, clock=manual_clock) as server:
        user = server.create_user(email="bot@example.com", password=PASSWORD)
        account = Account(email="bot@example.com", phone=None, password=PASSWORD)
        place = Real(url=server.url, api_key="public", account=account)
        summary = await play(Plan(seconds=15, workers=5, pause=0.5), place, Keeping())
        sessions = server.session_ids(user)

    assert summary.ok, summary.problems
    assert {200: server.counts["/user"]} == summary.answers
    assert 1 == server.issued == summary.refreshed == summary.lives - 1
    assert (None, ()) == (summary.issued, summary.faults)
    assert [] == sessions


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
