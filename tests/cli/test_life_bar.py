"""The life of a token as a bar."""

from __future__ import annotations

import pytest

from async_auth.cli.life_bar import bar


@pytest.mark.parametrize(
    "part, text",
    [(1.0, "##|#######"), (0.5, "##|##-----"), (0.0, "--|-------"), (-1.0, "--|-------")],
)
def test_bar(part, text):
    """Full at first, empty at the end, with a mark where it is due."""
    assert text == bar(part, 0.2, 10, ascii_only=True)


@pytest.mark.parametrize("due", [-1.0, 0.0, 1.0, 2.0])
def test_the_mark_stays_in_the_bar(due):
    """Whatever a server says of the token's life."""
    drawn = bar(0.5, due, 10)

    assert 10 == len(drawn)
    assert 1 == drawn.count("│")
