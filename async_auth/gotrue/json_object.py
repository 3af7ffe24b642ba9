"""The server's JSON objects as frozen values that survive whatever it sends.

A member that is missing or of a wrong type becomes its default, one that nobody knows is kept:
both stand in `extra`. What was read can be written again without loss (`to_json`), timestamps to
the letter. Reading never raises, unless the whole is no JSON object. Nothing here validates what
a server *should* send, and no `repr` shows metadata, addresses or codes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

import attrs

from async_auth.core.plain_json import number, plain
from async_auth.errors import ProtocolError

#: How a member is read (`None`: it cannot be) and written, in its attrs metadata.
_READ, _WRITE = "async_auth.read", "async_auth.write"


def parse_timestamp(text: str) -> datetime | None:
    """
    Return an RFC 3339 time as an aware datetime in UTC, or `None` if it is none.

    Args:
        text: With any number of fractional digits (GoTrue sends one to nine); what is finer
            than a microsecond is cut off. Without a zone it is taken as UTC.
    """
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def same(value: Any) -> Any:
    """Return *value*: a member that is taken and given as it is."""
    return value


def member(read: Callable[[Any], Any], write: Callable[[Any], Any] = same) -> dict[str, Any]:
    """Return the attrs metadata of a field: how its member is read, and written again."""
    return {_READ: read, _WRITE: write}


def _of_type(kind: type) -> dict[str, Any]:
    return member(lambda value: value if isinstance(value, kind) else None)


def _read_time(value: Any) -> datetime | None:
    return parse_timestamp(value) if isinstance(value, str) else None


def _write_time(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read_texts(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(item for item in value if isinstance(item, str))


def _write_all(values: tuple[JsonObject, ...] | None) -> list[Any] | None:
    return None if values is None else [value.to_json() for value in values]


#: The metadata of fields that hold JSON's own types, a time, or a list of texts.
TEXT = _of_type(str)
FLAG = _of_type(bool)
OBJECT = _of_type(dict)
TIME = member(_read_time, _write_time)
NUMBER = member(lambda value: value if number(value) is not None else None)
TEXTS = member(_read_texts, lambda value: None if value is None else list(value))


def objects(kind: Callable[[], type[JsonObject]]) -> dict[str, Any]:
    """Return the metadata of a field that holds a list of objects; *kind* gives their class."""

    def read(value: Any) -> tuple[JsonObject, ...] | None:
        if not isinstance(value, list):
            return None
        return tuple(kind().from_json(item) for item in value if isinstance(item, dict))

    return member(read, _write_all)


def nested(kind: Callable[[], type[JsonObject]]) -> dict[str, Any]:
    """Return the metadata of a field that holds one object; *kind* gives its class."""
    return member(
        lambda value: kind().from_json(value) if isinstance(value, dict) else None,
        lambda value: None if value is None else value.to_json(),
    )


def _members(kind: type[JsonObject]) -> list[attrs.Attribute[Any]]:
    return [field for field in attrs.fields(kind) if _READ in field.metadata]


@attrs.frozen(kw_only=True)
class JsonObject:
    """
    The base of GoTrue's objects: their fields are its members.

    Args:
        raw: The members as they were sent. A value that was made or changed by hand fills in
            what is new, so that this is always the whole object.
    """

    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        changed = {
            field.name: field.metadata[_WRITE](getattr(self, field.name))
            for field in _members(type(self))
            if getattr(self, field.name) != _as_sent(field, self.raw)
        }
        if changed:
            object.__setattr__(self, "raw", {**self.raw, **changed})

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """
        Read an object as the server sends it.

        Args:
            value: A parsed JSON object.

        Raises:
            ProtocolError: *value* is no JSON object. Nothing inside it raises.
        """
        if not isinstance(value, Mapping):
            raise ProtocolError(f"{cls.__name__}: expected a JSON object, got something else.")
        return cls(
            raw=dict(value), **{field.name: _as_sent(field, value) for field in _members(cls)}
        )

    def to_json(self) -> dict[str, Any]:
        """
        Return the object as plain JSON values: as it was sent, but for what was changed since.

        Raises:
            TypeError: It was given something that JSON cannot say.
        """
        found: dict[str, Any] = plain(dict(self.raw))
        return found

    @property
    def extra(self) -> dict[str, Any]:
        """What was sent and stands in no attribute: unknown members, and those of wrong types."""
        known = {field.name: field.metadata[_READ] for field in _members(type(self))}
        return {
            name: value
            for name, value in self.raw.items()
            if name not in known or not _is_whole(value, known[name](value))
        }


def _as_sent(field: attrs.Attribute[Any], raw: Mapping[str, Any]) -> Any:
    found = None if raw.get(field.name) is None else field.metadata[_READ](raw[field.name])
    if found is not None:
        return found
    default: Any = field.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]  # attrs declares its class as a function


def _is_whole(value: Any, read: Any) -> bool:
    if isinstance(read, tuple):
        return len(read) == len(value)
    return value is None or read is not None
