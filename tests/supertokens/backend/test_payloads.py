"""What becomes of a session's claims, by itself."""

from __future__ import annotations

import pytest

from async_auth.supertokens.access_token import PROTECTED
from async_auth.supertokens.backend.payloads import created, merged

EVERY = dict.fromkeys(PROTECTED, "x")


@pytest.mark.parametrize("payload", [None, {}, EVERY, {"iss": "eve"}])
def test_a_new_session_has_an_issuer_and_nothing_of_the_cores(payload):
    """The core's own claims are not the user's to set, nor is the issuer."""
    assert {"iss": "us"} == created(payload, "us")


def test_a_merge():
    """New claims win, None removes, what is the core's is passed over, old nulls stay."""
    before = {**EVERY, "a": 1, "b": 2, "null": None}
    update = {**EVERY, "a": None, "c": 3, "unknown": None}

    assert {"b": 2, "c": 3, "null": None} == merged(before, update)
    assert {**EVERY, "a": 1, "b": 2, "null": None} == before
