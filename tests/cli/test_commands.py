"""The commands together: what they are called, what their help says, how shells complete them."""

from __future__ import annotations

import importlib.metadata
import json
import re
from pathlib import Path

import click
import pytest

from async_auth.cli import exit_codes
from async_auth.cli.commands import PLACES, commands

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "terminal.md"


def every_command():
    """Return each command that does something, with what leads to it."""
    context = click.Context(commands)
    for name in commands.list_commands(context):
        command = commands.get_command(context, name)
        yield (name,), command
        if isinstance(command, click.Group):
            yield from (((name, sub), inner) for sub, inner in command.commands.items())


def test_version(cli):
    """`--version` is the distribution's."""
    done = cli.run("--version")

    assert f"async-auth, version {importlib.metadata.version('async_auth')}\n" == done.stdout


async def test_the_help_names_every_command_and_exit_code(invoke):
    """One look at it is enough to begin."""
    done = await invoke("--help")

    assert (0, "") == (done.exit_code, done.stderr)
    assert [] == [name for name in PLACES if f"\n  {name} " not in done.stdout]
    for number in exit_codes.MEANINGS:
        assert f"\n    {number:<6} " in done.stdout


@pytest.mark.parametrize("path", [path for path, _ in every_command()], ids=" ".join)
async def test_the_help_of_each_command_helps(invoke, path):
    """It has examples and exit codes, and fits a terminal of 80 columns."""
    done = await invoke(*path, "--help")

    assert (0, "") == (done.exit_code, done.stderr)
    assert done.stdout.startswith(f"Usage: async-auth {' '.join(path)} ")
    if len(path) == 1 and path != ("demo",):
        assert f"  async-auth {path[0]}" in done.stdout.partition("Examples:")[2]
        assert "Exit codes:" in done.stdout
    # click wraps its own text there; the examples are ours.
    assert [] == [line for line in done.stdout.splitlines() if len(line) > 80]


def test_every_command_can_print_json():
    """`--json` is everywhere but where a shell reads the output."""
    without = [
        path
        for path, command in every_command()
        if not any("--json" in option.opts for option in command.params)
    ]

    assert [("completion",)] == without


async def test_an_unknown_command_is_bad_usage(invoke):
    """Click's own words, and 2."""
    done = await invoke("lgoin")

    assert exit_codes.USAGE == done.exit_code
    assert "No such command 'lgoin'" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_the_script_for_a_shell(invoke, shell):
    """It is click's, and asks us."""
    done = await invoke("completion", shell)

    assert 0 == done.exit_code
    assert f"_ASYNC_AUTH_COMPLETE={shell}_complete" in done.stdout


async def test_the_shell_is_found_by_itself(invoke):
    """Without an argument it is that of $SHELL, if we know it."""
    zsh = await invoke("completion", SHELL="/bin/zsh")
    other = await invoke("completion", SHELL="/bin/ksh")

    assert "#compdef async-auth" in zsh.stdout
    assert exit_codes.USAGE == other.exit_code


async def test_what_is_completed(cli, signed_in):
    """Commands, and the names of profiles."""
    asked = {"_ASYNC_AUTH_COMPLETE": "bash_complete"}
    names = cli.run(**asked, COMP_WORDS="async-auth st", COMP_CWORD="1")
    profiles = cli.run(**asked, COMP_WORDS="async-auth token --profile d", COMP_CWORD="3")

    assert "plain,status\n" == names.stdout
    assert "plain,default\n" == profiles.stdout


async def test_profiles_that_cannot_be_read_complete_nothing(cli, home):
    """A key pressed in a shell is no place for an error."""
    path = home / "config" / "async-auth" / "profiles.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[profiles", encoding="utf-8")
    asked = {"_ASYNC_AUTH_COMPLETE": "bash_complete"}
    done = cli.run(**asked, COMP_WORDS="async-auth token --profile d", COMP_CWORD="3")

    assert ("", "") == (done.stdout.strip(), done.stderr)


def documented():
    """Return what the page says of JSON: by command, the members."""
    text = PAGE.read_text(encoding="utf-8").partition("## JSON")[2]
    rows = re.findall(r"^\| (?:`(\w+)`|(a failure)) \| (`.*) \|$", text, re.MULTILINE)
    return {name or other: set(re.findall(r"`(\w+)`", members)) for name, other, members in rows}


async def test_json_is_as_documented(invoke, server, sign_in):
    """Every member is on the page, and nothing else."""
    told = {"login": json.loads(await sign_in("--json"))}
    for name in ("status", "token", "doctor", "profiles", "logout"):
        told[name] = json.loads((await invoke(name, "--json")).stdout)

    assert documented() == {
        **{name: set(members) for name, members in told.items()},
        "a failure": {*documented()["a failure"]},
    }


@pytest.mark.parametrize(
    "arguments", [("token",), ("token", "--min-ttl", "inf"), ("status", "--profile", "x")]
)
async def test_failures_are_as_documented(invoke, arguments):
    """The same members, whatever has failed."""
    done = await invoke(*arguments, "--json")

    assert documented()["a failure"] == set(json.loads(done.stderr))


async def test_bad_usage_is_json_where_json_is_wanted(invoke):
    """Click's own words, in an object."""
    done = await invoke("token", "--json", "--min-ttl", "inf")
    told = json.loads(done.stderr)

    assert (exit_codes.USAGE, exit_codes.USAGE, "") == (
        done.exit_code,
        told["exit_code"],
        done.stdout,
    )
    assert "it must be a finite number of seconds." in told["message"]


async def test_a_failure_is_json_where_json_is_wanted(invoke):
    """It is on stderr, so that stdout is the answer or nothing."""
    done = await invoke("token", "--json")
    told = json.loads(done.stderr)

    assert (exit_codes.SIGN_IN, "") == (done.exit_code, done.stdout)
    assert ("SignInRequired", exit_codes.SIGN_IN) == (told["error"], told["exit_code"])
    assert "Sign in: async-auth login" == told["hint"]
