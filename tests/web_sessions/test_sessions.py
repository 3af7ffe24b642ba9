"""Web sessions: a cookie names a session, and nothing else does."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_auth import (
    AuthSessionMissing,
    ConfigurationError,
    InvalidCredentials,
    ManagerClosed,
    Session,
    SignInRequired,
    StoreError,
    TemporaryError,
)
from async_auth.core.jwt import base64url
from async_auth.core.web.incoming import Incoming
from async_auth.core.web.outgoing import Outgoing
from async_auth.core.web.responses import write
from async_auth.events import SignedOut
from async_auth.stores import FileStore, MemoryStore
from async_auth.testing import EventRecorder
from async_auth.web_sessions import CrossSiteRequest, WebSessions, user_id_of
from async_auth.web_sessions.cookies import Cookies
from async_auth.web_sessions.ticket import Ticket


class CountingStore(MemoryStore):
    """Counts how often it is asked, and fails when it is told to."""

    def __init__(self):
        super().__init__()
        self.asked = []
        self.broken = ()
        #: What happens once, just before or after a call: `("before", "load", key)`.
        self.once = {}

    async def _happens(self, when, verb, key):
        happening = self.once.pop((when, verb, key), None)
        if happening is not None:
            await happening()

    def _ask(self, verb, key):
        self.asked.append((verb, key))
        if verb in self.broken:
            raise StoreError(f"no {verb} today")

    async def load(self, key):
        """Count, and load."""
        self._ask("load", key)
        await self._happens("before", "load", key)
        return await super().load(key)

    async def save(self, key, record, *, expected):
        """Count, and save."""
        self._ask("save", key)
        await super().save(key, record, expected=expected)
        if ".user." not in key:
            await self._happens("after", "save", "any")

    async def delete(self, key, *, expected):
        """Count, and delete."""
        self._ask("delete", key)
        await super().delete(key, expected=expected)

    @property
    def keys(self):
        """What is stored, users' lists left out."""
        return {key for key in self._records if ".user." not in key}


# One browser.


async def test_a_sign_in_gives_a_cookie_that_opens_the_session(world):
    """The cookie has no token in it, and the session every member of a manager."""
    sessions = await world.sessions()
    tokens, response = await world.tokens(), world.answer()
    browser = world.browser()

    web = await sessions.sign_in(browser.request("POST"), response, session=tokens)

    browser.take(response)
    found = await sessions.open(browser.request())
    assert tokens.access_token == (await found.get_token()).value == web.session.access_token
    assert tokens.user.id == found.user_id == found.user.id
    assert (world.clock.now(), found.key) == (found.began_at, found.handle.key)
    assert 30 * 86_400.0 == found.ends_at - found.began_at
    (cookie,) = browser.cookies.values()
    assert tokens.access_token not in cookie
    assert found.key.removeprefix("web.") not in cookie
    assert "no-store" == response.headers["cache-control"]


async def test_a_browser_without_a_cookie_has_no_session(world):
    """Nothing is asked of the store, and nothing is told to the browser."""
    sessions = await world.sessions(store := CountingStore())
    response = world.answer()

    assert await sessions.open(world.browser().request(), response) is None
    assert ([], []) == (store.asked, list(response.headers))


