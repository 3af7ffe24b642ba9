"""A user before a terminal: everything from the first sign-in to the last sign-out."""

from __future__ import annotations

import re

import aiohttp
import pytest

EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery"


@pytest.mark.timeout(300)
async def test_a_whole_day(terminal, server):
    """Sign in, look, take a token, watch a refresh and a sign-out elsewhere, and look again."""
    login = await terminal("login", "--url", server.url)
    await login.see("E-mail address, or phone number with its +: ")
    login.type(f"{EMAIL}\n")
    await login.see("Password: ")
    login.type(f"{PASSWORD}\n")
    assert 0 == await login.end()
    assert f"{EMAIL} is signed in to 127.0.0.1" in login.text
    assert PASSWORD not in login.text

    status = await terminal("status")
    assert 0 == await status.end()
    assert "token     │████" in status.text
    assert re.search(r"  \d+ min \d+ s left, fresh\r\n", status.text)

    token = await terminal("token")
    assert 0 == await token.end()
    assert 3 == len(token.text.strip().split("."))

    watch = await terminal("watch")
    await watch.see("InitialSession  token 1, good for ")
    await watch.see("╭─ default: 127.0.0.1")
    await watch.see("Ctrl-C ends")
    logout = await terminal("logout")
    assert 0 == await logout.end()
    assert "Signed out of 127.0.0.1" in logout.text
    await watch.see("SignedOut  signed out, or signed in anew, by another program")
    await watch.see("Sign in: async-auth login")
    watch.type("\x03")
    assert 0 == await watch.end()
    # Hidden, shown again, and never hidden after that.
    assert watch.raw.rindex("\x1b[?25h") > watch.raw.rindex("\x1b[?25l")

    status = await terminal("status")
    assert 3 == await status.end()
    assert "Nobody is signed in to 127.0.0.1" in status.text
    assert 0 == server.issued


@pytest.mark.parametrize("key", ["", "anon-key"])
async def test_a_bare_login_asks_for_everything(terminal, server, key):
    """The hint of the other commands, `async-auth login`, is enough to go on with."""
    login = await terminal("login")
    await login.see("Auth server, as in https://x.supabase.co/auth/v1: ")
    login.type(f"{server.url}\n")
    await login.see("Its public API key, if it has one: ")
    login.type(f"{key}\n")
    await login.see("E-mail address, or phone number with its +: ")
    login.type(f"{EMAIL}\n")
    await login.see("Password: ")
    login.type(f"{PASSWORD}\n")

    assert 0 == await login.end()
    assert f"{EMAIL} is signed in to 127.0.0.1" in login.text

    again = await terminal("login")
    await again.see("Password: ")
    again.type(f"{PASSWORD}\n")

    assert 0 == await again.end()
    assert "Auth server" not in again.text


@pytest.mark.parametrize("key", ["\x03", "\x04"])
async def test_a_prompt_that_is_left(terminal, server, home, key):
    """Ctrl-C and Ctrl-D at the password are exit code 130, and leave nothing behind."""
    login = await terminal("login", "--url", server.url, "--email", EMAIL)
    await login.see("Password: ")

    assert 130 == await login.leave(key)
    assert "Traceback" not in login.text
    assert not list(home.rglob("profiles.toml"))


async def test_a_code(terminal, server):
    """The code that comes by mail is typed in."""
    login = await terminal("login", "--url", server.url, "--email", EMAIL, "--otp")
    await login.see(f"The code that was sent to {EMAIL}: ")
    login.type(f"{server.outbox[-1].code}\n")

    assert 0 == await login.end()
    assert f"{EMAIL} is signed in" in login.text


async def test_a_browser(terminal, server):
    """The address is printed; whoever opens it is signed in."""
    login = await terminal("login", "--url", server.url, "--browser", "github", "--no-open")
    await login.see("Open this address in a browser on this machine:")
    await login.see("\r\n\r\n")
    await login.see("\r\n")
    (url,) = [word for word in login.text.split() if word.startswith("http")]
    async with aiohttp.ClientSession() as browser, browser.get(url) as page:
        shown = await page.text()

    assert 0 == await login.end()
    assert "signed in" in shown.lower()
    assert f"{EMAIL} is signed in" in login.text


async def test_the_program_gets_the_keys_once(terminal, server, signed_in):
    """Ctrl-C reaches the program of `exec` by the terminal, and not by us a second time."""
    # It looks up now and then: a handler is not run for a signal that comes just before a read.
    script = (
        "import os, select, signal, sys\n"
        "count = 0\n"
        "def note(*_):\n"
        "    global count\n"
        "    count += 1\n"
        "    os.write(1, b'struck %d\\n' % count)\n"
        "signal.signal(signal.SIGINT, note)\n"
        "os.write(1, b'ready\\n')\n"
        "while not select.select([0], [], [], 0.1)[0]:\n"
        "    pass\n"
        "sys.stdin.readline()\n"
        "sys.exit(40 + count)\n"
    )
    running = await terminal("exec", "--", "python3", "-c", script)
    await running.see("ready")
    running.type("\x03")
    await running.see("struck 1")
    running.type("\n")

    assert 41 == await running.end()


@pytest.mark.parametrize("colour", [True, False])
async def test_colours_are_no_must(terminal, signed_in, colour):
    """`NO_COLOR` is respected, and nothing is lost by it."""
    status = await terminal("status", **({} if colour else {"NO_COLOR": "1"}))
    await status.end()

    assert colour == ("\x1b[32m" in status.raw)
    assert "fresh" in status.text


async def test_a_terminal_that_cannot_move_gets_lines(terminal, signed_in):
    """On a dumb terminal `watch` is one line for each event."""
    watch = await terminal("watch", TERM="dumb")
    await watch.see("default InitialSession token 1, good for")
    watch.type("\x03")

    assert 0 == await watch.end()
    assert "\x1b[" not in watch.raw


async def test_a_terminal_that_goes_away(terminal, signed_in):
    """SIGTERM ends `watch` with the terminal in order."""
    watch = await terminal("watch")
    await watch.see("Ctrl-C ends")
    watch.process.terminate()

    assert 143 == await watch.end()
    assert watch.raw.rindex("\x1b[?25h") > watch.raw.rindex("\x1b[?25l")


async def test_an_expired_session_is_refreshed_while_one_watches(
    terminal, signed_in, expire, server
):
    """`watch` keeps the session fresh, and shows that."""
    await expire()
    watch = await terminal("watch")
    await watch.see("TokenRefreshed  token 2")
    watch.type("\x03")

    assert 0 == await watch.end()
    assert 1 == server.issued
