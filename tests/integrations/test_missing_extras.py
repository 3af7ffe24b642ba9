"""An extra that is not installed: one line that says what to install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
#: The package that each extra brings, and the first thing that cannot be done without it.
NEEDED = {
    "asyncpg": ("asyncpg", "import async_auth.integrations.asyncpg"),
    "azure": ("azure", "import async_auth.integrations.azure"),
    "fastapi": ("fastapi", "import async_auth.integrations.fastapi"),
    "grpc": ("grpc", "import async_auth.integrations.grpc"),
    "httpx": ("httpx", "sys.modules['httpx2'] = None; import async_auth.integrations.httpx"),
    "ipython": ("IPython", "import async_auth.integrations.ipython"),
    "keyring": ("keyring", "from async_auth.stores import KeyringStore; KeyringStore('x')"),
    "opentelemetry": ("opentelemetry", "import async_auth.integrations.opentelemetry"),
    "redis": (
        "redis.asyncio",
        "from async_auth.stores import RedisStore; RedisStore('redis://127.0.0.1:1')",
    ),
    "requests": ("requests", "import async_auth.integrations.requests"),
    "sqlalchemy": ("sqlalchemy", "import async_auth.integrations.sqlalchemy"),
    "starlette": ("starlette", "import async_auth.integrations.starlette"),
    "websockets": ("websockets", "import async_auth.integrations.websockets"),
}
#: What the command line says without its extra is in tests/cli/test_main.py.
ELSEWHERE = {"cli"}


@pytest.mark.parametrize("extra", NEEDED)
def test_it_says_what_to_install(extra):
    """By the name of the extra, in the last line."""
    package, use = NEEDED[extra]
    # -P keeps the current folder off the path: a file of the user's is not what is missing.
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.modules[{package!r}] = None; {use}"],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    last = done.stderr.splitlines()[-1]
    assert 1 == done.returncode
    assert last.endswith(f": pip install 'async_auth[{extra}]'.")
    # Nothing is told of where it was looked for, or of what else went wrong on the way.
    assert "During handling" not in done.stderr


def test_no_extra_is_left_out():
    """Whoever adds one says here what its users are told."""
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]

    assert set(extras) == {*NEEDED, *ELSEWHERE}
