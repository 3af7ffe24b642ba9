"""What `doctor` makes of what it has seen."""

from __future__ import annotations

from email.utils import formatdate
from pathlib import Path

import pytest

from async_auth import errors
from async_auth.cli import findings
from async_auth.cli.findings import Finding, Level
from async_auth.cli.profile import Profile
from async_auth.cli.standing import Standing
from async_auth.http_messages import Response
from async_auth.session import Status
from async_auth.stores.mounts import Mount

LOGIN = "async-auth login --profile work"
GOTRUE = Profile(name="work", kind="gotrue", url="https://x.supabase.co/auth/v1")
SUPERTOKENS = Profile(name="work", kind="supertokens", url="https://api.example.com")
NFS = Mount(point=Path("/home"), kind="nfs4", options=frozenset())
EXT4 = Mount(point=Path("/"), kind="ext4", options=frozenset())


@pytest.mark.parametrize("mode, level", [(0o600, Level.OK), (0o640, Level.TROUBLE)])
def test_the_file_of_the_profiles(mode, level):
    """Nobody else may read or change it."""
    found = findings.profile_found(GOTRUE, "~/p.toml", 0o100000 | mode)

    assert level is found.level
    assert (level is Level.OK) == (found.advice == "")
    assert "chmod 600 ~/p.toml" == (found.advice or "chmod 600 ~/p.toml")


@pytest.mark.parametrize(
    "error, advice",
    [
        (errors.SignInRequired("none"), "Sign in: LOGIN"),
        (errors.ConfigurationError("There is no profile 'x'"), ""),
    ],
)
def test_no_profile(error, advice):
    """Either nobody has signed in yet, or the name is wrong."""
    found = findings.profile_missing(error, "LOGIN")

    assert (Level.TROUBLE, advice) == (found.level, found.advice)


@pytest.mark.parametrize(
    "mode, mount, set_aside, level, words",
    [
        (0o700, EXT4, [], Level.OK, "mode 700"),
        (0o700, None, [], Level.OK, "mode 700"),
        (0o755, EXT4, [], Level.TROUBLE, "other users may look into it"),
        (0o700, NFS, [], Level.NOTE, "network file system (nfs4)"),
        (0o700, EXT4, ["a.corrupt-1"], Level.NOTE, "set aside: a.corrupt-1"),
    ],
)
def test_the_folder(mode, mount, set_aside, level, words):
    """Its mode, what it is on, and what is broken in it."""
    found = findings.folder_found("~/s", 0o40000 | mode, mount, set_aside)

    assert level is found.level
    assert words in found.text
    assert (level is Level.OK) == (found.advice == "")


def test_a_folder_that_cannot_be_used():
    """The store's own words, and what to do."""
    found = findings.folder_failed(errors.StoreError("cannot make ~/s"))

    assert (Level.TROUBLE, "cannot make ~/s") == (found.level, found.text)
    assert "XDG_STATE_HOME" in found.advice


@pytest.mark.parametrize("keep, level", [("file", Level.NOTE), ("keyring", Level.TROUBLE)])
def test_no_keyring(keep, level):
    """That matters to those whose session is in it."""
    error = errors.StoreError("It is locked. Do this and that.")
    found = findings.keyring_failed(error, keep, LOGIN)

    assert level is found.level
    assert found.text.startswith("It is locked.")
    assert "this and that" not in found.text
    assert (f"{LOGIN} --keep file" in found.advice) == (keep == "keyring")


def test_the_cause_says_more():
    """Why the keyring cannot be used is the reason of what we say about it."""
    error = errors.StoreError("The session is in the keyring")
    error.__cause__ = errors.ConfigurationError("There is no keyring.")

    assert "There is no keyring." == findings.keyring_failed(error, "keyring", LOGIN).text


@pytest.mark.parametrize("keep, words", [("file", "not used by"), ("keyring", "is there")])
def test_a_keyring(keep, words):
    """It works, whether or not it is used."""
    found = findings.keyring_found("macOS", keep)

    assert (Level.OK, True) == (found.level, words in found.text)


@pytest.mark.parametrize(
    "error, words",
    [
        (errors.NetworkError("No connection"), "Look at the network"),
        (errors.ConfigurationError("url must"), "Correct the address"),
        (errors.ProtocolError("odd"), ""),
    ],
)
def test_a_server_that_does_not_answer(error, words):
    """What to look at."""
    found = findings.server_failed(GOTRUE, error)

    assert (Level.TROUBLE, True) == (found.level, found.advice.startswith(words))
    assert "x.supabase.co cannot be asked: " in found.text


