"""Beginning and ending sign-ins: the order of calls decides, and nothing is left behind."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from async_auth import (
    ApiError,
    AuthSessionMissing,
    ManagerClosed,
    NetworkError,
    PasswordRecovery,
    Request,
    Response,
    SignedIn,
    SignedOut,
    Status,
    StoreError,
    StoreFailed,
    TemporaryError,
    TokenRefreshed,
)


@pytest.fixture
def provider(tiny_provider):
    """Return a provider that says goodbye; what it says it with is in `farewells`."""

    class Provider(tiny_provider):
        def sign_out_request(self, session, *, scope="global"):
            body = f"bye {scope} {session.access_token}"
            return Request("POST", "https://tiny.test/logout", {}, body.encode())

        def parse_sign_out(self, response, session):
            if response.status not in {200, 401, 403, 404}:
                raise ApiError("no", status=response.status)

    return Provider()


@pytest.fixture
def farewell(server, clock):
    """Let the server take goodbyes; returns what came, and what it answers."""

    class Farewell:
        def __init__(self):
            self.heard = []
            self.answer = Response(200, {}, b"")
            self.gate = None

    found = Farewell()
    refresh = server.send

    async def send(request, *, timeout):
        body = request.body.decode()
        if not body.startswith("bye "):
            return await refresh(request, timeout=timeout)
        found.heard.append(body.removeprefix("bye "))
        if found.gate is not None:
            await found.gate.wait()
        if isinstance(found.answer, Exception):
            raise found.answer
        return found.answer

    server.send = send
    return found


@pytest.fixture
async def manager(make_manager, server, faulty_store, provider, farewell):
    """Return a manager that is signed in, without a timer."""
    manager = make_manager(store=faulty_store, auto_refresh=False, provider=provider)
    await manager.adopt(server.sign_in())
    return manager


def kinds(events):
    """Return the classes of events."""
    return [type(event) for event in events]


# Beginning


async def test_a_sign_in_is_stored_handed_out_and_told(make_manager, server, faulty_store, watch):
    """In this order, and its numbers are ours."""
    manager = make_manager(store=faulty_store)
    await manager.start()
    seen = watch(manager)
    given = attrs.evolve(server.sign_in(), generation=77, sign_in_id="theirs")

    adopted = await manager.adopt(given)

    assert adopted is manager.session
    assert 1 == adopted.generation == await faulty_store.generation()
    assert adopted.sign_in_id not in {"", "theirs"}
    assert [SignedIn] == kinds(seen())


async def test_a_sign_in_may_be_told_by_another_name(manager, server, watch):
    """A recovery link signs in as well."""
    seen = watch(manager)

    await manager.adopt(server.sign_in(), event=PasswordRecovery)

    assert [PasswordRecovery] == kinds(seen())


async def test_every_sign_in_draws_an_id(manager, server):
    """Also the same account again."""
    ids = {manager.session.sign_in_id}
    for _ in range(3):
        ids.add((await manager.adopt(server.sign_in())).sign_in_id)

    assert 4 == len(ids)


@pytest.mark.parametrize("slow", [0, 1])
async def test_the_later_call_stays_whoever_answers_first(manager, server, slow, faulty_store):
    """Calls are ordered when they begin; the other gets its own session back."""
    orders = [manager.begin_sign_in() for _ in range(2)]
    sessions = [server.sign_in("bob"), server.sign_in("cid")]
    adopted = [None, None]
    for place in sorted((0, 1), key=lambda each: each == slow):
        adopted[place] = await manager.adopt(sessions[place], order=orders[place])

    assert ["bob", "cid"] == [session.user["id"] for session in adopted]
    assert adopted[1] is manager.session
    assert adopted[1].generation == await faulty_store.generation()


@pytest.mark.parametrize("during", ["request", "load", "save"])
async def test_a_sign_out_beats_a_sign_in_that_was_begun_before(
    manager, server, faulty_store, settle, during, watch
):
    """At whatever moment; nothing of it is stored."""
    seen = watch(manager)
    order = manager.begin_sign_in()
    if during == "request":
        await manager.sign_out()
        adopting = asyncio.ensure_future(manager.adopt(server.sign_in("bob"), order=order))
    else:
        gate = faulty_store.gates[during] = asyncio.Event()
        adopting = asyncio.ensure_future(manager.adopt(server.sign_in("bob"), order=order))
        await faulty_store.reached(during)
        ending = asyncio.ensure_future(manager.sign_out())
        await settle()
        gate.set()
        await ending

    with pytest.raises(AuthSessionMissing, match="sign-out"):
        await adopting
    assert manager.session is None
    assert await faulty_store.generation() is None
    assert [SignedOut] == kinds(seen())


async def test_a_sign_in_after_a_sign_out_stays(manager, server, farewell, settle):
    """Also while the server is still being told of the old one's end."""
    farewell.gate = asyncio.Event()
    ending = asyncio.ensure_future(manager.sign_out())
    await settle()
    bob = await manager.adopt(server.sign_in("bob"))
    farewell.gate.set()
    await ending

    assert bob is manager.session
    assert ["global access-ann-0-1"] == farewell.heard


