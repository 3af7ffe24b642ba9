"""What every request to an embedded server passes: it is counted, and meets its fault, if any.

It knows no path and no text of any protocol: the server behind it answers, says what it answers a
failure with, and whatever it changes it changes between two awaits, so concurrent requests are
served one after the other without a lock.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus

import attrs
from aiohttp import web

from async_auth.ports import Clock
from async_auth.testing.loopback.faults import Fault, Faults

#: Answers a request out of the server's state.
Answer = Callable[[web.Request], Awaitable[web.Response]]
#: What the server itself says with a status, where no body was given; `None`: a proxy's words.
OwnWords = Callable[[int, web.Request], web.Response | None]


def by_path(request: web.Request) -> Sequence[str]:
    """Count a request by its path alone."""
    return (request.path,)


def no_words(_status: int, _request: web.Request) -> web.Response | None:
    """Leave every failure to a proxy."""
    return None


@attrs.define(kw_only=True)
class Gate:
    """
    Stands in front of a server's answers.

    Args:
        clock: Where `Date` comes from, and how delays are waited out.
        answer: Does the work.
        own_words: What the server says with a status when it fails.
        names: What a request is counted as.
        headers: Set on every answer that does not set them itself.
        counts: Requests by path, and answers by path and status.
        faults: What is to go wrong.
    """

    clock: Clock
    answer: Answer
    own_words: OwnWords = no_words
    names: Callable[[web.Request], Sequence[str]] = by_path
    headers: Mapping[str, str] = attrs.field(factory=dict)
    counts: Counter[str] = attrs.field(factory=Counter)
    faults: Faults = attrs.field(factory=Faults)
    _open: asyncio.Event | None = attrs.field(default=None, init=False, repr=False)

    def application(self, *, max_body: int = 0) -> web.Application:
        """
        Return a new aiohttp application that answers everything through `handle()`.

        Args:
            max_body: The longest body that is read, in bytes; 0: any.
        """
        app = web.Application(client_max_size=max_body)
        app.router.add_route("*", "/{path:.*}", self.handle)
        app.on_response_prepare.append(_strip)
        return app

    def pause(self) -> None:
        """Take requests in and leave them there, as a hung server does; twice is fine."""
        if self._open is None:
            self._open = asyncio.Event()

    def resume(self) -> None:
        """Answer what waits and what comes; one that is not paused is no error."""
        if self._open is not None:
            self._open.set()
        self._open = None

    async def handle(self, request: web.Request) -> web.Response:
        """Count the request, let it meet its fault, if any, and answer it."""
        self.counts.update(self.names(request))
        fault = self.faults.take(request.path, request.query)
        while self._open is not None:
            await self._open.wait()
        response = (
            await self.answer(request)
            if fault is None
            else await self._answer_through(fault, request)
        )
        if response is None:
            return _hang_up(request)
        for name, value in self.headers.items():
            response.headers.setdefault(name, value)
        # aiohttp would tell its own time; a client that corrects its clock looks at this one.
        response.headers.setdefault("Date", formatdate(self.clock.now(), usegmt=True))
        self.counts[f"{request.path} {response.status}"] += 1
        return response

    async def _answer_through(self, fault: Fault, request: web.Request) -> web.Response | None:
        early = fault.drop == "after" or fault.committed
        response = await self.answer(request) if fault.does_work and early else None
        await self._wait(fault.delay)
        if fault.drop is not None:
            return None
        if fault.replaces_answer:
            response = self._false_answer(fault, request)
        elif response is None:
            response = await self.answer(request)
        response.headers.update(fault.headers)
        return response

    async def _wait(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > 0:
            await self.clock.sleep(left)

    def _false_answer(self, fault: Fault, request: web.Request) -> web.Response:
        status = fault.status or HTTPStatus.OK
        if fault.body is not None:
            return web.Response(
                status=status, body=fault.body, headers={"Content-Type": "application/json"}
            )
        words = self.own_words(status, request)
        return web.Response(status=status, text=f"{status}\n") if words is None else words


async def _strip(_request: web.Request, response: web.StreamResponse) -> None:
    """Take out what aiohttp adds and the real servers do not."""
    response.headers.popall("Server", None)


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; what is returned here reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
