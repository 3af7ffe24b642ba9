"""What a cookie says: an id that is nowhere else, and how long it is worth something."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.web_sessions.ticket import ID_BYTES, Lives, Ticket, key_of

IDS = st.binary(min_size=ID_BYTES, max_size=ID_BYTES)
TIMES = st.floats(min_value=-10, max_value=1e11)


@given(IDS, TIMES, TIMES)
def test_a_ticket_is_written_and_read(found, now, began_at):
    """Whole seconds are kept, and nothing before all times."""
    ticket = Ticket.new(found, now=now, began_at=began_at)

    assert ticket == Ticket.from_payload(ticket.payload())


@pytest.mark.parametrize("payload", [b"", b"x" * 39, b"x" * 41])
def test_what_is_no_ticket(payload):
    """Payloads of other lengths are none."""
    assert Ticket.from_payload(payload) is None


@given(IDS, IDS)
def test_a_key_is_a_hash_of_the_id(one, other):
    """Each id has its own key, and no key has its id in it."""
    keys = [key_of(Ticket.new(found, now=0), namespace="web") for found in (one, other)]

    assert (one == other) == (keys[0] == keys[1])
    assert keys[0].startswith("web.")
    assert one.hex() not in keys[0]


def test_a_key_does_not_depend_on_times():
    """A cookie that is written anew names the same session."""
    ticket = Ticket.new(bytes(ID_BYTES), now=100.0)

    assert key_of(ticket, namespace="a") == key_of(ticket.renewed(500.0), namespace="a")


def test_lives():
    """It ends so long after the sign-in, or so long after its last use, whichever is first."""
    lives = Lives(max_age=1000.0, idle=100.0)
    ticket = Ticket.new(bytes(ID_BYTES), now=50.9)

    assert 150.0 == lives.ends_at(ticket)
    assert (False, True) == (lives.is_over(ticket, 149.9), lives.is_over(ticket, 150.0))
    assert 1050.0 == lives.ends_at(ticket.renewed(1040.0))
    assert 1050.0 == Lives(max_age=1000.0, idle=None).ends_at(ticket)


def test_a_use_is_written_in_steps():
    """Only a tenth of the idle life later, so that not every answer has a cookie."""
    lives = Lives(max_age=1000.0, idle=100.0)
    ticket = Ticket.new(bytes(ID_BYTES), now=50.0)

    assert (False, True) == (
        lives.wants_renewal(ticket, 59.0),
        lives.wants_renewal(ticket, 60.0),
    )
    assert not Lives(max_age=1000.0, idle=None).wants_renewal(ticket, 999.0)


def test_the_id_is_not_shown():
    """A ticket can be printed."""
    assert "abababab" not in repr(Ticket.new(b"ab" * 12, now=0.0))