@pytest.mark.parametrize("reason", ["discard", "elsewhere", "rejected"])
async def test_the_end_of_the_old_session_does_not_undo_a_sign_in_under_way(
    manager, server, faulty_store, reason
):
    """Only the user's own sign-out does; this was begun while somebody else ended the old one."""
    order = manager.begin_sign_in()
    if reason == "discard":
        await manager.discard(manager.session, reason="session_not_found")
    elif reason == "elsewhere":
        await faulty_store.inner.delete("default", expected=None)
        with pytest.raises(AuthSessionMissing):
            await manager.refresh_session()
    else:
        server.revoke()
        with pytest.raises(Exception, match="refused"):
            await manager.refresh_session()
    assert manager.session is None

    bob = await manager.adopt(server.sign_in("bob"), order=order)

    assert bob is manager.session
    assert Status.FRESH is manager.status


async def test_a_session_that_is_over_does_not_stop_a_token_from_outside(manager, server, settle):
    """Its caller gets its session, which becomes the current one."""
    server.gate = asyncio.Event()
    bob = asyncio.ensure_future(manager.refresh_session(server.sign_in("bob").refresh_token))
    await settle()
    await manager.discard(manager.session, reason="session_not_found")
    server.gate.set()

    assert await bob is manager.session


async def test_a_cancelled_sign_in_is_adopted_all_the_same(
    make_manager, server, faulty_store, interrupt, settle
):
    """The server has begun a session: it must not be lost half-way."""
    for rounds in range(1, 100):
        store = type(faulty_store)()
        manager = make_manager(store=store)
        await manager.start()
        ended = await interrupt(manager.adopt(server.sign_in("bob")), rounds)
        await settle()

        assert "bob" == manager.session.user["id"]
        assert 1 == await store.generation()
        await manager.aclose()
        if ended:
            break
    assert 2 < rounds < 99


# Ending


async def test_a_sign_out_is_local_first(manager, farewell, faulty_store, watch, settle):
    """Memory, then the store, then the server."""
    seen = watch(manager)
    farewell.gate = asyncio.Event()
    ending = asyncio.ensure_future(manager.sign_out(scope="local"))
    await settle()

    assert not ending.done()
    assert manager.session is None
    assert await faulty_store.generation() is None
    assert [("user", None)] == [(event.reason, event.session) for event in seen()]
    farewell.gate.set()
    await ending
    assert ["local access-ann-0-1"] == farewell.heard


async def test_signing_out_with_nobody_signed_in_does_nothing(make_manager, watch, farewell):
    """No event, no request, no error."""
    manager = make_manager()
    seen = watch(manager)
    await manager.sign_out()
    await manager.sign_out()

    assert ([], []) == (seen(), farewell.heard)


