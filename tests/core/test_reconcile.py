"""What a stored record means for the session in memory."""

from __future__ import annotations

import attrs
import pytest

from async_auth import Session
from async_auth.core.reconcile import Gone, Newer, Proceed, only_spendable, reconcile

OURS = Session(access_token="a", refresh_token="r", generation=5, sign_in_id="ours")


@pytest.mark.parametrize(
    "generation, sign_in_id, verdict",
    [
        (5, "ours", Proceed(5)),
        (4, "ours", Proceed(4)),
        (6, "ours", Newer()),
        (600, "ours", Newer()),
        (None, None, Gone()),
        (6, "theirs", Gone()),
        (5, "theirs", Gone()),
        (1, "theirs", Gone()),
    ],
)
def test_generations_and_sign_ins_decide(generation, sign_in_id, verdict):
    """Newer of the same sign-in is adopted, another sign-in or none means that ours is over."""
    assert verdict == reconcile(OURS, generation, sign_in_id, stored=True)


@pytest.mark.parametrize("stored", [(None, None), (9, "theirs"), (1, "theirs")])
def test_until_it_was_stored_whatever_is_there_is_older(stored):
    """A sign-in whose first save failed writes over what was there before it."""
    assert Proceed(None) == reconcile(OURS, *stored, stored=False)


@pytest.mark.parametrize("generation, verdict", [(5, Proceed(5)), (4, Proceed(4)), (6, Newer())])
def test_a_save_that_failed_may_have_worked(generation, verdict):
    """Where the sign-in is found it was stored, and others may have gone on from there."""
    assert verdict == reconcile(OURS, generation, "ours", stored=False)


def test_token_texts_do_not_count():
    """Two tokens of the same second are identical; their generations are not."""
    verdicts = {type(reconcile(OURS, generation, "ours", stored=True)) for generation in (4, 5, 6)}

    assert {Proceed, Newer} == verdicts


@pytest.mark.parametrize(
    "expires_at, refresh_token, answer",
    [
        (99.0, "r", True),
        (100.0, "r", True),
        (100.1, "r", False),
        (None, "r", False),
        (99.0, None, False),
    ],
)
def test_what_has_expired_is_only_good_for_its_refresh_token(expires_at, refresh_token, answer):
    """From its last moment on, and if it has one."""
    found = attrs.evolve(OURS, expires_at=expires_at, refresh_token=refresh_token)

    assert answer is only_spendable(found, 100.0)
