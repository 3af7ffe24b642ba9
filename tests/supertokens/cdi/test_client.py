"""`CoreClient`: hosts, versions, retries and deadlines, mostly against real sockets."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from async_auth import (
    ApiError,
    ConfigurationError,
    CoreUnavailable,
    NetworkError,
    ProtocolError,
    Response,
)
from async_auth.supertokens.cdi import calls
from async_auth.supertokens.cdi.client import BUSY_RETRIES, CoreClient
from async_auth.testing import ManualClock, ScriptedTransport

LIST = calls.handles_of_user("ada")
CREATE = calls.create_session("ada")
# A POST, for aiohttp repeats a GET by itself.
REMOVE = calls.remove_sessions(["one"])
REMOVE_PATH = "/recipe/session/remove"
LIST_PATH = "/recipe/session/user"
VERSIONS = (200, {"versions": ["5.4"]})
HANDLES = (200, {"status": "OK", "sessionHandles": ["one"]})
LOST = NetworkError("No answer", sent=True)
REFUSED = NetworkError("No connection", sent=False)


@pytest.fixture
async def client(hosts):
    """Return a function that makes a client of hosts on loopback; closed after the test."""
    made = []

    def make(*found, **options):
        urls = [host if isinstance(host, str) else host.url for host in found]
        # Of the usual ten seconds one of three hosts has three, in which a machine may stand still.
        made.append(CoreClient(";".join(urls), **{"timeout": 60, **options}))
        return made[-1]

    yield make
    for each in made:
        await each.aclose()


def scripted(*answers, uri="http://127.0.0.1:1", **options):
    """Return a client with a script in place of a core, its transport and its clock."""
    transport, clock = ScriptedTransport(*answers), ManualClock()
    options = {"cdi_version": "5.4", **options}
    return CoreClient(uri, transport=transport, clock=clock, **options), transport, clock


async def test_a_call_brings_what_the_core_says(hosts, client):
    """With the key, in the version that both know."""
    (host,) = await hosts()

    assert ("one",) == await client(host, api_key="key").call(LIST)
    (asked, called) = host.requests
    assert ("/apiversion", "key") == (asked.path, asked.headers["api-key"])
    assert ("5.4", "session", "key") == (
        called.headers["cdi-version"],
        called.headers["rid"],
        called.headers["api-key"],
    )


async def test_a_hundred_callers_agree_on_a_version_once(hosts, client):
    """And each makes its own call."""
    (host,) = await hosts()
    core = client(host)

    await asyncio.gather(*(core.call(LIST) for _ in range(100)))

    assert (1, 100) == (host.asked("/apiversion"), host.asked(LIST_PATH))
    assert "5.4" == await core.version()


async def test_a_version_that_was_asked_for_is_not_asked_about(hosts, client):
    """The user knows."""
    (host,) = await hosts()
    core = client(host, cdi_version="5.4")

    await core.call(LIST)

    assert ("5.4", 0) == (await core.version(), host.asked("/apiversion"))


async def test_a_version_that_the_core_refuses_is_agreed_on_anew(hosts, client):
    """The core was replaced by an older one; the call succeeds all the same, a creation too."""
    (host,) = await hosts()
    host.versions = ["5.6", "5.4"]
    core = client(host)
    assert "5.6" == await core.version()
    host.versions = ["5.4"]

    assert [("one",)] * 10 == await asyncio.gather(*(core.call(LIST) for _ in range(10)))
    assert ("5.4", 2) == (await core.version(), host.asked("/apiversion"))


async def test_hosts_of_two_versions_are_spoken_to_in_the_one_that_both_know(hosts, client):
    """As while a core is being updated host by host."""
    new, old = await hosts(2)
    new.versions = ["5.6", "5.4"]
    core = client(new, old)
    assert "5.6" == await core.version()

    for _ in range(4):
        assert ("one",) == await core.call(LIST)
    assert "5.4" == await core.version()


async def test_a_version_that_was_asked_for_and_is_refused_is_the_configurations_fault(
    hosts, client
):
    """There is no other to fall back to."""
    (host,) = await hosts()

    with pytest.raises(ConfigurationError, match="cdi_version"):
        await client(host, cdi_version="5.6").call(LIST)


async def test_a_core_too_old_is_the_configurations_fault(hosts, client):
    """And the next caller asks again, for it may have been replaced."""
    (host,) = await hosts()
    host.versions = ["4.0"]
    core = client(host)

    for _ in range(2):
        with pytest.raises(ConfigurationError, match="newer core"):
            await core.version()
    host.versions = ["5.4"]
    assert "5.4" == await core.version()


async def test_hosts_take_turns(hosts, client):
    """Each gets its share."""
    found = await hosts(3)
    core = client(*found, cdi_version="5.4")

    for _ in range(6):
        await core.call(LIST)

    assert [2, 2, 2] == [host.asked(LIST_PATH) for host in found]


async def test_a_host_that_is_away_costs_nothing_but_the_way_to_the_next(hosts, client, away):
    """Even for a call that must not happen twice: nobody has seen it."""
    (host,) = await hosts()
    core = client(away, host, cdi_version="5.4")

    with pytest.raises(ProtocolError):  # the answer is a list: the creation did arrive
        await core.call(CREATE)
    assert [("one",)] * 5 == [await core.call(LIST) for _ in range(5)]
    assert (1, 5) == (host.asked("/recipe/session"), host.asked(LIST_PATH))


async def test_no_host_at_all_is_a_core_that_is_unavailable(client, away):
    """It says nothing about anybody's session, and shows no key."""
    with pytest.raises(CoreUnavailable) as caught:
        await client(away, api_key="tiger").call(LIST)

    assert isinstance(caught.value.__cause__, NetworkError)
    assert "tiger" not in str(caught.value)


