"""Profiles as values: what may be in one, which one is meant, what the file looks like."""

from __future__ import annotations

import attrs
import pytest

from async_auth.cli.profile import (
    Profile,
    Profiles,
    checked_api_key,
    checked_name,
    document_of,
    parse_profiles,
)
from async_auth.core import jwt
from async_auth.errors import ConfigurationError, SignInRequired

WORK = Profile(name="work", kind="gotrue", url="https://x.supabase.co/auth/v1")
HOME = Profile(name="home", kind="supertokens", url="https://api.example.com", base_path="/a")
SECRET = b"0" * 32


def signed(role):
    """Return a key as Supabase signs them."""
    return jwt.sign({"role": role}, SECRET, algorithm="HS256")


def test_the_default_is_meant_where_none_is_named():
    """The first one is the default."""
    known = Profiles().with_profile(WORK).with_profile(HOME)

    assert (WORK, HOME) == (known.chosen(None), known.chosen("home"))


def test_before_the_first_one_somebody_has_to_sign_in():
    """That is no mistake of whoever calls."""
    with pytest.raises(SignInRequired, match="there is no profile"):
        Profiles().chosen(None)


@pytest.mark.parametrize(
    "known, there", [(Profiles(), "none yet"), (Profiles().with_profile(WORK), "work")]
)
def test_a_name_that_is_not_there(known, there):
    """The message names those that are, and how to make it."""
    with pytest.raises(ConfigurationError, match=f"'hoem'; there are: {there}.*--profile hoem"):
        known.chosen("hoem")


def test_another_becomes_the_default_when_the_default_goes():
    """So that a command without a name goes on working."""
    known = Profiles().with_profile(WORK).with_profile(HOME)

    assert ("home", ["home"]) == (
        known.without("work").default,
        list(known.without("work").profiles),
    )
    assert "work" == known.without("home").default
    assert Profiles().default == known.without("home").without("work").default


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "ä", "x" * 65, ".hidden", "a\n"])
def test_names_that_cannot_be(name):
    """A name goes into messages, commands and file names."""
    with pytest.raises(ConfigurationError, match="profile: a name is"):
        checked_name(name)


@pytest.mark.parametrize("name", ["work", "2", "a.b-c_d", "x" * 64])
def test_names_that_can(name):
    """Letters, digits, dots, dashes, underscores."""
    assert name == checked_name(name)


@pytest.mark.parametrize("key", ["sb_secret_abc", signed("service_role")])
def test_a_secret_key_is_no_part_of_a_profile(key):
    """It is refused by what it says of itself, and not repeated."""
    with pytest.raises(ConfigurationError, match="ASYNC_AUTH_API_KEY") as refused:
        checked_api_key(key)

    assert key not in str(refused.value)


@pytest.mark.parametrize("key", ["sb_publishable_abc", signed("anon"), "anything", "a.b.c"])
def test_a_public_key_is(key):
    """As is one that we know nothing of."""
    assert key == checked_api_key(key)


def test_the_document_and_back():
    """Everything is written, but for what a kind does not have."""
    known = Profiles().with_profile(WORK).with_profile(HOME)
    document = document_of(known)

    assert {"kind", "url", "keep"} == set(document["profiles"]["work"])
    assert {"kind", "url", "keep", "base_path"} == set(document["profiles"]["home"])
    assert known.profiles == parse_profiles(document, "here").profiles
    assert "work" == document["default"]


def test_what_is_unknown_is_written_again():
    """A newer version may have put it there."""
    table = {"kind": "gotrue", "url": WORK.url, "colour": "red"}
    document = {"default": "work", "theme": "dark", "profiles": {"work": table}}
    again = document_of(parse_profiles(document, "here").with_profile(HOME))

    assert ("dark", "red") == (again["theme"], again["profiles"]["work"]["colour"])


@pytest.mark.parametrize(
    "document, words",
    [
        ({"profiles": 1}, "`profiles` must be tables"),
        ({"default": 1}, "`default` a name"),
        ({"profiles": {"work": 1}}, r"\[profiles.work\] is no table"),
        ({"profiles": {"a b": {}}}, "is no table with the name of a profile"),
        ({"profiles": {"work": {"url": "x"}}}, "`kind` is missing"),
        ({"profiles": {"work": {"kind": "gotrue"}}}, "`url` is missing"),
        ({"profiles": {"work": {"kind": "ldap", "url": "x"}}}, "`kind` is missing or not"),
        ({"profiles": {"work": {"kind": "gotrue", "url": 1}}}, "`url` is missing or not"),
        ({"profiles": {"work": {"kind": "gotrue", "url": "x", "keep": "safe"}}}, "`keep` is"),
    ],
)
def test_a_file_that_is_wrong(document, words):
    """The message names the place."""
    with pytest.raises(ConfigurationError, match=words) as refused:
        parse_profiles(document, "profiles.toml")

    assert str(refused.value).startswith("profiles.toml: ")


def test_for_people():
    """The host without what an address may hold besides, and the system's name."""
    assert ("x.supabase.co", "GoTrue") == (WORK.host, WORK.system)
    assert ("127.0.0.1:9", "SuperTokens") == (
        Profile(name="a", kind="supertokens", url="http://u:p@127.0.0.1:9").host,
        HOME.system,
    )


@pytest.mark.parametrize(
    "member, value",
    [
        ("url", "http://[x"),
        ("url", "https://x.example\x1b[2J"),
        ("account", "ada\x07@example.com"),
        ("account", "ada\u202e@example.com"),
        ("base_path", "/a\nb"),
        ("kind", ["gotrue"]),
        ("keep", {"file": 1}),
    ],
)
def test_what_cannot_be_shown_is_named_and_not_shown(member, value):
    """No address that breaks a command, nothing that a terminal obeys."""
    table = {"kind": "gotrue", "url": "https://x.example", member: value}

    with pytest.raises(ConfigurationError, match=f"`{member}` is missing or not") as caught:
        parse_profiles({"profiles": {"work": table}}, "the file")

    assert caught.value.message.isprintable()


def test_what_could_not_be_read_again_is_not_kept():
    """One account that was typed wrongly must not cost all the others."""
    with pytest.raises(ConfigurationError, match="cannot have this account"):
        Profiles().with_profile(attrs.evolve(WORK, account="ada\x1b[A@example.com"))
