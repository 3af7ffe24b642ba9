"""`watch` without a terminal: lines and JSON, from the first event to the signal that ends it."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from async_auth.cli import exit_codes
from async_auth.cli.clients import Opened
from async_auth.cli.profile import Profile
from async_auth.cli.watch import sign_in_by_others
from async_auth.errors import StoreError
from async_auth.gotrue import GoTrueClient
from async_auth.ports import Record


async def test_lines(cli, signed_in, expire, server):
    """One for each event; it refreshes, and Ctrl-C is its good end."""
    await expire()
    process = await cli.spawn("watch")
    first, second = [(await process.stdout.readline()).decode() for _ in range(2)]
    process.send_signal(signal.SIGINT)
    output, errors = await process.communicate()

    assert "default InitialSession token 1, good for" in first
    assert "default TokenRefreshed token 2, good for" in second
    assert (0, b"", b"") == (process.returncode, output, errors)
    assert 1 == server.issued
    assert "\x1b" not in first


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
async def test_other_signals(cli, signed_in, name):
    """128 and their number."""
    process = await cli.spawn("watch")
    await process.stdout.readline()
    process.send_signal(signal.Signals[name])
    await process.communicate()

    assert exit_codes.BY_SIGNAL + signal.Signals[name] == process.returncode


async def test_json_and_what_others_do(cli, signed_in, expire, invoke, server):
    """With `--no-refresh` it looks on while another refreshes and signs out. No token is told."""
    await expire()
    process = await cli.spawn("watch", "--json", "--no-refresh")

    async def until(event):
        lines = []
        while not lines or lines[-1].get("event") != event:
            lines.append(json.loads(await process.stdout.readline()))
        return lines

    begun = await until("InitialSession")
    token = (await invoke("token")).stdout.strip()
    refreshed = await until("TokenRefreshed")
    await invoke("logout")
    ended = await until("SignedOut")
    process.send_signal(signal.SIGINT)
    rest, errors = await process.communicate()
    told = [*begun, *refreshed, *ended]
    states = [one["status"] for one in told if one["type"] == "state"]

    assert (0, b"", 1) == (process.returncode, errors, server.issued)
    assert "expired" in states
    assert "elsewhere" == ended[-1]["reason"]
    assert {"default"} == {one["profile"] for one in told}
    assert token not in json.dumps(told) + rest.decode()


async def test_nobody_reads(cli, signed_in, invoke):
    """It ends at the next line, and quietly."""
    process = await asyncio.to_thread(cli.start, "watch")
    await asyncio.to_thread(process.stdout.readline)
    process.stdout.close()
    await invoke("logout")
    errors = await asyncio.to_thread(process.stderr.read)
    process.stderr.close()

    assert (1, "") == (await asyncio.to_thread(process.wait, cli.patience), errors)


async def test_a_session_that_begins_later(cli, sign_in, invoke):
    """Who is signed out may sign in while somebody watches."""
    await sign_in()
    await invoke("logout")
    process = await cli.spawn("watch")
    first = (await process.stdout.readline()).decode()
    await sign_in()
    second = (await process.stdout.readline()).decode()
    process.send_signal(signal.SIGINT)
    await process.communicate()

    assert "InitialSession nobody is signed in" in first
    assert "InitialSession token 1, good for" in second


async def test_a_session_that_takes_anothers_place(cli, sign_in):
    """Somebody signs in anew: from then on that session is shown."""
    await sign_in()
    process = await cli.spawn("watch")
    await process.stdout.readline()
    await sign_in()
    lines = []
    while not lines or "InitialSession" not in lines[-1]:
        lines.append((await process.stdout.readline()).decode())
        # Whoever has ended writes nothing, at once and for ever.
        assert lines[-1]
    process.send_signal(signal.SIGINT)
    await process.communicate()

    # Generations go on counting.
    assert "InitialSession token 2, good for" in lines[-1]
    # Whether the old one's end is told depends on who looks first.
    assert set() == {line.split()[2] for line in lines[:-1]} - {"SignedOut"}


async def test_a_store_that_fails_for_a_while():
    """Looking for others' sign-ins goes on when it works again."""

    class Records:
        """Fails, then has a new sign-in."""

        looks = 0

        async def __anext__(self):
            self.looks += 1
            if self.looks == 1:
                raise StoreError("broken")
            return Record(generation=1, sign_in_id="new", session={})

        async def aclose(self):
            """Be done."""

    class Store:
        """Gives them."""

        records = Records()

        def watch(self, _):
            """Watch."""
            return self.records

    profile, store = Profile(name="a", kind="gotrue", url="http://127.0.0.1:1"), Store()
    client = GoTrueClient("http://127.0.0.1:1")
    await sign_in_by_others(Opened(profile=profile, store=store, client=client))

    assert 2 == store.records.looks


async def test_never_signed_in(cli, home):
    """There is nothing to watch: 3."""
    code, output, errors = await cli.finish("watch")

    assert (exit_codes.SIGN_IN, "") == (code, output)
    assert "Nobody has signed in yet" in errors