async def test_a_core_that_comes_back_is_found_without_a_restart():
    """Its host is asked again at every call."""
    core, transport, _ = scripted(REFUSED, HANDLES)

    with pytest.raises(CoreUnavailable):
        await core.call(LIST)
    assert ("one",) == await core.call(LIST)
    assert 2 == len(transport.requests)


async def test_a_call_whose_answer_was_lost_is_repeated_where_that_does_no_harm(hosts, client):
    """At the next host, or once at the only one."""
    first, second = await hosts(2)
    first.faults = ["drop"]
    assert ("one",) == await client(first, second, cdi_version="5.4").call(REMOVE)
    assert (1, 1) == (first.asked(REMOVE_PATH), second.asked(REMOVE_PATH))

    second.faults = ["drop"]
    assert ("one",) == await client(second, cdi_version="5.4").call(REMOVE)
    second.faults = ["drop", "drop"]
    with pytest.raises(CoreUnavailable):
        await client(second, cdi_version="5.4").call(REMOVE)
    assert 5 == second.asked(REMOVE_PATH)


async def test_a_creation_whose_answer_was_lost_is_not_repeated(hosts, client):
    """There would be two sessions."""
    found = await hosts(2)
    found[0].faults = ["drop"]

    with pytest.raises(CoreUnavailable):
        await client(*found, cdi_version="5.4").call(CREATE)
    assert 1 == sum(host.asked("/recipe/session") for host in found)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_proxy_without_a_core_is_a_host_that_is_away(hosts, client, status):
    """For a creation it is a lost answer: a proxy may give up on a core that is at work."""
    first, second = await hosts(2)
    first.faults = [status, status]
    core = client(first, second, cdi_version="5.4")

    assert ("one",) == await core.call(LIST)
    core = client(first, second, cdi_version="5.4")
    with pytest.raises(CoreUnavailable) as caught:
        await core.call(CREATE)
    assert status == caught.value.status
    assert 0 == second.asked("/recipe/session")


async def test_a_core_that_fails_is_unavailable_and_not_asked_twice(hosts, client):
    """It has seen the call, and said so."""
    (host,) = await hosts()
    host.faults = [500]

    with pytest.raises(CoreUnavailable, match="a fault") as caught:
        await client(host, cdi_version="5.4").call(LIST)
    assert (500, 1) == (caught.value.status, len(host.requests))


async def test_a_refused_call_is_an_error_of_the_caller(hosts, client):
    """And the key that the core refuses one of the configuration."""
    (host,) = await hosts()
    host.faults = [400, 401]
    core = client(host, cdi_version="5.4", api_key="tiger")

    with pytest.raises(ApiError):
        await core.call(LIST)
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        await core.call(LIST)
    assert "tiger" not in str(caught.value)


async def test_a_busy_core_is_asked_again_after_growing_waits():
    """10 ms, and a quarter of a second more each time."""
    core, transport, clock = scripted(*[429] * BUSY_RETRIES, HANDLES)
    call = asyncio.create_task(core.call(LIST))
    waits = []
    for count in range(1, BUSY_RETRIES + 1):
        await transport.wait_for_requests(count)
        await clock.advance(0)
        waits.append(round(clock.next_wake, 3))
        await clock.advance(clock.next_wake)

    assert ("one",) == await call
    assert [0.01, 0.26, 0.51, 0.76, 1.01] == waits


