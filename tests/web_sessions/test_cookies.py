"""The cookies of web sessions, read and written without asking anybody."""

from __future__ import annotations

import pytest

from async_auth.core.web.incoming import Incoming
from async_auth.core.web.outgoing import Outgoing
from async_auth.web_sessions.cookies import Cookies
from async_auth.web_sessions.settings import Settings
from async_auth.web_sessions.signing import Signer
from async_auth.web_sessions.ticket import ID_BYTES, Ticket

NOW = 1_000.0


@pytest.fixture
def cookies():
    """Return what reads and writes them."""
    settings = Settings.of(
        cookie="session",
        origins=(),
        csrf="origin",
        max_age=10_000,
        idle=1000,
        same_site="lax",
        secure=None,
        path="/",
        persistent=True,
        max_sessions=1,
        namespace="web",
    )
    return Cookies(settings=settings, signer=Signer(bytes(32), context="web"))


def ticket(renewed_at=NOW, number=0):
    """Return a ticket that was written at a time."""
    return Ticket(id=bytes([number]) * ID_BYTES, began_at=0, renewed_at=int(renewed_at))


def written(write, *args):
    """Return name and value of the cookie that is written."""
    outgoing = Outgoing()
    write(outgoing, *args)
    line = dict(outgoing.merged_into([]))["set-cookie"]
    name, _, value = line.partition(";")[0].partition("=")
    return name, value


def asked_with(*pairs):
    """Return a request with cookies."""
    return Incoming.of("GET", "/", {"cookie": "; ".join(f"{n}={v}" for n, v in pairs)})


def test_what_was_written_is_found(cookies):
    """Both cookies, each as what it is."""
    session, flow = ticket(), ticket(number=1)
    request = asked_with(
        written(cookies.write_session, session, NOW), written(cookies.write_flow, flow, NOW)
    )

    found = cookies.found_in(request, NOW)

    assert (session, flow, False, False) == (
        found.ticket,
        found.flow,
        found.useless,
        found.outdated,
    )


def test_one_cookie_is_not_the_other(cookies):
    """What names a sign-in under way opens no session, and the other way round."""
    (session, value), (flow, other) = (
        written(cookies.write_session, ticket(), NOW),
        written(cookies.write_flow, ticket(), NOW),
    )

    found = cookies.found_in(asked_with((session, other), (flow, value)), NOW)

    assert (None, None, True) == (found.ticket, found.flow, found.useless)


def test_of_one_sessions_cookies_the_last_written_counts(cookies):
    """In whichever order they come."""
    old, new = ticket(NOW - 500), ticket(NOW)
    pairs = [written(cookies.write_session, one, NOW) for one in (old, new)]

    for order in (pairs, pairs[::-1]):
        assert new == cookies.found_in(asked_with(*order), NOW).ticket


@pytest.mark.parametrize("now, alive", [(NOW, True), (NOW + 999, True), (NOW + 1000, False)])
def test_one_that_is_too_old_is_none(cookies, now, alive):
    """It is taken away."""
    found = cookies.found_in(asked_with(written(cookies.write_session, ticket(), NOW)), now)

    assert (alive, not alive) == (found.ticket is not None, found.useless)


def test_a_sign_in_may_take_a_day(cookies):
    """Then its cookie is none."""
    flow = Ticket.new(bytes(ID_BYTES), now=NOW)
    request = asked_with(written(cookies.write_flow, flow, NOW))

    assert [True, False] == [
        cookies.found_in(request, NOW + later).flow is not None for later in (86_399, 86_400)
    ]