async def test_a_rejected_manager_is_signed_out_by_a_sign_out(manager, server):
    """The user has seen it."""
    server.revoke()
    with pytest.raises(Exception, match="refused"):
        await manager.refresh_session()
    await manager.sign_out()

    assert Status.SIGNED_OUT is manager.status
    assert await manager.get_session() is None


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_server_that_knows_the_session_no_more_is_no_error(manager, farewell, status):
    """What was asked for is so."""
    farewell.answer = Response(status, {}, b"")

    await manager.sign_out()


@pytest.mark.parametrize(
    "answer, raised",
    [(Response(500, {}, b""), ApiError), (NetworkError("down", sent=False), NetworkError)],
)
async def test_other_failures_are_raised_after(manager, farewell, faulty_store, answer, raised):
    """The session is gone here all the same."""
    farewell.answer = answer

    with pytest.raises(raised):
        await manager.sign_out()
    assert Status.SIGNED_OUT is manager.status
    assert await faulty_store.generation() is None


async def test_an_expired_token_is_refreshed_once_for_the_goodbye(
    manager, server, clock, farewell, watch
):
    """The new one is used for that and for nothing else."""
    seen = watch(manager)
    clock.advance_to(manager.session.expires_at)

    await manager.sign_out()

    assert 1 == len(server.requests)
    assert ["global access-ann-1-2"] == farewell.heard
    assert manager.session is None
    assert [SignedOut] == kinds(seen())


async def test_an_expired_token_that_is_refused_needs_no_goodbye(manager, server, clock, farewell):
    """The server ended it before."""
    server.revoke()
    clock.advance_to(manager.session.expires_at)

    await manager.sign_out()

    assert (1, []) == (len(server.requests), farewell.heard)


async def test_an_expired_token_that_cannot_be_refreshed_is_told(manager, server, clock, farewell):
    """The server does not know of the sign-out."""
    server.down = True
    clock.advance_to(manager.session.expires_at)

    with pytest.raises(NetworkError):
        await manager.sign_out()
    assert [] == farewell.heard


async def test_an_expired_token_without_a_refresh_token_needs_no_goodbye(
    manager, server, clock, farewell
):
    """There is nothing to say it with."""
    await manager.adopt(attrs.evolve(server.sign_in(), refresh_token=None))
    clock.advance_to(manager.session.expires_at)

    await manager.sign_out()
    assert ([], []) == (server.requests, farewell.heard)


async def test_a_refresh_under_way_gives_the_token_for_the_goodbye(
    manager, server, clock, farewell, settle
):
    """The refresh token is spent already: spending it again would look like a theft."""
    clock.advance_to(manager.session.expires_at)
    server.gate = asyncio.Event()
    refreshing = asyncio.ensure_future(manager.get_token())
    await settle()
    ending = asyncio.ensure_future(manager.sign_out())
    await settle()
    with pytest.raises(AuthSessionMissing):
        await refreshing
    server.gate.set()
    await ending

    assert 1 == len(server.requests)
    assert ["global access-ann-1-2"] == farewell.heard
    assert manager.session is None


@pytest.mark.parametrize("expired", [True, False])
async def test_cancelling_a_sign_out_stops_nothing(
    make_manager, server, clock, faulty_store, provider, farewell, interrupt, settle, expired
):
    """After however many turns: signed out here, in the store and at the server."""
    for rounds in range(1, 200):
        store = type(faulty_store)()
        manager = make_manager(store=store, auto_refresh=False, provider=provider)
        await manager.adopt(server.sign_in())
        if expired:
            clock.advance_to(manager.session.expires_at)
        farewell.heard.clear()
        ended = await interrupt(manager.sign_out(), rounds)
        await settle()

        assert 1 == len(farewell.heard)
        assert manager.session is None
        assert await store.generation() is None
        await manager.aclose()
        if ended:
            break
    assert 2 < rounds < 199


