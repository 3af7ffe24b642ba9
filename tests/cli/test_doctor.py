"""`doctor`: each kind of trouble, made for real and found."""

from __future__ import annotations

import json
import time

import attrs
import keyring
import pytest
from aiohttp import web

from async_auth.cli import doctor, exit_codes
from async_auth.cli.keeping import state_folder
from async_auth.cli.profile_file import change_profiles, profiles_path
from async_auth.testing import GoTrueServer, ManualClock, MemoryKeyring

NAMES = ["profile", "folder", "keyring", "server", "clock", "session"]


@pytest.fixture
def examine(invoke):
    """Return a function that asks the doctor: the exit code, and what was found by name."""

    async def examine(**env):
        done = await invoke("doctor", "--json", **env)
        told = json.loads(done.stdout)
        assert told["ok"] == (done.exit_code == 0)
        return done.exit_code, {one["name"]: one for one in told["findings"]}

    return examine


def change(**facts):
    """Change the default profile."""
    change_profiles(lambda known: known.with_profile(attrs.evolve(known.chosen(None), **facts)))


async def test_all_is_well(invoke, examine, signed_in, server):
    """No keyring is a note, for the session is in a file; the server was asked who that is."""
    code, found = await examine()
    done = await invoke("doctor")

    assert 0 == code
    assert NAMES == list(found)
    assert ["ok", "ok", "note", "ok", "ok", "ok"] == [one["level"] for one in found.values()]
    assert "the server accepts it" in found["session"]["text"]
    assert done.stdout.endswith("\nAll is well.\n")
    assert 2 == server.counts["/user"]


async def test_nobody_has_ever_signed_in(invoke, examine):
    """What can be looked at is, the rest is skipped."""
    code, found = await examine()
    done = await invoke("doctor")

    assert (exit_codes.TROUBLE, "trouble") == (code, found["profile"]["level"])
    assert {"server", "clock", "session"} == {
        name for name, one in found.items() if one["level"] == "skipped"
    }
    assert "→ Sign in: async-auth login" in done.stdout
    assert done.stdout.endswith("\nOne thing is wrong.\n")


async def test_signed_out(examine, invoke, signed_in):
    """Sign in."""
    await invoke("logout")
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert "nobody is signed in" == found["session"]["text"]
    assert "Sign in: async-auth login" == found["session"]["advice"]


async def test_a_profile_that_others_can_read(examine, signed_in):
    """Chmod."""
    profiles_path().chmod(0o644)
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert "chmod 600 ~/config/async-auth/profiles.toml" == found["profile"]["advice"]


async def test_a_profile_that_cannot_be_read(examine, signed_in):
    """Where, and what is wrong with it."""
    profiles_path().write_text("[profiles", encoding="utf-8")
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert "is no TOML" in found["profile"]["text"]


async def test_a_folder_that_others_can_look_into(examine, signed_in):
    """Chmod."""
    state_folder().chmod(0o755)
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert "chmod 700 ~/state/async_auth/cli" == found["folder"]["advice"]


async def test_a_folder_that_cannot_be(examine, signed_in, home):
    """A file is in the way; then there is no session either."""
    code, found = await examine(XDG_STATE_HOME=str(profiles_path()))

    assert exit_codes.TROUBLE == code
    assert "cannot be a folder" in found["folder"]["text"]
    assert "See folder and keyring." != found["session"]["text"]
    assert "trouble" == found["session"]["level"]


async def test_a_disk_that_is_full(examine, signed_in, monkeypatch):
    """A refresh would have nowhere to go."""

    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(doctor.os, "fsync", no_room)
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert "free some space" in found["folder"]["text"]
    assert not list(state_folder().glob("tmp*"))


async def test_an_arrow_is_no_must(cli, home):
    """Plain ASCII has another."""
    done = cli.run("doctor", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert "-> Sign in: async-auth login" in done.stdout
    assert done.stdout.isascii()


async def test_a_damaged_session(examine, invoke, signed_in):
    """It is set aside, and shown."""
    (session,) = state_folder().glob("*.json")
    session.write_text("{", encoding="utf-8")
    await invoke("status")
    _, found = await examine()

    assert "damaged sessions were set aside: default-" in found["folder"]["text"]
    assert "nobody is signed in" == found["session"]["text"]


async def test_a_keyring_out_of_reach(examine, signed_in):
    """It matters to a session that is in it."""
    change(keep="keyring")
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert ("trouble", "trouble") == (found["keyring"]["level"], found["session"]["level"])
    assert "async-auth login --keep file" in found["keyring"]["advice"]


async def test_a_keyring_that_works(examine, sign_in, monkeypatch):
    """It is named."""
    vault = MemoryKeyring()
    monkeypatch.setattr(keyring, "get_keyring", lambda: vault)
    await sign_in()
    code, found = await examine()

    assert (0, "ok") == (code, found["keyring"]["level"])
    assert found["keyring"]["text"].endswith("MemoryKeyring works; the session is there")


async def test_a_server_that_is_away(examine, signed_in, expire):
    """Nothing is known of its clock, and an expired session has to wait."""
    await expire()
    change(url="http://127.0.0.1:1")
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert ("trouble", "skipped", "trouble") == tuple(
        found[name]["level"] for name in ("server", "clock", "session")
    )
    assert "The session is kept; the next call tries again." == found["session"]["advice"]


async def test_a_server_that_is_away_while_the_token_is_good(examine, signed_in):
    """Then the session is all right for now."""
    change(url="http://127.0.0.1:1")
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert "ok" == found["session"]["level"]


async def test_an_address_that_cannot_be(examine, signed_in):
    """Somebody has edited the file."""
    change(url="nonsense")
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert "Correct the address." == found["server"]["advice"]


@pytest.mark.parametrize("status, words", [(401, "--api-key"), (404, "auth root"), (502, "proxy")])
async def test_a_server_that_answers_oddly(examine, signed_in, serve, status, words):
    """A key, a path, a proxy."""

    async def answer(_):
        return web.Response(status=status)

    change(url=(await serve(answer)).url)
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert words in found["server"]["advice"]


async def test_a_clock_that_is_wrong(examine, invoke):
    """Ten minutes off is trouble, though not for us."""
    async with GoTrueServer(clock=ManualClock(time.time() - 600)) as server:
        server.create_user(email="ada@example.com", password="correct-horse-battery")
        arguments = ("login", "--url", server.url, "--email", "ada@example.com")
        await invoke(*arguments, "--password-stdin", typed="correct-horse-battery\n")
        code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert "this machine is 9 min 5" in found["clock"]["text"] or "10 min" in found["clock"]["text"]
    assert "ahead of the server" in found["clock"]["text"]
    assert "ok" == found["session"]["level"]


async def test_a_user_that_was_banned(examine, signed_in, server):
    """The token is good by its times, and the server refuses it."""
    server.faults.add("/user", status=403, body={"code": "user_banned", "msg": "User is banned"})
    code, found = await examine()

    assert exit_codes.TROUBLE == code
    assert "user_banned" in found["session"]["text"]
