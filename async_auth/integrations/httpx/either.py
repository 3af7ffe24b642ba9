"""What httpx and httpx2 have in common: one base class for both, and a look at their messages.

It imports whichever of the two is installed, and promises that what works with the one works with
the other. It decides nothing about tokens.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from async_auth.errors import ConfigurationError
from async_auth.integrations.refusals import declares_much

NAMES = ("httpx", "httpx2")


def installed() -> list[Any]:
    """
    Import and return httpx, httpx2, or both.

    Raises:
        ImportError: Neither is installed.
    """
    found = []
    for name in NAMES:
        try:
            found.append(import_module(name))
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
    if not found:
        raise ImportError(
            "async_auth.integrations.httpx needs httpx or httpx2: pip install 'async_auth[httpx]'."
        )
    return found


LIBRARIES = installed()
#: Bodies that are in memory, whole.
BYTES = tuple(library.ByteStream for library in LIBRARIES)

if TYPE_CHECKING:
    import httpx
    import httpx2

    # The two say the same of different classes; whoever overrides the flows says it of both.
    class Base(httpx.Auth, httpx2.Auth):  # type: ignore[misc]  # one flow, either's requests
        """What either client takes for an `auth=`."""
else:
    #: What either client takes for an `auth=`.
    Base = type("Base", tuple(library.Auth for library in LIBRARIES), {})


class AsyncAuth(Base):
    """An `auth=` for async clients of httpx and httpx2; it lacks only its `async_auth_flow`."""

    def sync_auth_flow(self, request: Any) -> Generator[Any, Any, None]:  # noqa: ARG002 - httpx's words
        """
        Refuse a client that cannot wait for a token.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            f"{type(self).__name__} is for AsyncClient: a Client that is not async cannot wait for "
            "a token."
        )


def can_replay(request: Any) -> bool:
    """
    Say whether the body of *request* can be sent again, whole.

    It can if it is in memory, or a form of what is in memory and of files at rest. What we do not
    know is a stream. By the time that there is a response, httpx has ended the upload.
    """
    stream = request.stream
    if isinstance(stream, BYTES):
        return True
    # A multipart form; its class has no public name.
    fields = getattr(stream, "fields", None)
    return isinstance(fields, list) and all(is_at_rest(field) for field in fields)


def is_at_rest(field: Any) -> bool:
    """Say whether a form's field is in memory, or a file that httpx can rewind."""
    if isinstance(getattr(field, "value", None), str | bytes):
        return True
    content = getattr(field, "file", None)
    if isinstance(content, str | bytes):
        return True
    seekable = getattr(content, "seekable", None)
    return callable(seekable) and bool(seekable())


async def read_small_body(response: Any) -> bytes | None:
    """
    Read a body that is not declared large, which frees the connection; the user can still.

    Returns:
        The body; `None` if it was not read.

    Raises:
        HTTPError: Of the library's: the answer broke off. To its user as well.
    """
    declared = response.headers.get("Content-Length", "")
    if declares_much(declared):
        return None
    body: bytes = await response.aread()
    return body
