"""Those who watch refreshes: what they are told, and that they can do no harm."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from async_auth import (
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
    RefreshRejected,
    ServerUnavailable,
    SessionPool,
    Status,
    StoreError,
)
from async_auth.engine.observing import Observation, outcome_of


class Witness:
    """Notes what it is told, and fails where it shall."""

    def __init__(self, *failing):
        self.told, self.failing = [], failing

    def note(self, *facts):
        """Remember, or fail."""
        self.told.append(facts)
        if facts[0] in self.failing:
            raise ValueError(facts[0])

    def refreshing(self, key, *, trigger, failures):
        """Watch every refresh."""
        self.note("asked", key, trigger, failures)
        return self

    @contextlib.contextmanager
    def running(self):
        """Stand around it."""
        self.note("enter")
        yield
        self.note("exit")

    def sending(self):
        """See a request."""
        self.note("sending")

    def ended(self, outcome, error):
        """See the end."""
        self.note("ended", outcome, error)


WHOLE = [
    ("asked", "default", "call", 0),
    ("enter",),
    ("sending",),
    ("exit",),
    ("ended", "refreshed", None),
]


async def test_a_refresh_is_told_from_begin_to_end(stage):
    """Once each, in order; nothing after the observer was taken off."""
    client, witness = await stage.signed_in(), Witness()
    client.manager.observe(witness)
    await client.refresh_session()
    client.manager.observe(None)
    await client.refresh_session()

    assert WHOLE == witness.told


async def test_a_refresh_that_is_torn_is_told_as_interrupted(
    make_manager, server, faulty_store, settle
):
    """A close cancels what was not sent; the observer hears of that end as of any."""
    manager, witness = make_manager(store=faulty_store, auto_refresh=False), Witness()
    await manager.adopt(server.sign_in())
    manager.observe(witness)
    async with faulty_store.lock.hold("default"):
        refreshing = asyncio.ensure_future(manager.refresh_session())
        await settle()
        await manager.aclose()
    with pytest.raises(ManagerClosed):
        await refreshing

    assert [*WHOLE[:2], ("exit",), ("ended", "interrupted", None)] == witness.told


@pytest.mark.parametrize("moment", ["asked", "enter", "sending", "exit", "ended"])
async def test_an_observer_that_fails_is_logged_and_harms_nobody(stage, our_log, moment):
    """The refresh goes on, whichever of its methods raises."""
    client = await stage.signed_in()
    client.manager.observe(Witness(moment))
    before = client.session.generation

    assert before + 1 == (await client.refresh_session()).session.generation
    assert ["An observer of refreshes failed"] == [r.message for r in our_log() if r.exc_info]


async def test_there_is_one_observer(stage):
    """A second one is refused rather than put in the place of the first."""
    manager = (await stage.client()).manager
    manager.observe(Witness())

    with pytest.raises(ConfigurationError, match="take it off first"):
        manager.observe(Witness())


async def test_one_session_of_a_pool_is_observed_with_its_pool(stage):
    """A handle counts its own session, and refuses to tell of everybody's."""
    client = await stage.signed_in()
    async with SessionPool(client.manager.provider, clock=stage.clock) as pool:
        handle = pool.session("ada")
        assert {} == handle.census().statuses
        await handle.adopt(client.session)
        await pool.session("bob").adopt(client.session)

        assert {Status.FRESH: 1} == handle.census().statuses
        assert {Status.FRESH: 2} == pool.census().statuses
        assert 3600.0 == pool.census().time_to_expiry
        with pytest.raises(ConfigurationError, match="observe the pool"):
            handle.observe(None)
    assert {} == pool.census().statuses
    assert {} == handle.census().statuses


@pytest.mark.parametrize(
    "error, answered, outcome",
    [
        (None, True, "refreshed"),
        (None, False, "adopted"),
        (RefreshRejected("no"), True, "rejected"),
        (AuthSessionMissing(), False, "missing"),
        (ServerUnavailable("down"), True, "failed"),
        (StoreError("full"), False, "failed"),
    ],
)
def test_how_a_refresh_ended_has_a_word(error, answered, outcome):
    """Those of the port, which dashboards are made of."""
    assert outcome == outcome_of(error, answered=answered)


def test_the_first_end_counts():
    """A refresh that was given up ends later, too; why it ended is told with it."""
    witness, error = Witness(), ServerUnavailable("down")
    observation = Observation(witness)

    observation.ended("failed", error)
    observation.ended("refreshed")

    assert [("ended", "failed", error)] == witness.told
