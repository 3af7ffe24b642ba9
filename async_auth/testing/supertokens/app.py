"""The HTTP of `SuperTokensCoreServer`: paths, tenants, API keys and versions; no rule of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

import attrs
from aiohttp import web

from async_auth.ports import Clock
from async_auth.testing.loopback.gate import Gate
from async_auth.testing.supertokens.answers import Json, Refused
from async_auth.testing.supertokens.calls import CALLS, Call, Handler
from async_auth.testing.supertokens.core import PUBLIC_TENANT, Core
from async_auth.testing.supertokens.versions import CdiVersion

_TENANT = re.compile(r"/(?!appid-)([a-z0-9-]+)(/recipe/.+)\Z")
_JWKS_PATH = "/.well-known/jwks.json"

_Names = Mapping[str, Handler]


@attrs.define
class CoreApp:
    """
    Answers requests out of a core.

    Args:
        core: Sessions, keys, rules. Another one in its place is a core that lost its memory.
        clock: Where *now* comes from.
    """

    core: Core
    clock: Clock
    gate: Gate = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.gate = Gate(clock=self.clock, answer=self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            # The one wait comes first: what follows is done between two awaits.
            body = await request.read()
            return self._respond(request, body)
        except Refused as refused:
            return _text(refused.text, refused.status)

    def _respond(self, request: web.Request, body: bytes) -> web.Response:
        now = self.clock.now()
        open_to_all = self._open_to_all(request.path, now)
        if open_to_all is not None:
            _check_method(request, ("GET",))
            return open_to_all()
        methods, tenant_id = _find(request.path)
        self._check_key(request)
        if request.path == "/apiversion":
            _check_method(request, ("GET",))
            return _json({"versions": list(self.core.settings.versions)})
        version = self._version_of(request)
        _check_method(request, methods)
        call = Call(
            core=self.core,
            version=version,
            tenant_id=tenant_id,
            query=request.query,
            body=body,
            now=now,
        )
        return _json(methods[request.method](call))

    def _open_to_all(self, path: str, now: float) -> Callable[[], web.Response] | None:
        """Return what answers a path that needs neither API key nor version."""
        if path in ("/", "/hello"):
            return lambda: _text("Hello")
        if path == _JWKS_PATH:
            max_age = self.core.keys.max_age(now)
            cached = {"Cache-Control": f"max-age={max_age}, must-revalidate"}
            return lambda: _json(self.core.jwks(now), cached)
        return None

    def _check_key(self, request: web.Request) -> None:
        keys = self.core.settings.api_keys
        if keys and request.headers.get("api-key") not in keys:
            raise Refused(401, "Invalid API key")

    def _version_of(self, request: web.Request) -> CdiVersion:
        settings = self.core.settings
        name = request.headers.get("cdi-version")
        if name is None:
            return settings.newest
        if name not in settings.versions:
            raise Refused(400, f"cdi-version {name} not supported")
        return settings.versions[name]


def _find(path: str) -> tuple[_Names, str]:
    """Return a path's handlers and its tenant."""
    if path == "/apiversion":
        return {}, PUBLIC_TENANT
    if path in CALLS:
        return CALLS[path], PUBLIC_TENANT
    match = _TENANT.match(path)
    if match is None or match[2] not in CALLS:
        raise Refused(404, "Not found")
    return CALLS[match[2]], match[1]


def _check_method(request: web.Request, methods: _Names | tuple[str, ...]) -> None:
    if request.method not in methods:
        raise Refused(405, "Method not supported")


def _text(text: str, status: int = 200) -> web.Response:
    headers = {"Content-Type": "text/html;charset=UTF-8"}
    return web.Response(status=status, body=f"{text}\n".encode(errors="replace"), headers=headers)


def _json(value: Json, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace"),
        headers={"Content-Type": "application/json;charset=UTF-8", **(headers or {})},
    )
