"""The HTTP of `GoTrueServer`: routes, bodies, headers, counters and faults; no rule of its own.

Every request has passed the gate in front. Whatever changes the state happens between two awaits,
so concurrent requests are served one after the other without a lock.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
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
from async_auth.testing.gotrue.refusals import Refusal, wire_form
from async_auth.testing.gotrue.state import GoTrueState
from async_auth.testing.loopback.faults import Faults
from async_auth.testing.loopback.gate import Gate

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
    """

    state: GoTrueState
    clock: Clock
    _gate: Gate = attrs.field(init=False, repr=False)
    _router: Router = attrs.field(init=False, repr=False, factory=lambda: Router.of(ROUTES))

    def __attrs_post_init__(self) -> None:
        self._gate = Gate(
            clock=self.clock,
            answer=self._answer,
            own_words=_own_words,
            names=_names,
            headers={"Vary": "Origin"},
        )

    @property
    def counts(self) -> Counter[str]:
        """Requests by path; `/token` by grant as well; answers by path and status."""
        return self._gate.counts

    @property
    def faults(self) -> Faults:
        """What is to go wrong."""
        return self._gate.faults

    def application(self) -> web.Application:
        """Return a new aiohttp application that answers everything through the gate."""
        app = self._gate.application(max_body=bodies.MAX_BODY_LENGTH)
        app.on_response_prepare.append(_strip)
        return app

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


def _names(request: web.Request) -> tuple[str, ...]:
    """Return what a request is counted as."""
    if request.path == "/token" and "grant_type" in request.query:
        return (request.path, f"/token?grant_type={request.query['grant_type']}")
    return (request.path,)


def _own_words(status: int, request: web.Request) -> web.Response | None:
    if status not in _OWN_WORDS:
        return None
    code, message = _OWN_WORDS[status]
    # As recorded: /user answers a failing database without naming the code.
    named = status != HTTPStatus.INTERNAL_SERVER_ERROR or request.path != "/user"
    return _refuse(Refusal(status, code, message, named=named), request)


async def _strip(_request: web.Request, response: web.StreamResponse) -> None:
    """Take out what aiohttp adds to an empty answer and Go does not."""
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
