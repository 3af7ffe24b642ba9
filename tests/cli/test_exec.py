"""`exec`: a program with a token, which gets the next one by itself."""

from __future__ import annotations

import json
import os
import sys

import pytest

from async_auth.cli import exit_codes
from async_auth.cli.exec import environment, without_proxy
from async_auth.cli.token_endpoint import Place
from async_auth.session import AccessToken
from async_auth.testing import GoTrueServer

EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery"
#: How a program gets a token.
FETCH = """
import json, os, urllib.request
def fetch(data=None):
    secret = os.environ["ASYNC_AUTH_TOKEN_SECRET"]
    headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json"}
    request = urllib.request.Request(os.environ["ASYNC_AUTH_TOKEN_URL"], data, headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["access_token"]
first = os.environ["ASYNC_AUTH_TOKEN"]
"""
#: Asks until there is another token, and prints both: it outlives its first.
LONG = f"""{FETCH}
while (second := fetch()) == first:
    pass
print(json.dumps([first, second]))
"""
#: Asks, then hands its token back as refused; prints all three.
REFUSED = f"{FETCH}print(json.dumps([first, fetch(), fetch(first.encode())]))"


def python(script):
    """Return a program that runs *script*."""
    return ("--", sys.executable, "-c", script)


def test_the_environment():
    """What there was, the token under every name that is wanted, and the way to the next."""
    place = Place(url="http://127.0.0.1:1/token", secret="hush")
    found = environment({"PATH": "/bin", "A": "old"}, AccessToken(value="t"), place, ["A"])

    assert {
        "PATH": "/bin",
        "A": "t",
        "ASYNC_AUTH_TOKEN": "t",
        "ASYNC_AUTH_TOKEN_URL": "http://127.0.0.1:1/token",
        "ASYNC_AUTH_TOKEN_SECRET": "hush",
    } == found


@pytest.mark.parametrize(
    "inherited, added",
    [
        ({}, None),
        ({"https_proxy": "http://p"}, None),
        ({"http_proxy": ""}, None),
        ({"http_proxy": "http://p"}, "127.0.0.1"),
        ({"HTTP_PROXY": "http://p", "no_proxy": "a.example"}, "a.example,127.0.0.1"),
        ({"ALL_PROXY": "http://p", "NO_PROXY": "A", "no_proxy": "b"}, "b,127.0.0.1"),
        ({"http_proxy": "http://p", "NO_PROXY": "*"}, None),
    ],
)
def test_no_proxy_hears_the_secret(inherited, added):
    """Whatever goes to a proxy, requests to our endpoint do not; what was excepted still is."""
    expected = {} if added is None else {"no_proxy": added, "NO_PROXY": added}

    assert expected == without_proxy(inherited)
    place = Place(url="http://127.0.0.1:1/token", secret="hush")
    found = environment(inherited, AccessToken(value="t"), place, [])
    assert {**inherited, **expected}.items() <= found.items()


async def test_a_program_with_a_token(cli, signed_in, stored):
    """Its output is its own, and so is its exit code."""
    script = "import os, sys; print(os.environ['MINE']); sys.exit(7)"
    done = await cli.finish("exec", "--env", "MINE", *python(script))
    token = (await stored()).session["access_token"]

    assert (7, f"{token}\n", "") == done


async def test_options_after_the_program_are_its_own(cli, signed_in):
    """With `--` or without."""
    script = "import sys; print(sys.argv[1:])"
    _, output, _ = await cli.finish("exec", sys.executable, "-c", script, "--json", "-h", "--", "x")

    assert "['--json', '-h', '--', 'x']\n" == output


@pytest.mark.timeout(300)
async def test_a_program_that_outlives_its_token(cli, invoke):
    """It asks the endpoint, and has a new one when the first has expired: by one refresh."""
    async with GoTrueServer(jwt_expiry=3, reuse_interval=0, parent_rule=False) as server:
        server.create_user(email=EMAIL, password=PASSWORD)
        arguments = ("login", "--url", server.url, "--email", EMAIL, "--password-stdin")
        await invoke(*arguments, typed=f"{PASSWORD}\n")
        code, output, errors = await cli.finish("exec", *python(LONG))
        issued, refreshes = server.issued, server.counts["/token?grant_type=refresh_token"]

    assert (0, "") == (code, errors)
    assert 2 == len(set(json.loads(output)))
    # More than one, if a start takes longer than a token lives.
    assert 1 <= issued == refreshes


async def test_a_program_whose_token_was_refused(cli, signed_in, server, stored):
    """It hands it back and gets another, though it had an hour left."""
    code, output, errors = await cli.finish("exec", *python(REFUSED))

    first, asked, another = json.loads(output)

    assert (0, "", 1) == (code, errors, server.issued)
    assert first == asked
    # Tokens of one second are identical: that there was a refresh tells them apart.
    assert another == (await stored()).session["access_token"]


@pytest.mark.parametrize(
    "program, code",
    [("no-such-program-here", exit_codes.NOT_FOUND), ("/etc/passwd", exit_codes.NOT_EXECUTABLE)],
)
async def test_a_program_that_cannot_be_run(cli, signed_in, program, code):
    """As a shell has it: 127 and 126."""
    found, output, errors = await cli.finish("exec", "--json", "--", program)
    told = json.loads(errors)

    assert (code, "", code) == (found, output, told["exit_code"])
    assert f"{program} cannot be run: " in told["message"]


async def test_a_program_that_is_none(cli, signed_in, tmp_path):
    """A script that does not say who runs it is 126, and not the store's 6."""
    script = tmp_path / "job"
    script.write_text("echo hello\n", encoding="utf-8")
    script.chmod(0o700)
    code, output, errors = await cli.finish("exec", "--", str(script))

    assert (exit_codes.NOT_EXECUTABLE, "") == (code, output)
    assert f"Error: {script} cannot be run: " in errors


async def test_nobody_is_signed_in(cli, home):
    """Then nothing runs."""
    code, output, _ = await cli.finish("exec", "--", "echo", "x")

    assert (exit_codes.SIGN_IN, "") == (code, output)


@pytest.mark.parametrize("arguments", [(), ("--env", "A-B", "--", "true"), ("--env", "", "x")])
async def test_bad_usage(invoke, arguments):
    """2."""
    done = await invoke("exec", *arguments)

    assert exit_codes.USAGE == done.exit_code


async def test_the_program_has_our_stdin(cli, signed_in):
    """And everything else that is open to us."""
    read, write = os.pipe()
    os.write(write, b"typed\n")
    os.close(write)
    done = await cli.finish("exec", "--", "cat", stdin=read)
    os.close(read)

    assert (0, "typed\n", "") == done
