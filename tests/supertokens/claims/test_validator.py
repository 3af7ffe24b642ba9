"""What every validator has, a user's own as well."""

from __future__ import annotations

from async_auth.supertokens import ClaimValidator, PrimitiveClaim
from async_auth.supertokens.claims.validator import ValueValidator, same


def test_json_values_are_told_apart():
    """Where Python would not."""
    pairs = [(1, True), (0, False), (1, 1.0), ("a", "a"), (True, True), ("1", 1)]

    assert [False, False, True, True, True, False] == [same(*pair) for pair in pairs]


def test_a_validator_can_be_made_for_any_question(now):
    """Of a value that is there."""
    age = PrimitiveClaim("age", lambda *_: None)
    validator: ClaimValidator = ValueValidator(
        id="of age", claim=age, expected=18, word="expectedAtLeast", accepts=lambda n: n >= 18
    )

    assert None is validator.validate(age.add_to_payload({}, 18, now=now), now=now)
    assert {"message": "wrong value", "expectedAtLeast": 18, "actualValue": 17} == (
        validator.validate(age.add_to_payload({}, 17, now=now), now=now)
    )
