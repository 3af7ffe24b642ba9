"""
The command: options, exit status, what it writes and how it ends.

What happens in a demo is tested in this process, on a clock of its own (test_scenario): a machine
that stands still lets tokens of a few seconds expire.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import signal

import pytest
from click.testing import CliRunner

from async_auth.cli.commands import commands
from async_auth.testing import GoTrueServer

#: Tokens that outlast every test on any machine, so that none is due.
LASTING = ("--token-life", "3600", "--workers", "20")
PASSWORD = "correct-horse-battery"


def objects(text):
    """Return the objects of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def screen(terminal, until, patience):
    """Read from a terminal until *until* stands there, or to its end; return what was read."""
    read = b""
    while until not in read:
        if not select.select([terminal], [], [], patience)[0]:
            break
        try:
            read += os.read(terminal, 65536)
        except OSError:  # nobody is at the other end any more
            break
    return read


def invoke(*arguments, **env):
    """Run a command in this process, where that will do: a start takes most of a second."""
    unset = {"ASYNC_AUTH_PASSWORD": None, "ASYNC_AUTH_API_KEY": None}
    runner = CliRunner(env={**unset, **env})
    return runner.invoke(commands, arguments, prog_name="async-auth")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(option):
    """The help is there, and hides what only our tests want."""
    done = invoke("demo", option)

    assert (0, "") == (done.exit_code, done.stderr)
    assert "Usage:" in done.stdout
    assert "--token-life" not in done.stdout


def test_help_says_what_the_exit_status_means():
    """All three are documented."""
    help_text = invoke("demo", "--help").stdout

    meanings = help_text.partition("Exit status:")[2].split("\n")
    assert ["0", "1", "2"] == [line.split()[0] for line in meanings if line[4:5].isdigit()]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seconds", "nan"),
        ("--seconds", "inf"),
        ("--seconds", "0"),
        ("--workers", "0"),
        ("--pause", "0"),
        ("--email", "bot@example.com"),
        ("--phone", "+4915112345678"),
        ("--url", "https://auth.example.com"),
        ("--url", "https://auth.example.com", "--email", "a@example.com", "--phone", "+4915112345"),
        ("--url", "https://auth.example.com", "--email", "nobody-to-ask@example.com"),
        ("--svg", "/nowhere/at/all/demo.svg"),
        ("nonsense",),
    ],
)
def test_bad_usage_is_status_two(arguments):
    """What makes no sense is said in a line, before anything is sent anywhere."""
    done = invoke("demo", *arguments)

    assert 2 == done.exit_code
    assert done.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    "arguments", [("--url", "nonsense", "--email", "bot@example.com"), ("--seconds", "nan")]
)
def test_failures_are_json_where_json_is_wanted(arguments):
    """As those of every command."""
    done = invoke("demo", "--json", *arguments, ASYNC_AUTH_PASSWORD=PASSWORD)

    assert (2, 2) == (done.exit_code, json.loads(done.stderr)["exit_code"])


@pytest.mark.parametrize(
    "url, words",
    [
        ("nonsense", "url must begin with https://"),
        ("http://auth.example.com", "url: plain http to auth.example.com"),
        ("http://127.0.0.1:1", "No connection to POST http://127.0.0.1:1/token"),
    ],
)
def test_a_server_that_cannot_be_used_is_status_two(url, words):
    """The library's own words, in one line, and not the password."""
    arguments = ("demo", "--url", url, "--email", "bot@example.com")
    done = invoke(*arguments, ASYNC_AUTH_PASSWORD=PASSWORD)

    assert 2 == done.exit_code
    assert done.stderr.startswith(f"Error: {words}")
    assert 1 == done.stderr.count("\n")
    assert PASSWORD not in done.output


