"""Reads what a browser brings back from GoTrue to a port of ours. Pure.

Only what bears the state that we sent out counts. An answer stands in the query; in the fragment,
which no server sees, may stand an error, or the tokens themselves (the implicit flow, which is
not what we asked for): a script on our page tells us which, and never the tokens.
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs

import attrs

from async_auth.errors import AuthError, ProtocolError
from async_auth.gotrue.failures import redirect_error_from

#: What our script says of a fragment that is no error.
FRAGMENT = "fragment"
#: Members of its query; GoTrue sends half a dozen.
FIELDS_MAX = 20


@attrs.frozen
class Code:
    """
    What is good for a session.

    Args:
        value: The code. A secret.
    """

    value: str = attrs.field(repr=False)


@attrs.frozen
class Refused:
    """
    What went wrong before there was a code.

    Args:
        error: The same, as the caller gets it.
    """

    error: AuthError


@attrs.frozen
class InFragment:
    """Our own sign-in, and nothing in the query: the script has to look at the fragment."""


@attrs.frozen
class Stranger:
    """Not of this sign-in."""


@attrs.frozen
class Nowhere:
    """Another path, such as that of an icon."""


Callback = Code | Refused | InFragment | Stranger | Nowhere


def read_callback(target: str, *, path: str, state: str) -> Callback:
    """
    Say what a request at our port is.

    Args:
        target: Its path and query.
        path: Where browsers are expected.
        state: What this sign-in is known by.
    """
    place, _, query = target.partition("?")
    if place != path:
        return Nowhere()
    members = _members(query)
    if members is None or not _same(members.get("state", ""), state):
        return Stranger()
    if FRAGMENT in members:
        return Refused(_odd_fragment(members[FRAGMENT]))
    error = redirect_error_from(members, secrets=(state, members.get("code")))
    if error is not None:
        return Refused(error)
    if members.get("code"):
        return Code(members["code"])
    return InFragment()


def _members(query: str) -> dict[str, str] | None:
    """Return the members of a query, or `None` if one stands there twice."""
    try:
        found = parse_qs(query, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        return None
    if any(len(values) > 1 for values in found.values()):
        return None
    return {name: value for name, (value,) in found.items()}


def _same(given: str, state: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), state.encode("ascii"))


def _odd_fragment(what: str) -> ProtocolError:
    if what == "tokens":
        return ProtocolError(
            "The server sent the browser back with tokens in the address (the implicit flow) in "
            "place of the code that was asked for; they were not taken."
        )
    return ProtocolError("The server sent the browser back with neither a code nor an error.")
