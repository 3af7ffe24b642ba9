"""A real gRPC server on loopback, whose calls the bouncer guards, and channels to it."""

from __future__ import annotations

from contextlib import AsyncExitStack

import grpc
import grpc.aio
import pytest

from async_auth.integrations.grpc import insecure_channel

SERVICE = "test.Echo"


class Echo:
    """A service of all four kinds, in bytes; it keeps what it was sent."""

    def __init__(self, bouncer):
        self.bouncer = bouncer
        self.requests = []
        self.metadata = []
        #: With what and how calls end that are not let in.
        self.refusal = grpc.StatusCode.UNAUTHENTICATED
        self.reasons = ()

    async def let_in(self, context):
        """End the call, unless it has a good token."""
        metadata = list(context.invocation_metadata())
        self.metadata.append(metadata)
        headers = [value for name, value in metadata if name == "authorization"]
        if len(headers) == 1 and await self.bouncer.admits_header(headers[0]):
            return
        await context.abort(self.refusal, "not you", self.reasons)

    async def unary(self, request, context):
        """Answer one request."""
        self.requests.append(request)
        await self.let_in(context)
        return request.upper()

    async def answers(self, request, context):
        """Answer one request with its letters."""
        self.requests.append(request)
        await self.let_in(context)
        for letter in request:
            yield bytes([letter])
        if request == b"broken":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no longer you")

    async def gather(self, requests, context):
        """Answer a stream of requests at its end."""
        await self.let_in(context)
        return b"".join([request async for request in requests])

    async def chat(self, requests, context):
        """Answer each request of a stream."""
        await self.let_in(context)
        async for request in requests:
            yield request.upper()

    def handlers(self):
        """Return what a server wants."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                "Answers": grpc.unary_stream_rpc_method_handler(self.answers),
                "Gather": grpc.stream_unary_rpc_method_handler(self.gather),
                "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            },
        )


class Stub:
    """The four methods, as generated code has them."""

    def __init__(self, channel):
        self.unary = channel.unary_unary(f"/{SERVICE}/Unary")
        self.answers = channel.unary_stream(f"/{SERVICE}/Answers")
        self.gather = channel.stream_unary(f"/{SERVICE}/Gather")
        self.chat = channel.stream_stream(f"/{SERVICE}/Chat")


@pytest.fixture
def echo(bouncer):
    """Return the service."""
    return Echo(bouncer)


@pytest.fixture
async def exits():
    """Close what a test opens."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def listen(echo, exits):
    """Return a function that serves the service and returns its port."""

    async def start(credentials=None):
        server = grpc.aio.server()
        server.add_generic_rpc_handlers([echo.handlers()])
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        exits.push_async_callback(server.stop, None)
        return port

    return start


@pytest.fixture
async def connect(listen, exits):
    """Return a function that opens a channel to the service for a manager."""

    async def start(manager, **options):
        channel = insecure_channel(manager, f"127.0.0.1:{await listen()}", **options)
        return Stub(await exits.enter_async_context(channel))

    return start


@pytest.fixture
async def client(stage):
    """Return a client that is signed in, since a while."""
    client = await stage.signed_in()
    await stage.clock.advance(100)
    return client


@pytest.fixture
async def stub(connect, client):
    """Return the service as that client calls it."""
    return await connect(client)
