"""Reads JSON request bodies as strictly as Go does, and refuses in its words (`bad_json`)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from async_auth.testing.gotrue.refusals import Refusal

#: A body longer than this is refused unread.
MAX_BODY_LENGTH = 1024 * 1024

_KINDS: dict[type, str] = {
    bool: "bool",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def _bad_json(why: str) -> Refusal:
    return Refusal(400, "bad_json", f"Could not parse request body as JSON: {why}")


def too_large() -> Refusal:
    """Return the refusal of a body that is longer than `MAX_BODY_LENGTH`."""
    return Refusal(
        413,
        "request_entity_too_large",
        f"Request body too large (max {MAX_BODY_LENGTH} bytes)",
    )


def read_object(body: bytes) -> dict[str, Any]:
    """Return the body's JSON object, whatever the Content-Type said. `null` is an empty one."""
    if not body.strip():
        raise _bad_json("unexpected end of JSON input")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        # Never the text itself: it may hold a password.
        raise _bad_json("invalid character") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _bad_json(f"json: cannot unmarshal {_KINDS[type(value)]} into Go value")
    return value


def text(body: dict[str, Any], name: str) -> str:
    """Return a member that must be a string; missing and `null` are the empty one."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong_kind(name, value, "string")
    return value


def mapping(body: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a member that must be an object; missing and `null` are the empty one."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong_kind(name, value, "map[string]interface {}")
    return value


def flag(body: dict[str, Any], name: str, *, default: bool = False) -> bool:
    """Return a member that must be a boolean; missing and `null` are *default*."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _wrong_kind(name, value, "bool")
    return value


def texts(body: dict[str, Any], name: str) -> tuple[str, ...] | None:
    """Return a member that must be a list of strings; missing and `null` are `None`."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise _wrong_kind(name, value, "[]string")
    for item in value:
        if not isinstance(item, str):
            raise _wrong_kind(name, item, "string")
    return tuple(value)


def read_form(body: bytes, content_type: str) -> dict[str, Any]:
    """Return the members of a body that may be a form or JSON, by its Content-Type."""
    if "application/json" in content_type:
        return read_object(body)
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def _wrong_kind(name: str, value: object, wanted: str) -> Refusal:
    kind = _KINDS.get(type(value), "null")
    return _bad_json(
        f"json: cannot unmarshal {kind} into Go struct field Params.{name} of type {wanted}"
    )
