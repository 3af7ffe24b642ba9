"""An extra that is not installed: one line that says what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: The package that each adapter needs.
NEEDED = {
    "asyncpg": "asyncpg",
    "azure": "azure",
    "grpc": "grpc",
    "requests": "requests",
    "sqlalchemy": "sqlalchemy",
    "websockets": "websockets",
}
IMPORT = "import sys; sys.modules[sys.argv[1]] = None; import async_auth.integrations.{}"


@pytest.mark.parametrize("adapter", NEEDED)
def test_it_says_what_to_install(adapter):
    """By the name of the extra."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT.format(adapter), NEEDED[adapter]],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: async_auth.integrations.{adapter} needs ")
    assert last.endswith(f": pip install 'async_auth[{adapter}]'.")
