"""The interceptors, with a real gRPC server on loopback and a real auth server."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest

from async_auth.errors import AuthSessionMissing, ServerUnavailable
from async_auth.integrations.grpc.interceptors import Attempt, Bearer
from async_auth.session import AccessToken

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED


async def stream(*requests):
    """Yield requests."""
    for request in requests:
        yield request


async def listed(call):
    """Return all messages of a call."""
    return [message async for message in call]


async def ask(stub, kind, request=b"a", **options):
    """Return the answer, or the answers, to one request."""
    call = getattr(stub, kind)(request, **options)
    return await call if kind == "unary" else await listed(call)


async def call_all(stub):
    """Call each of the four once."""
    return [
        await stub.unary(b"ab"),
        await listed(stub.answers(b"ab")),
        await stub.gather(stream(b"a", b"b")),
        await listed(stub.chat(stream(b"a", b"b"))),
    ]


ANSWERS = [b"AB", [b"a", b"b"], b"ab", [b"A", b"B"]]


async def test_every_kind_of_call_carries_the_token(stub, client, bouncer):
    """One request or many, one answer or many."""
    assert ANSWERS == await call_all(stub)
    assert [client.session.access_token] * 4 == bouncer.seen


async def test_a_token_that_expires_in_between_is_replaced(stage, stub, client, bouncer):
    """Each call has the token of its moment."""
    await call_all(stub)
    await stage.clock.advance(3600)

    assert ANSWERS == await call_all(stub)
    assert [client.session.access_token] * 4 == bouncer.seen[4:]


async def test_what_is_written_by_hand_carries_it_too(stub):
    """Requests need not come from an iterator, nor answers go to one."""
    gathering, chatting = stub.gather(), stub.chat()
    for call in (gathering, chatting):
        await call.write(b"a")
        await call.done_writing()

    assert (b"a", b"A", grpc.aio.EOF) == (
        await gathering,
        await chatting.read(),
        await chatting.read(),
    )


async def test_the_users_metadata_goes_along(stub, echo):
    """The token is put beside it, in lower case."""
    await stub.unary(b"a", metadata=(("x-mine", "1"),))

    (metadata,) = echo.metadata
    assert ("x-mine", "1") in metadata
    assert "authorization" in dict(metadata)


async def test_the_callers_own_credentials_are_left_alone(stub, echo, bouncer):
    """Whoever sets authorization means it."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.unary(b"a", metadata=(("authorization", "Basic x"),))

    assert (UNAUTHENTICATED, []) == (caught.value.code(), bouncer.seen)
    assert 1 == len(echo.requests)


@pytest.mark.parametrize("kind", ["unary", "answers"])
async def test_a_refused_call_is_made_again(stage, stub, client, bouncer, echo, kind):
    """The refused token is refreshed and the same request goes out once more."""
    bouncer.bar(client.session.access_token)
    call = getattr(stub, kind)(b"ab", metadata=(("x-mine", "1"),))

    answer = await call if kind == "unary" else await listed(call)

    assert (b"AB" if kind == "unary" else [b"a", b"b"]) == answer
    assert grpc.StatusCode.OK is await call.code()
    assert ([b"ab"] * 2, 1) == (echo.requests, stage.refreshes)
    assert ["1", "1"] == [dict(metadata)["x-mine"] for metadata in echo.metadata]


@pytest.mark.parametrize("kind", ["unary", "answers"])
async def test_fifty_refusals_cost_one_refresh(stage, stub, client, bouncer, kind):
    """Generations are compared, so whoever comes late takes what is there."""
    bouncer.bar(client.session.access_token)

    assert 50 == len(await asyncio.gather(*(ask(stub, kind) for _ in range(50))))
    assert 1 == stage.refreshes


@pytest.mark.parametrize("kind", ["unary", "answers"])
async def test_a_refusal_of_the_new_token_is_handed_back(stage, stub, echo, bouncer, kind):
    """One refresh for one call."""

    async def admits(token):
        await stage.clock.advance(2)  # so that another refresh would be one
        return False

    bouncer.admits = admits

    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(stub, kind)
        assert (UNAUTHENTICATED, "not you") == (caught.value.code(), caught.value.details())

    assert (4, 2) == (len(echo.requests), stage.refreshes)


