"""`login`: every way in, what is remembered of it, and what a failure leaves behind."""

from __future__ import annotations

import json
import secrets
import stat
import tomllib

import keyring
import pytest

from async_auth.cli import exit_codes
from async_auth.cli.keeping import SERVICE, state_folder
from async_auth.cli.profile_file import profiles_path, read_profiles
from async_auth.stores import FileStore, KeyringStore, file
from async_auth.testing import MemoryKeyring

EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery"


@pytest.fixture
def vault(home, monkeypatch):
    """Give this process a keyring."""
    vault = MemoryKeyring()
    monkeypatch.setattr(keyring, "get_keyring", lambda: vault)
    return vault


async def test_a_password_from_stdin(sign_in, stored, server):
    """The session is stored, and what is remembered is no secret."""
    said = await sign_in("--api-key", "anon-key")
    record = await stored()
    text = profiles_path().read_text(encoding="utf-8")

    assert f"{EMAIL} is signed in to 127.0.0.1" in said
    assert "There is no keyring that keeps secrets here" in said
    assert {
        "kind": "gotrue",
        "url": server.url,
        "api_key": "anon-key",
        "account": EMAIL,
        "keep": "file",
    } == tomllib.loads(text)["profiles"]["default"]
    secrets = (PASSWORD, record.session["access_token"], record.session["refresh_token"])
    assert [] == [secret for secret in secrets if secret in text + said]
    assert 0o700 == stat.S_IMODE(state_folder().stat().st_mode)


async def test_the_second_time_nothing_has_to_be_said(sign_in, invoke):
    """The profile knows the server and the account."""
    await sign_in()
    done = await invoke("login", "--password-stdin", "--json", typed=f"{PASSWORD}\n")
    told = json.loads(done.stdout)

    assert (0, EMAIL, True) == (done.exit_code, told["user"], told["refreshable"])
    assert {"profile", "kind", "url", "user", "expires_at", "refreshable", "kept_in"} == set(told)
    assert "file" == told["kept_in"]["store"]


async def test_two_profiles(sign_in, invoke, server):
    """Each has a session of its own; the first is the default."""
    other = server.create_user(phone="+4915112345678", password=PASSWORD)
    await sign_in()
    arguments = ("login", "--profile", "work", "--url", server.url, "--phone", "+4915112345678")
    done = await invoke(*arguments, "--password-stdin", typed=f"{PASSWORD}\n")
    users = [
        json.loads((await invoke("status", "--json", *named)).stdout)["user"]
        for named in ((), ("--profile", "work"))
    ]

    assert (0, "default") == (done.exit_code, read_profiles().default)
    assert [EMAIL, "4915112345678"] == users
    assert 1 == len(server.session_ids(other))


async def test_a_code_by_mail(invoke, server, monkeypatch):
    """The code is the next line of stdin, where there is no terminal."""
    # Nobody knows the code before it is sent: the mail is read when stdin is.
    monkeypatch.setattr("async_auth.cli.asking.code", lambda _: server.outbox[-1].code)
    done = await invoke("login", "--url", server.url, "--email", EMAIL, "--otp")

    assert (0, "") == (done.exit_code, done.stderr)


async def test_a_code_by_text_message(invoke, server, monkeypatch):
    """The same with a number."""
    server.create_user(phone="+4915112345678")
    monkeypatch.setattr("async_auth.cli.asking.code", lambda _: server.outbox[-1].code)
    done = await invoke("login", "--url", server.url, "--phone", "+4915112345678", "--otp")

    assert 0 == done.exit_code
    assert "sms" == server.outbox[-1].kind


@pytest.mark.parametrize("code", ["000000\n", ""])
async def test_a_wrong_code(invoke, server, home, code, monkeypatch):
    """The server refuses it; no code is bad usage. Nothing is kept."""
    # What is sent is not to be the wrong one by chance.
    monkeypatch.setattr(secrets, "randbelow", lambda _: 271828)
    done = await invoke("login", "--url", server.url, "--email", EMAIL, "--otp", typed=code)

    assert (exit_codes.REFUSED if code else exit_codes.USAGE) == done.exit_code
    assert not profiles_path().exists()