async def test_every_byte_of_a_cookie_counts(world):
    """A cookie in which one was changed, or left away, is taken away; nobody is asked."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    ((name, value),) = browser.cookies.items()
    data = base64url.decode(value)
    store.asked.clear()

    spoiled = [
        base64url.encode(data[:place] + bytes([byte ^ 1]) + data[place + 1 :])
        for place, byte in enumerate(data)
    ]
    spoiled += [value[:place] for place in range(len(value))] + [value + "A", f"{value}.", "%00"]
    for other in spoiled:
        response = world.answer()
        browser.cookies = {name: other}
        assert await sessions.open(browser.request(), response) is None
        assert 1 == browser.take(response)
        assert {} == browser.cookies

    assert ([], 1) == (store.asked, len(sessions.pool))


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text() | st.binary(min_size=77, max_size=77).map(base64url.encode))
def test_cookies_that_were_made_up_are_none(value):
    """Whatever is sent by that name opens nothing, and is never an error."""
    from async_auth.web_sessions.settings import Settings
    from async_auth.web_sessions.signing import Signer

    form = Settings.of(
        cookie="session",
        origins=(),
        csrf="origin",
        max_age=10,
        idle=None,
        same_site="lax",
        secure=None,
        path="/",
        persistent=True,
        max_sessions=1,
        namespace="web",
    )
    cookies = Cookies(settings=form, signer=Signer(bytes(32), context=""))
    incoming = Incoming.of("GET", "/", {"cookie": f"__Host-session={value}"})

    found = cookies.found_in(incoming, 5.0)

    assert (None, None) == (found.ticket, found.flow)


async def test_a_flood_of_made_up_cookies_costs_nothing(world):
    """Neither the store nor the pool hears of them."""
    sessions = await world.sessions(store := CountingStore())
    name = sessions.settings.cookie.name

    for number in range(1000):
        value = base64url.encode(b"\x01" + number.to_bytes(76))
        request = Incoming.of("GET", "/", {"cookie": "; ".join([f"{name}={value}"] * 3)})
        assert await sessions.open(request) is None

    assert ([], 0) == (store.asked, len(sessions.pool))


async def test_cookies_of_others_open_nothing(world):
    """Another secret, another name, another application, another purpose."""
    store = MemoryStore()
    sessions = await world.sessions(store)
    browser = await world.signed_in(sessions)
    ((name, value),) = browser.cookies.items()

    for other in (
        await world.sessions(store, secrets=["x" * 32]),
        await world.sessions(store, namespace="admin"),
        await world.sessions(store, cookie="sid"),
    ):
        browser.cookies = {other.settings.cookie.name: value}
        assert await other.open(browser.request()) is None

    browser.cookies = {sessions.settings.flow.name: value, name: value[:-1]}
    assert sessions.visit(browser.request()).flow is None


async def test_signatures_cannot_be_exchanged(world):
    """The head of one cookie and the id of another make no third one."""
    sessions = await world.sessions()
    one, other = [await world.signed_in(sessions) for _ in range(2)]
    ((name, mine),), ((_, theirs),) = one.cookies.items(), other.cookies.items()
    mixed = base64url.decode(mine)[:37] + base64url.decode(theirs)[37:]
    one.cookies = {name: base64url.encode(mixed)}

    assert await sessions.open(one.request()) is None


async def test_two_sessions_in_one_request_are_none(world):
    """One of them is somebody else's, put there from another subdomain; which, nobody knows."""
    sessions = await world.sessions()
    one, other = [await world.signed_in(sessions) for _ in range(2)]
    ((name, mine),), ((_, theirs),) = one.cookies.items(), other.cookies.items()

    def request(*values):
        return Incoming.of("GET", "/", {"cookie": "; ".join(f"{name}={v}" for v in values)})

    assert await sessions.open(request(mine, theirs)) is None
    assert (await sessions.open(request(mine, mine))).user_id
    assert (await sessions.open(request("junk", mine))).user_id
    assert await sessions.open(request(*["junk"] * 4, mine)) is None


async def test_a_leaked_list_of_keys_gives_no_cookie(world):
    """Keys are hashes of ids; even with the secret no cookie can be made of one."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    (key,) = store.keys
    ((name, value),) = browser.cookies.items()
    digest = bytes.fromhex(key.removeprefix("web."))

    assert digest[:24] not in base64url.decode(value)
    forged = Ticket.new(digest[:24], now=world.clock.now())
    outgoing, response = Outgoing(), world.answer()
    sessions.cookies.write_session(outgoing, forged, world.clock.now())
    write(outgoing, response)
    browser.take(response)
    assert value != browser.cookies[name]
    assert await sessions.open(browser.request()) is None


# Fixation, rotation.


async def test_a_cookie_from_before_a_sign_in_is_worthless_after_it(world):
    """Whoever put it there knows nothing of the new one, and its session has ended."""
    sessions = await world.sessions(store := CountingStore())
    attacker = await world.signed_in(sessions, "bob@example.com")
    victim = world.browser()
    victim.cookies = dict(attacker.cookies)

    await world.signed_in(sessions, browser=victim)

    assert attacker.cookies != victim.cookies
    assert await sessions.open(attacker.request()) is None
    assert (await world.tokens()).user.id == (await sessions.open(victim.request())).user_id
    assert 1 == len(store.keys)


async def test_signing_in_twice_ends_the_first_session(world):
    """One browser has one session; the server hears of the one that is over."""
    sessions = await world.sessions()
    browser = await world.signed_in(sessions)
    before = dict(browser.cookies)

    await world.signed_in(sessions, browser=browser)

    user = (await sessions.open(browser.request())).user_id
    assert before != browser.cookies
    assert 1 == len(world.server.session_ids(user)) == len(await sessions.sessions_of(user))


async def test_signing_in_with_the_session_one_has(world):
    """It gets a new cookie and is not ended at the server: both have the same tokens."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    web = await sessions.open(browser.request())
    tokens, before = web.session, dict(browser.cookies)

    await browser.ask(sessions.sign_in, session=tokens)

    found = await sessions.open(browser.request())
    assert before != browser.cookies
    assert tokens.access_token == (await found.get_token()).value
    assert (1, 1) == (len(store.keys), len(world.server.session_ids(found.user_id)))


