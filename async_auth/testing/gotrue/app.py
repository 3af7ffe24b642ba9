"""The HTTP of `GoTrueServer`: routes, bodies, headers, counters and faults; no rule of its own.

Every request goes through `GoTrueApp.handle()`. Whatever changes the state happens between two
awaits, so concurrent requests are served one after the other without a lock.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

import attrs
from aiohttp import web

from async_auth.ports import Clock
from async_auth.testing.gotrue import bodies
from async_auth.testing.gotrue.calls import Call, Router
from async_auth.testing.gotrue.endpoints import (
    about,
    accounts,
    admin,
    admin_providers,
    factors,
    mails,
    oauth,
    oauth_server,
    passkeys,
)
from async_auth.testing.gotrue.faults import Fault, Faults
from async_auth.testing.gotrue.refusals import Refusal, wire_form
from async_auth.testing.gotrue.state import GoTrueState

ROUTES = (
    *about.ROUTES,
    *accounts.ROUTES,
    *admin.ROUTES,
    *admin_providers.ROUTES,
    *factors.ROUTES,
    *mails.ROUTES,
    *oauth.ROUTES,
    *oauth_server.ROUTES,
    *passkeys.ROUTES,
)

#: What GoTrue itself says with these; other statuses come from a proxy in front of it.
_OWN_WORDS = {
    409: (
        "conflict",
        "Too many concurrent token refresh requests on the same session or refresh token",
    ),
    429: ("over_request_rate_limit", "Request rate limit reached"),
    500: (
        "unexpected_failure",
        "Unexpected failure, please check server logs for more information",
    ),
    504: (
        "request_timeout",
        "Processing this request timed out, please retry after a moment.",
    ),
}


@attrs.define
class GoTrueApp:
    """
    Answers requests out of a state.

    Args:
        state: Users, sessions, rules.
        clock: Where *now* comes from, and how delays are waited out.
        counts: Requests by path; `/token` by grant as well; answers by path and status.
        faults: What is to go wrong.
    """

    state: GoTrueState
    clock: Clock
    counts: Counter[str] = attrs.field(factory=Counter)
    faults: Faults = attrs.field(factory=Faults)
    _router: Router = attrs.field(init=False, repr=False, factory=lambda: Router.of(ROUTES))

    def application(self) -> web.Application:
        """Return a new aiohttp application that answers everything through `handle()`."""
        app = web.Application(client_max_size=bodies.MAX_BODY_LENGTH)
        app.router.add_route("*", "/{path:.*}", self.handle)
        app.on_response_prepare.append(_strip)
        return app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Count the request, let it meet its fault, if any, and answer it."""
        self._count(request)
        fault = self.faults.take(request.path, request.query)
        response = (
            await self._answer(request)
            if fault is None
            else await self._answer_through(fault, request)
        )
        if response is None:
            return _hang_up(request)
        response.headers.setdefault("Vary", "Origin")
        # aiohttp would tell its own time; a client that corrects its clock looks at this one.
        response.headers.setdefault("Date", formatdate(self.clock.now(), usegmt=True))
        self.counts[f"{request.path} {response.status}"] += 1
        return response

    def _count(self, request: web.Request) -> None:
        self.counts[request.path] += 1
        if request.path == "/token" and "grant_type" in request.query:
            self.counts[f"/token?grant_type={request.query['grant_type']}"] += 1

    async def _answer_through(self, fault: Fault, request: web.Request) -> web.Response | None:
        early = fault.drop == "after" or fault.committed
        response = await self._answer(request) if fault.does_work and early else None
        await self._pause(fault.delay)
        if fault.drop is not None:
            return None
        if fault.replaces_answer:
            response = self._false_answer(fault, request)
        elif response is None:
            response = await self._answer(request)
        response.headers.update(fault.headers)
        return response

    async def _pause(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > 0:
            await self.clock.sleep(left)

    def _false_answer(self, fault: Fault, request: web.Request) -> web.Response:
        status = fault.status or HTTPStatus.OK
        if fault.body is not None:
            return web.Response(
                status=status, body=fault.body, headers={"Content-Type": "application/json"}
            )
        if status in _OWN_WORDS:
            code, message = _OWN_WORDS[status]
            # As recorded: /user answers a failing database without naming the code.
            named = status != HTTPStatus.INTERNAL_SERVER_ERROR or request.path != "/user"
            return _refuse(Refusal(status, code, message, named=named), request)
        return web.Response(status=status, text=f"{status}\n")

    async def _answer(self, request: web.Request) -> web.Response:
        found = self._router.find(request.path)
        if found is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text="404 page not found\n")
        methods, names = found
        if request.method not in methods:
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            body = await _read(request)
            call = Call(
                state=self.state, request=request, body=body, names=names, now=self.clock.now()
            )
            answer = methods[request.method](call)
        except Refusal as refusal:
            return _refuse(refusal, request)
        if answer.page is not None:
            headers = {"Content-Type": "text/html; charset=utf-8", **answer.headers}
            return web.Response(status=answer.status, text=answer.page, headers=headers)
        if answer.body is None:
            return web.Response(status=answer.status, headers=answer.headers)
        return _json(answer.body, answer.headers, answer.status)


async def _strip(_request: web.Request, response: web.StreamResponse) -> None:
    """Take out what aiohttp adds and Go does not."""
    response.headers.popall("Server", None)
    if response.status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers.popall("Content-Type", None)


async def _read(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise bodies.too_large() from None


def _json(body: object, headers: Mapping[str, str], status: int) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode(),
        headers={"Content-Type": "application/json", **headers},
    )


def _refuse(refusal: Refusal, request: web.Request) -> web.Response:
    body, headers = wire_form(refusal, request.headers.get("X-Supabase-Api-Version"))
    return _json(body, headers, refusal.status)


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; what is returned here reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