def test_the_password_is_asked_for_on_a_terminal(cli):
    """It is not shown, nor is the question part of the output."""
    ours, theirs = pty.openpty()
    process = cli.start(
        *("demo", "--json", "--url", "http://127.0.0.1:1", "--phone", "+4915112345678"),
        stdin=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    asked = screen(ours, b"Password: ", cli.patience)
    os.write(ours, f"{PASSWORD}\n".encode())
    answered = screen(ours, b"\0never", cli.patience).decode()
    output = process.communicate(timeout=cli.patience)[0]
    os.close(ours)

    assert b"Password: " == asked
    assert (2, "") == (process.returncode, output)
    assert "No connection to POST http://127.0.0.1:1/token" in answered
    assert PASSWORD not in answered


def test_json_tells_it(cli):
    """From the beginning to the summary, one object a line; nothing went wrong."""
    done = cli.run("demo", "--json", "--seconds", "1", *LASTING)
    told = objects(done.stdout)
    begin, summary = told[0], told[-1]
    events = [one["event"] for one in told if one["type"] == "event"]

    assert (0, "") == (done.returncode, done.stderr)
    assert ("begin", "an embedded server") == (begin["type"], begin["place"])
    assert (1, 20, 3600) == (begin["seconds"], begin["workers"], begin["token_life"])
    assert {"begin", "event", "state", "summary"} == {one["type"] for one in told}
    assert ["InitialSession", "SignedIn"] == events
    assert ("summary", True, []) == (summary["type"], summary["ok"], summary["problems"])
    assert ["200"] == list(summary["answers"])
    assert (1, 0, 0) == (summary["lives"], summary["issued"], summary["refused"])


def test_lines_end_cleanly_at_sigint(cli):
    """Ctrl-C ends it with the summary, without a traceback and without escape codes."""
    process = cli.start("demo", *LASTING)
    begun = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=cli.patience)

    assert "SignedIn" in begun[-1]
    assert "stopped by you" in rest
    assert rest.splitlines()[-1].startswith("OK ")
    assert "\x1b" not in "".join(begun) + rest
    assert (0, "") == (process.returncode, errors)


def test_lines_end_quietly_when_nobody_reads(cli):
    """A closed pipe ends it at the next line; nobody is told, for nobody is there."""
    process = cli.start("demo", *LASTING)
    process.stdout.readline()
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()

    assert (1, "") == (process.wait(timeout=cli.patience), errors)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")  # noqa: PTH110 - at import
def test_output_that_cannot_be_written_is_one_line(cli):
    """A full disk is status 2 and no traceback."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device, not a file
        process = cli.start("demo", *LASTING, stdout=full)
        errors = process.communicate(timeout=cli.patience)[1]

    assert 2 == process.returncode
    assert errors.startswith("Error: The machine says: ")
    assert 1 == errors.count("\n")


@pytest.mark.parametrize("colour", [True, False])
def test_the_picture_on_a_terminal(cli, colour):
    """A bar and figures, redrawn; Ctrl-C gives the cursor back and the summary, and status 0."""
    ours, theirs = pty.openpty()
    env = {
        **cli.env,
        "TERM": "xterm-256color",
        "COLUMNS": "80",
        **({} if colour else {"NO_COLOR": "1"}),
    }
    process = cli.start("demo", *LASTING, env=env, stdout=theirs, start_new_session=True)
    os.close(theirs)
    shown = screen(ours, "█".encode(), cli.patience)
    process.send_signal(signal.SIGINT)
    shown = (shown + screen(ours, b"\0never", cli.patience)).decode()
    errors = process.communicate(timeout=cli.patience)[1]
    os.close(ours)

    assert (0, "") == (process.returncode, errors)
    assert "█" in shown
    assert "SignedIn" in shown
    # Hidden, shown again, and never hidden after that.
    assert 1 == shown.count("\x1b[?25l") == shown.count("\x1b[?25h")
    assert shown.index("\x1b[?25l") < shown.index("\x1b[?25h") < shown.index("stopped by you")
    assert colour == ("\x1b[32m" in shown)


async def test_a_real_server(cli):
    """With a URL it signs in there, calls /user, shows what happens, and signs out at the end."""
    async with GoTrueServer() as server:
        user = server.create_user(email="bot@example.com", password=PASSWORD)
        process = await asyncio.create_subprocess_exec(
            *cli.command("demo", "--json", "--seconds", "1", "--workers", "5", "--pause", "0.2"),
            *("--url", server.url, "--api-key", "public", "--email", "bot@example.com"),
            env={**cli.env, "ASYNC_AUTH_PASSWORD": PASSWORD},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = (text.decode() for text in await process.communicate())
        sessions = server.session_ids(user)
    told = objects(output)
    summary = told[-1]

    assert (0, "") == (process.returncode, errors)
    assert {"begin", "event", "state", "summary"} == {one["type"] for one in told}
    assert ["200"] == list(summary["answers"])
    assert 0 == server.issued == summary["refreshed"]
    assert None is summary["issued"]
    assert [] == sessions
    assert PASSWORD not in output


async def test_a_refused_sign_in_is_status_two(cli):
    """The server's word for it, in one line."""
    async with GoTrueServer() as server:
        process = await asyncio.create_subprocess_exec(
            *cli.command("demo", "--url", server.url, "--email", "bot@example.com"),
            env={**cli.env, "ASYNC_AUTH_PASSWORD": PASSWORD},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = (text.decode() for text in await process.communicate())

    assert 2 == process.returncode
    assert "" == output
    assert errors.startswith("Error: Invalid login credentials")
    assert 1 == errors.count("\n")
