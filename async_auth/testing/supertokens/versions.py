"""CDI versions, and what each changed in what the core says; no rule of its own."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from async_auth.errors import ConfigurationError

#: What the core can be told to speak; the newest is the default of a request that names none.
CDI_VERSIONS = (
    *(f"2.{minor}" for minor in range(7, 22)),
    *("3.0", "3.1", "4.0"),
    *(f"5.{minor}" for minor in range(7)),
)


@attrs.frozen(order=True)
class CdiVersion:
    """A version of the Core Driver Interface."""

    major: int
    minor: int

    @classmethod
    def of(cls, text: str) -> CdiVersion:
        """Return the version that one of `CDI_VERSIONS` names."""
        major, _, minor = text.partition(".")
        return cls(int(major), int(minor))

    @property
    def token_version(self) -> int:
        """The version of access tokens: 2 has no `kid`, 3 is a standard JWT."""
        if self < CdiVersion(2, 21):
            return 2
        if self < CdiVersion(3, 0):
            return 3
        return 4 if self < CdiVersion(4, 0) else 5

    @property
    def has_handshake(self) -> bool:
        """Whether keys come by handshake and with answers; from 2.21 they are a JWK set."""
        return self.token_version == 2  # noqa: PLR2004 - the last version without a kid

    @property
    def names_tenants(self) -> bool:
        """Whether answers carry `tenantId`."""
        return self >= CdiVersion(3, 0)

    @property
    def names_recipe_users(self) -> bool:
        """Whether answers carry `recipeUserId`."""
        return self >= CdiVersion(4, 0)

    @property
    def wants_key_kind(self) -> bool:
        """Whether a refresh has to say which kind of key it wants."""
        return self >= CdiVersion(5, 0)

    @property
    def rotates_in_refresh(self) -> bool:
        """Whether the refresh rotates, instead of the first use of its child."""
        return self >= CdiVersion(5, 6)


def check_versions(versions: Iterable[str]) -> dict[str, CdiVersion]:
    """
    Return the versions by their names.

    Raises:
        ConfigurationError: There is none, or one is not in `CDI_VERSIONS`.
    """
    names = [versions] if isinstance(versions, str) else list(versions)
    unknown = sorted(set(names) - set(CDI_VERSIONS))
    if unknown or not names:
        raise ConfigurationError(
            f"SuperTokensCoreServer: cdi_versions must be some of {', '.join(CDI_VERSIONS)}; "
            f"got {', '.join(unknown) or 'none'}."
        )
    return {name: CdiVersion.of(name) for name in names}
