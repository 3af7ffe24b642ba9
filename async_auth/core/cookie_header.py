"""The `Cookie` header of a request, put together of several sources: byte for byte. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def with_cookies(header: str | None, cookies: Mapping[str, str], *, without: Iterable[str]) -> str:
    """
    Return a `Cookie` header with *cookies* in it, the others left as they stand.

    Args:
        header: What is there already.
        cookies: What is added, by name; values byte for byte.
        without: The names of those that are taken out first.
    """
    names = frozenset(without)
    kept = [
        part.strip(" \t")
        for part in (header or "").split(";")
        if part.strip(" \t") and part.partition("=")[0].strip(" \t") not in names
    ]
    return "; ".join([*kept, *(f"{name}={value}" for name, value in cookies.items())])
