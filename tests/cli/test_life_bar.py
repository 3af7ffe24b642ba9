"""The life of a token as a bar."""

from __future__ import annotations

import pytest

from async_auth.cli.life_bar import bar


@pytest.mark.parametrize(
    "part, text",
    [
        (1.0, "##|#######"),
        (0.5, "##|##-----"),
        (0.1, "#-|-------"),
        (0.0, "--|-------"),
        (-1.0, "--|-------"),
        (2.0, "##|#######"),
    ],
)
def test_bar(part, text):
    """It runs out from right to left, and never over its ends; the mark stays."""
    assert text == bar(part, 0.2, 10, ascii_only=True)


@pytest.mark.parametrize("due", [-1.0, 0.0, 1.0, 5.0])
def test_the_mark_stays_in_the_bar(due):
    """Whatever the margin is."""
    drawn = bar(0.5, due, 10)

    assert (10, 1) == (len(drawn), drawn.count("│"))
