"""gotrue/pkce.py: how long a flow waits, and what ends it."""

from __future__ import annotations

import asyncio

import pytest

from async_auth import (
    ApiError,
    AuthSessionMissing,
    ConfigurationError,
    ServerUnavailable,
    SignInRequired,
)
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.pkce import LIFE, PkceFlow, PkceRing
from async_auth.ports import Record
from async_auth.stores import FileStore, MemoryStore
from async_auth.testing import ManualClock, ScriptedTransport

URL = "http://127.0.0.1:9999"
OLD = {"id": "old", "verifier": "of-an-older-release", "recovery": False}


async def ids(ring):
    """Return which flows wait."""
    return [flow.id for flow in await ring.waiting()]


async def stored(store):
    """Return what is in the record, as text."""
    record = await store.load("default.pkce")
    return "" if record is None else repr(record.session)


async def fill(store, *flows):
    """Write a record as another release or a fault may have left it."""
    record = Record(generation=1, sign_in_id="", session={"flows": list(flows)})
    await store.save("default.pkce", record, expected=None)


@pytest.mark.parametrize("scope", ["global", "local"])
async def test_a_sign_out_forgets_what_is_under_way(stage, scope):
    """Here and in the store: no link or browser signs anybody in afterwards."""
    wire, store = stage.wire(), MemoryStore()
    client = await stage.signed_in(transport=wire, store=store)
    begun = await client.sign_in_with_oauth("github")
    await client.sign_out(scope)
    asked = len(wire.requests)
    for flow_id in (None, begun.flow_id):
        with pytest.raises(SignInRequired) as caught:
            await client.exchange_code_for_session("c0de", flow_id=flow_id)
        assert "pkce_code_verifier_not_found" == caught.value.code
    assert asked == len(wire.requests)
    assert "verifier" not in await stored(store)


@pytest.mark.parametrize(
    "error, call",
    [
        (ConfigurationError, lambda client: client.sign_in_with_oauth("")),
        (ConfigurationError, lambda client: client.sign_in_with_sso()),
        (ConfigurationError, lambda client: client.reset_password_for_email("")),
        (AuthSessionMissing, lambda client: client.link_identity("github")),
    ],
)
async def test_what_cannot_be_asked_for_leaves_no_flow(error, call):
    """Five such calls would leave no room for a link that is under way."""
    store = MemoryStore()
    async with GoTrueClient(URL, transport=ScriptedTransport(), store=store) as client:
        with pytest.raises(error):
            await call(client)
    assert "verifier" not in await stored(store)


async def test_signing_the_others_out_forgets_nothing(stage):
    """This sign-in goes on, and what it has begun."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    begun = await client.link_identity("github")
    await client.sign_out("others")
    assert [begun.flow_id] == await ids(PkceRing(store, "default", stage.clock))


async def test_nobody_signs_out_of_what_is_under_way(stage):
    """Whoever changed their mind before signing in at all."""
    store = MemoryStore()
    client = await stage.client(store=store)
    await client.sign_in_with_oauth("github")
    await client.sign_out()
    assert [] == await ids(PkceRing(store, "default", stage.clock))


async def test_a_server_that_cannot_be_told_changes_nothing_of_that(stage):
    """Here it is over all the same."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    await client.sign_in_with_oauth("github")
    stage.server.faults.add("/logout", status=503)
    with pytest.raises(ServerUnavailable):
        await client.sign_out()
    assert [] == await ids(PkceRing(store, "default", stage.clock))


async def test_what_begins_during_a_sign_out_is_not_its_business(stage):
    """A slow server does not cost the next sign-in its verifier."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    await client.sign_in_with_oauth("github")
    stage.server.faults.add("/logout", delay=3)
    leaving = asyncio.create_task(client.sign_out())
    await stage.until(lambda: stage.server.counts["/logout"])
    stage.clock.advance(1)
    next_one = await client.sign_in_with_oauth("google")
    stage.clock.advance(3)
    await leaving
    assert [next_one.flow_id] == await ids(PkceRing(store, "default", stage.clock))


async def test_a_session_that_is_refused_forgets_nothing(stage):
    """Whoever is signing in anew already goes on with it."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    begun = await client.sign_in_with_oauth("github")
    body = {"code": 400, "error_code": "refresh_token_not_found", "msg": "gone"}
    stage.server.faults.add(stage.REFRESH, status=400, body=body)
    with pytest.raises(SignInRequired):
        await client.refresh_session()
    assert [begun.flow_id] == await ids(PkceRing(store, "default", stage.clock))


