"""Profiles: which server, which account, where the session is kept. Pure, and without secrets.

The API key of a profile is the public one. One that opens everything (`service_role`,
`sb_secret_…`) is refused here: it belongs into the environment. What a newer version has written
into the file is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from async_auth.core import jwt
from async_auth.errors import ConfigurationError, Malformed, SignInRequired

Kind = Literal["gotrue", "supertokens"]
#: Where the session is kept.
Keep = Literal["keyring", "file"]

DEFAULT = "default"
KINDS: Mapping[Kind, str] = {"gotrue": "GoTrue", "supertokens": "SuperTokens"}
KEEPS = ("keyring", "file")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: Keys of Supabase that open everything.
SECRET_PREFIX, SECRET_ROLE = "sb_secret_", "service_role"
API_KEY_VARIABLE = "ASYNC_AUTH_API_KEY"


@attrs.frozen(kw_only=True)
class Profile:
    """
    One server and account.

    Args:
        name: What it is called; the key of its session in the store, too.
        kind: The auth system.
        url: GoTrue's auth root, or the domain of the API before SuperTokens.
        base_path: SuperTokens only: the path below which the session routes are.
        sign_in_path: SuperTokens only: the API's own sign-in route, if it has one.
        api_key: GoTrue only: the public key that goes with every request.
        account: Who signed in last: an address or a number.
        keep: Where the session is kept.
    """

    name: str
    kind: Kind
    url: str
    base_path: str = "/auth"
    sign_in_path: str | None = None
    api_key: str | None = attrs.field(default=None, repr=False)
    account: str | None = None
    keep: Keep = "file"

    @property
    def host(self) -> str:
        """The server's name, for people."""
        return urlsplit(self.url).netloc.rpartition("@")[2] or self.url

    @property
    def system(self) -> str:
        """The auth system's name, for people."""
        return KINDS[self.kind]


@attrs.frozen(kw_only=True)
class Profiles:
    """
    Everything in the file.

    Args:
        default: The profile that is meant where none is named.
        profiles: By name.
        document: The file as it was read; what is unknown here is written again.
    """

    default: str = DEFAULT
    profiles: Mapping[str, Profile] = attrs.field(factory=dict)
    document: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def chosen(self, named: str | None) -> Profile:
        """
        Return the profile that is *named*, else the default one.

        Raises:
            SignInRequired: None is named, and there is none yet.
            ConfigurationError: There is none of that name; the message names those there are.
        """
        name = self.default if named is None else named
        if name in self.profiles:
            return self.profiles[name]
        if named is None and not self.profiles:
            raise SignInRequired("Nobody has signed in yet: there is no profile.")
        there = ", ".join(sorted(self.profiles)) or "none yet"
        raise ConfigurationError(
            f"There is no profile {name!r}; there are: {there}. "
            f"`async-auth login --profile {name}` makes it."
        )

    def with_profile(self, profile: Profile) -> Profiles:
        """
        Return these and *profile*; the first one becomes the default.

        Raises:
            ConfigurationError: It could not be read again; what is wrong is named.
        """
        facts = attrs.asdict(profile).items()
        wrong = [name for name, fact in facts if fact is not None and not _is_good(name, fact)]
        if wrong:
            raise ConfigurationError(f"A profile cannot have this {wrong[0]}.")
        default = self.default if self.default in self.profiles else profile.name
        return attrs.evolve(
            self, default=default, profiles={**self.profiles, profile.name: profile}
        )

    def without(self, name: str) -> Profiles:
        """Return these without *name*."""
        rest = {other: one for other, one in self.profiles.items() if other != name}
        default = next(iter(sorted(rest)), DEFAULT) if name == self.default else self.default
        return attrs.evolve(self, default=default, profiles=rest)


def checked_name(name: str) -> str:
    """Return *name*, or raise ConfigurationError if no profile can be called so."""
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            "profile: a name is up to 64 letters, digits, dots, dashes and underscores, and "
            "begins with a letter or a digit."
        )
    return name


def checked_api_key(api_key: str) -> str:
    """Return *api_key*, or raise ConfigurationError if it is one that opens everything."""
    if api_key.startswith(SECRET_PREFIX) or _role_of(api_key) == SECRET_ROLE:
        raise ConfigurationError(
            "api-key: this is a secret key, which opens everything and is not kept in a file. "
            "Give the public one (anon, sb_publishable_…), or set "
            f"{API_KEY_VARIABLE} where the key is needed."
        )
    return api_key


def _role_of(api_key: str) -> object:
    try:
        return jwt.peek(api_key).claims.get("role")
    except Malformed:
        return None


def parse_profiles(document: Mapping[str, Any], place: str) -> Profiles:
    """
    Return the profiles of a TOML *document*.

    Args:
        document: The file.
        place: Where it is, for messages.

    Raises:
        ConfigurationError: Something in it is not what it must be; the message names it.
    """
    tables = document.get("profiles", {})
    default = document.get("default", DEFAULT)
    if not isinstance(tables, Mapping) or not isinstance(default, str) or not default.isprintable():
        raise ConfigurationError(f"{place}: `profiles` must be tables, and `default` a name.")
    return Profiles(
        default=default,
        profiles={name: _profile(name, table, place) for name, table in tables.items()},
        document=document,
    )


def _profile(name: str, table: Any, place: str) -> Profile:
    if not NAME.fullmatch(name) or not isinstance(table, Mapping):
        shown = name if name.isprintable() else repr(name)
        raise ConfigurationError(
            f"{place}: [profiles.{shown}] is no table with the name of a profile."
        )
    texts = ("kind", "url", "base_path", "sign_in_path", "api_key", "account", "keep")
    facts = {member: table[member] for member in texts if member in table}
    wrong = next((name for name in ("kind", "url") if name not in facts), None)
    wrong = wrong or next(
        (name for name, value in facts.items() if not _is_good(name, value)), None
    )
    if wrong:
        raise ConfigurationError(
            f"{place}: [profiles.{name}]: `{wrong}` is missing or not what it must be."
        )
    return Profile(name=name, **facts)


def _is_good(name: str, value: object) -> bool:
    # They go to a terminal, which obeys what it cannot show.
    if not isinstance(value, str) or not value.isprintable():
        return False
    match name:
        case "kind":
            return value in KINDS
        case "keep":
            return value in KEEPS
        case "url":
            return _can_be_split(value)
    return True


def _can_be_split(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:
        return False
    return True


def document_of(profiles: Profiles) -> dict[str, Any]:
    """Return the TOML document of *profiles*, with what was in the file before and is unknown."""
    before = profiles.document.get("profiles", {})
    known = {field.name for field in attrs.fields(Profile)}
    tables = {}
    for name, profile in profiles.profiles.items():
        unknown = {k: v for k, v in before.get(name, {}).items() if k not in known}
        facts = {k: v for k, v in attrs.asdict(profile).items() if v is not None and k != "name"}
        if profile.kind == "gotrue":
            facts.pop("base_path")
        tables[name] = {**facts, **unknown}
    return {**profiles.document, "default": profiles.default, "profiles": tables}
