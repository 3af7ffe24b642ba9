"""`refresh_session()`: the criteria R1 to R13, each against a real server on loopback."""

from __future__ import annotations

import asyncio
import inspect
import json
import pickle

import pytest

from async_auth import (
    ApiError,
    AuthSessionMissing,
    NetworkError,
    ProtocolError,
    RateLimited,
    RefreshRejected,
    ServerUnavailable,
    Status,
)
from async_auth.gotrue import GoTrueClient
from async_auth.http_messages import Response
from async_auth.stores import MemoryStore


async def test_r01_the_token_is_optional_and_positional(stage):
    """`refresh_session()` and `refresh_session(token)` both work; the default is `None`."""
    (token,) = list(inspect.signature(GoTrueClient.refresh_session).parameters.values())[1:]
    assert (inspect.Parameter.POSITIONAL_OR_KEYWORD, None) == (token.kind, token.default)
    client = await stage.signed_in()
    first = await client.refresh_session()
    second = await client.refresh_session(first.session.refresh_token)
    assert client.session == second.session


async def test_r02_a_session_good_for_an_hour_costs_exactly_one_request(stage):
    """Whatever the expiry, the server is asked once, with the session's refresh token."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    spent = client.session.refresh_token
    wire.requests.clear()
    await client.refresh_session()
    (request,) = wire.requests
    url = f"{stage.server.url}/token?grant_type=refresh_token"
    assert ("POST", url) == (request.method, request.url)
    assert {"refresh_token": spent} == json.loads(request.body)
    assert 1 == stage.refreshes == stage.server.issued


async def test_r02_what_another_process_stored_before_the_call_is_only_where_it_begins(stage):
    """It asks all the same: exactly one request, which spends the newer token of the two."""
    store = MemoryStore()
    one = await stage.signed_in(store=store)
    two = await stage.client(store=store)
    await one.refresh_session()
    response = await two.refresh_session()
    assert (2, 2, 3) == (stage.refreshes, stage.server.issued, response.session.generation)
    await one.refresh_session()
    assert (3, 4) == (stage.server.issued, one.session.generation)


@pytest.mark.parametrize("left", [9.0, 1.0, 0.0, -3600.0])
async def test_r03_without_argument_exactly_one_request_inside_the_margin(stage, left):
    """Within the margin and past expiry too there is one rotation, not two."""
    client = await stage.signed_in(auto_refresh=False)
    await stage.clock.advance(3600 - left)
    await client.refresh_session()
    assert 1 == stage.refreshes == stage.server.issued
    assert Status.FRESH == client.status


async def test_r03_without_argument_the_current_sessions_token_is_spent(stage):
    """After a rotation it is the new refresh token that is spent, never the old one again."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    refreshed = await client.refresh_session()
    await client.refresh_session()
    spent = refreshed.session.refresh_token
    assert {"refresh_token": spent} == json.loads(wire.requests[-1].body)


async def test_r04_an_argument_is_used_where_there_is_no_session(stage):
    """A token from outside signs a client in: the result is current, and stored."""
    store = MemoryStore()
    client = await stage.client(store=store)
    response = await client.refresh_session(stage.tokens()["refresh_token"])
    assert response.session == client.session
    record = await store.load("default")
    assert response.session.refresh_token == record.session["refresh_token"]


async def test_r04_an_argument_is_used_where_there_is_a_session(stage):
    """The argument is what is spent; the session there was is replaced, and not spent."""
    store, wire = MemoryStore(), stage.wire()
    client = await stage.signed_in(store=store, transport=wire)
    before = client.session
    other = stage.server.create_user(email="bob@example.com", password="staple-horse-1")
    token = stage.server.open_session(other)["refresh_token"]
    response = await client.refresh_session(token)
    assert {"refresh_token": token} == json.loads(wire.requests[-1].body)
    assert (1, "bob@example.com") == (stage.refreshes, client.session.user.email)
    assert response.session.refresh_token == (await store.load("default")).session["refresh_token"]
    assert before.sign_in_id != client.session.sign_in_id
    assert before.generation < client.session.generation


@pytest.mark.parametrize("arguments", [(), ("",), (None,)])
async def test_r05_nothing_to_refresh_is_a_missing_session(stage, arguments):
    """Without a session and without a token nothing is sent."""
    client = await stage.client()
    with pytest.raises(AuthSessionMissing, match="Auth session missing!") as caught:
        await client.refresh_session(*arguments)
    assert (400, 0) == (caught.value.status, stage.requests)


