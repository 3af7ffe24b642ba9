"""What people are told of an error."""

from __future__ import annotations

import pytest

from async_auth.cli.failure import text_of
from async_auth.errors import AuthSessionMissing, RefreshRejected


@pytest.mark.parametrize(
    "error, expected",
    [
        (AuthSessionMissing(), "Nobody is signed in."),
        (AuthSessionMissing("A sign-out came between."), "A sign-out came between."),
        (
            AuthSessionMissing("Gone", code="session_not_found", status=403),
            "Gone (status 403, code session_not_found)",
        ),
        (RefreshRejected("Over", status=400), "Over (status 400)"),
    ],
)
def test_the_status_of_no_server_is_not_told(error, expected):
    """That nobody is signed in was found out here; what a server has said is told whole."""
    assert expected == text_of(error)