async def test_rotation_gives_a_new_cookie_and_keeps_the_session(world):
    """The old cookie is worth nothing; the session lives no longer by that."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    old = world.browser()
    old.cookies = dict(browser.cookies)
    before = await sessions.open(browser.request())
    world.clock.advance(60)

    web = await browser.ask(sessions.rotate)

    found = await sessions.open(browser.request())
    assert await sessions.open(old.request()) is None
    assert (before.began_at, before.user_id) == (found.began_at, found.user_id)
    assert before.key != found.key == web.key
    assert {found.key} == store.keys
    assert [found.key] == [entry.key for entry in await sessions.sessions_of(found.user_id)]


async def test_rotation_beside_a_refresh(world):
    """Whichever comes first, the refresh token is spent once, and the session goes on."""
    sessions = await world.sessions()
    browser = await world.signed_in(sessions)
    web = await sessions.open(browser.request())

    refreshed, rotated = await asyncio.gather(
        web.handle.refresh_session(), browser.ask(sessions.rotate), return_exceptions=True
    )

    assert isinstance(refreshed, Session | AuthSessionMissing)
    assert rotated.key == (found := await sessions.open(browser.request())).key
    before = world.server.issued
    assert await found.handle.refresh_session()
    assert before + 1 == world.server.issued


async def test_only_a_session_can_be_rotated(world):
    """Without one there is nothing to rotate."""
    sessions = await world.sessions()

    with pytest.raises(AuthSessionMissing):
        await world.browser().ask(sessions.rotate)


async def test_a_rotation_that_fails_leaves_the_cookie(world):
    """A store that cannot be written costs the new cookie, not the session."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    store.broken = ("save",)

    with pytest.raises(StoreError):
        await browser.ask(sessions.rotate)

    store.broken = ()
    assert await sessions.open(browser.request())


async def test_a_rotated_cookie_is_worthless_at_once_where_nobody_looks(world):
    """What was in memory under the old key is gone with it."""
    sessions = await world.sessions(look=False)
    browser = await world.signed_in(sessions)
    old = world.browser()
    old.cookies = dict(browser.cookies)

    await browser.ask(sessions.rotate)

    assert await sessions.open(old.request()) is None
    assert await sessions.open(browser.request())


async def test_a_sign_in_under_the_same_key(world):
    """A replica that knows the old one hands nothing of it out, but what is stored."""
    store = MemoryStore()
    here, there = [await world.sessions(store) for _ in range(2)]
    browser = await world.signed_in(here)
    web = await here.open(browser.request())
    assert await there.open(browser.request())

    await web.handle.adopt(tokens := await world.tokens())

    found = await there.open(browser.request())
    assert tokens.access_token == (await found.get_token()).value
    assert tokens.access_token == (await (await here.open(browser.request())).get_token()).value


async def test_a_rotation_before_a_refresh_is_saved(world):
    """It waits for the store; nothing is lost."""
    sessions = await world.sessions(store := CountingStore(), look=False)
    browser = await world.signed_in(sessions)
    web = await sessions.open(browser.request())
    store.broken = ("save",)
    refreshed = await web.handle.refresh_session()
    store.broken = ()

    with pytest.raises(TemporaryError, match="not saved yet"):
        await browser.ask(sessions.rotate)

    found = await sessions.open(browser.request())
    assert refreshed == found.session
    assert [found.key] == [entry.key for entry in await sessions.sessions_of(found.user_id)]


async def test_the_only_session_a_user_may_have_can_be_rotated(world):
    """It does not give way to itself."""
    sessions = await world.sessions(max_sessions=1)
    browser = await world.signed_in(sessions)

    for _ in range(2):
        await browser.ask(sessions.rotate)

    web = await sessions.open(browser.request())
    assert [web.key] == [entry.key for entry in await sessions.sessions_of(web.user_id)]


# Lives.


async def test_a_session_ends_with_its_life(world):
    """However much it is used."""
    sessions = await world.sessions(max_age=1000, idle=500)
    browser = await world.signed_in(sessions)

    for _ in range(3):
        world.clock.advance(300)
        assert await browser.ask(sessions.open, method="GET")
    world.clock.advance(100)

    assert await browser.ask(sessions.open, method="GET") is None
    assert {} == browser.cookies


async def test_a_session_that_nobody_uses_ends(world):
    """An old copy of its cookie is refused without asking anybody."""
    sessions = await world.sessions(store := CountingStore(), idle=500)
    browser = await world.signed_in(sessions)
    store.asked.clear()
    world.clock.advance(501)

    assert await browser.ask(sessions.open, method="GET") is None
    assert [] == store.asked


async def test_a_use_is_written_into_the_cookie_now_and_then(world):
    """Not with every answer."""
    sessions = await world.sessions(idle=500)
    browser = await world.signed_in(sessions)

    async def cookies_set():
        response = world.answer()
        await sessions.open(browser.request(), response)
        return browser.take(response)

    response = world.answer()
    await sessions.open(browser.request(), response)
    assert [("cache-control", "private")] == list(response.headers.items())
    world.clock.advance(50)
    assert [1, 0] == [await cookies_set(), await cookies_set()]


