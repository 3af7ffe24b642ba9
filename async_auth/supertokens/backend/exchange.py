"""One request and what its answer is going to get, whatever the framework.

An `Exchange` is made once for a request, by the framework's middleware, which keeps it at the
request and writes its changes into the response when that is sent. Where there is no middleware,
each call makes one of its own from the request, and the caller says which response gets it.

No framework is imported: requests and responses are known by what they have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from async_auth.core.web.incoming import Incoming, incoming_of
from async_auth.core.web.outgoing import Outgoing

if TYPE_CHECKING:
    from async_auth.supertokens.backend.session import ServerSession

#: Where a middleware keeps the exchange: in the ASGI scope, or in the request itself where that
#: is a mapping (there any other key will do as well).
EXCHANGE_KEY = "async_auth.supertokens"


@attrs.define(eq=False, repr=False)
class Exchange:
    """
    A request, and what its answer is going to get. Belongs to one request; not to be shared.

    Args:
        incoming: The request, as the rules see it.
        outgoing: The changes to the response.
        request: The framework's request, for error handlers; `None` where there is none.
        session: The session that was last found, created or refreshed in it.
        has_middleware: Whether somebody will write `outgoing` into the response. Without, the
            changes go into the response that a call is given.
        over: Whether the answer can get nothing any more: its headers are sent, or it is one to
            an error that nobody has handled.
    """

    incoming: Incoming
    outgoing: Outgoing = attrs.field(factory=Outgoing)
    request: Any = None
    session: ServerSession | None = None
    has_middleware: bool = True
    over: bool = False

    def __repr__(self) -> str:
        return f"<Exchange {self.incoming.method} {self.outgoing!r} session={self.session!r}>"


def exchange_of(request: Any) -> Exchange:
    """
    Return the exchange of a request: the one that a middleware keeps there, or a new one.

    Args:
        request: A request of aiohttp.web or Starlette (FastAPI), an `Incoming`, an `Exchange`, or
            anything with `method`, `headers` and `path` or `url.path`. A web socket's request
            has no method and counts as GET.

    Raises:
        ConfigurationError: It is nothing of that kind.
    """
    if isinstance(request, Exchange):
        return request
    if isinstance(request, Incoming):
        return Exchange(request, has_middleware=False)
    scope = getattr(request, "scope", request)
    if isinstance(scope, Mapping):
        found = scope.get(EXCHANGE_KEY)
        if isinstance(found, Exchange):
            return found
        if scope is request:
            # aiohttp wants keys of its own kind, which only its adapter can make.
            for value in scope.values():
                if isinstance(value, Exchange):
                    return value
    return Exchange(incoming_of(request), request=request, has_middleware=False)
