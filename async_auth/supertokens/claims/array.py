"""Claims whose value is a list of texts, numbers or booleans, such as roles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from async_auth.supertokens.claims.claim import FetchValue, Payload, SessionClaim
from async_auth.supertokens.claims.validator import (
    ClaimValidator,
    ValueValidator,
    check_max_age,
    same,
)

T = TypeVar("T", bound=str | bool | float)

_INCLUDE, _EXCLUDE = "expectedToInclude", "expectedToNotInclude"
_INCLUDE_ANY = "expectedToIncludeAtLeastOneOf"


class PrimitiveArrayClaimValidators:
    """
    What can be asked of a claim with a list.

    Each method takes *max_age*, the seconds after which the value has to be fetched again, and
    *id*, what names the validator in the answer (the claim's key by default).

    Args:
        claim: The claim.
        default_max_age: What counts for *max_age* where a validator says nothing.
    """

    def __init__(self, claim: SessionClaim[Any], default_max_age: float | None = None) -> None:
        check_max_age("default_max_age", default_max_age)
        self._claim: SessionClaim[Any] = claim
        self._default_max_age = default_max_age

    def includes(
        self,
        value: str | bool | float,  # noqa: FBT001 - a value like any other
        *,
        max_age: float | None = None,
        id: str | None = None,  # noqa: A002 - the field's name, and the answer's
    ) -> ClaimValidator:
        """Ask for a list that has *value*."""
        return self._validator(_INCLUDE, value, lambda found: _has(found, value), max_age, id)

    def excludes(
        self,
        value: str | bool | float,  # noqa: FBT001 - a value like any other
        *,
        max_age: float | None = None,
        id: str | None = None,  # noqa: A002 - as in includes
    ) -> ClaimValidator:
        """Ask for a list that does not have *value*."""
        return self._validator(_EXCLUDE, value, lambda found: not _has(found, value), max_age, id)

    def includes_all(
        self,
        values: Iterable[Any],
        *,
        max_age: float | None = None,
        id: str | None = None,  # noqa: A002 - as in includes
    ) -> ClaimValidator:
        """Ask for a list that has every one of *values*."""
        wanted = list(values)
        return self._validator(
            _INCLUDE, wanted, lambda found: all(_has(found, each) for each in wanted), max_age, id
        )

    def includes_any(
        self,
        values: Iterable[Any],
        *,
        max_age: float | None = None,
        id: str | None = None,  # noqa: A002 - as in includes
    ) -> ClaimValidator:
        """Ask for a list that has one of *values* at least."""
        wanted = list(values)
        return self._validator(
            _INCLUDE_ANY,
            wanted,
            lambda found: any(_has(found, each) for each in wanted),
            max_age,
            id,
        )

    def excludes_all(
        self,
        values: Iterable[Any],
        *,
        max_age: float | None = None,
        id: str | None = None,  # noqa: A002 - as in includes
    ) -> ClaimValidator:
        """Ask for a list that has none of *values*."""
        unwanted = list(values)
        return self._validator(
            _EXCLUDE,
            unwanted,
            lambda found: not any(_has(found, each) for each in unwanted),
            max_age,
            id,
        )

    def _validator(
        self,
        word: str,
        expected: Any,
        accepts: Callable[[Any], bool],
        max_age: float | None,
        name: str | None,
    ) -> ClaimValidator:
        return ValueValidator(
            id=name or self._claim.key,
            claim=self._claim,
            expected=expected,
            word=word,
            accepts=accepts,
            max_age=self._default_max_age if max_age is None else max_age,
        )


class PrimitiveArrayClaim(SessionClaim[list[T]]):
    """
    A claim with a list of texts, numbers or booleans.

    Args:
        key: What it is called in the payload.
        fetch_value: As for `SessionClaim`.
        default_max_age: Seconds after which a value has to be fetched again, unless a validator
            says otherwise; `None` for never.

    Raises:
        ConfigurationError: An argument is wrong; it names the argument.
    """

    def __init__(
        self, key: str, fetch_value: FetchValue[list[T]], *, default_max_age: float | None = None
    ) -> None:
        super().__init__(key, fetch_value)
        self.validators = PrimitiveArrayClaimValidators(self, default_max_age)

    def get_value(self, payload: Payload) -> list[T] | None:
        """Return the claim's list, `None` if it has none."""
        found: Any = super().get_value(payload)
        return found if isinstance(found, list) else None


def _has(found: list[Any], value: Any) -> bool:
    return any(same(each, value) for each in found)