# Secrets.


async def test_secrets_are_replaced_under_the_sessions(world):
    """A cookie of the old secret opens its session and is signed anew; then that can go."""
    store, new = MemoryStore(), "n" * 32
    old = await world.sessions(store)
    browser = await world.signed_in(old)
    before = dict(browser.cookies)

    both = await world.sessions(store, secrets=[new, world.secret])
    assert await browser.ask(both.open, method="GET")
    assert before != browser.cookies

    only_new = await world.sessions(store, secrets=[new])
    assert await only_new.open(browser.request())
    browser.cookies = before
    assert await only_new.open(browser.request()) is None


# Signing out.


async def test_a_cookie_is_worthless_after_a_sign_out(world):
    """Its copy as well; the session is gone from the store and at the server."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    copy, user = world.browser(), (await sessions.open(browser.request())).user_id
    copy.cookies = dict(browser.cookies)

    await browser.ask(sessions.sign_out)

    assert {} == browser.cookies
    assert await sessions.open(copy.request()) is None
    assert (set(), []) == (store.keys, world.server.session_ids(user))
    assert () == await sessions.sessions_of(user)


async def test_a_sign_out_reaches_replicas(world):
    """A cookie is worthless on all of them, also where the session was in memory."""
    store = MemoryStore()
    here, there = [await world.sessions(store) for _ in range(2)]
    browser = await world.signed_in(here)
    copy = world.browser()
    copy.cookies = dict(browser.cookies)
    assert await there.open(copy.request())

    await browser.ask(here.sign_out)

    assert await there.open(copy.request()) is None


async def test_looking_can_be_left_to_the_pool(world):
    """Then a session in memory counts, until somebody looks; that spares a read per request."""
    store = CountingStore()
    here, there = await world.sessions(store), await world.sessions(store, look=False)
    browser = await world.signed_in(here)
    copy = world.browser()
    copy.cookies = dict(browser.cookies)
    assert await there.open(copy.request())
    store.asked.clear()
    assert await there.open(copy.request())
    assert [] == store.asked

    await browser.ask(here.sign_out)

    assert await there.open(copy.request(), look=True) is None


async def test_a_store_that_tells_spares_the_look(world, tmp_path):
    """The pool hears of the sign-out, and the cookie is worth nothing without a read."""
    here, there = [await world.sessions(FileStore(tmp_path), look=False) for _ in range(2)]
    browser = await world.signed_in(here)
    copy = world.browser()
    copy.cookies = dict(browser.cookies)
    web = await there.open(copy.request())

    async with EventRecorder(web.handle) as recorder:
        await browser.ask(here.sign_out, everywhere=True)
        await recorder.wait_for(SignedOut)

    assert await there.open(copy.request()) is None


async def test_signing_out_without_a_session(world):
    """It does nothing but take away what cookie there may be."""
    sessions = await world.sessions()
    browser = world.browser()
    browser.cookies = {sessions.settings.cookie.name: "junk"}

    await browser.ask(sessions.sign_out)

    assert {} == browser.cookies


async def test_signing_out_everywhere(world):
    """All sessions of the user end, on all devices and replicas; others' stay."""
    store = CountingStore()
    here, there = [await world.sessions(store) for _ in range(2)]
    devices = [await world.signed_in(which) for which in (here, there, here)]
    other = await world.signed_in(there, "bob@example.com")
    user = (await here.open(devices[0].request())).user_id
    assert 3 == len(await there.sessions_of(user))

    await devices[0].ask(here.sign_out, everywhere=True)

    for sessions in (here, there):
        assert [None] * 3 == [await sessions.open(device.request()) for device in devices]
        assert await sessions.open(other.request())
    assert ((), []) == (await here.sessions_of(user), world.server.session_ids(user))
    assert 1 == len(store.keys)


async def test_a_user_is_signed_out_by_name(world):
    """An administrator needs no request of the user's."""
    store = CountingStore()
    here, there = [await world.sessions(store) for _ in range(2)]
    devices = [await world.signed_in(which) for which in (here, there)]
    user = (await here.open(devices[0].request())).user_id

    assert 2 == await there.sign_out_user(user)

    assert [None, None] == [await here.open(d.request()) for d in devices]
    assert (set(), []) == (store.keys, world.server.session_ids(user))
    assert 0 == await there.sign_out_user(user)


async def test_a_session_that_moves_while_its_user_is_signed_out(world):
    """It is found at its new key: it was listed there before it moved."""
    store = CountingStore()
    here, there = [await world.sessions(store) for _ in range(2)]
    browser = await world.signed_in(here)
    web = await here.open(browser.request())
    store.once["before", "load", web.key] = lambda: browser.ask(here.rotate)

    await there.sign_out_user(web.user_id)

    assert {} == store.once
    assert await here.open(browser.request()) is None
    assert (set(), ()) == (store.keys, await here.sessions_of(web.user_id))


