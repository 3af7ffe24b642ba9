"""Which version of the core driver interface is spoken. Pure; asks nobody."""

from __future__ import annotations

from typing import Any

from async_auth.errors import ConfigurationError, ProtocolError

#: What we speak, older first. Up to 5.5 a refresh token is rotated when its child is first used;
#: from 5.6 on the core rotates inside the refresh, and verifying writes nothing.
SUPPORTED = ("5.4", "5.6")


def checked(wanted: Any) -> str | None:
    """
    Return the version that the user asks for, `None` for whichever is best.

    Raises:
        ConfigurationError: We do not speak it.
    """
    if wanted is not None and wanted not in SUPPORTED:
        raise ConfigurationError(
            f"cdi_version must be one of {', '.join(SUPPORTED)}, or None for the newest that the "
            "core speaks too."
        )
    version: str | None = wanted
    return version


def choose(offered: Any, wanted: str | None = None) -> str:
    """
    Return the version to speak: *wanted* or, without it, the newest that both sides know.

    Args:
        offered: The core's list, in any order; what is no text in it is passed over.
        wanted: The only one that will do.

    Raises:
        ConfigurationError: There is none: another core, or another *wanted*, is needed.
        ProtocolError: *offered* is no list.
    """
    if not isinstance(offered, list | tuple):
        raise ProtocolError("The core's answer has no list of versions: is it a SuperTokens core?")
    candidates = SUPPORTED if wanted is None else (wanted,)
    common = [version for version in candidates if version in offered]
    if not common:
        raise ConfigurationError(
            f"The core does not speak CDI {' or '.join(candidates)}: use a newer core"
            + ("." if wanted is None else ", or another cdi_version.")
        )
    return common[-1]


def at_least(version: str, least: str) -> bool:
    """Whether *version* is *least* or newer; both are two numbers with a dot between them."""
    return _numbers(version) >= _numbers(least)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
