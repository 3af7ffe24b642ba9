"""The HTTP of `GoTrueServer`: routes, bodies, headers, counters and faults; no rule of its own.

Every request goes through `GoTrueApp.handle()`. Whatever changes the state happens between two
awaits, so concurrent requests are served one after the other without a lock.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import attrs
from aiohttp import web

from async_auth.errors import InvalidToken, TokenExpired
from async_auth.ports import Clock
from async_auth.testing.gotrue import bodies
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.faults import Fault, Faults
from async_auth.testing.gotrue.refusals import Refusal, wire_form
from async_auth.testing.gotrue.state import GoTrueState

#: A resource that is not GoTrue's: it looks at the bearer token as any API would, by itself.
PROTECTED_PATH = "/rest/v1/echo"

Handler = Callable[[web.Request, bytes], Answer]

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
    _routes: dict[str, dict[str, Handler]] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._routes = {
            "/signup": {"POST": self._sign_up},
            "/token": {"POST": self._token},
            "/user": {"GET": self._get_user, "PUT": self._update_user},
            "/logout": {"POST": self._sign_out},
            "/health": {"GET": self._health},
            "/settings": {"GET": self._settings},
            "/.well-known/jwks.json": {"GET": self._jwks},
            PROTECTED_PATH: dict.fromkeys(
                ("GET", "POST", "PUT", "PATCH", "DELETE"), self._protected
            ),
        }

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
        methods = self._routes.get(request.path)
        if methods is None:
            return web.Response(status=HTTPStatus.NOT_FOUND, text="404 page not found\n")
        if request.method not in methods:
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            answer = methods[request.method](request, await _read(request))
        except Refusal as refusal:
            return _refuse(refusal, request)
        if answer.body is None:
            return web.Response(status=answer.status, headers=answer.headers)
        return _json(answer.body, answer.headers, answer.status)

    # ── one method per endpoint ────────────────────────────────────────────────────────────────

    def _sign_up(self, _request: web.Request, body: bytes) -> Answer:
        form = bodies.read_object(body)
        return self.state.sign_up(
            email=bodies.text(form, "email"),
            phone=bodies.text(form, "phone"),
            password=bodies.text(form, "password"),
            data=bodies.mapping(form, "data"),
            now=self.clock.now(),
        )

    def _token(self, request: web.Request, body: bytes) -> Answer:
        grant = request.query.get("grant_type")
        if grant not in ("password", "refresh_token"):
            raise Refusal(400, "invalid_credentials", "unsupported_grant_type")
        form = bodies.read_object(body)
        if grant == "refresh_token":
            return self.state.refresh(bodies.text(form, "refresh_token"), now=self.clock.now())
        return self.state.sign_in_with_password(
            email=bodies.text(form, "email"),
            phone=bodies.text(form, "phone"),
            password=bodies.text(form, "password"),
            now=self.clock.now(),
        )

    def _get_user(self, request: web.Request, _body: bytes) -> Answer:
        caller = self.state.authenticate(request.headers.get("Authorization"), now=self.clock.now())
        return self.state.get_user(caller, audience=request.headers.get("X-JWT-AUD"))

    def _update_user(self, request: web.Request, body: bytes) -> Answer:
        now = self.clock.now()
        caller = self.state.authenticate(request.headers.get("Authorization"), now=now)
        form = bodies.read_object(body)
        return self.state.update_user(
            caller,
            email=bodies.text(form, "email"),
            phone=bodies.text(form, "phone"),
            password=bodies.text(form, "password"),
            data=bodies.mapping(form, "data"),
            audience=request.headers.get("X-JWT-AUD"),
            now=now,
        )

    def _sign_out(self, request: web.Request, _body: bytes) -> Answer:
        caller = self.state.authenticate(request.headers.get("Authorization"), now=self.clock.now())
        return self.state.sign_out(caller, request.query.get("scope") or "global")

    def _health(self, _request: web.Request, _body: bytes) -> Answer:
        description = "GoTrue is a user registration and authentication API"
        return Answer({"version": "", "name": "GoTrue", "description": description})

    def _settings(self, _request: web.Request, _body: bytes) -> Answer:
        options = self.state.options
        providers = {"anonymous_users": options.anonymous, "email": True, "phone": True}
        return Answer(
            {
                "external": providers,
                "disable_signup": False,
                "mailer_autoconfirm": options.autoconfirm,
                "phone_autoconfirm": options.autoconfirm,
                "sms_provider": "",
                "saml_enabled": False,
            }
        )

    def _jwks(self, _request: web.Request, _body: bytes) -> Answer:
        return Answer(self.state.keys.jwks(), {"Cache-Control": "public, max-age=600"})

    def _protected(self, request: web.Request, body: bytes) -> Answer:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return _unauthorized("Bearer", "No bearer token")
        try:
            claims = self.state.keys.verify(token.strip(), now=self.clock.now())
        except InvalidToken as error:
            why = "JWT expired" if isinstance(error, TokenExpired) else "JWT invalid"
            return _unauthorized(f'Bearer error="invalid_token", error_description="{why}"', why)
        shown = {name: claims.get(name) for name in ("sub", "role", "session_id", "iat", "exp")}
        return Answer({**shown, "method": request.method, "length": len(body)})


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


def _unauthorized(challenge: str, message: str) -> Answer:
    body: dict[str, Any] = {"message": message}
    return Answer(body, {"WWW-Authenticate": challenge}, HTTPStatus.UNAUTHORIZED)


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; what is returned here reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