@pytest.mark.parametrize("everywhere", [False, True])
async def test_a_sign_out_while_the_session_moves(world, everywhere):
    """It does not come to life again under the new key."""
    store = CountingStore()
    here, there = [await world.sessions(store) for _ in range(2)]
    browser = await world.signed_in(here)
    tab = world.browser()
    tab.cookies = dict(browser.cookies)
    user = (await here.open(browser.request())).user_id
    store.once["after", "save", "any"] = lambda: tab.ask(there.sign_out, everywhere=everywhere)

    with pytest.raises(TemporaryError):
        await browser.ask(here.rotate)

    assert {} == store.once
    assert await here.open(browser.request()) is None
    assert (set(), ()) == (store.keys, await here.sessions_of(user))


@pytest.mark.parametrize("everywhere", [False, True])
async def test_signing_out_while_the_store_is_away(world, everywhere):
    """The error says so; here the session has ended, and the store is told when it is back."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    thief = world.browser()
    thief.cookies = dict(browser.cookies)
    user = (await sessions.open(browser.request())).user_id
    store.broken = ("load", "save", "delete")

    with pytest.raises(StoreError):
        await browser.ask(sessions.sign_out, everywhere=everywhere)

    store.broken = ()
    assert {} == browser.cookies
    assert await sessions.open(thief.request()) is None
    assert 1 == len(await sessions.sessions_of(user))
    await world.clock.run(10)
    assert set() == store.keys


async def test_an_older_session_that_cannot_be_removed_stays_in_the_list(world):
    """A sign-out everywhere has to find it."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    user = (await sessions.open(browser.request())).user_id
    store.broken = ("delete",)

    await world.signed_in(sessions, browser=browser)

    assert 2 == len(await sessions.sessions_of(user))


async def test_the_session_that_ends_first_is_listed_first(world):
    """Also after it was given another key."""
    sessions = await world.sessions()
    first = await world.signed_in(sessions)
    world.clock.advance(1)
    await world.signed_in(sessions)
    web = await first.ask(sessions.rotate)

    assert web.key == (await sessions.sessions_of(web.user_id))[0].key


async def test_a_server_that_is_away_keeps_nobody_signed_in(world):
    """The error says that it was not told; here the session has ended all the same."""
    sessions = await world.sessions(store := CountingStore())
    one, other = [await world.signed_in(sessions) for _ in range(2)]
    user = (await sessions.open(one.request())).user_id
    world.server.faults.add("/logout", times=2, status=503)

    with pytest.raises(TemporaryError):
        await one.ask(sessions.sign_out)
    with pytest.raises(TemporaryError):
        await sessions.sign_out_user(user)

    assert ({}, set()) == (one.cookies, store.keys)
    assert await sessions.open(other.request()) is None
    assert () == await sessions.sessions_of(user)


async def test_a_sign_out_everywhere_that_cannot_be_written_says_so(world):
    """What may be left is still in the list, and the next try ends it."""
    sessions = await world.sessions(store := CountingStore())
    one, other = [await world.signed_in(sessions) for _ in range(2)]
    user = (await sessions.open(one.request())).user_id
    store.broken = ("delete",)

    with pytest.raises(StoreError):
        await one.ask(sessions.sign_out, everywhere=True)

    assert 2 == len(await sessions.sessions_of(user))
    store.broken = ()
    await sessions.sign_out_user(user)
    assert await sessions.open(other.request()) is None
    assert () == await sessions.sessions_of(user)


async def test_what_is_left_on_another_device_is_told(world):
    """One's own session has ended all the same."""
    sessions = await world.sessions(store := MemoryStore())
    one, other = [await world.signed_in(sessions) for _ in range(2)]
    keys = [(await sessions.open(browser.request())).key for browser in (one, other)]
    delete = store.delete

    async def fail_elsewhere(key, *, expected):
        if key == keys[1]:
            raise OSError("read-only")
        await delete(key, expected=expected)

    store.delete = fail_elsewhere
    with pytest.raises(StoreError):
        await one.ask(sessions.sign_out, everywhere=True)

    assert ({}, None) == (one.cookies, await store.load(keys[0]))


