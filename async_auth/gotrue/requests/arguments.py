"""Looks at arguments before they are sent, and puts those together that many requests share.

A wrong one is a `ConfigurationError` that names the argument and does not repeat its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from async_auth.errors import ConfigurationError


def address(email: Any, phone: Any) -> dict[str, str]:
    """Return the one of the two that is given, as a member of a body."""
    if (email is None) == (phone is None):
        raise ConfigurationError("Give either email or phone: exactly one of them.")
    if phone is None:
        return {"email": required("email", email)}
    return {"phone": required("phone", phone)}


def required(name: str, value: Any) -> str:
    """Return *value*, which has to be text and not empty."""
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name} must be text, and not empty.")
    return value


def optional(name: str, value: Any) -> str | None:
    """Return *value*, which has to be `None`, or text and not empty."""
    return None if value is None else required(name, value)


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return *value*, which has to be one of *allowed*."""
    if value not in allowed:
        raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}.")
    return required(name, value)


def data(value: Any) -> dict[str, Any]:
    """Return the user's metadata, `{}` for `None`."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError("data must be a mapping; it becomes the user's metadata.")
    return dict(value)


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Return a copy of *value*, which has to be a mapping."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a mapping.")
    return dict(value)


def security(captcha_token: Any) -> dict[str, Any]:
    """Return the member of a body that holds what the CAPTCHA gave."""
    token = optional("captcha_token", captcha_token)
    return {"gotrue_meta_security": {} if token is None else {"captcha_token": token}}


def challenge(code_challenge: str | None) -> dict[str, str]:
    """Return the members by which a server knows a PKCE flow; none for `None`."""
    if code_challenge is None:
        return {}
    return {"code_challenge": code_challenge, "code_challenge_method": "s256"}


def given(**members: Any) -> dict[str, Any]:
    """Return those that are not `None`."""
    return {name: value for name, value in members.items() if value is not None}


def segment(name: str, value: Any) -> str:
    """Return an id as one segment of a path, whatever stands in it."""
    text = required(name, value)
    if text in (".", ".."):
        raise ConfigurationError(f"{name} is no id.")
    return quote(text, safe="", errors="replace")


def page(name: str, value: Any) -> str | None:
    """Return a page number, or a number of things on a page, for the query."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} must be a whole number, 1 or more.")
    return str(value)