@pytest.mark.parametrize(
    "profile, status, words",
    [
        (GOTRUE, 200, ""),
        (GOTRUE, 401, "Give the project's public key"),
        (GOTRUE, 403, "Give the project's public key"),
        (GOTRUE, 404, "Is this the auth root?"),
        (GOTRUE, 302, "Is this the auth root?"),
        (GOTRUE, 503, "The server, or a proxy"),
        (SUPERTOKENS, 200, ""),
        (SUPERTOKENS, 404, "Are the session routes below /auth?"),
        (SUPERTOKENS, 500, "The server, or a proxy"),
    ],
)
def test_a_server_that_answers(profile, status, words):
    """Not every answer is a good one."""
    found = findings.server_answered(profile, Response(status), 0.0123)

    assert f"{profile.host} answered {status} in 12 ms" == found.text
    assert (Level.TROUBLE if words else Level.OK) is found.level
    assert found.advice.startswith(words)
    assert bool(words) == bool(found.advice)
    if "--api-key" in found.advice:
        assert f"async-auth login --profile {profile.name} --api-key" in found.advice


@pytest.mark.parametrize(
    "ahead, level, words",
    [
        (0.0, Level.OK, "right"),
        (4.0, Level.OK, "right"),
        (-4.0, Level.OK, "right"),
        (30.0, Level.NOTE, "30 s ahead of the server"),
        (-192.0, Level.TROUBLE, "3 min 12 s behind the server"),
    ],
)
def test_the_clock(ahead, level, words):
    """By the server's `Date`, which is half a second behind on average."""
    now = 1_700_000_000.0
    response = Response(200, {"Date": formatdate(now, usegmt=True)})
    sent_at = now + ahead + 0.4
    found = findings.clock_found(response, sent_at=sent_at, came_at=sent_at + 0.2)

    assert level is found.level
    assert words in found.text
    assert (level is Level.TROUBLE) == ("timedatectl" in found.advice)


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_no_clock(headers):
    """Nothing is said about what nobody knows."""
    found = findings.clock_found(Response(200, headers), sent_at=0.0, came_at=0.0)

    assert Level.SKIPPED is found.level


def test_a_session():
    """One that cannot be refreshed is worth a note."""
    stands = Standing(status=Status.FRESH, user="ada", generation=2, left=60.0, refreshable=True)
    last = Standing(status=Status.FRESH, generation=2, left=60.0)

    assert Finding(
        name="session", text="ada, token 2: 1 min 0 s left, fresh; the server accepts it"
    ) == findings.session_found(stands, verified=True)
    assert "accepts" not in findings.session_found(stands, verified=False).text
    assert Level.NOTE is findings.session_found(last, verified=True).level


@pytest.mark.parametrize(
    "error, words, advice",
    [
        (errors.AuthSessionMissing(), "nobody is signed in", "Sign in: LOGIN"),
        (errors.RefreshRejected("Banned", code="user_banned"), "Banned", "Sign in: LOGIN"),
        (errors.NetworkError("No connection"), "No connection", "The session is kept"),
        (errors.StoreError("cannot read"), "cannot read", "See folder and keyring"),
        (errors.ApiError("no", code="bad_jwt"), "no (code bad_jwt)", "The server refuses"),
    ],
)
def test_no_token(error, words, advice):
    """Why, and what to do."""
    found = findings.session_failed(error, "LOGIN")

    assert Level.TROUBLE is found.level
    assert found.text.startswith(words)
    assert found.advice.startswith(advice)


@pytest.mark.parametrize(
    "levels, well, verdict",
    [
        ([Level.OK, Level.NOTE, Level.SKIPPED], True, "All is well."),
        ([Level.OK, Level.TROUBLE], False, "One thing is wrong."),
        ([Level.TROUBLE, Level.TROUBLE], False, "2 things are wrong."),
    ],
)
def test_the_verdict(levels, well, verdict):
    """Only trouble counts."""
    found = [Finding(name="x", level=level, text="") for level in levels]

    assert (well, verdict) == (findings.all_well(found), findings.verdict(found))
