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

from async_auth.core.redaction import safe_text
from async_auth.errors import (
    ApiError,
    AuthError,
    AuthSessionMissing,
    ConfigurationError,
    ServerUnavailable,
)

#: RFC 6749 section 4.1.2.1: a failure of the server's, which may be over soon.
_FOR_NOW = frozenset({"server_error", "temporarily_unavailable"})
#: Longer texts in an address are no error code of anybody's.
_CODE_LENGTH = 100
#: Longer numbers are no time.
_DIGITS = 15


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
        ConfigurationError: *url* is no address.
    """
    members = _members(url)
    if "error" in members or "error_code" in members:
        raise _error(members)
    if members.get("code"):
        return Redirect(code=members["code"])
    if members.get("access_token"):
        recovery = members.pop("type", None) == "recovery"
        return Redirect(tokens=_tokens(members), recovery=recovery)
    # One link of the two that an e-mail change wants: "Confirmation link accepted …"
    if members.get("message"):
        return Redirect()
    raise AuthSessionMissing("Auth session missing! There is none in the address.")


def _members(url: str) -> dict[str, str]:
    if not isinstance(url, str):
        raise ConfigurationError("url must be the address at which the browser ended.")
    try:
        parts = urlsplit(url)
    except ValueError:
        # `from None`: the error shows the address.
        raise ConfigurationError("url is no address that can be read.") from None
    return dict([*parse_qsl(parts.fragment), *parse_qsl(parts.query)])


def _tokens(members: Mapping[str, str]) -> dict[str, Any]:
    # `expires_in` counts from when the browser was sent here, and nobody knows when that was.
    tokens: dict[str, Any] = {k: v for k, v in members.items() if k != "expires_in"}
    until = tokens.pop("expires_at", "")
    if until.isascii() and until.isdecimal() and len(until) <= _DIGITS:
        tokens["expires_at"] = int(until)
    return tokens


def _error(members: Mapping[str, str]) -> AuthError:
    kind = members.get("error", "")
    code = members.get("error_code") or kind
    text = members.get("error_description") or code
    message = safe_text(text, ()) or "The browser came back with an error."
    shown = safe_text(code, (), limit=_CODE_LENGTH) or None
    return (ServerUnavailable if kind in _FOR_NOW else ApiError)(message, code=shown)