async def test_a_core_that_stays_busy_is_unavailable():
    """After five more tries."""
    core, transport, clock = scripted(*[429] * (BUSY_RETRIES + 1))
    call = asyncio.create_task(core.call(LIST))
    await clock.run(5)

    with pytest.raises(CoreUnavailable) as caught:
        await call
    assert (429, 6) == (caught.value.status, len(transport.requests))


async def test_waiting_for_a_busy_core_ends_with_the_deadline():
    """The last answer is the answer."""
    core, transport, clock = scripted(*[429] * 6, timeout=0.5)
    call = asyncio.create_task(core.call(LIST))
    await clock.run(1)

    with pytest.raises(CoreUnavailable):
        await call
    assert 3 == len(transport.requests)


async def test_a_host_that_hangs_leaves_time_for_the_others():
    """The deadline is one for all; each host gets its share of what is left."""
    clock = ManualClock()

    def hang(_request):
        clock.advance(5.0)
        return LOST

    transport = ScriptedTransport(hang, HANDLES)
    core = CoreClient(
        "http://127.0.0.1:1;http://127.0.0.1:2",
        transport=transport,
        clock=clock,
        cdi_version="5.4",
        timeout=10,
    )

    assert ("one",) == await core.call(LIST)
    assert [5.0, 5.0] == transport.timeouts


async def test_nothing_is_sent_after_the_deadline():
    """A host that used the time up is not asked again."""
    clock = ManualClock()

    def hang(_request):
        clock.advance(10.0)
        return LOST

    transport = ScriptedTransport(hang)
    core = CoreClient(
        "http://127.0.0.1:1", transport=transport, clock=clock, cdi_version="5.4", timeout=10
    )

    with pytest.raises(CoreUnavailable):
        await core.call(LIST)
    assert [10.0] == transport.timeouts


async def test_a_core_that_never_answers_is_given_up(hosts, client):
    """On real sockets."""
    (host,) = await hosts()
    gate = asyncio.Event()
    host.faults = [gate]

    with pytest.raises(CoreUnavailable):
        await client(host, cdi_version="5.4", timeout=0.05).call(LIST)
    gate.set()


async def test_a_cancelled_caller_cancels_nobody_else(hosts, client):
    """Neither the negotiation that it began, nor the others' calls."""
    (host,) = await hosts()
    gate = asyncio.Event()
    host.faults = [gate]
    core = client(host)
    first, second = (asyncio.create_task(core.call(LIST)) for _ in range(2))
    while not host.requests:  # noqa: ASYNC110 - the host sets no event for what it counts
        await asyncio.sleep(0)
    first.cancel()
    gate.set()

    assert ("one",) == await second
    assert first.cancelled()
    assert 1 == host.asked("/apiversion")


async def test_a_failed_negotiation_fails_whoever_waits_and_the_next_asks_again():
    """Each has an error of its own."""
    core, transport, _ = scripted(503, 503, VERSIONS, HANDLES, cdi_version=None)
    failed = await asyncio.gather(*(core.call(LIST) for _ in range(3)), return_exceptions=True)

    assert [CoreUnavailable] * 3 == [type(error) for error in failed]
    assert 3 == len({id(error) for error in failed})
    assert ("one",) == await core.call(LIST)
    assert 4 == len(transport.requests)


async def test_a_broken_transport_is_not_taken_for_a_core_that_is_away():
    """A mistake in a program is to be seen."""
    core, _, _ = scripted(ZeroDivisionError(), cdi_version=None)

    with pytest.raises(ZeroDivisionError):
        await core.version()


async def test_keys_come_from_the_first_host_that_has_them(hosts, client):
    """Without a key and without a version."""
    first, second = await hosts(2)
    first.faults = [500]
    response = await client(first, second, api_key="tiger").fetch_keys()

    assert 200 == response.status
    assert "api-key" not in second.requests[0].headers
    first.faults = [404, 404]
    with pytest.raises(CoreUnavailable):
        await client(first).fetch_keys()