async def test_a_token_that_others_refreshed_gets_its_own_chance(stage, stub, client, bouncer):
    """The next token was there already; if it is refused as well, it is refreshed once."""
    old = client.session.access_token
    bouncer.bar(old)
    admits = bouncer.admits

    async def admits_late(token):
        if token == old:
            await client.refresh_session()
            bouncer.bar(client.session.access_token)
            await stage.clock.advance(2)
        return await admits(token)

    bouncer.admits = admits_late

    assert b"A" == await stub.unary(b"a")
    assert (3, 2) == (len(bouncer.seen), stage.refreshes)


@pytest.mark.parametrize("kind", ["gather", "chat"])
async def test_a_stream_of_requests_is_not_sent_again(stage, stub, client, bouncer, kind):
    """Its refusal is handed back, and refreshes the token for the next call."""
    bouncer.bar(client.session.access_token)

    async def call(*requests):
        made = getattr(stub, kind)(stream(*requests))
        return await made if kind == "gather" else await listed(made)

    # Without requests: grpc.aio has another word for one that is refused while it sends.
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call()
    assert (UNAUTHENTICATED, 1, 0) == (caught.value.code(), len(bouncer.seen), stage.refreshes)

    assert (b"ab" if kind == "gather" else [b"A", b"B"]) == await call(b"a", b"b")
    assert (2, 1) == (len(bouncer.seen), stage.refreshes)


async def test_a_refused_stream_during_an_outage(stage, stub, client, bouncer, outage):
    """The next call tries what there is, and the one after the outage has a new token."""
    bouncer.bar(client.session.access_token)
    outage()

    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.gather(stream())
    stage.server.faults.clear()
    await stage.clock.advance(60)

    assert b"a" == await stub.gather(stream(b"a"))


async def test_an_answer_that_has_begun_is_not_asked_for_again(stage, stub, echo):
    """What was read was read; its end is the user's to see."""
    answers = aiter(stub.answers(b"broken"))
    assert b"broken" == b"".join([await anext(answers) for _ in range(6)])

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(answers)
    assert (UNAUTHENTICATED, "no longer you") == (caught.value.code(), caught.value.details())
    assert (1, 0) == (len(echo.requests), stage.refreshes)


async def test_an_answer_without_messages(stub, echo):
    """A stream may be over at once."""
    assert [] == await listed(stub.answers(b""))
    assert grpc.aio.EOF is await stub.answers(b"").read()


@pytest.mark.parametrize("kind", ["unary", "answers"])
async def test_another_refusal_is_handed_back(stage, stub, echo, client, bouncer, kind):
    """It says nothing against the token."""
    echo.refusal = grpc.StatusCode.PERMISSION_DENIED
    bouncer.bar(client.session.access_token)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(stub, kind)

    assert grpc.StatusCode.PERMISSION_DENIED is caught.value.code()
    assert (1, 0) == (len(echo.requests), stage.refreshes)


@pytest.mark.parametrize(
    "reason",
    [
        ("www-authenticate", 'Bearer error="insufficient_scope"'),
        ("x-sb-error-code", "insufficient_aal"),
    ],
)
@pytest.mark.parametrize("kind", ["unary", "gather"])
async def test_a_refusal_for_want_of_a_scope_is_handed_back(
    stage, stub, echo, client, bouncer, reason, kind
):
    """Another token would not help, this call or the next."""
    echo.reasons = (reason, ("x-bytes-bin", b"\0"))
    bouncer.bar(client.session.access_token)

    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError):
            await (stub.unary(b"a") if kind == "unary" else stub.gather(stream()))
    assert (2, 0) == (len(echo.metadata), stage.refreshes)


class Refused:
    """A call of grpc.aio that has been refused."""

    def add_done_callback(self, callback):
        """Call back at once."""
        callback(self)

    async def code(self):
        """Return how it ended."""
        return UNAUTHENTICATED

    async def trailing_metadata(self):
        """Return that nothing was said of it."""
        return grpc.aio.Metadata()


@pytest.mark.parametrize("order", [1, -1])
async def test_of_several_refused_streams_the_newest_token_counts(stage, client, order):
    """A late refusal of an old token says nothing of the one after it, nor takes its place."""
    bearer, details = Bearer(client), grpc.aio.ClientCallDetails(b"/x", None, None, None, None)
    tokens = [await client.get_token()]
    await client.refresh_session()
    tokens.append(await client.get_token())
    await stage.clock.advance(2)
    for token in tokens[::order]:
        bearer.watch(Refused(), Attempt(details, token, None))

    assert [3, 3] == [(await bearer.begin(details)).token.generation for _ in range(2)]
    assert 2 == stage.refreshes