async def test_r05_an_empty_argument_is_not_replaced_by_the_current_token(stage):
    """An explicit empty token is a missing one, even if somebody is signed in."""
    client = await stage.signed_in()
    before = client.session
    with pytest.raises(AuthSessionMissing):
        await client.refresh_session("")
    assert (0, before) == (stage.refreshes, client.session)


async def test_r05_a_session_without_refresh_token_is_a_missing_session(stage):
    """A session that came without a refresh token cannot be refreshed, and nothing is sent."""
    client = await stage.client()
    await client.set_session(stage.tokens()["access_token"], "")
    with pytest.raises(AuthSessionMissing):
        await client.refresh_session()
    assert 0 == stage.refreshes


INCOMPLETE = [
    {},
    {"access_token": "a.b.c"},
    {"refresh_token": "r"},
    {"access_token": "", "refresh_token": "r", "expires_in": 60},
    {"access_token": "a.b.c", "refresh_token": None, "expires_in": 60},
    {"access_token": 7, "refresh_token": "r", "expires_in": 60},
    {"user": {"id": "u"}, "session": None},
]


@pytest.mark.parametrize("body", INCOMPLETE)
async def test_r06_an_answer_without_a_session_is_a_missing_session(stage, body):
    """Nothing is stored and no change is told; the session there was stays."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    before, stored = client.session, await store.load("default")
    events = await stage.record(client)
    stage.server.faults.add(stage.REFRESH, body=body)
    with pytest.raises(AuthSessionMissing):
        await client.refresh_session()
    assert (before, stored) == (client.session, await store.load("default"))
    # That a refresh has failed is told; the session has not changed, so nothing else is.
    await events.wait_for("REFRESH_FAILED")
    assert ["INITIAL_SESSION", "REFRESH_FAILED"] == events.names


@pytest.mark.parametrize("body", INCOMPLETE)
async def test_r06_nobody_is_signed_in_by_an_answer_without_a_session(stage, body):
    """A token from outside that brings no session leaves a client as it was, without a word."""
    store = MemoryStore()
    client = await stage.client(store=store)
    events = await stage.record(client)
    stage.server.faults.add(stage.REFRESH, body=body)
    with pytest.raises(AuthSessionMissing):
        await client.refresh_session("abcdefghijkl")
    await events.stop()
    assert (None, None) == (client.session, await store.load("default"))
    assert ["INITIAL_SESSION"] == events.names


async def test_r07_the_answer_has_the_user_and_the_new_session(stage):
    """Both tokens are new, the expiry counts from now, and the user is there twice."""
    client = await stage.signed_in()
    before = client.session
    await stage.clock.advance(60)
    response = await client.refresh_session()
    session = response.session
    assert before.access_token != session.access_token
    assert before.refresh_token != session.refresh_token
    assert stage.clock.now() + 3600 == session.expires_at
    assert (stage.user_id, stage.EMAIL) == (response.user.id, response.user.email)
    assert response.user == session.user


async def test_r08_it_is_stored_and_current_before_it_is_returned(stage):
    """Whoever has the answer finds it in the store, too, and `get_session()` gives it."""
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    response = await client.refresh_session()
    record = await store.load("default")
    assert response.session.access_token == record.session["access_token"]
    assert response.session.refresh_token == record.session["refresh_token"]
    assert response.session.generation == record.generation
    assert response.session is await client.get_session()
    assert response.session.access_token == (await client.get_token()).value


async def test_r09_every_subscriber_is_told_once(stage):
    """One `TokenRefreshed` with the new session for each, and no `SignedIn`."""
    client = await stage.signed_in()
    recorders = [await stage.record(client) for _ in range(3)]
    response = await client.refresh_session()
    for events in recorders:
        told = await events.wait_for("TOKEN_REFRESHED")
        assert response.session == told.session
        await events.stop()
        assert ["INITIAL_SESSION", "TOKEN_REFRESHED"] == events.names


async def ban(stage, client):
    """Refuse the user."""
    stage.server.ban_user(stage.user_id)


async def revoke(stage, client):
    """End the session at the server."""
    stage.server.revoke_sessions(stage.user_id)


async def reuse(stage, client):
    """Spend the session's token elsewhere, on a server that forgives nothing."""
    thief = await stage.client()
    await thief.refresh_session(client.session.refresh_token)


async def outlive(stage, client):
    """Let the session's timebox pass."""
    await stage.clock.advance(1800)