async def test_ends_that_keep_nobody_waiting(world, caplog):
    """What a sign-in replaces, and a list that cannot be mended, are logged."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    world.server.faults.add("/logout", status=503)

    await world.signed_in(sessions, browser=browser)
    store.broken = ("save",)
    await browser.ask(sessions.sign_out)

    assert "not ended everywhere" in caplog.text
    assert "could not be mended" in caplog.text
    assert set() == store.keys


async def test_a_user_has_so_many_sessions_at_most(world):
    """The one that ends first gives way."""
    sessions = await world.sessions(max_sessions=2)
    devices = []
    for _ in range(3):
        devices.append(await world.signed_in(sessions))
        world.clock.advance(1)

    found = [await sessions.open(device.request()) for device in devices]

    assert [False, True, True] == [web is not None for web in found]
    assert 2 == len(await sessions.sessions_of(found[2].user_id))


async def test_sessions_that_have_run_out_are_not_listed(world):
    """They end when the user signs in again."""
    sessions = await world.sessions(store := CountingStore(), max_age=1000)
    user = (await sessions.open((await world.signed_in(sessions)).request())).user_id
    world.clock.advance(1000)
    assert () == await sessions.sessions_of(user)
    assert 1 == len(store.keys)

    await world.signed_in(sessions)

    assert 1 == len(store.keys) == len(await sessions.sessions_of(user))


async def test_sessions_of_nobody_in_particular(world):
    """A session that does not say whose it is can be signed out, though not with others."""
    sessions = await world.sessions(user_id=lambda _session: None)
    browser = await world.signed_in(sessions)
    assert (await sessions.open(browser.request())).user_id is None

    await browser.ask(sessions.rotate)
    await browser.ask(sessions.sign_out, everywhere=True)

    assert {} == browser.cookies


@pytest.mark.parametrize(
    "session, expected",
    [
        (Session(access_token="x", user={"id": "ada"}), "ada"),
        (Session(access_token="x", user={"id": 5}), None),
        (Session(access_token="x"), None),
        (Session(access_token="e30.eyJzdWIiOiJhZGEifQ.c2ln"), "ada"),
        (Session(access_token="e30.e30.c2ln"), None),
    ],
)
def test_whose_a_session_is(session, expected):
    """The user object says it, else the token; else nobody does."""
    assert expected == user_id_of(session)


# Signing in inside of a block.


async def test_signing_in_inside_of_a_block(world):
    """Whatever signs in under the handle's key signs in the browser."""
    sessions = await world.sessions()
    browser, response, tokens = world.browser(), world.answer(), await world.tokens()

    async with sessions.signing_in(browser.request("POST"), response) as handle:
        await handle.adopt(tokens)

    browser.take(response)
    assert [sessions.settings.cookie.name] == list(browser.cookies)
    assert handle.key == (await sessions.open(browser.request())).key


async def test_a_sign_in_goes_on_in_another_request(world):
    """A cookie leads it to the same key, on any replica; the session gets another one then."""
    store = MemoryStore()
    here, there = [await world.sessions(store) for _ in range(2)]
    browser, response = world.browser(), world.answer()
    async with here.signing_in(browser.request("POST"), response) as first:
        await store.save(f"{first.key}.pkce", await _some_record(store), expected=0)
    browser.take(response)
    assert [here.settings.flow.name] == list(browser.cookies)
    assert await here.open(browser.request()) is None
    known, response = dict(browser.cookies), world.answer()

    async with there.signing_in(browser.request(), response) as second:
        assert await store.load(f"{second.key}.pkce")
        await second.adopt(await world.tokens())

    browser.take(response)
    web = await here.open(browser.request())
    assert first.key == second.key != web.key
    assert [here.settings.cookie.name] == list(browser.cookies)
    assert await store.load(first.key) is None
    assert await store.load(f"{first.key}.pkce") is None
    browser.cookies = {here.settings.cookie.name: next(iter(known.values()))}
    assert await here.open(browser.request()) is None


async def test_what_a_sign_in_has_left_may_stay(world, caplog):
    """A store that cannot remove it keeps nobody from signing in."""
    sessions = await world.sessions(store := MemoryStore())
    browser, response = world.browser(), world.answer()
    async with sessions.signing_in(browser.request("POST"), response):
        pass
    browser.take(response)
    delete = store.delete

    async def fail_beside(key, *, expected):
        if key.endswith(".pkce"):
            raise OSError("read-only")
        await delete(key, expected=expected)

    store.delete = fail_beside
    async with sessions.signing_in(browser.request(), response) as handle:
        await handle.adopt(await world.tokens())

    browser.take(response)
    assert await sessions.open(browser.request())
    assert "stays" in caplog.text


async def _some_record(store):
    from async_auth import Record

    return Record(generation=1, sign_in_id="", session={"flows": []})


async def test_a_block_that_raises_signs_nobody_in(world):
    """What was signed in inside of it has ended, at the server too."""
    sessions = await world.sessions(store := CountingStore())
    response, tokens = world.answer(), await world.tokens()

    async def sign_in():
        async with sessions.signing_in(world.browser().request("POST"), response) as handle:
            await handle.adopt(tokens)
            raise InvalidCredentials("not this one")

    with pytest.raises(InvalidCredentials):
        await sign_in()

    assert ([], set()) == (list(response.headers), store.keys)
    assert [] == world.server.session_ids(tokens.user.id)


