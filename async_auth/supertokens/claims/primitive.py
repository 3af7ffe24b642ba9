"""Claims whose value is one text, number or boolean."""

from __future__ import annotations

from typing import Any, TypeVar

from async_auth.supertokens.claims.claim import FetchValue, SessionClaim
from async_auth.supertokens.claims.validator import (
    ClaimValidator,
    ValueValidator,
    check_max_age,
    same,
)

T = TypeVar("T", bound=str | bool | float)


class PrimitiveClaimValidators:
    """
    What can be asked of a claim with one value.

    Args:
        claim: The claim.
        default_max_age: Seconds after which a value has to be fetched again, unless a validator
            says otherwise; `None` for never.
    """

    def __init__(self, claim: SessionClaim[Any], default_max_age: float | None = None) -> None:
        check_max_age("default_max_age", default_max_age)
        self._claim: SessionClaim[Any] = claim
        self._default_max_age = default_max_age

    def has_value(
        self,
        value: str | bool | float,  # noqa: FBT001 - a value like any other
        *,
        max_age: float | None = None,
        id: str | None = None,  # noqa: A002 - the field's name, and the answer's
    ) -> ClaimValidator:
        """
        Ask for one value.

        Args:
            value: It.
            max_age: Seconds after which the value has to be fetched again.
            id: What names the validator in the answer; the claim's key by default.
        """
        return ValueValidator(
            id=id or self._claim.key,
            claim=self._claim,
            expected=value,
            word="expectedValue",
            accepts=lambda found: same(found, value),
            max_age=self._default_max_age if max_age is None else max_age,
        )


class BooleanClaimValidators(PrimitiveClaimValidators):
    """What can be asked of a claim that is true or false."""

    def is_true(
        self,
        *,
        max_age: float | None = None,
        id: str | None = None,  # noqa: A002 - as in has_value
    ) -> ClaimValidator:
        """Ask for `true`; arguments as for `has_value`."""
        return self.has_value(True, max_age=max_age, id=id)  # noqa: FBT003 - it is the value

    def is_false(
        self,
        *,
        max_age: float | None = None,
        id: str | None = None,  # noqa: A002 - as in has_value
    ) -> ClaimValidator:
        """Ask for `false`; arguments as for `has_value`."""
        return self.has_value(False, max_age=max_age, id=id)  # noqa: FBT003 - it is the value


class PrimitiveClaim(SessionClaim[T]):
    """
    A claim with one value: a text, a number or a boolean.

    Args:
        key: What it is called in the payload.
        fetch_value: As for `SessionClaim`.
        default_max_age: Seconds after which a value has to be fetched again, unless a validator
            says otherwise; `None` for never.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self, key: str, fetch_value: FetchValue[T], *, default_max_age: float | None = None
    ) -> None:
        super().__init__(key, fetch_value)
        self.validators = PrimitiveClaimValidators(self, default_max_age)


class BooleanClaim(PrimitiveClaim[bool]):
    """
    A claim that is true or false.

    Args:
        key: What it is called in the payload.
        fetch_value: As for `SessionClaim`.
        default_max_age: As for `PrimitiveClaim`.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self, key: str, fetch_value: FetchValue[bool], *, default_max_age: float | None = None
    ) -> None:
        super().__init__(key, fetch_value, default_max_age=default_max_age)
        self.validators: BooleanClaimValidators = BooleanClaimValidators(self, default_max_age)
