"""A request as the endpoints see it: read, routed, and with the time at which it came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import attrs
from aiohttp import web

from async_auth.testing.gotrue import bodies
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.pkce import read_flow
from async_auth.testing.gotrue.post import Target
from async_auth.testing.gotrue.redirects import allowed_redirect
from async_auth.testing.gotrue.state import Caller, GoTrueState


@attrs.frozen(kw_only=True)
class Call:
    """
    One request.

    Args:
        state: What it is about.
        names: The parts of the path that stand for something: `user_id` and the like.
        now: When it came, unix seconds.
    """

    state: GoTrueState
    request: web.Request
    body: bytes = attrs.field(repr=False)
    names: Mapping[str, str]
    now: float

    @property
    def authorization(self) -> str | None:
        """The `Authorization` header."""
        return self.request.headers.get("Authorization")

    @property
    def query(self) -> Mapping[str, str]:
        """The query's parameters."""
        return self.request.query

    def caller(self) -> Caller:
        """Return who makes it, or refuse."""
        return self.state.authenticate(self.authorization, now=self.now)

    def form(self) -> dict[str, Any]:
        """Return the body's JSON object, or refuse."""
        return bodies.read_object(self.body)

    def target(self, form: dict[str, Any]) -> Target:
        """Return where a mail's link is to lead, by query and body."""
        flow = read_flow(
            bodies.text(form, "code_challenge"), bodies.text(form, "code_challenge_method")
        )
        where = allowed_redirect(self.query.get("redirect_to", ""), self.state.options)
        return Target(redirect_to=where, flow=flow)


Handler = Callable[[Call], Answer]


class Route(NamedTuple):
    """Which handler answers a method on a path; `{name}` in it stands for one segment."""

    method: str
    path: str
    handler: Handler


@attrs.define
class Router:
    """Finds the handler of a request."""

    _plain: dict[str, dict[str, Handler]] = attrs.field(factory=dict)
    _patterns: list[tuple[list[str], dict[str, Handler]]] = attrs.field(factory=list)

    @classmethod
    def of(cls, routes: Iterable[Route]) -> Router:
        """Return a router over these."""
        tables: dict[str, dict[str, Handler]] = {}
        for route in routes:
            tables.setdefault(route.path, {})[route.method] = route.handler
        patterns = [(path.split("/"), table) for path, table in tables.items() if "{" in path]
        return cls(tables, patterns)

    def find(self, path: str) -> tuple[Mapping[str, Handler], dict[str, str]] | None:
        """Return the handlers of a path by method, and what its names stand for."""
        if path in self._plain:
            return self._plain[path], {}
        segments = path.split("/")
        for pattern, table in self._patterns:
            if len(pattern) == len(segments) and all(
                part == segment or (part.startswith("{") and segment)
                for part, segment in zip(pattern, segments, strict=True)
            ):
                pairs = zip(pattern, segments, strict=True)
                return table, {part[1:-1]: value for part, value in pairs if part[:1] == "{"}
        return None
