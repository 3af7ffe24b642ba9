"""gotrue/account.py: the user who is signed in, and what becomes of the session."""

from __future__ import annotations

import asyncio
import json

import attrs
import pytest

from async_auth import (
    ApiError,
    AuthSessionMissing,
    ConfigurationError,
    Status,
    StoreError,
    WeakPassword,
)
from async_auth.gotrue import GoTrueClient, Identity
from async_auth.stores import MemoryStore
from async_auth.testing import ScriptedTransport

URL = "http://127.0.0.1:9999"


def gone(code):
    """Return an answer change that refuses everything with this code."""

    def change(response):
        body = json.dumps({"code": code, "message": "no"}).encode()
        return attrs.evolve(response, status=403, body=body)

    return change


class Stubborn(MemoryStore):
    """A store that takes nothing while it is told so."""

    closed = False
    taken = 0

    async def save(self, key, record, *, expected):
        """Fail on purpose."""
        if self.closed:
            self.taken = 0
            raise StoreError("full")
        await super().save(key, record, expected=expected)
        self.taken += 1


async def test_a_change_is_kept_stored_and_told(stage):
    """The session has the new user and the same tokens, here and in the store."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    before = client.session
    events = await stage.record(client)
    user = await client.update_user(data={"theme": "dark"})
    assert "dark" == user.user_metadata["theme"]
    assert user == client.session.user
    assert attrs.evolve(before, user=user) == client.session
    record = await store.load("default")
    assert "dark" == record.session["user"]["user_metadata"]["theme"]
    assert (before.generation, before.sign_in_id) == (record.generation, record.sign_in_id)
    assert client.session == (await events.wait_for("USER_UPDATED")).session
    assert ["INITIAL_SESSION", "USER_UPDATED"] == events.names
    assert 0 == stage.refreshes
    assert Status.FRESH is client.status


async def test_a_later_refresh_keeps_the_sign_in(stage):
    """The session goes on as if nothing had been changed but the user."""
    client = await stage.signed_in()
    await client.update_user(data={"theme": "dark"})
    response = await client.refresh_session()
    assert "dark" == response.user.user_metadata["theme"]
    assert 2 == client.session.generation


async def test_a_rotation_meanwhile_keeps_its_tokens(stage):
    """The user is put into whatever the sign-in's tokens are by then."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    old = client.session
    user = await client.get_user()
    new = (await client.refresh_session()).session
    await client.manager.replace_user(old, attrs.evolve(user, email="new@example.com"))
    assert (new.access_token, "new@example.com") == (
        client.session.access_token,
        client.session.user.email,
    )


async def test_another_sign_in_is_left_alone(stage):
    """What belonged to the one before is not put into the next."""
    client = await stage.signed_in()
    old = client.session
    await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    events = await stage.record(client)
    await client.manager.replace_user(old, None)
    await events.stop()
    assert client.session.user is not None
    assert ["INITIAL_SESSION"] == events.names


async def test_nobody_is_left_alone(stage):
    """After a sign-out there is nothing to put the user into."""
    client = await stage.signed_in()
    old = client.session
    await client.sign_out("local")
    await client.manager.replace_user(old, None)
    assert None is client.session


async def test_what_another_process_stored_stays(stage):
    """A record that is newer than ours is not written over."""
    store = MemoryStore()
    client = await stage.signed_in(store=store, auto_refresh=False)
    other = await stage.client(store=store, auto_refresh=False)
    await other.refresh_session()
    await client.update_user(data={"theme": "dark"})
    assert 2 == (await store.load("default")).generation
    assert 1 == client.session.generation


async def test_a_store_that_fails_is_tried_again(stage):
    """The user lives in memory until the store takes it."""
    store = Stubborn()
    client = await stage.signed_in(store=store, auto_refresh=False)
    events = await stage.record(client)
    store.closed = True
    await client.update_user(data={"theme": "dark"})
    await events.wait_for("STORE_FAILED")
    store.closed = False
    await stage.clock.advance(120)
    await stage.until(lambda: store.taken)
    stored = (await store.load("default")).session["user"]
    assert "dark" == stored["user_metadata"]["theme"]


async def test_a_cancelled_caller_tears_nothing(stage):
    """The answer is in: the session is changed whoever still waits."""
    client = await stage.signed_in()
    events = await stage.record(client)
    user = await client.get_user()
    task = asyncio.ensure_future(client.manager.replace_user(client.session, user))
    await asyncio.sleep(0)
    task.cancel()
    await events.wait_for("USER_UPDATED")
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_pinned_token_changes_no_session(stage):
    """The user it belongs to need not be the session's."""
    client = await stage.signed_in()
    before = client.session
    client.set_auth(stage.tokens()["access_token"])
    assert "dark" == (await client.update_user(data={"theme": "dark"})).user_metadata["theme"]
    client.set_auth(None)
    assert before is client.session


