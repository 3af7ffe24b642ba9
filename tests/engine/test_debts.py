"""What memory owes the store is noted while it is owed, and costs nothing afterwards."""

from __future__ import annotations

import pytest

from async_auth.engine.debts import Debts
from async_auth.engine.scheduler import Timer


@pytest.fixture
def debts():
    """Return a note without an entry."""
    return Debts()


def test_nothing_is_owed_at_first(debts):
    """A new note can be forgotten at once."""
    assert (False, True) == (debts.outstanding, debts.settled)


def test_a_session_that_was_not_saved(debts):
    """It is owed until it is stored."""
    debts.unsaved = True
    assert (True, False) == (debts.outstanding, debts.settled)
    debts.unsaved = False
    assert debts.settled


def test_sign_ins_that_were_not_cleared(debts):
    """Each is owed by itself, with its last generation; the last one takes the list with it."""
    debts.uncleared_yet("one", 3)
    debts.uncleared_yet("two", None)
    assert {"one": 3, "two": None} == debts.uncleared
    debts.cleared("one")
    debts.cleared("unknown")
    assert ({"two": None}, True) == (debts.uncleared, debts.outstanding)
    debts.cleared("two")
    debts.cleared("two")
    assert (None, True) == (debts.uncleared, debts.settled)


def test_failures_are_remembered_though_nothing_is_owed(debts):
    """The pause after the next one depends on them."""
    debts.failures = 1
    assert (False, False) == (debts.outstanding, debts.settled)


def test_a_timer_is_cancelled_once(debts):
    """While it is set the note is not forgotten, or nobody could cancel it."""
    timer = debts.timer = Timer(1.0, print, spread=False)
    assert (False, False) == (debts.outstanding, debts.settled)
    debts.cancel()
    debts.cancel()
    assert (None, None, True) == (timer.callback, debts.timer, debts.settled)


@pytest.mark.parametrize("cured", ["by a refresh", "by the timer", "by a close"])
async def test_a_keeper_that_owes_nothing_any_more_keeps_no_note(
    make_manager, server, faulty_store, clock, cured
):
    """Before a failure of the store there is none, and some time after it neither."""
    manager = make_manager(store=faulty_store, auto_refresh=False)
    await manager.adopt(server.sign_in())
    keeper = manager._keeper  # noqa: SLF001 - what it costs cannot be seen from outside
    assert keeper.debts is None
    faulty_store.breaks("save")
    await manager.refresh_session()
    assert keeper.debts.outstanding
    faulty_store.works()
    if cured == "by a close":
        await manager.aclose()
    else:
        if cured == "by a refresh":
            await manager.refresh_session()
        await clock.run(600)
    assert keeper.debts is None
    assert manager.session.generation == await faulty_store.generation()