async def test_what_a_torn_sign_in_has_left_is_nobodys(world):
    """Where the key has a session already, the sign-in begins under another one."""
    sessions = await world.sessions(store := CountingStore())
    browser, response = world.browser(), world.answer()
    async with sessions.signing_in(browser.request("POST"), response) as first:
        pass
    browser.take(response)
    await first.adopt(await world.tokens())

    async with sessions.signing_in(browser.request(), world.answer()) as second:
        pass

    assert first.key != second.key
    assert set() == store.keys


async def test_a_store_that_cannot_be_written_signs_nobody_in(world):
    """A session that no list names could not be ended everywhere."""
    sessions = await world.sessions(store := CountingStore())
    tokens, response = await world.tokens(), world.answer()
    store.broken = ("save",)

    with pytest.raises(StoreError):
        await sessions.sign_in(world.browser().request("POST"), response, session=tokens)

    assert [] == list(response.headers)
    assert [] == world.server.session_ids(tokens.user.id)


async def test_a_sign_in_that_is_cancelled_leaves_no_session(world):
    """Nobody would have its cookie."""
    sessions = await world.sessions(store := CountingStore())
    browser = await world.signed_in(sessions)
    user = (await sessions.open(browser.request())).user_id
    listed = [key for _, key in store.asked if ".user." in key][-1]
    call = asyncio.ensure_future(
        world.browser().ask(sessions.sign_in, session=await world.tokens())
    )

    async def cancel():
        call.cancel()
        await asyncio.sleep(0)

    store.once["before", "load", listed] = cancel
    with pytest.raises(asyncio.CancelledError):
        await call

    assert (1, 1) == (len(store.keys), len(await sessions.sessions_of(user)))


async def test_what_cannot_get_a_cookie_is_refused_before_anything_is_done(world):
    """Without a response, or with one that has been sent, nobody is signed in."""
    sessions = await world.sessions(store := CountingStore())
    request, tokens = world.browser().request("POST"), await world.tokens()
    sent = world.answer()
    sent.prepared = True

    for response in (None, object(), sent):
        with pytest.raises(ConfigurationError):
            await sessions.sign_in(request, response, session=tokens)
        with pytest.raises(ConfigurationError):
            async with sessions.signing_in(request, response):
                pytest.fail("reached")
        with pytest.raises(ConfigurationError):
            await sessions.sign_out(request, response)
    with pytest.raises(ConfigurationError, match="session must be"):
        await sessions.sign_in(request, world.answer(), session=None)
    visit = sessions.visit(request)
    visit.over = True
    with pytest.raises(ConfigurationError, match="have been sent"):
        await sessions.sign_in(visit, world.answer(), session=tokens)

    assert [] == store.asked


# Tokens.


async def test_requests_of_one_browser_share_a_refresh(world):
    """Fifty at once with an expired token cost one."""
    sessions = await world.sessions()
    browser = await world.signed_in(sessions)
    world.clock.advance(3601)

    async def ask():
        return (await (await sessions.open(browser.request())).get_token()).value

    tokens = await asyncio.gather(*(ask() for _ in range(50)))

    assert (1, 1) == (len(set(tokens)), world.server.issued)


async def test_an_expired_session_is_a_session_while_the_server_is_away(world):
    """It opens; its token cannot be had for now, and nobody is signed out."""
    sessions = await world.sessions()
    browser = await world.signed_in(sessions)
    world.clock.advance(3601)
    world.server.faults.add("/token", times=2, status=503)

    web = await browser.ask(sessions.open, method="GET")
    with pytest.raises(TemporaryError):
        await web.get_token()

    assert browser.cookies


async def test_a_session_that_the_server_has_ended_is_none(world):
    """Once that is known, the cookie goes."""
    sessions = await world.sessions()
    browser = await world.signed_in(sessions)
    web = await sessions.open(browser.request())
    world.server.revoke_sessions(web.user_id)

    with pytest.raises(SignInRequired):
        await web.handle.refresh_session()

    assert (None, None) == (web.session, web.user)
    assert await browser.ask(sessions.open, method="GET") is None
    assert {} == browser.cookies


async def test_tokens_against_cross_site_requests(world):
    """Each looks different and is good for its own session only."""
    sessions = await world.sessions(csrf="token")
    mine, theirs = [await world.signed_in(sessions) for _ in range(2)]
    web, other = [await sessions.open(browser.request()) for browser in (mine, theirs)]
    tokens = {web.csrf_token for _ in range(10)}
    own = {"origin": world.origin}

    assert 10 == len(tokens)
    assert all(web.is_csrf_token(token) for token in tokens)
    assert not any(other.is_csrf_token(token) for token in tokens)
    assert not web.is_csrf_token(None)
    sessions.check(mine.request("POST", **own, **{"x-csrf-token": web.csrf_token}))
    for token in (other.csrf_token, "", mine.cookies[sessions.settings.cookie.name]):
        with pytest.raises(CrossSiteRequest):
            sessions.check(mine.request("POST", **own, **{"x-csrf-token": token}))


