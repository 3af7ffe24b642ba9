"""The file of the profiles: whole, its owner's alone, and nobody's change lost."""

from __future__ import annotations

import stat
import threading

import pytest

from async_auth.cli import profile_file
from async_auth.cli.profile import Profile, Profiles
from async_auth.cli.profile_file import change_profiles, prepare, profiles_path, read_profiles
from async_auth.errors import ConfigurationError, StoreError


def profile(name):
    """Return a profile."""
    return Profile(name=name, kind="gotrue", url="https://x.supabase.co/auth/v1", api_key="anon")


@pytest.fixture
def path(home):
    """Return where the file is."""
    return profiles_path()


def test_there_is_none_at_first(path):
    """Then nothing is known."""
    assert Profiles() == read_profiles()


def test_it_is_written_and_read(path, home):
    """It lies in the user's folder for configuration, and nobody else may read it."""
    written = change_profiles(lambda known: known.with_profile(profile("work")))

    assert home / "config" / "async-auth" / "profiles.toml" == path
    assert written.profiles == read_profiles().profiles
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert {"profiles.toml", "store.guard"} == {one.name for one in path.parent.iterdir()}


def test_its_mode_is_narrowed(path):
    """Whatever an editor has made of it."""
    change_profiles(lambda known: known.with_profile(profile("work")))
    path.chmod(0o644)
    change_profiles(lambda known: known.with_profile(profile("home")))

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_changes_at_once_are_all_there(path):
    """None of them reads what another is about to replace."""
    names = [f"p{number}" for number in range(8)]
    threads = [
        threading.Thread(
            target=change_profiles,
            args=(lambda known, name=name: known.with_profile(profile(name)),),
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert names == sorted(read_profiles().profiles)


@pytest.mark.parametrize("content", [b"[profiles", b"\xff\xfe"])
def test_what_is_no_toml_is_left_alone(path, content):
    """The message says where, and nothing is written over it."""
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match="is no TOML"):
        change_profiles(lambda known: known.with_profile(profile("work")))

    assert content == path.read_bytes()


def test_a_file_that_cannot_be_read(path):
    """A folder in its place, say."""
    path.mkdir(parents=True)

    with pytest.raises(StoreError, match="cannot read"):
        read_profiles()


def test_a_disk_that_is_full(path, monkeypatch):
    """The old file stays, and no part of a new one."""
    change_profiles(lambda known: known.with_profile(profile("work")))
    before = path.read_bytes()

    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(profile_file.os, "fsync", no_room)
    with pytest.raises(StoreError, match=r"cannot write .*free some space"):
        change_profiles(lambda known: known.with_profile(profile("home")))

    assert before == path.read_bytes()
    assert {"profiles.toml", "store.guard"} == {one.name for one in path.parent.iterdir()}


def test_a_folder_that_cannot_be(path, home):
    """It is told before anybody is asked for a password."""
    (home / "config").write_text("in the way")

    with pytest.raises(StoreError, match="cannot keep profiles in"):
        prepare()


def test_a_folder_that_is_not_ours(path, monkeypatch):
    """Root may write everywhere, so the system's answer is made up."""
    monkeypatch.setattr(profile_file.os, "access", lambda *_: False)

    with pytest.raises(StoreError, match="this user may not write there"):
        prepare()


@pytest.mark.parametrize(
    "content",
    [
        b"a = " + b"[" * 100_000,
        b"[[a" + b".a" * 100_000 + b"]]",
        b"[[a" + b".a" * 99 + b"]]\nb" + b".b" * 99 + b"=1",
        b"a = " + b"9" * 9000,
        b"a = 2020-02-31",
        b"a = 1" + b" " * profile_file.SIZE_MAX,
    ],
    ids=[
        "lists without end",
        "tables without end",
        "deep tables",
        "a long number",
        "no date",
        "too large",
    ],
)
def test_what_toml_cannot_hold_is_one_error(path, content):
    """Whatever is in the file, a command ends with a sentence about it, and the file stays."""
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match="Mend it, or move it away"):
        change_profiles(lambda known: known)

    assert content == path.read_bytes()
