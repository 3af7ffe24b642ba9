"""Which variables `%auth status` finds, and what it does with a line; the kernel has the rest."""

from __future__ import annotations

import sys

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from async_auth import Session, SessionPool
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.provider import GoTrueProvider
from async_auth.gotrue.requests import Endpoint
from async_auth.integrations.ipython import (
    AuthMagics,
    load_ipython_extension,
    unload_ipython_extension,
)
from async_auth.integrations.ipython.magic import NOTHING, USAGE, found_in

URL = "http://127.0.0.1:1"


@pytest.fixture
async def client():
    """Make a client that is signed out."""
    async with GoTrueClient(URL) as client:
        yield client


@pytest.fixture
def shell(home, monkeypatch):
    """Run a shell without a terminal, and without a history in a file."""
    # The shell puts a module of its own there, and would leave it.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    load_ipython_extension(shell)
    return shell


async def test_what_holds_sessions_is_found(client):
    """Clients, managers, handles and pools are found once each; what a cell returned is not."""
    pool = SessionPool(GoTrueProvider(Endpoint(URL)))
    handle = pool.session("ann")
    names = {
        "_": client,
        "auth": client,
        "same": client,
        "manager": client.manager,
        "pool": pool,
        "handle": handle,
        "session": Session(access_token="a"),
        "number": 5,
    }

    assert ["auth", "manager", "pool", "handle"] == list(found_in(names))
    await pool.aclose()


async def test_the_line_is_read(client, shell, capsys):
    """Nothing and `status` mean all, a name means one; all else is refused with the usage."""
    shell.run_line_magic("auth", "")
    assert NOTHING == capsys.readouterr().out.strip()

    shell.user_ns["auth_client"] = client
    for line in ("", "status", "status auth_client"):
        shell.run_line_magic("auth", line)
        assert "<GoTrueClient 'default': signed_out" in capsys.readouterr().out
    for line in ("token", "logout", "status auth_client other", "status nothing"):
        with pytest.raises(UsageError) as raised:
            shell.run_line_magic("auth", line)
        assert USAGE in str(raised.value)


def test_it_can_be_unloaded(shell):
    """Unloading takes the magic away, and may be done twice; loading brings it back."""
    unload_ipython_extension(shell)
    unload_ipython_extension(shell)
    assert shell.find_line_magic("auth") is None

    load_ipython_extension(shell)
    assert isinstance(shell.find_line_magic("auth").__self__, AuthMagics)