async def test_web_sockets_are_known_by_their_upgrade(world):
    """A handshake of another site's page is refused."""
    sessions = await world.sessions()
    browser = await world.signed_in(sessions)

    sessions.check(browser.request(upgrade="websocket", origin=world.origin))
    sessions.check(browser.request(origin="https://evil.example"))
    with pytest.raises(CrossSiteRequest):
        sessions.check(browser.request(upgrade="WebSocket", origin="https://evil.example"))


# What is shown, what goes wrong.


async def test_no_part_of_a_cookie_is_shown(world, caplog):
    """Neither in a repr nor in a log nor in an error."""
    caplog.set_level(logging.DEBUG)
    sessions = await world.sessions()
    browser = await world.signed_in(sessions)
    (value,) = browser.cookies.values()
    web, visit = await sessions.open(browser.request()), sessions.visit(browser.request())
    world.server.faults.add("/logout", status=503)
    with pytest.raises(TemporaryError) as caught:
        await browser.ask(sessions.sign_out)

    shown = "".join(
        [repr(thing) for thing in (sessions, web, visit, visit.ticket, sessions.cookies)]
        + [caplog.text, str(caught.value), repr(caught.value)]
    )

    for secret in (value, value[50:], world.secret.decode(), visit.ticket.id.hex()):
        assert secret not in shown
    assert repr(visit.ticket.id) not in shown


async def test_a_store_that_cannot_be_read_is_no_sign_out(world):
    """The error says so, and the cookie stays."""
    store = CountingStore()
    sessions, other = [await world.sessions(store) for _ in range(2)]
    browser = await world.signed_in(sessions)
    store.broken = ("load",)

    with pytest.raises(StoreError):
        await browser.ask(other.open, method="GET")
    with pytest.raises(StoreError):
        await browser.ask(sessions.open, method="GET")

    assert browser.cookies


class ForgetfulStore(CountingStore):
    """Knows what was removed, and may lose all that it has."""

    def __init__(self):
        super().__init__()
        self.ended = set()

    async def delete(self, key, *, expected):
        """Note it, and delete."""
        self.ended.add(key)
        await super().delete(key, expected=expected)

    async def removed(self, key):
        """Say whether it was deleted."""
        self._ask("removed", key)
        return key in self.ended

    async def lose(self):
        """Come back empty, as a Redis without a disk does."""
        for key in list(self._records):
            await super(CountingStore, self).delete(key, expected=None)


async def test_a_store_that_has_lost_a_session_signs_nobody_out(world):
    """Whoever has it in memory goes on; whoever has not leaves the cookie alone."""
    store = ForgetfulStore()
    here, there = [await world.sessions(store) for _ in range(2)]
    browser = await world.signed_in(here)
    await store.lose()

    assert await browser.ask(there.open, method="GET") is None
    assert browser.cookies
    found = await browser.ask(here.open, method="GET")
    assert (await found.get_token()).value
    await found.handle.refresh_session()
    assert await browser.ask(there.open, method="GET")

    store.broken = ("removed",)
    await store.lose()
    with pytest.raises(StoreError):
        await browser.ask(here.open, method="GET")


async def test_a_session_that_was_removed_is_none_though_it_is_in_memory(world):
    """The store says that somebody has signed out."""
    store = ForgetfulStore()
    here, there = [await world.sessions(store) for _ in range(2)]
    browser = await world.signed_in(here)
    old = world.browser()
    old.cookies = dict(browser.cookies)
    assert await there.open(browser.request())

    await browser.ask(here.sign_out)

    assert await old.ask(there.open, method="GET") is None
    assert await old.ask(here.open, method="GET") is None
    assert {} == old.cookies


async def test_a_pool_that_is_closed(world):
    """It says so."""
    sessions = await world.sessions()
    browser = await world.signed_in(sessions)
    await sessions.pool.aclose()

    with pytest.raises(ManagerClosed):
        await sessions.open(browser.request())


@pytest.mark.parametrize(
    "options",
    [{"secrets": ["short"]}, {"cookie": ""}, {"user_id": 5}, {"random_bytes": "x"}, {"look": 1}],
)
async def test_wrong_arguments(world, options):
    """They are refused when it is made."""
    with pytest.raises(ConfigurationError):
        await world.sessions(**options)


async def test_a_user_id_that_is_none(world):
    """Whoever said how to find it is told; nobody is signed in."""
    sessions = await world.sessions(store := CountingStore(), user_id=lambda _session: 5)

    with pytest.raises(ConfigurationError, match="user_id must return text"):
        await world.signed_in(sessions)

    assert set() == store.keys


async def test_what_is_no_pool():
    """It is named."""
    with pytest.raises(ConfigurationError, match="pool"):
        WebSessions(object(), secrets=["x" * 32])


async def test_what_is_no_request(world):
    """It is named."""
    with pytest.raises(ConfigurationError, match="request must be"):
        await (await world.sessions()).open(object())
