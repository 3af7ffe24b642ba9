"""A moment, and a payload that was written then."""

from __future__ import annotations

import pytest

#: When the claims of the payload were fetched, in unix seconds.
FETCHED = 1_700_000_000.0


@pytest.fixture
def now():
    """Return the moment when the claims were fetched."""
    return FETCHED