async def test_another_process_forgets_too(tmp_path):
    """What one process has signed out of, none that reads the store finishes."""
    clock = ManualClock(1000.0)
    begun = await PkceRing(FileStore(tmp_path), "default", clock).begin()
    await PkceRing(FileStore(tmp_path), "default", clock).forget(begun_by=1000.0)
    text = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert [] == await ids(PkceRing(FileStore(tmp_path), "default", clock))
    assert begun.verifier not in text


async def test_a_flow_waits_for_a_day(manual_clock):
    """Then it is given up, here at once and in the store when the next one begins."""
    store = MemoryStore()
    ring = PkceRing(store, "default", manual_clock)
    first = await ring.begin()
    manual_clock.advance(LIFE - 1)
    second = await ring.begin()
    assert [first.id, second.id] == await ids(ring)
    manual_clock.advance(1)
    assert [second.id] == await ids(ring)
    assert [second.id] == await ids(PkceRing(store, "default", manual_clock))
    assert first.verifier in await stored(store)
    await ring.begin()
    assert first.verifier not in await stored(store)


async def test_a_clock_that_was_set_back_costs_no_flow():
    """A flow from the future waits."""
    store = MemoryStore()
    begun = await PkceRing(store, "default", ManualClock(9e9)).begin()
    assert [begun.id] == await ids(PkceRing(store, "default", ManualClock(1e9)))


async def test_an_older_releases_flow_waits_until_a_sign_out(manual_clock):
    """Nobody knows when it was begun."""
    store = MemoryStore()
    await fill(store, OLD)
    ring = PkceRing(store, "default", manual_clock)
    assert (PkceFlow(id="old", verifier="of-an-older-release"),) == await ring.waiting()
    await ring.forget(begun_by=manual_clock.now())
    assert "of-an-older-release" not in await stored(store)


@pytest.mark.parametrize("code", ["flow_state_expired", "flow_state_already_used"])
@pytest.mark.parametrize("named", [True, False])
async def test_a_flow_that_is_over_at_the_server_ends(code, named):
    """If it is known which one: a code without a flow's id may be of any of them."""
    wire = ScriptedTransport((422, {"code": code, "message": "no"}))
    store = MemoryStore()
    async with GoTrueClient(URL, store=store, transport=wire, auto_refresh=False) as client:
        begun = await client.sign_in_with_oauth("github")
        with pytest.raises(ApiError) as caught:
            await client.exchange_code_for_session("c0de", flow_id=begun.flow_id if named else None)
        assert code == caught.value.code
    assert ([] if named else [begun.flow_id]) == await ids(PkceRing(store, "default"))


@pytest.mark.parametrize(
    "damaged",
    [
        {"flows": "x"},
        {"flows": [None, 5, {"id": 5, "verifier": "l3ft-over"}, {"id": "a", "verifier": ["x"]}]},
        {"verifier": "l3ft-over"},
        {},
    ],
)
async def test_a_damaged_record_costs_no_flow_of_ours(damaged, manual_clock):
    """It is passed over, and written anew; a sign-out leaves nothing of it."""
    store = MemoryStore()
    record = Record(generation=3, sign_in_id="", session=damaged)
    await store.save("default.pkce", record, expected=None)
    ring = PkceRing(store, "default", manual_clock)
    assert [] == await ids(ring)
    begun = await ring.begin()
    assert [begun.id] == await ids(PkceRing(store, "default", manual_clock))
    await store.save("default.pkce", record, expected=None)
    await PkceRing(store, "default", manual_clock).forget(begun_by=manual_clock.now())
    assert "l3ft-over" not in await stored(store)


async def test_a_damaged_file_costs_no_flow_of_ours(tmp_path, manual_clock):
    """The store sets it aside; what begins now is found by other processes."""
    await PkceRing(FileStore(tmp_path), "default", manual_clock).begin()
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text()[:-9])
    ring = PkceRing(FileStore(tmp_path), "default", manual_clock)
    assert [] == await ids(ring)
    begun = await ring.begin()
    assert [begun.id] == await ids(PkceRing(FileStore(tmp_path), "default", manual_clock))


async def test_a_record_that_is_no_object_costs_no_flow_of_ours(caplog, manual_clock):
    """A stranger's store may give anything."""

    class Odd(MemoryStore):
        """A store with ideas of its own."""

        async def load(self, key):
            """Give a record whose session is a list."""
            return Record(generation=1, sign_in_id="", session=[key])

    ring = PkceRing(Odd(), "default", manual_clock)
    assert [] == await ids(ring)
    begun = await ring.begin()
    assert [begun.id] == await ids(ring)
    assert begun.verifier not in caplog.text
