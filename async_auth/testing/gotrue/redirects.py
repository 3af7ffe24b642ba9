"""Where browsers are sent, and what they carry there: in the query, in the fragment, or in both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from async_auth.testing.gotrue.answers import Answer, redirect
from async_auth.testing.gotrue.options import Options

_SESSION_MEMBERS = (
    "access_token",
    "expires_at",
    "expires_in",
    "provider_refresh_token",
    "provider_token",
    "refresh_token",
    "token_type",
)


def allowed_redirect(wanted: str, options: Options) -> str:
    """Return the address if it may be gone to, or the site's, without a word, as GoTrue does."""
    return wanted if is_allowed(wanted, options) else options.site_url


def is_allowed(wanted: str, options: Options) -> bool:
    """Return whether browsers may be sent to this address."""
    if not urlsplit(wanted).scheme:
        return False
    if options.redirect_urls is None or wanted.startswith(options.site_url):
        return True
    patterns = (re.escape(url).replace(r"\*", ".*") for url in options.redirect_urls)
    return any(re.fullmatch(one, wanted) for one in patterns)


def with_code(where: str, code: str, status: HTTPStatus) -> Answer:
    """Send the browser on with an authorization code (PKCE)."""
    return redirect(_joined(where, {"code": code}), status)


def with_session(where: str, session: Answer, status: HTTPStatus, **more: str) -> Answer:
    """Send the browser on with a session in the fragment (the implicit flow)."""
    members = {name: session.body[name] for name in _SESSION_MEMBERS if name in session.body}
    return redirect(f"{where}#{_encoded({**members, 'sb': '', **more})}", status, session.headers)


def with_message(where: str, message: str, status: HTTPStatus) -> Answer:
    """Send the browser on with words for its user."""
    return redirect(f"{where}#{_encoded({'message': message, 'sb': ''})}", status)


def with_error(
    where: str, status: HTTPStatus, *, error: str, description: str, code: str = ""
) -> Answer:
    """Send the browser on with what went wrong, in the query and in the fragment."""
    members = {"error": error, "error_description": description}
    if code:
        members["error_code"] = code
    return redirect(f"{_joined(where, members)}#{_encoded({**members, 'sb': ''})}", status)


def _joined(where: str, members: Mapping[str, Any]) -> str:
    return f"{where}{'&' if urlsplit(where).query else '?'}{_encoded(members)}"


def _encoded(members: Mapping[str, Any]) -> str:
    # Go sorts by name.
    return urlencode(sorted(members.items()))
