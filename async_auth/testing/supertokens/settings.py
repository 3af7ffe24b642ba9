"""What `SuperTokensCoreServer` was told to be, checked; a core reads this from its config.yaml."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs

from async_auth.errors import ConfigurationError
from async_auth.testing.supertokens.keys import make_private_key
from async_auth.testing.supertokens.versions import CdiVersion

#: What `reuse_behaviour` may be.
REUSE_BEHAVIOURS = ("TOKEN_THEFT", "UNAUTHORISED")
#: The longest grace period that the core takes, seconds.
GRACE_MAX = 300


@attrs.frozen(kw_only=True)
class Settings:
    """
    The options of one core; `SuperTokensCoreServer` says what each does.

    Raises:
        ConfigurationError: One is out of range; it is named.
    """

    versions: Mapping[str, CdiVersion]
    access_token_validity: float
    refresh_token_validity: float
    grace: float
    reuse_behaviour: str
    jitter: float
    random: Callable[[], float] = random.random
    key_interval: float
    api_keys: Collection[str] = attrs.field(repr=False)
    make_key: Callable[[], Any] = attrs.field(default=make_private_key, repr=False)

    def __attrs_post_init__(self) -> None:
        checks = {
            "access_token_validity must be more than 0": self.access_token_validity > 0,
            "refresh_token_validity must be more than access_token_validity": (
                self.refresh_token_validity > self.access_token_validity
            ),
            f"grace must be 0 to {GRACE_MAX}": 0 <= self.grace <= GRACE_MAX,
            f"reuse_behaviour must be one of {', '.join(REUSE_BEHAVIOURS)}": (
                self.reuse_behaviour in REUSE_BEHAVIOURS
            ),
            "access_token_jitter must be 0 to 1": 0 <= self.jitter <= 1,
            "key_update_interval must be more than 0": self.key_interval > 0,
            "make_key must be a function": callable(self.make_key),
        }
        for rule, kept in checks.items():
            if not kept:
                raise ConfigurationError(f"SuperTokensCoreServer: {rule}.")

    @property
    def newest(self) -> CdiVersion:
        """What a request without a version is answered in."""
        return max(self.versions.values())