async def test_a_close_lets_a_sign_out_finish(manager, farewell, settle, faulty_store):
    """It was asked for before."""
    farewell.gate = asyncio.Event()
    ending = asyncio.ensure_future(manager.sign_out())
    await settle()
    closing = asyncio.ensure_future(manager.aclose())
    await settle()
    assert not closing.done()
    farewell.gate.set()
    await asyncio.gather(ending, closing)

    assert await faulty_store.generation() is None
    with pytest.raises(ManagerClosed):
        await manager.sign_out()


async def test_a_close_lets_every_work_finish(manager, server, farewell, settle):
    """Whatever has ended meanwhile."""
    farewell.gate = asyncio.Event()
    ending = asyncio.ensure_future(manager.sign_out())
    await settle()
    await manager.adopt(server.sign_in("bob"))
    closing = asyncio.ensure_future(manager.aclose())
    await settle()
    assert not closing.done()
    farewell.gate.set()

    await asyncio.gather(ending, closing)


async def test_who_waits_for_work_that_is_torn_is_told(manager, server, faulty_store):
    """A stranger that cancels every task cancels ours as well."""
    faulty_store.gates["save"] = asyncio.Event()
    adopting = asyncio.ensure_future(manager.adopt(server.sign_in("bob")))
    await faulty_store.reached("save")
    for task in asyncio.all_tasks():
        if "async_auth sign-in" == task.get_name():
            task.cancel()

    with pytest.raises(TemporaryError, match="interrupted"):
        await adopting


@pytest.mark.parametrize("scope", [{}, {"scope": "local"}])
async def test_a_provider_without_a_goodbye_is_local_only(make_manager, server, farewell, scope):
    """There is nobody to tell."""
    manager = make_manager()
    await manager.adopt(server.sign_in())
    await manager.sign_out(**scope)

    assert [] == farewell.heard
    assert Status.SIGNED_OUT is manager.status


# Discarding.


async def test_a_session_that_the_server_does_not_know_is_discarded(
    manager, faulty_store, watch, farewell
):
    """Here and in the store; the server is not told what it said."""
    seen = watch(manager)

    await manager.discard(manager.session, reason="session_not_found")

    assert ["session_not_found"] == [event.reason for event in seen()]
    assert await faulty_store.generation() is None
    assert [] == farewell.heard


async def test_a_late_word_about_an_older_generation_discards_nothing(manager, watch):
    """A late answer never ends a newer session."""
    old = manager.session
    await manager.refresh_session()
    seen = watch(manager)

    await manager.discard(old, reason="session_not_found")

    assert 2 == manager.session.generation
    assert [] == seen()


async def test_what_another_process_has_rotated_is_taken_in_place_of_an_end(
    make_manager, manager, faulty_store, provider, watch
):
    """Where the server may have meant the old token only; it is told as any refresh is."""
    other = make_manager(store=faulty_store, auto_refresh=False, provider=provider)
    newer = await other.refresh_session()
    seen = watch(manager)

    await manager.discard(manager.session, reason="session_not_found", unless_newer=True)

    assert newer == manager.session
    assert [TokenRefreshed] == kinds(seen())
    assert 2 == await faulty_store.generation()


@pytest.mark.parametrize("broken", [False, True])
async def test_a_session_that_nobody_has_rotated_ends(manager, faulty_store, watch, broken):
    """So it does if the store cannot be asked, which is told and mended."""
    seen = watch(manager)
    if broken:
        faulty_store.breaks("load")

    over = manager.discard(manager.session, reason="session_not_found", unless_newer=True)
    if broken:
        with pytest.raises(StoreError):
            await over
        assert [SignedOut, StoreFailed] == kinds(seen())
    else:
        await over
        assert [SignedOut] == kinds(seen())
        assert await faulty_store.generation() is None
    assert manager.session is None
    assert "session_not_found" == seen()[0].reason


