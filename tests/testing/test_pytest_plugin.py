"""The fixtures that come with the library, in other people's test runs."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

import async_auth.testing
from async_auth.testing import ManualClock, ScriptedTransport


def test_every_public_name_loads():
    """What `__all__` promises is there when it is asked for, and nothing else is."""
    for name in async_auth.testing.__all__:
        assert name == getattr(async_auth.testing, name).__name__
        assert name in dir(async_auth.testing)

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = async_auth.testing.Nothing


def test_the_fixtures_are_what_they_say(manual_clock, scripted_transport):
    """Each test gets its own."""
    assert isinstance(manual_clock, ManualClock)
    assert isinstance(scripted_transport, ScriptedTransport)


async def test_the_servers_run(gotrue_server, supertokens_core_server):
    """The embedded servers are up for the length of the test."""
    assert gotrue_server.url.startswith("http://127.0.0.1:")
    assert supertokens_core_server.url.startswith("http://127.0.0.1:")


USERS_TEST = """
import sys

HEAVY = {"aiohttp", "anyio", "cattrs", "jose", "cryptography"}

def test_nothing_of_ours_was_loaded():
    assert not HEAVY & set(sys.modules)

def test_fixtures_are_there(manual_clock, scripted_transport):
    assert manual_clock.now() > 0
    assert not HEAVY & set(sys.modules)
"""


@pytest.mark.parametrize(
    "options",
    [["-pno:asyncio"], ["-oasyncio_default_fixture_loop_scope=function"]],
    ids=["without pytest-asyncio", "with it"],
)
def test_it_costs_a_users_run_nothing(tmp_path, options):
    """It is found by itself, gets on with pytest-asyncio, and loads nothing heavy."""
    (tmp_path / "test_theirs.py").write_text(USERS_TEST)
    # anyio's own plugin would load anyio.
    options = ["-q", "-Werror", "-pno:cacheprovider", "-pno:anyio", *options]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_it_imports_without_pytest_asyncio(monkeypatch):
    """Where there is none, the async fixtures are plain ones, for anyio's plugin to run."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, package=None: None if name == "pytest_asyncio" else find_spec(name, package),
    )
    spec = find_spec("async_auth.testing.pytest_plugin")
    plugin = importlib.util.module_from_spec(spec)

    spec.loader.exec_module(plugin)

    assert "pytest_asyncio" not in type(plugin.gotrue_server).__module__
