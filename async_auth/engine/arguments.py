"""What a manager is given: checked before anything is changed, with errors that say what to do.

Values that may be secrets are never repeated; the others are, or their type.
"""

from __future__ import annotations

from collections.abc import Mapping

from async_auth.core.policy import RefreshPolicy
from async_auth.errors import ConfigurationError
from async_auth.session import AccessToken


def check_port(name: str, value: object, *methods: str) -> None:
    """Raise ConfigurationError unless *value* is an object with these methods."""
    if isinstance(value, type):
        raise ConfigurationError(f"{name} must be an object, not the class {kind_of(value)}.")
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing:
        raise ConfigurationError(
            f"{name} must have {', '.join(f'{method}()' for method in missing)}; "
            f"{kind_of(value)} has not."
        )


def check_provider(provider: object) -> None:
    """Raise ConfigurationError unless *provider* is one."""
    check_port("provider", provider, "refresh_request", "parse_refresh", "dump", "load")


def check_count(name: str, value: object) -> None:
    """Raise ConfigurationError unless *value* is an integer, 1 or more."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return
    raise ConfigurationError(f"{name} must be an integer, 1 or more; got {value!r}.")


def check_positive(name: str, value: object) -> None:
    """Raise ConfigurationError unless *value* is a number, more than 0; it may be infinite."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return
    raise ConfigurationError(f"{name} must be a number, more than 0; got {value!r}.")


def check_policy(policy: object) -> None:
    """Raise ConfigurationError unless *policy* is one, or `None`."""
    if policy is not None and not isinstance(policy, RefreshPolicy):
        raise ConfigurationError(f"policy must be a RefreshPolicy, not {kind_of(policy)}.")


def check_flag(name: str, value: object) -> None:
    """Raise ConfigurationError unless *value* is a bool."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {kind_of(value)}.")


def check_text(name: str, value: object) -> None:
    """Raise ConfigurationError unless *value* is a str."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be a string, not {kind_of(value)}.")


def check_mapping(name: str, value: object) -> None:
    """Raise ConfigurationError unless *value* is a mapping."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{name} must be a mapping, not {kind_of(value)}.")


def check_function(name: str, value: object) -> None:
    """Raise ConfigurationError unless *value* can be called, or is `None`."""
    if value is not None and not callable(value):
        raise ConfigurationError(f"{name} must be a function, not {kind_of(value)}.")


def check_min_ttl(min_ttl: object) -> None:
    """Raise ConfigurationError unless *min_ttl* is seconds, 0 or more, or `None`."""
    if min_ttl is None:
        return
    if isinstance(min_ttl, int | float) and not isinstance(min_ttl, bool) and min_ttl >= 0:
        return
    raise ConfigurationError(f"min_ttl must be seconds, 0 or more; got {min_ttl!r}.")


def check_rejected(rejected: object) -> None:
    """Raise ConfigurationError unless *rejected* is a token, its text, or `None`."""
    if rejected is not None and not isinstance(rejected, AccessToken | str):
        raise ConfigurationError(
            f"rejected must be an AccessToken or its text, not {kind_of(rejected)}."
        )


def check_refresh_token(refresh_token: object) -> None:
    """Raise ConfigurationError unless *refresh_token* is text or `None`."""
    if refresh_token is not None and not isinstance(refresh_token, str):
        raise ConfigurationError(
            f"refresh_token must be a string or None, not {kind_of(refresh_token)}."
        )


def bearer_text(token: object) -> str:
    """Return *token* if it can stand in an `Authorization` header."""
    if isinstance(token, str) and token.isascii() and token.isprintable() and token.strip():
        return token
    raise ConfigurationError("token must be printable ASCII and not empty, or None.")


def kind_of(value: object) -> str:
    """Return the name of the value's type, or of the type that it is."""
    return value.__name__ if isinstance(value, type) else type(value).__name__