async def test_a_sign_out_while_the_store_is_asked_is_the_end(manager, faulty_store, watch):
    """It is told once, as what it was."""
    seen = watch(manager)
    faulty_store.gates["load"] = asyncio.Event()
    over = asyncio.ensure_future(
        manager.discard(manager.session, reason="session_not_found", unless_newer=True)
    )
    await faulty_store.reached("load")
    signing_out = asyncio.ensure_future(manager.sign_out())
    await asyncio.sleep(0)
    faulty_store.gates["load"].set()
    await asyncio.gather(over, signing_out)

    assert ["user"] == [event.reason for event in seen()]
    assert await faulty_store.generation() is None


async def test_a_sign_in_over_a_broken_store_lives_in_memory(manager, server, faulty_store, watch):
    """It succeeds, says so, and is saved later."""
    seen = watch(manager)
    faulty_store.breaks("save", "load")

    bob = await manager.adopt(server.sign_in("bob"))

    assert bob is manager.session
    assert [SignedIn, StoreFailed] == kinds(seen())
    faulty_store.works()
    await manager.refresh_session()
    assert [SignedIn, StoreFailed, TokenRefreshed] == kinds(seen())
    assert bob.sign_in_id == (await faulty_store.load("default")).sign_in_id


async def test_a_sign_out_over_a_broken_store_is_raised_and_cleared_later(
    manager, faulty_store, clock, watch
):
    """The user is signed out here; the store is told as soon as it works."""
    seen = watch(manager)
    faulty_store.breaks("delete")

    with pytest.raises(StoreError):
        await manager.sign_out()
    assert Status.SIGNED_OUT is manager.status
    assert 1 == await faulty_store.generation()
    faulty_store.works()
    await clock.run(1)

    assert await faulty_store.generation() is None
    assert [SignedOut, StoreFailed] == kinds(seen())


# Amending.


def coloured(colour):
    """Return a change that says a *colour*, unless it has been said."""

    def change(session):
        if session.extra.get("colour") == colour:
            return None
        return attrs.evolve(session, access_token=f"{colour}-token", extra={"colour": colour})

    return change


async def test_an_amendment_replaces_the_token_of_its_generation(manager, faulty_store):
    """It is handed out and stored; generation and sign-in stay, and the timer follows."""
    before = manager.session
    await manager.amend(
        before, lambda session: attrs.evolve(session, access_token="new", sign_in_id="x")
    )

    assert ("new", 1) == (
        (await manager.get_token()).value,
        (await manager.get_token()).generation,
    )
    assert before.sign_in_id == manager.session.sign_in_id
    assert "new" == (await faulty_store.load("default")).session["access_token"]


async def test_a_late_amendment_changes_nothing(manager):
    """Of an older generation, of nobody, or if there is nothing to change."""
    old = manager.session
    await manager.refresh_session()
    new = manager.session
    await manager.amend(old, coloured("red"))
    await manager.amend(new, lambda _: None)
    assert new == manager.session

    await manager.sign_out()
    await manager.amend(new, coloured("red"))
    assert manager.session is None


async def test_fifty_amendments_of_one_kind_are_one_write(manager, provider):
    """The first changes something; the others find that there is nothing left to change."""
    dumped, dump = [], provider.dump

    def note(session):
        dumped.append(session)
        return dump(session)

    provider.dump = note
    session = manager.session

    await asyncio.gather(*(manager.amend(session, coloured("red")) for _ in range(50)))

    assert 1 == len(dumped)


async def test_an_amendment_overwrites_nothing_that_another_stores_meanwhile(manager, faulty_store):
    """Between its look and its write: the other's tokens are newer, and stay."""
    gate = faulty_store.gates["save"] = asyncio.Event()
    session = manager.session
    amending = asyncio.ensure_future(manager.replace_user(session, {"id": "ann", "name": "Ann"}))
    await faulty_store.reached("save")
    await faulty_store.advance(2)
    gate.set()
    await amending

    assert 2 == await faulty_store.generation()
    assert "Ann" == manager.session.user["name"]


