"""What the options of `login` come to, and which of them contradict each other."""

from __future__ import annotations

import pytest

from async_auth.cli.login_plan import Wishes, is_phone, names_no_server, plan
from async_auth.cli.profile import Profile, Profiles
from async_auth.errors import ConfigurationError

URL, API = "https://x.supabase.co/auth/v1", "https://api.example.com"
WORK = Profile(name="work", kind="gotrue", url=URL, api_key="anon", account="ada@example.com")
KNOWN = Profiles().with_profile(WORK)


def test_a_new_profile():
    """Everything is in the options."""
    wishes = Wishes(url=f"{URL}/", api_key="anon", email="ada@example.com", profile="work")

    assert WORK == plan(Profiles(), wishes)


def test_a_profile_that_is_known():
    """Then nothing has to be."""
    assert WORK == plan(KNOWN, Wishes())


def test_a_known_one_is_changed():
    """The key and the account may change; the server may not."""
    changed = plan(KNOWN, Wishes(url=URL, api_key="newer", phone="+49151"))

    assert ("newer", "+49151") == (changed.api_key, changed.account)


def test_supertokens():
    """The other kind, with its path."""
    planned = plan(Profiles(), Wishes(supertokens=API, base_path="/api", sign_in_path="/in"))

    assert ("supertokens", API, "/api", "/in", "default") == (
        planned.kind,
        planned.url,
        planned.base_path,
        planned.sign_in_path,
        planned.name,
    )


@pytest.mark.parametrize(
    "wishes, words",
    [
        (Wishes(url=URL, supertokens=API), "url and supertokens: give one"),
        (Wishes(url=URL, email="a@b", phone="+49"), "email and phone: give one"),
        (Wishes(url=URL, otp=True, browser="github"), "otp and browser: give one"),
        (Wishes(), "url: which server"),
        (Wishes(url=URL, base_path="/x"), "go with --supertokens"),
        (Wishes(url=URL, sign_in_path="/x"), "go with --supertokens"),
        (Wishes(supertokens=API, otp=True), "otp: only GoTrue"),
        (Wishes(supertokens=API, browser="github"), "browser: only GoTrue"),
        (Wishes(supertokens=API, api_key="x"), "api-key: SuperTokens has none"),
        (Wishes(url=URL, api_key="sb_secret_x"), "api-key: this is a secret key"),
        (Wishes(url=URL, profile="a b"), "profile: a name is"),
    ],
)
def test_what_makes_no_sense(wishes, words):
    """It is refused before anybody is asked for anything."""
    with pytest.raises(ConfigurationError, match=words):
        plan(Profiles(), wishes)


@pytest.mark.parametrize("wishes", [Wishes(url="https://y.example"), Wishes(supertokens=API)])
def test_a_profile_keeps_its_server(wishes):
    """Two servers under one name would be two accounts in one place."""
    with pytest.raises(ConfigurationError, match=f"'work' is for {URL}.*profiles remove work"):
        plan(KNOWN, wishes)


@pytest.mark.parametrize(
    "wishes, way",
    [
        (Wishes(), "password"),
        (Wishes(otp=True), "otp"),
        (Wishes(browser="github"), "browser"),
    ],
)
def test_the_way_in(wishes, way):
    """A password, if nothing else is said."""
    assert way == wishes.way


@pytest.mark.parametrize("account, expected", [("+49151", True), ("a@b", False), ("49151", True)])
def test_numbers_and_addresses(account, expected):
    """Only an address has an @."""
    assert expected == is_phone(account)


def test_the_key_is_not_shown():
    """It is public, but nobody has to read it."""
    assert "anon" not in repr(Wishes(api_key="anon")) + repr(WORK)


@pytest.mark.parametrize(
    "wishes, expected",
    [
        (Wishes(), False),
        (Wishes(profile="work"), True),
        (Wishes(profile="work", url=URL), False),
        (Wishes(profile="work", supertokens=API), False),
    ],
)
def test_whether_a_server_is_named(wishes, expected):
    """By an option, or by the profile that is meant."""
    known = Profiles().with_profile(Profile(name="default", kind="gotrue", url=URL))

    assert expected == names_no_server(known, wishes)
    assert names_no_server(Profiles(), Wishes())
