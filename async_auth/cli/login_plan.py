"""What `login` is going to do: the profile that comes of its options, and the way in. Pure."""

from __future__ import annotations

from typing import Literal

import attrs

from async_auth.cli.profile import Keep, Kind, Profile, Profiles, checked_api_key, checked_name
from async_auth.errors import ConfigurationError

Way = Literal["password", "otp", "browser"]

EXAMPLE = "async-auth login --url https://x.supabase.co/auth/v1 --email ada@example.com"


@attrs.frozen(kw_only=True)
class Wishes:
    """
    What the options say; `None` where they say nothing.

    Args:
        profile: `--profile`.
        url: `--url`: GoTrue.
        supertokens: `--supertokens`: the API's domain.
        base_path: `--base-path`.
        sign_in_path: `--sign-in-path`.
        api_key: `--api-key`.
        email: `--email`.
        phone: `--phone`.
        otp: `--otp`.
        browser: `--browser`: the provider.
        keep: `--keep`.
    """

    profile: str | None = None
    url: str | None = None
    supertokens: str | None = None
    base_path: str | None = None
    sign_in_path: str | None = None
    api_key: str | None = attrs.field(default=None, repr=False)
    email: str | None = None
    phone: str | None = None
    otp: bool = False
    browser: str | None = None
    keep: Keep | Literal["auto"] | None = None

    @property
    def way(self) -> Way:
        """How to sign in."""
        if self.browser is not None:
            return "browser"
        return "otp" if self.otp else "password"

    def place(self, before: Profile | None) -> Keep | None:
        """
        Return where the session is to be kept, `None` for the keyring if it works.

        A file stays a file unless something else is said: a cron job may depend on it.

        Args:
            before: The profile as it was, if there was one.
        """
        if self.keep is None:
            return "file" if before is not None and before.keep == "file" else None
        return None if self.keep == "auto" else self.keep


def plan(known: Profiles, wishes: Wishes) -> Profile:
    """
    Return the profile to sign in with; its store is still to be chosen, and who signs in perhaps.

    Args:
        known: The profiles there are.
        wishes: The options.

    Raises:
        ConfigurationError: They contradict each other, or the profile; nothing has been done yet.
    """
    _check_together(wishes)
    name = checked_name(known.default if wishes.profile is None else wishes.profile)
    before = known.profiles.get(name)
    kind, url = _place(wishes, before)
    if kind == "supertokens":
        _check_supertokens(wishes)
    elif wishes.base_path is not None or wishes.sign_in_path is not None:
        raise ConfigurationError("base-path and sign-in-path go with --supertokens.")
    if before is not None and (before.kind, before.url) != (kind, url):
        raise ConfigurationError(
            f"profile: {name!r} is for {before.url}. Give the new one a name (--profile), or "
            f"forget the old one: async-auth profiles remove {name}"
        )
    _check_account(wishes)
    api_key = None if wishes.api_key is None else checked_api_key(wishes.api_key)
    old = Profile(name=name, kind=kind, url=url) if before is None else before
    base_path = old.base_path if wishes.base_path is None else wishes.base_path
    return attrs.evolve(
        old,
        base_path=base_path,
        sign_in_path=wishes.sign_in_path or old.sign_in_path,
        api_key=api_key or old.api_key,
        account=wishes.email or wishes.phone or old.account,
    )


def names_no_server(known: Profiles, wishes: Wishes) -> bool:
    """Say whether neither the options nor the profile that they mean name a server."""
    name = known.default if wishes.profile is None else wishes.profile
    return wishes.url is None and wishes.supertokens is None and name not in known.profiles


def is_phone(account: str) -> bool:
    """Say whether *account* is a number; else it is an address."""
    return "@" not in account


def _place(wishes: Wishes, before: Profile | None) -> tuple[Kind, str]:
    if wishes.url is not None:
        return "gotrue", wishes.url.rstrip("/")
    if wishes.supertokens is not None:
        return "supertokens", wishes.supertokens.rstrip("/")
    if before is None:
        raise ConfigurationError(f"url: which server? For example: {EXAMPLE}")
    return before.kind, before.url


def _check_together(wishes: Wishes) -> None:
    pairs = {
        "url and supertokens": (wishes.url, wishes.supertokens),
        "email and phone": (wishes.email, wishes.phone),
        "otp and browser": (wishes.otp or None, wishes.browser),
    }
    for names, pair in pairs.items():
        if None not in pair:
            raise ConfigurationError(f"{names}: give one of them, not both.")


def _check_account(wishes: Wishes) -> None:
    if wishes.email is not None and is_phone(wishes.email):
        raise ConfigurationError("email: an address has an @; a number goes with --phone.")
    if wishes.phone is not None and not is_phone(wishes.phone):
        raise ConfigurationError("phone: this is an address; it goes with --email.")


def _check_supertokens(wishes: Wishes) -> None:
    if wishes.way != "password":
        raise ConfigurationError(f"{wishes.way}: only GoTrue signs in that way here.")
    if wishes.api_key is not None:
        raise ConfigurationError("api-key: SuperTokens has none; it goes with --url.")
