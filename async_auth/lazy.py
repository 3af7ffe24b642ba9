"""A package's names that are imported when they are first asked for (PEP 562).

Promises that a name costs nothing until then, and once. For those who read code, and for type
checkers, the package imports the same names under `TYPE_CHECKING`, and calls `exports()` where that
is not so: whoever checks types would take any misspelt name for one that may be there.
"""

from __future__ import annotations

import importlib
import sys
import typing
from collections.abc import Callable, Mapping


def exports(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], typing.Any], Callable[[], list[str]]]:
    """
    Return what a package has to call `__getattr__` and `__dir__`.

    The modules themselves are found as well, as if the package had imported them.

    Args:
        package: Its `__name__`. It has an `__all__`.
        homes: For each name, the module in the package that defines it.
    """

    def find(name: str) -> typing.Any:
        if name in homes.values():
            return importlib.import_module(f"{package}.{name}")
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{home}"), name)
        # Found there from now on, without this function.
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        module = sys.modules[package]
        return sorted({*vars(module), *module.__all__})

    return find, names