@pytest.mark.parametrize(
    "spoil, code",
    [
        (ban, "user_banned"),
        (revoke, "refresh_token_not_found"),
        (reuse, "refresh_token_already_used"),
        (outlive, "session_expired"),
    ],
)
async def test_r10_a_refusal_is_raised_with_status_and_code(set_stage, spoil, code):
    """It ends the session, which is told once; nobody is told of a refresh."""
    stage = await set_stage(reuse_interval=0, parent_rule=False, timebox=1000)
    store = MemoryStore()
    client = await stage.signed_in(store=store)
    await spoil(stage, client)
    events = await stage.record(client)
    with pytest.raises(RefreshRejected) as caught:
        await client.refresh_session()
    assert (400, code) == (caught.value.status, caught.value.code)
    signed_out = await events.wait_for("SIGNED_OUT")
    await events.stop()
    assert ["INITIAL_SESSION", "SIGNED_OUT"] == events.names
    assert ("rejected", None, Status.REJECTED) == (
        signed_out.reason,
        client.session,
        client.status,
    )
    assert None is await store.load("default")


@pytest.mark.parametrize(
    "token, code",
    [("abcdefghijkl", "refresh_token_not_found"), ("garbage", "validation_failed")],
)
async def test_r10_a_refused_argument_leaves_the_current_session_alone(stage, token, code):
    """The refusal is about the token that was given, so it says nothing about the session."""
    client = await stage.signed_in()
    before = client.session
    events = await stage.record(client)
    with pytest.raises(RefreshRejected) as caught:
        await client.refresh_session(token)
    await events.stop()
    assert (400, code) == (caught.value.status, caught.value.code)
    assert (before, ["INITIAL_SESSION"]) == (client.session, events.names)
    await client.refresh_session()
    assert 1 == stage.server.issued


@pytest.mark.parametrize(
    "body, reason",
    [
        ({"code": "session_not_found", "message": "gone"}, "session_not_found"),
        ({"code": "session_expired", "message": "gone"}, "rejected"),
        ({"code": "user_not_found", "message": "gone"}, "rejected"),
        ({"code": 400, "error_code": "refresh_token_not_found", "msg": "gone"}, "rejected"),
        ({"error": "invalid_grant", "error_description": "gone"}, "rejected"),
        ({"error": "invalid_client", "error_description": "gone"}, "rejected"),
        ({"error": "unauthorized_client", "error_description": "gone"}, "rejected"),
    ],
)
async def test_r10_every_final_code_in_every_shape_ends_the_session(stage, body, reason):
    """And the dead token is not sent again by the timer or by those who ask."""
    client = await stage.signed_in()
    events = await stage.record(client)
    stage.server.faults.add(stage.REFRESH, status=400, body=body)
    with pytest.raises(RefreshRejected):
        await client.refresh_session()
    assert reason == (await events.wait_for("SIGNED_OUT")).reason
    await stage.clock.run(7200)
    for ask in (client.get_token, client.get_session):
        with pytest.raises(RefreshRejected):
            await ask()
    assert (1, Status.REJECTED) == (stage.refreshes, client.status)


@pytest.mark.parametrize(
    "fault, kind",
    [
        ({"status": 400, "body": {"code": "brand_new", "message": "?"}}, ApiError),
        ({"status": 400, "body": {"message": "?"}}, ApiError),
        ({"status": 403, "body": "<html>forbidden</html>"}, ApiError),
        ({"status": 404, "body": "404 page not found"}, ApiError),
        ({"status": 409}, ServerUnavailable),
        ({"status": 429}, RateLimited),
        ({"status": 500}, ServerUnavailable),
        ({"status": 504}, ServerUnavailable),
        ({"status": 302, "headers": {"Location": "/"}}, ProtocolError),
        ({"status": 200, "body": "<html>welcome to the hotel</html>"}, ProtocolError),
        ({"status": 200, "body": '{"access_token": "a.b'}, ProtocolError),
        ({"drop": "before", "times": 2}, NetworkError),
    ],
)
async def test_r10_every_other_answer_is_raised_and_keeps_the_session(stage, fault, kind):
    """Nothing but the server's own final word ends a session."""
    client = await stage.signed_in()
    before, events = client.session, await stage.record(client)
    stage.server.faults.add(stage.REFRESH, **fault)
    with pytest.raises(kind):
        await client.refresh_session()
    await events.wait_for("REFRESH_FAILED")
    assert before is client.session
    assert before.access_token == (await client.get_token()).value
    assert ["INITIAL_SESSION", "REFRESH_FAILED"] == events.names
    await client.refresh_session()
    assert 1 == stage.server.issued


async def test_r10_refresh_tokens_of_the_second_version_are_the_same_to_us(set_stage):
    """They are opaque: three rotations in a row, and a reuse that ends the session."""
    stage = await set_stage(token_version=2, reuse_interval=0, parent_rule=False)
    client = await stage.signed_in(auto_refresh=False)
    old = client.session.refresh_token
    for _ in range(3):
        await client.refresh_session()
    assert 3 == stage.server.issued
    with pytest.raises(RefreshRejected) as caught:
        await (await stage.client()).refresh_session(old)
    assert "refresh_token_already_used" == caught.value.code
    with pytest.raises(RefreshRejected) as caught:
        await client.refresh_session()
    assert "refresh_token_not_found" == caught.value.code


