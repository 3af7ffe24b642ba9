"""What is left to say of the ways in, which `test_login.py` takes whole."""

from __future__ import annotations

import pytest

from async_auth.cli.clients import Opened, make_client
from async_auth.cli.profile import Profile
from async_auth.cli.sign_in import kept, show_address
from async_auth.errors import AuthSessionMissing
from async_auth.stores import MemoryStore


async def test_a_sign_in_without_a_session():
    """Something is still to be confirmed, and nobody is signed in."""
    profile, store = Profile(name="a", kind="gotrue", url="http://127.0.0.1:1"), MemoryStore()
    async with make_client(profile, store) as client:
        with pytest.raises(AuthSessionMissing, match="still to be confirmed"):
            await kept(Opened(profile=profile, store=store, client=client))


def test_the_address_is_no_output(capsys):
    """It goes to stderr: stdout is for what came of it."""
    show_address("http://127.0.0.1:1/authorize")
    captured = capsys.readouterr()

    assert "" == captured.out
    assert "\n  http://127.0.0.1:1/authorize\n" in captured.err