class Scripted:
    """A manager that notes which tokens were refused, and answers by them when it is told to."""

    def __init__(self):
        self.refused = []
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def get_token(self, *, min_ttl=None, rejected=None):
        """Wait for the first, fail for the second, and have another one in the end."""
        self.refused.append(rejected and rejected.generation)
        self.asked.set()
        if rejected is not None and rejected.generation == 1:
            await self.go_on.wait()
        elif self.refused == [1, 2]:
            raise ServerUnavailable("away")
        return AccessToken(value="t", generation=2 if rejected and rejected.generation == 1 else 3)


async def test_a_refusal_is_not_forgotten_for_an_older_ones_sake():
    """While a call waits for the token after one, that one may be refused already."""
    manager = Scripted()
    bearer, details = Bearer(manager), grpc.aio.ClientCallDetails(b"/x", None, None, None, None)
    first, second = (AccessToken(value="t", generation=number) for number in (1, 2))
    bearer.watch(Refused(), Attempt(details, first, None))
    waiting = asyncio.ensure_future(bearer.begin(details))
    await manager.asked.wait()
    bearer.watch(Refused(), Attempt(details, second, None))
    with pytest.raises(ServerUnavailable):
        await bearer.begin(details)
    manager.go_on.set()
    await waiting

    assert 3 == (await bearer.begin(details)).token.generation
    assert [1, 2, 2] == manager.refused


@pytest.mark.parametrize("kind", ["unary", "gather"])
async def test_a_pinned_token_is_not_replayed(stage, stub, client, echo, kind):
    """Nobody can refresh it."""
    client.set_auth("pinned")

    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError):
            await (stub.unary(b"a") if kind == "unary" else stub.gather(stream(b"a")))
    assert (2, 0) == (len(echo.metadata), stage.refreshes)


async def test_an_outage_of_the_auth_server(stage, stub, client, bouncer, outage):
    """The refusal is handed back; without a token nothing is sent."""
    bouncer.bar(client.session.access_token)
    outage()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.unary(b"a")
    assert UNAUTHENTICATED is caught.value.code()

    await stage.clock.advance(3600)
    for call in (stub.unary(b"a"), stub.gather(stream())):
        with pytest.raises(ServerUnavailable):
            await call
    for call in (stub.answers(b"a"), stub.chat(stream())):
        with pytest.raises(ServerUnavailable):
            await listed(call)
    assert 1 == len(bouncer.seen)


async def test_nobody_is_signed_in(stage, connect, echo):
    """Nothing is sent without a token."""
    stub = await connect(await stage.client())

    with pytest.raises(AuthSessionMissing):
        await stub.unary(b"a")
    assert [] == echo.metadata


class Slow:
    """A manager that never answers."""

    async def get_token(self, *, min_ttl=None, rejected=None):
        """Wait for ever."""
        await asyncio.Event().wait()


async def test_the_wait_for_a_token_counts(connect, echo):
    """A call's timeout is for everything together."""
    stub = await connect(Slow())

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.unary(b"a", timeout=0.01)

    assert grpc.StatusCode.DEADLINE_EXCEEDED is caught.value.code()
    assert [] == echo.metadata


async def test_what_is_left_of_the_time_goes_along(client):
    """A call that is made again has no more time than the first."""
    deadline = asyncio.get_running_loop().time() + 3600
    attempt = Attempt(grpc.aio.ClientCallDetails(b"/x", 7200, None, None, None), None, deadline)
    attempt.carry(await client.get_token())

    assert 0 < attempt.details.timeout <= 3600
    assert b"/x" == attempt.details.method


async def test_the_wait_for_another_token_counts():
    """When the time is over while the token is refreshed, the refusal is the answer."""
    details = grpc.aio.ClientCallDetails(b"/x", None, None, None, None)
    token = AccessToken(value="t1", generation=1)
    attempt = Attempt(details, token, asyncio.get_running_loop().time())
    refusal = grpc.aio.AioRpcError(UNAUTHENTICATED, grpc.aio.Metadata(), grpc.aio.Metadata())

    assert not await Bearer(Slow()).try_again(attempt, refusal, tried=False)


@pytest.mark.parametrize("kind", ["unary", "answers"])
async def test_a_cancelled_call_ends(stub, echo, kind):
    """Cancelling ends the call that is under way, not only the wait for it."""
    entered, left = asyncio.Event(), asyncio.Event()

    async def never(context):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    echo.let_in = never
    call = getattr(stub, kind)(b"a")
    waiting = asyncio.ensure_future(call if kind == "unary" else listed(call))
    await entered.wait()
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    await left.wait()
