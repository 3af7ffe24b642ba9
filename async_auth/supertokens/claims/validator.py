"""What is asked of a session's claims, and how the answer reads. Pure: *now* is an argument.

The reasons are those of SuperTokens' own libraries, whose front ends show them: `value does not
exist`, `expired` and `wrong value`, with what was expected and what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs

from async_auth.core.plain_json import number
from async_auth.errors import ConfigurationError
from async_auth.supertokens.claims.claim import Payload, SessionClaim


class ClaimValidator(Protocol):
    """Looks at a session's payload; write your own, or take those of a claim's `validators`."""

    @property
    def id(self) -> str:
        """What names it in the answer."""
        ...

    @property
    def claim(self) -> SessionClaim[Any] | None:
        """The claim to fetch where `should_refetch` says so; `None` to fetch nothing."""
        ...

    def should_refetch(self, payload: Payload, *, now: float) -> bool:
        """Whether the claim's value has to be fetched before it is looked at."""
        ...

    def validate(self, payload: Payload, *, now: float) -> Any:
        """Return `None` if all is well, else the reason: a JSON value. May be async."""
        ...


@attrs.frozen(kw_only=True)
class ValueValidator:
    """
    Compares a claim's value with what is expected.

    Args:
        id: What names it in the answer.
        claim: The claim.
        expected: What a reason shows as expected.
        word: Under which name it shows that.
        accepts: Whether a value will do.
        max_age: Seconds after which a value has to be fetched again; `None` for never.
    """

    id: str
    claim: SessionClaim[Any]
    expected: Any
    word: str
    accepts: Callable[[Any], bool] = attrs.field(repr=False)
    max_age: float | None = attrs.field(default=None)

    @max_age.validator
    def _check(self, attribute: attrs.Attribute[Any], value: Any) -> None:
        check_max_age("max_age", value)

    def should_refetch(self, payload: Payload, *, now: float) -> bool:
        """Whether there is no value, or one that is too old."""
        return self.claim.get_value(payload) is None or self._expired(payload, now)

    def validate(self, payload: Payload, *, now: float) -> Mapping[str, Any] | None:
        """Return `None` if the value is there, new enough and the right one, else the reason."""
        value = self.claim.get_value(payload)
        if value is None:
            return self._reason("value does not exist", None)
        if self._expired(payload, now):
            return {
                "message": "expired",
                "ageInSeconds": self._age(payload, now),
                "maxAgeInSeconds": self.max_age,
            }
        return None if self.accepts(value) else self._reason("wrong value", value)

    def _expired(self, payload: Payload, now: float) -> bool:
        return self.max_age is not None and self._age(payload, now) > self.max_age

    def _age(self, payload: Payload, now: float) -> float:
        # In whole milliseconds, as the time was written.
        return (int(now * 1000) - (self.claim.get_last_refetch_time(payload) or 0.0) * 1000) / 1000

    def _reason(self, message: str, value: Any) -> dict[str, Any]:
        return {"message": message, self.word: self.expected, "actualValue": value}


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: `true` is not 1, as it is to Python."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def check_max_age(name: str, value: Any) -> None:
    """Raise ConfigurationError unless *value* is seconds, 0 or more, or `None`."""
    if value is None:
        return
    found = number(value)
    if found is None or found < 0:
        raise ConfigurationError(f"{name} must be seconds, 0 or more, or None.")
