"""`login()` in this process: whose session is taken up, whose is not, and what is refused."""

from __future__ import annotations

import builtins
import getpass
import urllib.request
import webbrowser

import pytest

from async_auth import ApiError, ConfigurationError, NetworkError
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.ipython import login
from async_auth.integrations.ipython.signing_in import key_for
from async_auth.stores import FileStore, MemoryStore
from async_auth.testing import ManualClock

EMAIL, PASSWORD = "ann@example.com", "correct-horse-battery"
OTHER = "bob@example.com"


def never(prompt):
    """Fail: nobody may be asked."""
    raise AssertionError(prompt)


@pytest.fixture(autouse=True)
def nobody_is_asked(monkeypatch):
    """What would be asked is a failure, unless a test says otherwise."""
    monkeypatch.setattr(builtins, "input", never)
    monkeypatch.setattr(getpass, "getpass", never)


async def signed_in(server, store, **options):
    """Sign in, close the client, and return its session."""
    client = await login(server.url, store=store, password=PASSWORD, **options)
    await client.aclose()
    return client.manager.session


async def test_it_asks_for_what_is_missing(server, monkeypatch):
    """With an address only the password is asked for, unseen; without one, both."""
    asked = []
    monkeypatch.setattr(builtins, "input", lambda prompt: asked.append(prompt) or f" {EMAIL} ")
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or PASSWORD)
    for given in ({"email": EMAIL}, {}):
        async with await login(server.url, store=MemoryStore(), **given) as client:
            assert EMAIL == client.session.user.email

    word = f"Password of {EMAIL}: "
    assert [word, "E-mail: ", word] == asked


async def test_a_session_is_taken_up(server):
    """A session that is kept is used again, whatever its address looks like; no request is sent."""
    store = MemoryStore()
    await signed_in(server, store, email=EMAIL)
    async with await login(f"{server.url}/", store=store, email=EMAIL.upper()) as client:
        assert EMAIL == client.session.user.email

    assert 1 == server.counts["/token"]


def test_keys_tell_accounts_apart_and_name_none():
    """Each server and account has a key, which is shown and so has no address in it."""
    keys = {key_for("http://a", None), key_for("http://a", EMAIL), key_for("http://a/", OTHER)}

    assert 3 == len(keys)
    assert "@" not in "".join(keys)


async def test_an_expired_session_is_refreshed_first(server):
    """What has expired meanwhile is refreshed, and nobody is asked."""
    store, clock = MemoryStore(), ManualClock()
    await signed_in(server, store, email=EMAIL, clock=clock)
    clock.suspend(86400)
    async with await login(server.url, store=store, email=EMAIL, clock=clock) as client:
        assert (2, "fresh") == (client.session.generation, client.status.value)


async def test_a_session_that_the_server_has_ended_is_none(server):
    """Who was signed out elsewhere is asked again, and gets a new sign-in."""
    store, clock = MemoryStore(), ManualClock()
    async with await login(
        server.url, store=MemoryStore(), email=EMAIL, password=PASSWORD
    ) as elsewhere:
        await signed_in(server, store, email=EMAIL, clock=clock)
        await elsewhere.sign_out()
    clock.suspend(86400)
    options = {"store": store, "clock": clock, "email": EMAIL, "password": PASSWORD}
    async with await login(server.url, **options) as client:
        assert "fresh" == client.status.value

    assert 1 == server.counts["/logout"]


async def test_without_the_server_the_session_is_there(server):
    """An outage asks nobody for a password: the session is kept, and works again when it is over."""
    store, clock = MemoryStore(), ManualClock()
    await signed_in(server, store, email=EMAIL, clock=clock)
    clock.suspend(86400)
    outage = server.faults.add("/token", status=503, times=None)
    async with await login(server.url, store=store, email=EMAIL, clock=clock) as client:
        assert "expired" == client.status.value
        server.faults.remove(outage)
        await client.refresh_session()
        assert "fresh" == client.status.value


async def test_nobody_gets_the_session_of_somebody_else(server):
    """Another account under the same key signs in, though a good session is there."""
    server.create_user(email=OTHER, password=PASSWORD)
    store = MemoryStore()
    await signed_in(server, store, email=EMAIL, key="mine")
    async with await login(
        server.url, store=store, email=OTHER, password=PASSWORD, key="mine"
    ) as client:
        assert OTHER == client.session.user.email


async def test_somebody_without_an_address_is_somebody_else(server):
    """An anonymous session under the same key is not that of the account asked for."""
    store = MemoryStore()
    async with GoTrueClient(server.url, store=store, key="mine") as client:
        await client.sign_in_anonymously()
    async with await login(
        server.url, store=store, email=EMAIL, password=PASSWORD, key="mine"
    ) as client:
        assert EMAIL == client.session.user.email


async def test_a_browser_signs_in(server, monkeypatch):
    """With a provider the browser does it; nobody is asked for anything here."""
    server.provider.sign_in_as(EMAIL)

    def browse(url):
        with urllib.request.urlopen(url, timeout=20) as page:  # noqa: S310 - the server's own
            return page.status == 200

    monkeypatch.setattr(webbrowser, "open", browse)
    async with await login(server.url, store=MemoryStore(), provider="github") as client:
        assert EMAIL == client.session.user.email


async def test_the_default_store_is_the_users(server, tmp_path, monkeypatch):
    """By default the session is in the user's folder for program state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    client = await login(server.url, email=EMAIL, password=PASSWORD)
    await client.aclose()

    store = FileStore(tmp_path / "async_auth")
    assert 1 == (await store.load(key_for(server.url, EMAIL))).generation


@pytest.mark.parametrize("error", [NotImplementedError, EOFError])
async def test_where_nobody_can_be_asked_it_says_what_to_do(server, monkeypatch, error):
    """A kernel or a program without input is told to sign in elsewhere first."""

    def cannot(prompt):
        raise error

    monkeypatch.setattr(builtins, "input", cannot)
    with pytest.raises(ConfigurationError, match="Nobody can be asked here"):
        await login(server.url, store=MemoryStore())


@pytest.mark.parametrize(
    "arguments,word",
    [
        ({"password": PASSWORD}, "password:"),
        ({"provider": "github", "email": EMAIL}, "provider:"),
        ({"email": 5}, "email"),
    ],
)
async def test_contradictions_are_named(server, arguments, word):
    """What makes no sense is refused before anything is opened."""
    with pytest.raises(ConfigurationError, match=word):
        await login(server.url, store=MemoryStore(), **arguments)


async def test_what_fails_is_raised_and_closed(server):
    """The server's refusal and its absence reach the cell; no timer of the client goes on."""
    store, clock = MemoryStore(), ManualClock()
    options = {"store": store, "clock": clock, "key": "mine"}
    await signed_in(server, email=EMAIL, **options)
    with pytest.raises(ApiError):
        await login(server.url, email=OTHER, password="wrong-password", **options)
    assert 0 == clock.sleepers

    with pytest.raises(NetworkError):
        await login("http://127.0.0.1:1", email=OTHER, password=PASSWORD, **options)
    assert 0 == clock.sleepers
