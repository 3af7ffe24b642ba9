"""One request, and what its answer is going to get, whatever the framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from async_auth.core.web.incoming import Incoming
from async_auth.core.web.outgoing import Outgoing
from async_auth.web_sessions.session import WebSession
from async_auth.web_sessions.ticket import Ticket

#: Where a middleware keeps a visit: in the ASGI scope, or in the request itself where that is a
#: mapping (there any other key will do as well).
VISIT_KEY = "async_auth.web_sessions"


class Opener(Protocol):
    """What a visit's adapter asks of the `WebSessions` that it belongs to."""

    async def open(
        self, request: Any, response: Any = None, *, look: bool | None = None
    ) -> WebSession | None:
        """See `WebSessions.open`."""
        ...


@attrs.define(eq=False, repr=False, kw_only=True)
class Visit:
    """
    What is known of a request. Belongs to one request; not to be shared.

    Args:
        sessions: Whose cookies were read.
        incoming: The request.
        outgoing: The changes to the response.
        ticket: What the session's cookie says; `None` without a good one.
        flow: What the cookie of a sign-in under way says.
        has_middleware: Whether somebody will write `outgoing` into the response.
        over: Whether the headers of the answer are sent.
        opened: Whether the session was looked for.
        web: The session.
    """

    sessions: Opener
    incoming: Incoming
    outgoing: Outgoing = attrs.field(factory=Outgoing)
    ticket: Ticket | None
    flow: Ticket | None
    has_middleware: bool = False
    over: bool = False
    opened: bool = False
    web: WebSession | None = None

    @property
    def has_lost(self) -> bool:
        """Whether the request has, or by now has, no session, as far as anybody has looked."""
        return self.opened and (self.web is None or self.web.session is None)

    def __repr__(self) -> str:
        return f"<Visit {self.incoming.method} {self.outgoing!r} session={self.web!r}>"


def kept_visit(request: Any) -> Visit | None:
    """Return the visit that a middleware keeps at a framework's request, if there is one."""
    if isinstance(request, Visit):
        return request
    scope = getattr(request, "scope", request)
    if not isinstance(scope, Mapping):
        return None
    found = scope.get(VISIT_KEY)
    if isinstance(found, Visit):
        return found
    if scope is request:
        # aiohttp wants keys of its own kind, which only its adapter can make.
        for value in scope.values():
            if isinstance(value, Visit):
                return value
    return None
