"""Validators run over a payload: what is fetched, and what is answered."""

from __future__ import annotations

import pytest

from async_auth.supertokens import BooleanClaim, PrimitiveClaim
from async_auth.supertokens.claims.checking import failures, refetch

USER = {"user_id": "ada", "recipe_user_id": "ada-recipe", "tenant_id": "public"}


class Fetched:
    """A fetch that counts, and notes what it was told."""

    def __init__(self, value):
        self.value = value
        self.calls = []

    async def __call__(self, *arguments):
        """Give the value."""
        self.calls.append(arguments)
        return self.value


class Own:
    """A user's own validator, about no claim; async, as it may be."""

    id = "own"
    claim = None

    def should_refetch(self, payload, *, now):
        """Want what cannot be fetched."""
        return True

    async def validate(self, payload, *, now):
        """Complain, in a text."""
        return f"no, at {now}"


async def test_a_claim_is_fetched_once_however_many_ask(now):
    """And the changes are given, not the payload."""
    fetched = Fetched(value=True)
    claim = BooleanClaim("verified", fetched)
    payload = {"other": 1}
    changes = await refetch(
        [claim.validators.is_true(), claim.validators.is_false(), Own()], payload, now=now, **USER
    )

    assert {"verified": {"v": True, "t": 1_700_000_000_000}} == changes
    assert [("ada", "ada-recipe", "public", {"other": 1})] == fetched.calls
    assert {"other": 1} == payload


async def test_a_claim_without_a_value_is_asked_for_once_and_left(now):
    """It changes nothing."""
    fetched = Fetched(None)
    claim = BooleanClaim("verified", fetched)

    assert {} == await refetch([claim.validators.is_true()] * 3, {}, now=now, **USER)
    assert 1 == len(fetched.calls)


async def test_a_claim_that_is_new_enough_is_not_fetched(now):
    """Fetching may cost the user a query."""
    fetched = Fetched("admin")
    claim = PrimitiveClaim("role", fetched, default_max_age=60)
    payload = claim.add_to_payload({}, "user", now=now)
    validators = [claim.validators.has_value("admin")]

    assert {} == await refetch(validators, payload, now=now + 60, **USER)
    assert {"role": {"v": "admin", "t": 1_700_000_061_000}} == await refetch(
        validators, payload, now=now + 61, **USER
    )


async def test_a_later_claim_sees_the_earlier_one(now):
    """As if it had been in the payload already."""
    second = Fetched("b")
    claims = PrimitiveClaim("one", Fetched("a")), PrimitiveClaim("two", second)
    await refetch([claim.validators.has_value("x") for claim in claims], {}, now=now, **USER)

    assert {"one": {"v": "a", "t": 1_700_000_000_000}} == second.calls[0][3]


async def test_failures_are_answered_in_order(now):
    """With the validators' names; those that pass are not."""
    claim = BooleanClaim("verified", Fetched(None))
    payload = claim.add_to_payload({}, value=True, now=now)
    found = await failures(
        [claim.validators.is_true(), Own(), claim.validators.is_false(id="f")], payload, now=now
    )

    assert (
        {"id": "own", "reason": f"no, at {now}"},
        {
            "id": "f",
            "reason": {"message": "wrong value", "expectedValue": False, "actualValue": True},
        },
    ) == found


async def test_a_broken_validator_lets_nobody_pass(now):
    """Its error is the caller's."""

    class Broken(Own):
        async def validate(self, payload, *, now):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failures([Broken()], {}, now=now)
