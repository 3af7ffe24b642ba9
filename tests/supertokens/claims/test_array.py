"""What is asked of a claim with a list."""

from __future__ import annotations

import pytest

from async_auth.supertokens import PrimitiveArrayClaim

ROLES = PrimitiveArrayClaim("roles", lambda *_: None)
ASK = ROLES.validators


@pytest.mark.parametrize(
    "validator, value, passes",
    [
        (ASK.includes("a"), ["a", "b"], True),
        (ASK.includes("c"), ["a", "b"], False),
        (ASK.includes("a"), [], False),
        (ASK.excludes("c"), ["a", "b"], True),
        (ASK.excludes("a"), ["a", "b"], False),
        (ASK.includes_all(["a", "b"]), ["b", "a", "c"], True),
        (ASK.includes_all(["a", "c"]), ["a", "b"], False),
        (ASK.includes_all([]), ["a"], True),
        (ASK.includes_any(["c", "a"]), ["a", "b"], True),
        (ASK.includes_any(["c", "d"]), ["a", "b"], False),
        (ASK.includes_any([]), ["a"], False),
        (ASK.excludes_all(["c", "d"]), ["a", "b"], True),
        (ASK.excludes_all(["c", "a"]), ["a", "b"], False),
        (ASK.includes(value=True), [1], False),
        (ASK.excludes(0), [False, {"not": "primitive"}], True),
    ],
)
def test_lists_are_searched(now, validator, value, passes):
    """Value by value, and true is not 1."""
    payload = ROLES.add_to_payload({}, value, now=now)

    assert passes is (validator.validate(payload, now=now) is None)


@pytest.mark.parametrize(
    "validator, word, expected",
    [
        (ASK.includes("x"), "expectedToInclude", "x"),
        (ASK.excludes("a"), "expectedToNotInclude", "a"),
        (ASK.includes_all(("a", "x")), "expectedToInclude", ["a", "x"]),
        (ASK.includes_any({"x"}), "expectedToIncludeAtLeastOneOf", ["x"]),
        (ASK.excludes_all(iter(["a"])), "expectedToNotInclude", ["a"]),
    ],
)
def test_the_reasons_are_the_official_ones(now, validator, word, expected):
    """A front end shows them."""
    payload = ROLES.add_to_payload({}, ["a"], now=now)

    assert {
        "message": "wrong value",
        word: expected,
        "actualValue": ["a"],
    } == validator.validate(payload, now=now)
    assert {
        "message": "value does not exist",
        word: expected,
        "actualValue": None,
    } == validator.validate({}, now=now)


@pytest.mark.parametrize("name", ["includes", "excludes"])
def test_a_list_may_be_too_old(now, name):
    """By the validator's own age, or the claim's."""
    claim = PrimitiveArrayClaim("roles", lambda *_: None, default_max_age=60)
    payload = claim.add_to_payload({}, ["a"], now=now)
    ask = getattr(claim.validators, name)

    assert {
        "message": "expired",
        "ageInSeconds": 61.0,
        "maxAgeInSeconds": 60,
    } == ask("x").validate(payload, now=now + 61)
    assert not ask("x", max_age=90).should_refetch(payload, now=now + 61)


def test_a_validator_may_have_a_name_of_its_own():
    """The claim's key by default."""
    names = [
        ask(["a"], id=name).id
        for ask in (ASK.includes_all, ASK.includes_any, ASK.excludes_all)
        for name in ("mine", None)
    ]

    assert ["mine", "roles"] * 3 == names