async def test_a_level_that_is_too_low_refreshes_nothing(recordings, stage):
    """A new token would be good for no more; the session stays."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    before = client.session
    wire.change = lambda _: recordings["user_update_password_insufficient_aal"].response
    with pytest.raises(ApiError) as caught:
        await client.update_user(password="another-horse-2")
    assert (401, "insufficient_aal") == (caught.value.status, caught.value.code)
    assert (0, before) == (stage.refreshes, client.session)
    assert ["PUT"] == [r.method for r in wire.requests if r.url.endswith("/user")]


async def test_a_refused_token_is_refreshed_and_the_call_repeated(stage):
    """Once, with the new token."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    refusals = iter([gone("bad_jwt")])

    def change(response):
        return next(refusals, lambda answer: answer)(response)

    await stage.clock.advance(2)
    wire.change = change
    user = await client.update_user(data={"theme": "dark"})
    assert "dark" == user.user_metadata["theme"]
    assert 1 == stage.refreshes


async def test_a_session_that_is_over_ends(stage):
    """The server's word counts here as well."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    events = await stage.record(client)
    wire.change = gone("session_not_found")
    with pytest.raises(AuthSessionMissing):
        await client.reauthenticate()
    assert "session_not_found" == (await events.wait_for("SIGNED_OUT")).reason
    assert None is client.session


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.update_user(data={}),
        lambda client: client.reauthenticate(),
        lambda client: client.get_user_identities(),
        lambda client: client.link_identity("github"),
        lambda client: client.link_identity_with_id_token(provider="google", token="t"),
        lambda client: client.unlink_identity("i"),
    ],
)
async def test_nobody_is_signed_in(call):
    """Nothing is sent."""
    wire = ScriptedTransport()
    async with GoTrueClient(URL, transport=wire) as client:
        with pytest.raises(AuthSessionMissing):
            await call(client)
    assert [] == wire.requests


async def test_a_change_of_nothing_is_not_sent(stage):
    """The message says what there is to change."""
    client = await stage.signed_in()
    with pytest.raises(ConfigurationError, match="email, phone, password and data"):
        await client.update_user(nonce="123456")


async def test_a_weak_password_says_why(stage):
    """And is in no text."""
    client = await stage.signed_in()
    with pytest.raises(WeakPassword) as caught:
        await client.update_user(password="pw1")
    assert ("length",) == caught.value.reasons
    assert "pw1" not in str(caught.value)


@pytest.mark.parametrize("flow", ["pkce", "implicit"])
async def test_a_new_address_begins_a_flow(stage, flow):
    """Its link is to be finished here; a password has no link."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire, flow=flow)
    await client.update_user(email="new@example.com", redirect_to="https://app.test/")
    await client.update_user(password="another-horse-2")
    first, second = (r for r in wire.requests if r.method == "PUT")
    assert (flow == "pkce") == ("code_challenge" in json.loads(first.body))
    assert "code_challenge" not in json.loads(second.body)
    assert first.url.endswith("?redirect_to=https%3A%2F%2Fapp.test%2F")


async def test_identities_are_the_servers(stage):
    """As `GET /user` has them."""
    client = await stage.signed_in()
    (identity,) = await client.get_user_identities()
    assert ("email", stage.user_id) == (identity.provider, identity.user_id)


async def test_an_identity_is_unlinked_by_its_row():
    """`identity_id` is the row's; `id` is the provider's."""
    wire = ScriptedTransport((200, {}))
    async with GoTrueClient(URL, transport=wire) as client:
        client.set_auth("token")
        await client.unlink_identity(Identity(identity_id="row/1", id="at-provider"))
    assert f"{URL}/user/identities/row%2F1" == wire.requests[0].url


@pytest.mark.parametrize("identity", ["", "..", None])
async def test_an_identity_needs_an_id(identity):
    """No other path is asked for by accident."""
    wire = ScriptedTransport()
    async with GoTrueClient(URL, transport=wire) as client:
        client.set_auth("token")
        with pytest.raises(ConfigurationError, match="identity"):
            await client.unlink_identity(identity)
    assert [] == wire.requests


async def test_linking_by_token_gives_a_new_session(stage, recordings):
    """It replaces the one that asked for it."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    before = client.session
    events = await stage.record(client)
    wire.change = lambda _: recordings["token_id_token_link_identity"].response
    response = await client.link_identity_with_id_token(provider="keycloak", token="t")
    assert f"Bearer {before.access_token}" == wire.requests[-1].headers["Authorization"]
    assert True is json.loads(wire.requests[-1].body)["link_identity"]
    assert response.session is client.session
    assert client.session == (await events.wait_for("USER_UPDATED")).session
    assert before.sign_in_id != client.session.sign_in_id