async def test_a_closed_client_says_so(hosts, client):
    """Whoever waits is told, later callers too; closing twice is fine."""
    (host,) = await hosts()
    gate = asyncio.Event()
    host.faults = [gate]
    core = client(host)
    waiting = asyncio.create_task(core.call(LIST))
    while not host.requests:  # noqa: ASYNC110 - the host sets no event for what it counts
        await asyncio.sleep(0)
    async with core:
        pass
    await core.aclose()

    for call in (waiting, core.call(LIST)):
        with pytest.raises(CoreUnavailable, match="closed"):
            await call
    gate.set()


async def test_two_clients_never_meet(hosts, client):
    """Neither their versions, nor their hosts, nor their keys."""
    one, other = await hosts(2)
    other.versions = ["5.6"]
    first, second = client(one, api_key="one"), client(other, api_key="other")

    assert ["5.4", "5.6"] == [await first.version(), await second.version()]
    await first.aclose()
    assert ("one",) == await second.call(LIST)
    assert [{"one"}, {"other"}] == [
        {request.headers["api-key"] for request in host.requests} for host in (one, other)
    ]


async def test_a_lent_session_is_used_and_not_closed(hosts, client):
    """It belongs to the program."""
    (host,) = await hosts()
    async with aiohttp.ClientSession(headers={"x-ours": "yes"}) as http:
        core = client(host, http=http)
        await core.call(LIST)
        await core.aclose()

        assert not http.closed
        assert {"yes"} == {request.headers["x-ours"] for request in host.requests}


def test_a_client_moves_to_another_loop():
    """As when each cell of a notebook, or each test, has its own."""
    core, transport, _ = scripted(VERSIONS, HANDLES, HANDLES, cdi_version=None)

    assert [("one",), ("one",)] == [asyncio.run(core.call(LIST)) for _ in range(2)]
    assert 3 == len(transport.requests)


@pytest.mark.parametrize(
    "name, options",
    [
        ("connection_uri", {"connection_uri": ""}),
        ("connection_uri", {"connection_uri": "http://core:3567"}),
        ("allow_insecure", {"allow_insecure": 1}),
        ("api_key", {"api_key": 5}),
        ("api_key", {"api_key": " "}),
        ("api_key", {"api_key": "tiger\n"}),
        ("api_key", {"api_key": "tigér"}),
        ("cdi_version", {"cdi_version": "9.9"}),
        ("timeout", {"timeout": 0}),
        ("timeout", {"timeout": float("inf")}),
        ("timeout", {"timeout": "1"}),
        ("timeout", {"timeout": True}),
        ("clock", {"clock": 5}),
        ("transport", {"transport": 5}),
        ("http or transport", {"transport": ScriptedTransport(), "http": 5}),
    ],
)
def test_wrong_arguments_are_named(name, options):
    """And no key is shown."""
    with pytest.raises(ConfigurationError, match=name) as caught:
        CoreClient(**{"connection_uri": "http://127.0.0.1:3567", **options})
    assert "tig" not in str(caught.value)


def test_a_client_shows_no_secret():
    """Only how many hosts it has."""
    core = CoreClient("https://a.example;https://b.example", api_key="tiger", cdi_version="5.4")

    assert "<CoreClient hosts=2 version=5.4>" == repr(core)


async def test_what_answers_and_is_no_core_is_a_protocol_error():
    """Such as a captive portal."""
    core, _, _ = scripted(Response(200, (), b"<html>"), (200, {"hello": 1}), cdi_version=None)

    for _ in range(2):
        with pytest.raises(ProtocolError):
            await core.version()


def test_a_negotiation_of_a_loop_that_stands_still_keeps_nobody_waiting():
    """As in a notebook whose cell was interrupted."""
    loop = asyncio.new_event_loop()
    core, transport, _ = scripted(
        lambda _: loop.create_future(), VERSIONS, HANDLES, cdi_version=None
    )
    forgotten = loop.create_task(core.call(LIST))
    loop.run_until_complete(transport.wait_for_requests(1))

    assert ("one",) == asyncio.run(core.call(LIST))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.wait({forgotten}))
    loop.close()


async def test_a_key_that_the_core_repeats_is_not_shown():
    """Whatever it is repeated in."""
    answer = Response(400, (), b"what is tiger-key?")
    core, _, _ = scripted(answer, answer, api_key="tiger-key", cdi_version=None)
    with pytest.raises(ApiError) as caught:
        await core.version()
    assert "tiger" not in str(caught.value)

    core, _, _ = scripted(answer, api_key="tiger-key")
    with pytest.raises(ApiError) as caught:
        await core.call(LIST)
    assert "tiger" not in str(caught.value)