async def test_an_amendment_that_fails_is_told_with_what_the_store_said(
    manager, faulty_store, clock, watch
):
    """And it is tried again, until it is stored."""
    seen = watch(manager)
    faulty_store.breaks("save", error=StoreError("read-only"))
    await manager.amend(manager.session, coloured("red"))
    faulty_store.works()
    await clock.run(2)

    assert ["read-only"] == [event.error.message for event in seen()]
    assert "red-token" == (await faulty_store.load("default")).session["access_token"]


async def test_an_amendment_that_fails_after_a_sign_out_owes_nothing(manager, faulty_store, clock):
    """The session is gone: a pool that kept it for what is not saved would keep it for ever."""
    gate = faulty_store.gates["save"] = asyncio.Event()
    amending = asyncio.ensure_future(manager.amend(manager.session, coloured("red")))
    await faulty_store.reached("save")
    leaving = asyncio.ensure_future(manager.sign_out())
    faulty_store.breaks("save")
    gate.set()
    await asyncio.gather(amending, leaving)
    faulty_store.works()
    await clock.run(60)

    assert not manager._made().keeper.busy  # noqa: SLF001 - what a pool asks before it lets go
    assert await faulty_store.generation() is None


async def test_an_amendment_is_cancelled_with_nobody(manager, faulty_store):
    """Whoever waits may be cancelled: it is made all the same."""
    task = asyncio.create_task(manager.amend(manager.session, coloured("red")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await manager.aclose()

    assert "red-token" == (await faulty_store.load("default")).session["access_token"]


async def test_an_amendment_moves_the_timer(make_manager, clock, server, settle):
    """A token that ends earlier is refreshed earlier."""
    manager = make_manager()
    await manager.adopt(server.sign_in())
    now = clock.now()
    await manager.amend(
        manager.session, lambda session: attrs.evolve(session, expires_at=now + 100)
    )
    await clock.advance(101)
    await settle()

    assert 1 == len(server.requests)


async def test_the_provider_says_what_else_there_is_to_tell(make_manager, provider, server, watch):
    """Of a refresh and of an amendment alike, after the event that the engine tells."""
    provider.changes_between = lambda old, new: (
        (PasswordRecovery,) if old.extra != new.extra else ()
    )
    manager = make_manager(provider=provider)
    await manager.adopt(server.sign_in())
    seen = watch(manager)
    await manager.amend(manager.session, coloured("red"))
    await manager.refresh_session()
    await manager.amend(manager.session, lambda session: attrs.evolve(session, access_token="a"))

    assert [PasswordRecovery, TokenRefreshed, PasswordRecovery] == kinds(seen())


async def test_a_provider_may_tell_of_its_own(manager, watch):
    """With the facts that the event takes; a closed manager tells nobody."""
    seen = watch(manager)
    manager.tell(SignedOut, reason="theirs")
    await manager.aclose()
    manager.tell(SignedOut, reason="late")

    assert [("theirs", manager.key)] == [(event.reason, event.key) for event in seen()]


async def test_a_provider_that_fails_to_tell_holds_no_token_back(make_manager, provider, server):
    """Its error is logged; the new token is handed out."""

    def fail(old, new):
        raise ValueError

    provider.changes_between = fail
    manager = make_manager(provider=provider)
    await manager.adopt(server.sign_in())
    await manager.refresh_session()

    assert 2 == (await manager.get_token()).generation


async def test_a_server_that_says_the_user_has_signed_out_ends_no_later_sign_in(manager, server):
    """Only the user's own call also ends what was begun before it."""
    order = manager.begin_sign_in()
    await manager.discard(manager.session, reason="user")
    await manager.adopt(server.sign_in("bob"), order=order)

    assert manager.session is not None
