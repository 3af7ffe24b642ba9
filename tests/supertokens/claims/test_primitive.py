"""What is asked of a claim with one value."""

from __future__ import annotations

import pytest

from async_auth import ConfigurationError
from async_auth.supertokens import BooleanClaim, PrimitiveClaim

ROLE = PrimitiveClaim("role", lambda *_: None)
VERIFIED = BooleanClaim("x-verified", lambda *_: None)


def test_the_right_value_passes(now):
    """However old it is, where nobody limits its age."""
    payload = ROLE.add_to_payload({}, "admin", now=0)
    validator = ROLE.validators.has_value("admin")

    assert ("role", None, False) == (
        validator.id,
        validator.validate(payload, now=now),
        validator.should_refetch(payload, now=now),
    )


def test_the_reasons_are_the_official_ones(now):
    """A front end shows them."""
    admin = ROLE.validators.has_value("admin", max_age=60, id="only-admins")

    assert "only-admins" == admin.id
    assert {
        "message": "value does not exist",
        "expectedValue": "admin",
        "actualValue": None,
    } == admin.validate({}, now=now)
    payload = ROLE.add_to_payload({}, "user", now=now)
    assert {
        "message": "wrong value",
        "expectedValue": "admin",
        "actualValue": "user",
    } == admin.validate(payload, now=now + 60)
    assert {
        "message": "expired",
        "ageInSeconds": 60.5,
        "maxAgeInSeconds": 60,
    } == admin.validate(payload, now=now + 60.5)


def test_a_missing_claim_is_answered_as_recorded(now):
    """By a real SuperTokens back end, to the letter."""
    assert {
        "message": "value does not exist",
        "expectedValue": True,
        "actualValue": None,
    } == VERIFIED.validators.is_true().validate({}, now=now)


def test_a_value_is_fetched_where_there_is_none_or_it_is_too_old(now):
    """Not before."""
    validator = ROLE.validators.has_value("admin", max_age=60)
    payload = ROLE.add_to_payload({}, "admin", now=now)

    assert [True, False, False, True] == [
        validator.should_refetch({}, now=now),
        validator.should_refetch(payload, now=now),
        validator.should_refetch(payload, now=now + 60),
        validator.should_refetch(payload, now=now + 60.001),
    ]


def test_a_value_without_a_time_is_too_old(now):
    """Nobody knows how old it is."""
    validator = ROLE.validators.has_value("admin", max_age=60)
    payload = {"role": {"v": "admin"}}

    assert validator.should_refetch(payload, now=now)
    assert "expired" == validator.validate(payload, now=now)["message"]


def test_the_claims_own_age_counts_unless_the_validator_has_one(now):
    """Zero is an age: always anew."""
    claim = PrimitiveClaim("role", lambda *_: None, default_max_age=60)
    payload = claim.add_to_payload({}, "admin", now=now)

    assert [True, False, True] == [
        claim.validators.has_value("admin").should_refetch(payload, now=now + 61),
        claim.validators.has_value("admin", max_age=90).should_refetch(payload, now=now + 61),
        claim.validators.has_value("admin", max_age=0).should_refetch(payload, now=now + 1),
    ]


@pytest.mark.parametrize(
    "validator, value, passes",
    [
        (VERIFIED.validators.is_true(), True, True),
        (VERIFIED.validators.is_true(), False, False),
        (VERIFIED.validators.is_false(), False, True),
        (VERIFIED.validators.is_false(), True, False),
        (VERIFIED.validators.is_true(), 1, False),
        (VERIFIED.validators.is_false(), 0, False),
        (VERIFIED.validators.is_true(), "true", False),
    ],
)
def test_true_is_not_one(now, validator, value, passes):
    """To JSON they are two values."""
    payload = VERIFIED.add_to_payload({}, value, now=now)

    assert passes is (validator.validate(payload, now=now) is None)


def test_a_boolean_claim_has_a_default_age_too(now):
    """As every claim."""
    claim = BooleanClaim("verified", lambda *_: None, default_max_age=60)
    payload = claim.add_to_payload({}, value=True, now=now)

    assert claim.validators.is_true(id="v").should_refetch(payload, now=now + 61)
    assert "v" == claim.validators.is_false(id="v").id


@pytest.mark.parametrize("max_age", [-1, "60", float("nan"), True])
def test_an_age_is_seconds(max_age):
    """Anything else is refused at once."""
    with pytest.raises(ConfigurationError, match="max_age"):
        ROLE.validators.has_value("admin", max_age=max_age)