@pytest.mark.parametrize("auto_refresh", [True, False])
async def test_r11_get_session_asks_only_within_ten_seconds_of_expiry(stage, auto_refresh):
    """With 11 s left nothing is sent; with exactly 10 s the session is refreshed."""
    client = await stage.signed_in(auto_refresh=auto_refresh)
    before = client.session
    await stage.clock.advance_to(before.expires_at - 11)
    assert before is await client.get_session()
    assert 0 == stage.refreshes
    await stage.clock.advance_to(before.expires_at - 10)
    session = await client.get_session()
    assert (1, before.generation + 1) == (stage.refreshes, session.generation)


@pytest.mark.parametrize("left", [3000.0, 10.0, -5.0])
async def test_r12_concurrent_callers_share_one_request_and_one_result(stage, left):
    """However many ask at once, by whichever call, all get the very same session."""
    client = await stage.signed_in(auto_refresh=False)
    spent = client.session.refresh_token
    await stage.clock.advance(3600 - left)
    explicit = [client.refresh_session(spent) for _ in range(50)]
    answers = await asyncio.gather(*(client.refresh_session() for _ in range(50)), *explicit)
    assert {id(client.session)} == {id(answer.session) for answer in answers}
    assert (1, 1) == (stage.refreshes, stage.server.issued)


async def test_r12_get_session_joins_the_refresh_under_way(stage):
    """`get_session()`, `get_token()` and `refresh_session()` are one flight at expiry."""
    client = await stage.signed_in(auto_refresh=False)
    await stage.clock.advance(3600)
    answers = await asyncio.gather(
        *(client.refresh_session() for _ in range(30)),
        *(client.get_session() for _ in range(30)),
        *(client.get_token() for _ in range(30)),
    )
    assert {id(client.session)} == {id(answer.session) for answer in answers[:30]}
    assert {id(client.session)} == {id(answer) for answer in answers[30:60]}
    assert {client.session.access_token} == {answer.value for answer in answers[60:]}
    assert 1 == stage.refreshes


async def test_r12_another_token_is_another_request(stage):
    """Flights are told apart by what they spend: nobody gets another account's session."""
    client = await stage.signed_in()
    other = stage.server.create_user(email="bob@example.com", password="staple-horse-1")
    token = stage.server.open_session(other)["refresh_token"]
    mine, theirs = await asyncio.gather(
        client.refresh_session(), client.refresh_session(token), return_exceptions=True
    )
    assert 2 == stage.refreshes
    assert "bob@example.com" == theirs.user.email
    # Mine ended before theirs replaced it, or came to nothing: it never is theirs.
    assert isinstance(mine, AuthSessionMissing) or stage.EMAIL == mine.user.email


async def test_r13_a_session_kept_elsewhere_is_refreshed_without_a_store(stage):
    """What is returned can be saved by the caller and taken up by another client."""
    response = await (await stage.client()).refresh_session(stage.tokens()["refresh_token"])
    kept = pickle.loads(pickle.dumps(response.session))  # noqa: S301 - pickled one line above
    assert response.session == kept
    client = await stage.client()
    again = await client.refresh_session(kept.refresh_token)
    assert kept.refresh_token != again.session.refresh_token
    assert (2, stage.EMAIL) == (stage.server.issued, (await client.get_user()).email)


async def test_r13_a_lost_answer_is_asked_for_again_with_the_same_token(set_stage):
    """The server has rotated, the answer is lost: the parent is presented once more."""
    stage = await set_stage(reuse_interval=0, parent_rule=True)
    client = await stage.client()
    stage.server.faults.add(stage.REFRESH, drop="after")
    response = await client.refresh_session(stage.tokens()["refresh_token"])
    assert (2, 1) == (stage.refreshes, stage.server.issued)
    assert response.session == client.session


async def test_a_changed_answer_is_read_with_what_it_leaves_out(stage):
    """An answer of tokens alone is a session; its user is the one that was known."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)

    def strip(response: Response) -> Response:
        body = json.loads(response.body)
        kept = {name: body[name] for name in ("access_token", "refresh_token")}
        return Response(response.status, response.headers, json.dumps(kept).encode())

    wire.change = strip
    response = await client.refresh_session()
    assert stage.EMAIL == response.user.email
    assert stage.clock.now() + 3600 == response.session.expires_at
