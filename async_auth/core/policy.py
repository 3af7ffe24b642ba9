"""When to refresh and how long to wait after a failure: numbers and pure formulas.

No clock and no randomness in here: *now* and *u* (uniform in 0..1) are arguments.
"""

from __future__ import annotations

import math

import attrs

from async_auth.errors import ConfigurationError

#: The margin is never more than this part of the token's life, so that short tokens do not storm.
MARGIN_SHARE = 0.2
#: The timer's jitter is never more than this part of the margin.
JITTER_SHARE = 0.1
#: In a pool the timer's moment is spread over this part of the token's life instead.
SPREAD_SHARE = 0.1
#: Spread over more than this, a session would be refreshed more than twice as often as it need be.
MAX_SPREAD = 0.5
#: Half the margin is what a caller gets at least, for tokens too short for `min_ttl`.
MIN_TTL_SHARE = 0.5


def _seconds(instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    number = math.nan if isinstance(value, bool) else value
    if isinstance(number, int | float) and 0 <= number < math.inf:
        return
    raise ConfigurationError(
        f"RefreshPolicy: {attribute.name} must be a number of seconds, 0 or more; got {value!r}."
    )


def _share(instance: object, attribute: attrs.Attribute[float | None], value: object) -> None:
    number = math.nan if isinstance(value, bool) else value
    if value is None or (isinstance(number, int | float) and 0 <= number <= MAX_SPREAD):
        return
    raise ConfigurationError(
        f"RefreshPolicy: {attribute.name} must be a part of the token's life, from 0 to "
        f"{MAX_SPREAD}, or None; got {value!r}."
    )


def _positive(instance: object, attribute: attrs.Attribute[float], value: object) -> None:
    _seconds(instance, attribute, value)
    if value == 0:
        raise ConfigurationError(f"RefreshPolicy: {attribute.name} must be more than 0 seconds.")


@attrs.frozen(kw_only=True)
class RefreshPolicy:
    """
    The times that govern refreshing, all in seconds.

    Args:
        margin: A token is *due* this long before it expires, but never earlier than the last
            fifth of its life: `min(margin, 0.2 * life)`.
        jitter: The timer goes off up to this much earlier still, drawn once per token, never
            more than a tenth of the margin. 0 for none.
        spread: Instead of the jitter, the timer goes off up to this part of the token's life
            earlier, so that many sessions that began together part. `None` is a tenth in a
            `SessionPool`, and the jitter alone in a manager of one session.
        min_ttl: `get_token()` returns at once while the token has more than this left:
            `min(min_ttl, margin / 2)`.
        min_interval: The timer, `get_session()` and `get_token()` never refresh twice within
            this time.
        backoff_initial: The least wait after a temporary failure.
        backoff_max: The longest wait after a temporary failure.
        retry_after_max: A server's `Retry-After` is obeyed up to here.
        request_timeout: One refresh request may take this long in all. GoTrue itself waits 5 s
            to say 409 and 10 s to say 504.
        lock_timeout: How long to wait for another process that holds the session's lock.

    Raises:
        ConfigurationError: A value is negative, not finite, or no number; it names the argument.
    """

    margin: float = attrs.field(default=10.0, validator=_seconds)
    jitter: float = attrs.field(default=1.0, validator=_seconds)
    spread: float | None = attrs.field(default=None, validator=_share)
    min_ttl: float = attrs.field(default=2.0, validator=_seconds)
    min_interval: float = attrs.field(default=1.0, validator=_seconds)
    backoff_initial: float = attrs.field(default=1.0, validator=_positive)
    backoff_max: float = attrs.field(default=60.0, validator=_positive)
    retry_after_max: float = attrs.field(default=3600.0, validator=_seconds)
    request_timeout: float = attrs.field(default=15.0, validator=_positive)
    lock_timeout: float = attrs.field(default=60.0, validator=_positive)

    def __attrs_post_init__(self) -> None:
        if self.backoff_max < self.backoff_initial:
            raise ConfigurationError(
                "RefreshPolicy: backoff_max must not be below backoff_initial."
            )

    def margin_for(self, life: float | None) -> float:
        """Return how long before its end a token with this *life* is due."""
        if life is None:
            return self.margin
        return min(self.margin, MARGIN_SHARE * max(life, 0.0))

    def jitter_for(self, life: float | None, u: float) -> float:
        """Return how much before it is due the timer goes off, for *u* in 0..1."""
        return self.lead_for(life, u) - self.margin_for(life)

    def lead_for(self, life: float | None, u: float) -> float:
        """Return how long before the token's end the timer goes off, for *u* in 0..1."""
        margin = self.margin_for(life)
        early = min(self.jitter, JITTER_SHARE * margin)
        if self.spread is not None and life is not None:
            early = max(early, self.spread * life)
        return margin + u * early

    def min_ttl_for(self, life: float | None, wanted: float | None = None) -> float:
        """
        Return how much life a token must have left to be handed out at once.

        Args:
            life: The token's whole life, or `None` if unknown.
            wanted: What the caller asked for; capped at half the life, or no token would do.
        """
        if wanted is None:
            return min(self.min_ttl, MIN_TTL_SHARE * self.margin_for(life))
        return wanted if life is None else min(wanted, max(life, 0.0) / 2)

    def backoff(self, failures: int, u: float) -> float:
        """
        Return the wait after the *failures*-th failure in a row, for *u* in 0..1.

        Full jitter between the least wait and an exponentially growing one:
        `backoff_initial + u * (min(backoff_max, backoff_initial * 2 ** (failures - 1)) -
        backoff_initial)`.
        """
        exponent = min(max(failures - 1, 0), 64)
        ceiling = min(self.backoff_max, self.backoff_initial * 2.0**exponent)
        return self.backoff_initial + u * (ceiling - self.backoff_initial)
