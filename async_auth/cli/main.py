"""The entry point of the console script `async-auth`.

It promises one clear line instead of a traceback where the extra is not installed, so it imports
none of it by itself; the commands are in `commands`, and import what they need when they run.
"""

from __future__ import annotations

import sys

#: What the extra `cli` brings, and what it is called where one installs it.
EXTRA = {"anyio": "anyio", "click": "click", "rich": "rich", "tomli_w": "tomli-w"}
#: The exit status for whatever kept a command from running; click's own for bad usage.
CANNOT_RUN = 2


def main() -> None:
    """
    Run the command line; ends by SystemExit, 2 where the extra is missing.

    Not to be called twice in one process, nor from a running event loop.
    """
    try:
        from async_auth.cli.commands import commands

        commands(prog_name="async-auth")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        hint = f'async-auth needs {EXTRA[missing]}: pip install "async_auth[cli]"'
        print(hint, file=sys.stderr)  # noqa: T201 - click, which would print it, may be what is missing
        sys.exit(CANNOT_RUN)
