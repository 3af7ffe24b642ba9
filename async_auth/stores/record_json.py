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

from async_auth.core.plain_json import MAX_DEPTH, brackets, is_deeper
from async_auth.errors import StoreError
from async_auth.ports import Record

#: Bytes of a record. Room for an answer of 4 MiB, written in ASCII; what is longer is neither written
#: nor read, so nothing is written that cannot be read again.
RECORD_MAX = 16 * 1024 * 1024
#: How deep a record's values are nested: twice as deep as what servers may send, which stands in
#: a session, which stands in a record.
RECORD_DEPTH_MAX = 2 * MAX_DEPTH
#: The last generation; Redis believes none with more digits.
GENERATION_MAX = 10**18 - 1

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
        StoreError: A value in it has no JSON form, or it is too large or too deep to be read again.
    """
    try:
        members = CONVERTER.unstructure(record)
        # ASCII, so that lone surrogates survive; indented, for a person may look.
        text = json.dumps(members, indent=1)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"The record cannot be stored: it has no JSON form ({type(error).__name__})."
        ) from None
    if not 0 <= record.generation <= GENERATION_MAX:
        raise StoreError("The record cannot be stored: its generation is none.")
    if len(text) >= RECORD_MAX:
        raise StoreError(f"The record cannot be stored: it is over {RECORD_MAX} bytes.")
    if _is_too_deep(text, members):
        raise StoreError("The record cannot be stored: it is nested too deeply.")
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
    if len(content) > RECORD_MAX:
        raise UnreadableRecord(f"it is over {RECORD_MAX} bytes")
    try:
        members = json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableRecord("it is not JSON, or not all of it is there") from None
    if not isinstance(members, dict):
        raise UnreadableRecord("it is JSON, but no object")
    if _is_too_deep(content, members):
        raise UnreadableRecord("it is nested too deeply")
    try:
        record = CONVERTER.structure(members, Record)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise UnreadableRecord("a member of it is missing or of the wrong type") from None
    if not 0 <= record.generation <= GENERATION_MAX:
        raise UnreadableRecord("its generation is none")
    return record


def _is_too_deep(text: bytes | str, members: dict[str, Any]) -> bool:
    # The walk costs more than the parsing; few records have enough brackets to need it.
    return brackets(text) > RECORD_DEPTH_MAX and is_deeper(members, RECORD_DEPTH_MAX)
