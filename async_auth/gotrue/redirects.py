"""Reads the address at which a browser ends: a code, the tokens themselves, or an error. Pure.

GoTrue sends browsers back with what came of a link or a sign-in elsewhere in the query, the
fragment, or both. Anybody can make up such an address: nothing in it is verified here, and no
error shows what is secret in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs

from async_auth.core.digits import whole_number
from async_auth.errors import AuthSessionMissing, ConfigurationError
from async_auth.gotrue.failures import redirect_error_from

#: Characters of an address that is read: two tokens of the longest kind, and as much beside them.
ADDRESS_MAX = 256 * 1024
#: Members of its query, and of its fragment; GoTrue sends a dozen.
MEMBERS_MAX = 100


@attrs.frozen(kw_only=True)
class Redirect:
    """
    What a browser brought back. All of it is secret.

    Args:
        code: What `exchange_code_for_session()` takes; or
        tokens: the members of a session, as a sign-in's answer has them, but for the user. Or
            neither: the link was good, and another one has to be opened as well.
        recovery: Whether the tokens are there to set a new password.
    """

    code: str | None = attrs.field(default=None, repr=False)
    tokens: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    recovery: bool = False


def read_redirect(url: str) -> Redirect:
    """
    Read the address at which a browser ended.

    Args:
        url: The whole address, with its query and its fragment. Where both have a member, the
            query's counts.

    Raises:
        ApiError: The server, or the provider, refused; its `code` says why.
        ServerUnavailable: It could not do it for now.
        AuthSessionMissing: There is nothing of a sign-in in the address.
        ConfigurationError: *url* is no address, or one longer than `ADDRESS_MAX`.
    """
    query, fragment = _parts(url)
    members = {**fragment, **query}
    error = redirect_error_from(members)
    if error is not None:
        raise error
    if members.get("code"):
        return Redirect(code=members["code"])
    # What stands in the other part is the program's own, from the address that it asked for.
    for part in (query, fragment):
        if part.get("access_token"):
            return Redirect(tokens=_tokens(part), recovery=part.get("type") == "recovery")
    # One link of the two that an e-mail change wants: "Confirmation link accepted …"
    if members.get("message"):
        return Redirect()
    raise AuthSessionMissing("Auth session missing! There is none in the address.")


def _parts(url: str) -> tuple[dict[str, str], dict[str, str]]:
    if not isinstance(url, str):
        raise ConfigurationError("url must be the address at which the browser ended.")
    if len(url) > ADDRESS_MAX:
        raise ConfigurationError(f"url is longer than {ADDRESS_MAX} characters.")
    try:
        parts = urlsplit(url)
        return _members(parts.query), _members(parts.fragment)
    except ValueError:
        # `from None`: the error shows the address.
        raise ConfigurationError("url is no address that can be read.") from None


def _members(part: str) -> dict[str, str]:
    return dict(parse_qsl(part, keep_blank_values=True, max_num_fields=MEMBERS_MAX))


def _tokens(members: Mapping[str, str]) -> dict[str, Any]:
    # `expires_in` counts from when the browser was sent here, and nobody knows when that was.
    others = ("expires_in", "type")
    tokens: dict[str, Any] = {k: v for k, v in members.items() if v and k not in others}
    until = tokens.pop("expires_at", "")
    expires_at = whole_number(until)
    if expires_at is not None:
        tokens["expires_at"] = expires_at
    return tokens
