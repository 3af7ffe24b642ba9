"""`profiles`: which there are, which one is meant, and how one is forgotten."""

from __future__ import annotations

import json

import pytest

from async_auth.cli import exit_codes
from async_auth.cli.profile import Profile
from async_auth.cli.profile_file import change_profiles, profiles_path, read_profiles

URL = "https://x.supabase.co/auth/v1"


@pytest.fixture
def two(home):
    """Have two profiles; nobody is signed in."""
    for name, account in (("work", "ada@example.com"), ("old", None)):
        profile = Profile(name=name, kind="gotrue", url=URL, account=account, api_key="anon")
        change_profiles(lambda known, profile=profile: known.with_profile(profile))


async def test_the_list(invoke, two):
    """A star marks the default; the place of the file comes last."""
    done = await invoke("profiles")

    assert [
        "  old   x.supabase.co (GoTrue), kept in: file",
        "* work  ada@example.com at x.supabase.co (GoTrue), kept in: file",
        "~/config/async-auth/profiles.toml",
    ] == done.stdout.splitlines()


async def test_none(invoke):
    """How to make the first."""
    done = await invoke("profiles")

    assert done.stdout.startswith("There is no profile yet: async-auth login --help\n")


async def test_json(invoke, two):
    """Everything that is in the file."""
    told = json.loads((await invoke("profiles", "--json")).stdout)

    assert (str(profiles_path()), "work") == (told["path"], told["default"])
    assert ["work", "old"] == [one["name"] for one in told["profiles"]]


async def test_use(invoke, two):
    """The default is another."""
    done = await invoke("profiles", "use", "old")
    told = json.loads((await invoke("profiles", "use", "old", "--json")).stdout)

    assert ("old is the default now.\n", {"default": "old"}) == (done.stdout, told)
    assert "old" == read_profiles().default


async def test_json_may_stand_before_the_verb(invoke, two):
    """What is said of all of them holds for each."""
    done = await invoke("profiles", "--json", "use", "old")

    assert {"default": "old"} == json.loads(done.stdout)


async def test_an_encoding_without_all_letters(cli, two):
    """It costs the character, and not the command."""
    profile = Profile(name="work", kind="gotrue", url=URL, account="łada@example.com")
    change_profiles(lambda known: known.with_profile(profile))
    done = cli.run("profiles", PYTHONIOENCODING="latin-1")

    assert (0, "") == (done.returncode, done.stderr)
    assert "\\u0142ada@example.com" in done.stdout


async def test_remove(invoke, two):
    """It is forgotten."""
    done = await invoke("profiles", "remove", "old")
    told = json.loads((await invoke("profiles", "remove", "work", "--json")).stdout)

    assert ("old is forgotten.\n", {"removed": "work"}) == (done.stdout, told)
    assert {} == read_profiles().profiles


async def test_what_is_signed_in_stays(invoke, signed_in):
    """Or nobody would ever sign it out."""
    done = await invoke("profiles", "remove", "default")

    assert exit_codes.USAGE == done.exit_code
    assert "async-auth logout --profile default" in done.stderr
    assert "default" in read_profiles().profiles


@pytest.mark.parametrize("verb", ["use", "remove"])
async def test_a_name_that_is_not_there(invoke, two, verb):
    """2, and nothing is changed."""
    done = await invoke("profiles", verb, "wrok")

    assert exit_codes.USAGE == done.exit_code
    assert "there are: old, work" in done.stderr
