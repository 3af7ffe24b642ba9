"""The interceptors: one for each of the four kinds of call, all with one `Bearer` behind them.

They promise that nothing is sent without a token, that UNAUTHENTICATED costs one refresh however
many calls run into it, and that no request stream is read twice. They hold no lock while a call
is under way. They cannot see the channel: `channels` makes those on which a token may travel.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import attrs
import grpc
import grpc.aio
from grpc.aio import AioRpcError, ClientCallDetails, Metadata

from async_auth.errors import TemporaryError
from async_auth.integrations.refusals import (
    TokenSource,
    current_generation,
    headers_spare_token,
)
from async_auth.session import AccessToken

#: gRPC wants keys of metadata in lower case.
AUTHORIZATION = "authorization"
#: What an answer begins with that has no messages.
NOTHING = object()


def bearer(manager: TokenSource) -> list[grpc.aio.ClientInterceptor]:
    """
    Return one interceptor for each kind of call.

    Give them only to channels that are encrypted or end on this machine; `secure_channel` and
    `insecure_channel` see to that.
    """
    shared = Bearer(manager)
    return [
        BearerUnaryUnary(shared),
        BearerUnaryStream(shared),
        BearerStreamUnary(shared),
        BearerStreamStream(shared),
    ]


@attrs.define(eq=False)
class Attempt:
    """
    A call that carries a token.

    Args:
        details: How it is made, the token in its metadata.
        token: The token; `None` if the call has credentials of its own.
        deadline: When it has to be over, on the loop's clock, or `None`.
    """

    details: ClientCallDetails
    token: AccessToken | None
    deadline: float | None

    def carry(self, token: AccessToken) -> None:
        """Put *token* in, and what is left of the time."""
        loop = asyncio.get_running_loop()
        metadata = Metadata(*(self.details.metadata or ()))
        metadata[AUTHORIZATION] = token.header
        left = None if self.deadline is None else max(0.0, self.deadline - loop.time())
        asked = self.details
        self.details = ClientCallDetails(
            asked.method, left, metadata, asked.credentials, asked.wait_for_ready
        )
        self.token = token


class Bearer:
    """What the four have in common: getting a token into a call, and another one after it."""

    def __init__(self, manager: TokenSource) -> None:
        self._manager = manager
        #: Calls that have ended and could not be made again, with the tokens they carried.
        self._ended: list[tuple[Any, AccessToken]] = []
        #: The token that one of them was refused with.
        self._refused: AccessToken | None = None

    async def begin(self, details: ClientCallDetails) -> Attempt:
        """
        Return the call with a token.

        Raises:
            AioRpcError: DEADLINE_EXCEEDED: its time was over before there was a token.

        Raises what `get_token` raises as well.
        """
        timeout = details.timeout
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        attempt = Attempt(details, None, deadline)
        own = details.credentials or Metadata(*(details.metadata or ())).get_all(AUTHORIZATION)
        if not own:
            attempt.carry(await self._in_time(self._next_token(), deadline))
        return attempt

    async def try_again(self, attempt: Attempt, error: AioRpcError, *, tried: bool) -> bool:
        """
        Give *attempt* another token, if it is worth making once more.

        Args:
            attempt: What was refused.
            error: How.
            tried: Whether the token was refreshed for this very call already.
        """
        token = attempt.token
        if tried or token is None or token.generation == 0:
            return False
        if not refuses_token(error.code(), error.trailing_metadata()):
            return False
        try:
            other = await self._in_time(self._manager.get_token(rejected=token), attempt.deadline)
        except (TemporaryError, AioRpcError):
            return False  # UNAUTHENTICATED is the server's true answer
        attempt.carry(other)
        return other.generation != token.generation

    def is_current(self, token: AccessToken | None) -> bool:
        """Say whether a refusal of *token* refreshes it, or only fetches what others refreshed."""
        return token is None or current_generation(self._manager) in {None, token.generation}

    async def stream(self, continuation: Any, details: ClientCallDetails, requests: Any) -> Any:
        """Make a call of many requests; they are read once, so it is not made again."""
        attempt = await self.begin(details)
        call = await continuation(attempt.details, requests)
        self.watch(call, attempt)
        return call

    def watch(self, call: Any, attempt: Attempt) -> None:
        """Remember how the *call* ends, which is never made again; the next one looks."""
        token = attempt.token
        if token is not None and token.generation != 0:
            call.add_done_callback(lambda call: self._ended.append((call, token)))

    async def _next_token(self) -> AccessToken:
        while self._ended:
            call, token = self._ended.pop()
            older = self._refused is not None and token.generation <= self._refused.generation
            if not older and refuses_token(await call.code(), await call.trailing_metadata()):
                self._refused = token
        refused = self._refused
        token = await self._manager.get_token(rejected=refused)
        # During an outage the same one comes back, while it lasts; and the one that has come may
        # have been refused meanwhile.
        settled = refused is not None and token.generation != refused.generation
        if settled and self._refused is refused:
            self._refused = None
        return token

    async def _in_time(self, work: Any, deadline: float | None) -> AccessToken:
        try:
            async with asyncio.timeout_at(deadline):
                token: AccessToken = await work
        except TimeoutError:
            raise AioRpcError(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                Metadata(),
                Metadata(),
                details="There was no access token in time.",
            ) from None
        return token


def refuses_token(code: grpc.StatusCode, trailing: Iterable[tuple[str, Any]] | None) -> bool:
    """Say whether a call was refused because of its token, and not for want of a scope."""
    if code is not grpc.StatusCode.UNAUTHENTICATED:
        return False
    said = list(trailing or ())
    codes, challenges = (values_of(said, key) for key in ("x-sb-error-code", "www-authenticate"))
    return not headers_spare_token(codes, challenges)


def values_of(metadata: Iterable[tuple[str, Any]], key: str) -> list[str]:
    """Return the texts under *key*."""
    return [value for name, value in metadata if name == key and isinstance(value, str)]


class BearerUnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    """One request, one answer."""

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: ClientCallDetails, request: Any
    ) -> Any:
        """Make the call, and once more with another token where that helps."""
        attempt, last = await self._bearer.begin(client_call_details), False
        while True:
            call = await continuation(attempt.details, request)
            try:
                await call
            except AioRpcError as error:
                tried, last = last, self._bearer.is_current(attempt.token)
                if await self._bearer.try_again(attempt, error, tried=tried):
                    continue
            return call


class BearerUnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    """One request, a stream of answers."""

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer

    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: ClientCallDetails, request: Any
    ) -> Any:
        """Make the call, and once more if it was refused before its first message."""
        attempt, last = await self._bearer.begin(client_call_details), False
        while True:
            answers = aiter(await continuation(attempt.details, request))
            try:
                first = await anext(answers, NOTHING)
            except AioRpcError as error:
                tried, last = last, self._bearer.is_current(attempt.token)
                if await self._bearer.try_again(attempt, error, tried=tried):
                    continue
                raise
            return beginning_with(first, answers)


class BearerStreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    """A stream of requests, one answer."""

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer

    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: ClientCallDetails, request_iterator: Any
    ) -> Any:
        """See `Bearer.stream`."""
        return await self._bearer.stream(continuation, client_call_details, request_iterator)


class BearerStreamStream(grpc.aio.StreamStreamClientInterceptor):
    """A stream of requests, a stream of answers."""

    def __init__(self, bearer: Bearer) -> None:
        self._bearer = bearer

    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: ClientCallDetails, request_iterator: Any
    ) -> Any:
        """See `Bearer.stream`."""
        return await self._bearer.stream(continuation, client_call_details, request_iterator)


async def beginning_with(first: Any, answers: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Yield the *first* message, which has been read already, and those after it."""
    if first is not NOTHING:
        yield first
    async for message in answers:
        yield message
