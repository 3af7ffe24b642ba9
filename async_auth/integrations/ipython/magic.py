"""`%auth status`: shows every session that the user's variables hold.

It keeps no list of its own: what it shows is what the variables refer to at that moment. It only
looks. Signing in and out waits for a server, which a magic, being no coroutine, cannot do in a
kernel whose event loop runs; and printing a token would leave it in the saved notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.display import display

from async_auth.engine.facade import Facade
from async_auth.engine.handle import SessionHandle
from async_auth.engine.pool import SessionPool

USAGE = "%auth status [name of a variable]"
NOTHING = "No variable holds a client, a session manager or a pool."

Kept = Facade | SessionHandle | SessionPool


def found_in(names: Mapping[str, Any]) -> dict[str, Kept]:
    """
    Return the variables that hold something with sessions, in their order; pure.

    Underscored names are IPython's own, for what cells have returned. An object with two names
    comes under its first.
    """
    found: dict[str, Kept] = {}
    for name, value in list(names.items()):
        if name.startswith("_") or not isinstance(value, Facade | SessionHandle | SessionPool):
            continue
        if not any(value is known for known in found.values()):
            found[name] = value
    return found


@magics_class
class AuthMagics(Magics):
    """The magic `%auth`."""

    @line_magic
    def auth(self, line: str) -> None:
        """
        Show the sessions that variables hold: `%auth status`, or `%auth status name` for one.

        Raises:
            UsageError: The line says something else, or there is no such variable.
        """
        command, *wanted = line.split() or ["status"]
        if command != "status" or len(wanted) > 1:
            raise UsageError(USAGE)
        names = {} if self.shell is None else self.shell.user_ns
        found = found_in(names)
        if wanted:
            value = names.get(wanted[0])
            if not isinstance(value, Facade | SessionHandle | SessionPool):
                raise UsageError(f"{wanted[0]} holds no client, session manager or pool: {USAGE}")
            found = {wanted[0]: value}
        if not found:
            print(NOTHING)  # noqa: T201 - a magic answers in its cell
        for value in found.values():
            display(value)  # type: ignore[no-untyped-call]  # IPython's


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Do what `%load_ext async_auth.integrations.ipython` asks for."""
    shell.register_magics(AuthMagics)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Do what `%unload_ext async_auth.integrations.ipython` asks for."""
    magics = shell.magics_manager
    magics.magics["line"].pop("auth", None)
    magics.registry.pop(AuthMagics.__name__, None)
