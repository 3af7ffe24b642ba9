"""`token`: a token and nothing else, and one refresh however many ask."""

from __future__ import annotations

import asyncio
import json

import attrs
import pytest
from aiohttp import web

from async_auth.cli import exit_codes
from async_auth.cli.profile_file import change_profiles, profiles_path
from async_auth.stores import file

REFRESH = "/token?grant_type=refresh_token"


async def test_a_token_and_nothing_else(invoke, signed_in, stored, server):
    """No request, while it is good."""
    done = await invoke("token")

    assert (0, "") == (done.exit_code, done.stderr)
    assert f"{(await stored()).session['access_token']}\n" == done.stdout
    assert 0 == server.counts[REFRESH]


async def test_json(invoke, signed_in, stored):
    """The same with its end."""
    told = json.loads((await invoke("token", "--json")).stdout)
    session = (await stored()).session

    assert {
        "access_token": session["access_token"],
        "token_type": "bearer",
        "expires_at": session["expires_at"],
    } == told


async def test_an_expired_one_is_refreshed(invoke, signed_in, expire, stored, server):
    """And the new one is stored."""
    await expire()
    done = await invoke("token")
    record = await stored()

    # Tokens of one second are identical: the generation tells them apart.
    assert (0, 1, 2) == (done.exit_code, server.issued, record.generation)
    assert f"{record.session['access_token']}\n" == done.stdout


async def test_a_token_that_shall_last(invoke, signed_in, stored, server):
    """`--min-ttl` refreshes one that has too little left."""
    session = (await stored()).session
    soon = {name: session[name] - 3000 for name in ("expires_at", "issued_at")}
    await stored(**soon)
    await invoke("token")
    assert 0 == server.issued
    await invoke("token", "--min-ttl", "900")
    assert 1 == server.issued


@pytest.mark.timeout(300)
async def test_twenty_at_once_share_one_refresh(cli, signed_in, expire, server):
    """Twenty processes find the session expired; the server forgives no reuse, and sees one."""
    await expire()
    done = await asyncio.gather(*(cli.finish("token", patience=250) for _ in range(20)))

    assert {(0, "")} == {(code, errors) for code, _, errors in done}
    assert 1 == len({output for _, output, _ in done})
    assert (1, 1) == (server.issued, server.counts[REFRESH])


@pytest.mark.parametrize("seconds", ["inf", "nan", "-1", "soon"])
async def test_no_such_time(invoke, seconds):
    """2."""
    assert exit_codes.USAGE == (await invoke("token", "--min-ttl", seconds)).exit_code


async def test_nobody_is_signed_in(invoke, signed_in):
    """3, and what to do; stdout is empty."""
    await invoke("logout")
    done = await invoke("token", "--profile", "default")

    assert (exit_codes.SIGN_IN, "") == (done.exit_code, done.stdout)
    assert "Sign in: async-auth login --profile default" in done.stderr


async def test_the_server_is_away(invoke, signed_in, expire, server):
    """4; the session is kept for the next time."""
    await expire()
    server.faults.add("/token", status=503)
    away = await invoke("token")
    done = await invoke("token")

    assert (exit_codes.LATER, "") == (away.exit_code, away.stdout)
    assert "Try again" in away.stderr
    assert 0 == done.exit_code


async def test_the_server_has_ended_the_session(invoke, signed_in, expire, server):
    """3, and the dead session is gone."""
    await expire()
    server.faults.add("/token", status=400, body={"code": "refresh_token_not_found"})
    ended = await invoke("token")
    again = await invoke("token")

    assert (exit_codes.SIGN_IN, exit_codes.SIGN_IN) == (ended.exit_code, again.exit_code)
    assert 1 == server.counts[REFRESH]


async def test_a_token_that_cannot_be_kept(invoke, signed_in, expire, monkeypatch):
    """It is good, so it is printed; that it may be the last one is told."""
    await expire()

    def no_room(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(file.SessionFile, "replace", no_room)
    done = await invoke("token")

    assert 0 == done.exit_code
    assert 3 == len(done.stdout.split("."))
    assert "Warning: the session could not be kept in a file in" in done.stderr


async def test_a_profile_that_is_not_there(invoke, signed_in):
    """2, and which there are; the environment may name one, too."""
    done = await invoke("token", ASYNC_AUTH_PROFILE="wrok")

    assert exit_codes.USAGE == done.exit_code
    assert "There is no profile 'wrok'; there are: default." in done.stderr


async def test_a_keyring_out_of_reach(invoke, signed_in):
    """A cron job is told where the session is, and not that nobody is signed in."""
    path = profiles_path()
    path.write_text(path.read_text().replace('"file"', '"keyring"'))
    done = await invoke("token")

    assert exit_codes.STORE == done.exit_code
    assert "The session is in the keyring, which cannot be used here." in done.stderr


async def test_the_key_in_the_environment_goes_first(invoke, signed_in, expire, serve):
    """It is sent, and written nowhere."""

    async def refuse(request):
        return web.json_response({}, status=503)

    site = await serve(refuse)
    change_profiles(
        lambda known: known.with_profile(
            attrs.evolve(known.chosen(None), url=site.url, api_key="p")
        )
    )
    await expire()
    await invoke("token")
    await invoke("token", ASYNC_AUTH_API_KEY="sb_secret_x")

    assert ["p", "sb_secret_x"] == [one.headers["apikey"] for one in site.requests]
    assert "sb_secret_x" not in profiles_path().read_text(encoding="utf-8")


async def test_nobody_reads(cli, signed_in):
    """A closed pipe ends it quietly."""
    process = cli.start("token")
    process.stdout.close()
    errors = await asyncio.to_thread(process.stderr.read)
    process.stderr.close()
    code = await asyncio.to_thread(process.wait, cli.patience)

    assert (1, "") == (code, errors)


async def test_a_full_disk(cli, signed_in):
    """What cannot be written is one line and 6."""
    with open("/dev/full", "w") as full:  # noqa: PTH123, ASYNC230 - a device, not a file
        code, _, errors = await cli.finish("token", stdout=full)

    assert exit_codes.STORE == code
    assert errors.startswith("Error: The machine says: ")
    assert 1 == errors.count("\n")
