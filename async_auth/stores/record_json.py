"""The file form of a record: a JSON object, through cattrs. Pure.

Promises tolerance where it costs nothing: members that this release does not know are kept in
`Record.extra` and written back, and a newer version is read like this one. Promises no tolerance
where a guess could spend a wrong token: a missing member or a wrong type is unreadable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from async_auth.errors import StoreError
from async_auth.ports import Record

MEMBERS = frozenset(field.name for field in attrs.fields(Record)) - {"extra"}


class UnreadableRecord(ValueError):
    """The bytes are no record; the text says why and quotes nothing."""


def exactly(kind: type) -> Callable[[Any, Any], Any]:
    """Return a structure hook that takes values of *kind* as they are, and nothing else."""

    def take(value: Any, _: Any) -> Any:
        # By type and not isinstance: a JSON `true` is no generation.
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}")
        return value

    return take


def make_converter() -> cattrs.Converter:
    """Return the converter for records and nothing else."""
    converter = cattrs.Converter(detailed_validation=False)
    # cattrs would call int("3") and str(None).
    converter.register_structure_hook(int, exactly(int))
    converter.register_structure_hook(str, exactly(str))
    members_in = make_dict_structure_fn(Record, converter)
    members_out = make_dict_unstructure_fn(Record, converter, extra=override(omit=True))

    def structure(value: dict[str, Any], kind: type[Record]) -> Record:
        known = {name: value[name] for name in MEMBERS if name in value}
        unknown = {name: member for name, member in value.items() if name not in MEMBERS}
        return members_in({**known, "extra": unknown}, kind)

    def unstructure(record: Record) -> dict[str, Any]:
        unknown = {name: member for name, member in record.extra.items() if name not in MEMBERS}
        return {**members_out(record), **unknown}

    converter.register_structure_hook(Record, structure)
    converter.register_unstructure_hook(Record, unstructure)
    return converter


CONVERTER = make_converter()


def dump_record(record: Record) -> bytes:
    """
    Return the content of the file for *record*.

    Raises:
        StoreError: A value in it has no JSON form.
    """
    try:
        # ASCII, so that lone surrogates survive; indented, for a person may look.
        text = json.dumps(CONVERTER.unstructure(record), indent=1)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"The record cannot be stored: it has no JSON form ({type(error).__name__})."
        ) from None
    return text.encode("ascii") + b"\n"


def parse_record(content: bytes) -> Record:
    """
    Return the record that `dump_record()` wrote, in this release or a newer one.

    Raises:
        UnreadableRecord: The content is no record.
    """
    # `from None`: the original errors carry the content, and so the tokens.
    if not content:
        raise UnreadableRecord("it is empty")
    try:
        members = json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableRecord("it is not JSON, or not all of it is there") from None
    if not isinstance(members, dict):
        raise UnreadableRecord("it is JSON, but no object")
    try:
        return CONVERTER.structure(members, Record)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise UnreadableRecord("a member of it is missing or of the wrong type") from None