async def test_a_typing_error_makes_no_user(invoke, server):
    """A code is sent to those that the server knows."""
    done = await invoke("login", "--url", server.url, "--email", "aad@example.com", "--otp")

    assert exit_codes.REFUSED == done.exit_code
    assert [] == server.outbox


async def test_a_wrong_password_changes_nothing(sign_in, invoke, stored):
    """The session that there was stays."""
    await sign_in()
    before = await stored()
    done = await invoke("login", "--password-stdin", typed="wrong-wrong\n")

    assert exit_codes.REFUSED == done.exit_code
    assert "Error: Invalid login credentials" in done.stderr
    assert "wrong-wrong" not in done.output
    assert before == await stored()


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        ((), exit_codes.USAGE, "Error: url: which server?"),
        (("--url", "http://auth.example.com"), exit_codes.USAGE, "Error: url: plain http"),
        (("--url", "nonsense"), exit_codes.USAGE, "Error: url"),
        (("--url", "https://u:p@x.example"), exit_codes.USAGE, "Error: url"),
        (("--supertokens", "http://api.example.com"), exit_codes.USAGE, "Error: api_domain"),
        (("--url", "http://127.0.0.1:1"), exit_codes.USAGE, "Who signs in? Give --email"),
        (("--url", "http://127.0.0.1:1", "--email", EMAIL), exit_codes.USAGE, "Nobody to ask"),
        (("--url", "http://127.0.0.1:1", "--email", "ada"), exit_codes.USAGE, "Error: email: an"),
        (("--url", "http://127.0.0.1:1", "--phone", EMAIL), exit_codes.USAGE, "Error: phone: this"),
        (("--url", "http://127.0.0.1:1", "--profile", ""), exit_codes.USAGE, "Error: profile: a"),
    ],
)
async def test_what_cannot_be_done(invoke, home, arguments, code, words):
    """It is told in a line, before anything is sent or written."""
    done = await invoke("login", *arguments)

    assert code == done.exit_code
    assert words in done.stderr
    assert not profiles_path().exists()


async def test_a_server_that_is_away(invoke):
    """Then one may try again later."""
    arguments = ("login", "--url", "http://127.0.0.1:1", "--email", EMAIL, "--password-stdin")
    done = await invoke(*arguments, typed=f"{PASSWORD}\n")

    assert exit_codes.LATER == done.exit_code
    assert PASSWORD not in done.output


async def test_a_password_that_is_not_there(invoke, server):
    """An empty stdin is no password."""
    done = await invoke("login", "--url", server.url, "--email", EMAIL, "--password-stdin")

    assert exit_codes.USAGE == done.exit_code
    assert "stdin has no password in its first line." in done.stderr


async def test_a_password_is_no_argument(invoke):
    """There is no such option."""
    done = await invoke("login", "--password", "x")

    assert exit_codes.USAGE == done.exit_code


async def test_a_keyring_that_works_is_taken(sign_in, invoke, vault):
    """Then no file holds a token, and every command finds it."""
    said = await sign_in()
    token = (await invoke("token")).stdout.strip()
    kept = [path for path in state_folder().rglob("*") if path.is_file()]

    assert "the keyring, as 'async-auth'" in said
    assert "keyring" == read_profiles().chosen(None).keep
    assert [SERVICE] == [service for service, _ in vault.entries]
    assert not [path for path in kept if token.encode() in path.read_bytes()]


async def test_a_keyring_that_is_locked_is_not(sign_in, vault, monkeypatch):
    """It says so when it is asked, and the file is taken."""

    def refuse(*_):
        raise RuntimeError("locked")

    monkeypatch.setattr(vault, "get_password", refuse)
    said = await sign_in()

    assert "cannot be read: RuntimeError." in said
    assert "file" == read_profiles().chosen(None).keep


