"""Copies of records, so that a store and its callers share nothing that can change. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.errors import StoreError
from async_auth.ports import Record

SCALARS = frozenset({str, int, float, bool, type(None)})


def copy_record(record: Record) -> Record:
    """
    Return an equal record that shares nothing mutable with *record*.

    Raises:
        StoreError: It is not plain JSON.
    """
    return Record(
        generation=record.generation,
        sign_in_id=record.sign_in_id,
        session=copy_json(record.session),
        version=record.version,
        extra=copy_json(record.extra),
    )


def copy_json(value: object) -> Any:
    """
    Copy *value* into dicts, lists and scalars of the built-in types.

    Tuples become lists and mappings dicts, as in JSON; an enum of strings or numbers becomes its
    value.

    Raises:
        StoreError: It holds something that JSON cannot carry, or contains itself. The message
            names the type, never the value.
    """
    try:
        return copy(value)
    except RecursionError:
        raise StoreError(
            "The record cannot be stored: it contains itself or is nested too deeply."
        ) from None


def copy(value: object) -> Any:
    """Do what `copy_json()` says, recursively."""
    if type(value) in SCALARS:
        return value
    if isinstance(value, Mapping):
        return {
            key if type(key) is str else name(key): copy(member) for key, member in value.items()
        }
    if isinstance(value, list | tuple):
        return [copy(member) for member in value]
    for scalar in (str, int, float):
        if isinstance(value, scalar):
            return str.__str__(value) if scalar is str else scalar(value)
    raise StoreError(
        f"The record cannot be stored: JSON has no place for a {type(value).__name__}."
    )


def name(key: object) -> str:
    """Return a member's name as a plain string."""
    if isinstance(key, str):
        return str.__str__(key)
    raise StoreError(
        f"The record cannot be stored: a member's name is a {type(key).__name__}, not a string."
    )
