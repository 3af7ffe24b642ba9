"""What is remembered of an event: its line of text, and neither session nor traceback."""

from __future__ import annotations

import pytest

from async_auth import NetworkError, RefreshFailed, Session, SignedOut, StoreFailed, TokenRefreshed
from async_auth.notebook.told import MESSAGE_MAX, Told, told_of


@pytest.mark.parametrize(
    "event,text",
    [
        (TokenRefreshed(session=Session(access_token="secret"), at=5.0, key="a"), ""),
        (
            RefreshFailed(error=NetworkError("No route."), at=5.0, key="a"),
            "NetworkError: No route.",
        ),
        (StoreFailed(error=OSError(), at=5.0, key="a"), "OSError"),
        (SignedOut(reason="theft", at=5.0, key="a"), "theft"),
    ],
)
def test_an_event_is_a_line(event, text):
    """Of an event its moment, name and key are kept, and what it says beside them."""
    assert Told(5.0, event.name, "a", text) == told_of(event)


def test_a_long_message_is_cut():
    """A page that a proxy sent in place of an answer does not become the notebook."""
    text = told_of(RefreshFailed(error=NetworkError("line\n" * 100))).text

    assert "NetworkError: line line " == text[:24]
    assert len("NetworkError: ") + MESSAGE_MAX == len(text)
    assert text.endswith("…")


def test_an_error_that_cannot_be_read_hurts_nobody():
    """Telling never raises, whatever a stranger's error does when it is asked what it says."""

    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert "Mute" == told_of(StoreFailed(error=Mute())).text