async def test_a_keyring_that_is_wished_for_must_be_there(invoke, server):
    """There is no silent fallback."""
    arguments = ("login", "--url", server.url, "--email", EMAIL, "--keep", "keyring")
    done = await invoke(*arguments, "--password-stdin", typed=f"{PASSWORD}\n")

    assert exit_codes.STORE == done.exit_code
    assert "There is no keyring that keeps secrets here" in done.stderr
    assert "async-auth login --keep file" in done.stderr


async def test_a_session_that_moves_leaves_nothing_behind(sign_in, vault):
    """Nobody would look for it in its old place again."""
    await sign_in("--keep", "file")
    await sign_in("--keep", "keyring")

    assert None is await FileStore(state_folder()).load("default")
    assert None is not await KeyringStore(SERVICE, folder=state_folder()).load("default")


async def test_a_file_stays_a_file(sign_in, vault):
    """A cron job may depend on it; `--keep auto` looks anew."""
    await sign_in("--keep", "file")
    await sign_in()
    again = read_profiles().chosen(None).keep
    await sign_in("--keep", "auto")

    assert ("file", "keyring") == (again, read_profiles().chosen(None).keep)


async def test_a_keyring_that_never_answers(cli):
    """It holds up neither the sign-in nor the end of the process."""
    silent = """
import threading, keyring
from async_auth.cli import keeping
from async_auth.testing import MemoryKeyring
class Silent(MemoryKeyring):
    def get_password(self, *_):
        threading.Event().wait()
keyring.get_keyring = Silent
keeping.KEYRING_PATIENCE = 0.01
"""
    arguments = ("login", "--url", "http://127.0.0.1:1", "--email", EMAIL)
    done = cli.run(*arguments, before=silent)

    assert exit_codes.USAGE == done.returncode
    assert "Nobody to ask for the password" in done.stderr


async def test_an_old_place_that_cannot_be_cleared_is_told(sign_in, invoke, vault, monkeypatch):
    """The new session is good all the same."""
    await sign_in("--keep", "keyring")

    def refuse(*_):
        raise RuntimeError("locked")

    monkeypatch.setattr(vault, "get_password", refuse)
    arguments = ("login", "--keep", "file", "--password-stdin")
    done = await invoke(*arguments, typed=f"{PASSWORD}\n")

    assert 0 == done.exit_code
    assert "The older session stays in the keyring: " in done.stderr


async def test_a_profile_of_another_server_is_not_overwritten(sign_in, invoke):
    """Its session would be sent to a stranger."""
    await sign_in()
    done = await invoke("login", "--url", "https://other.example/auth/v1")

    assert exit_codes.USAGE == done.exit_code
    assert "Give the new one a name (--profile)" in done.stderr


async def test_a_session_that_cannot_be_kept_is_told(invoke, server, monkeypatch):
    """The engine would go on trying; a command ends."""

    def no_room(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file.SessionFile, "replace", no_room)
    arguments = ("login", "--url", server.url, "--email", EMAIL, "--password-stdin")
    done = await invoke(*arguments, typed=f"{PASSWORD}\n")

    assert exit_codes.STORE == done.exit_code
    assert "You are signed in, but the session could not be kept" in done.stderr
    assert not profiles_path().exists()


async def test_a_server_that_wants_something_confirmed(invoke, server):
    """An answer without a session signs nobody in."""
    server.faults.add("/token", status=200, body={"user": {"id": "1"}})
    arguments = ("login", "--url", server.url, "--email", EMAIL, "--password-stdin")
    done = await invoke(*arguments, typed=f"{PASSWORD}\n")

    assert done.exit_code in {exit_codes.SIGN_IN, exit_codes.REFUSED}
    assert not profiles_path().exists()


async def test_a_damaged_file_of_profiles_is_left_alone(invoke, server, sign_in):
    """It is somebody's work."""
    await sign_in()
    profiles_path().write_text("[profiles", encoding="utf-8")
    done = await invoke("login")

    assert exit_codes.USAGE == done.exit_code
    assert "is no TOML" in done.stderr
    assert "[profiles" == profiles_path().read_text(encoding="utf-8")
