"""The server that is run by hand, to try the examples against."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from async_auth import JWTVerifier
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.aiohttp import bearer, supertokens_middleware
from async_auth.supertokens import SuperTokensClient
from async_auth.testing.example_servers import EMAIL, PASSWORD

COMMAND = [sys.executable, "-m", "async_auth.testing"]
#: Seconds for its end: far more than it takes on a slow machine.
PATIENCE = 120


@contextlib.contextmanager
def served(*arguments):
    """Run the command; the lines that it prints. It ends quietly by Ctrl-C."""
    command = [*COMMAND, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            yield iter(process.stdout.readline, "")
        finally:
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=PATIENCE)
    assert (0, "", "") == (process.returncode, rest, errors)


async def test_the_examples_run_against_it():
    """It says where it is and who may sign in, publishes its keys, and ends quietly by Ctrl-C."""
    with served("--port", "0", "--jwt-expiry", "3600") as lines:
        url, api, account, note = (next(lines).rstrip() for _ in range(4))
        url, api = (line.rpartition(" ")[2] for line in (url, api))
        email, password = account.partition(" ")[2].strip().split(", ")
        async with GoTrueClient(url) as auth:
            await auth.sign_in_with_password(email=email, password=password)
            async with (
                aiohttp.ClientSession(middlewares=[bearer(auth, [url])]) as http,
                http.get(api) as answer,
            ):
                seen = await answer.json()
            async with JWTVerifier(jwks=f"{url}/.well-known/jwks.json") as verifier:
                claims = await verifier.verify((await auth.get_token()).value)
            assert auth.session.user.id == seen["sub"] == claims["sub"]

    assert note.startswith("A token lives for 3600 s.")


async def test_the_examples_of_supertokens_run_against_it():
    """The core says that it is one; a bot signs in to the application, and asks for its orders."""
    with served("supertokens", "--port", "0", "--core-port", "0", "--jwt-expiry", "3600") as lines:
        core, api, *_ = (next(lines).rstrip().rpartition(" ")[2] for _ in range(5))
        async with SuperTokensClient(api) as auth:
            middleware = supertokens_middleware(auth)
            async with aiohttp.ClientSession(middlewares=[middleware]) as http:
                async with http.post(f"{api}/login", json={"user": ""}) as refused:
                    assert 400 == refused.status
                async with http.post(f"{api}/login", json={"user": "bot"}) as welcome:
                    assert 200 == welcome.status
                async with http.get(f"{api}/orders") as answer:
                    assert {"for": "bot"} == await answer.json()
        async with aiohttp.ClientSession() as http, http.get(f"{core}/hello") as answer:
            assert 200 == answer.status


def test_the_account_is_that_of_the_examples():
    """What is copied from the README can sign in."""
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

    assert {EMAIL} == set(re.findall(r'email="(bot@.*?)"', readme))
    assert f'password="{PASSWORD}"' in readme


@pytest.mark.parametrize(
    "arguments,why",
    [
        (["--jwt-expiry", "-1", "--port", "0"], "--jwt-expiry: '-1' must be a number of seconds"),
        (["supertokens", "--jwt-expiry", "soon"], "--jwt-expiry: 'soon' must be a number"),
        (["supertokens", "--jwt-expiry", "inf"], "--jwt-expiry: 'inf' must be a number"),
        (["--port", "70000"], "port must be 0-65535"),
        (["--port", "{taken}"], "address already in use"),
        (["--core-port", "3567"], "GoTrue has no core"),
        (["supertokens", "--core-port", "0", "--port", "70000"], "port must be 0-65535"),
        (["supertokens", "--core-port", "{taken}", "--port", "0"], "address already in use"),
    ],
)
def test_it_says_why_it_cannot(arguments, why):
    """One line under the usage, and the status of a wrong call."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        arguments = [one.format(taken=taken) for one in arguments]
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, check=False, text=True, timeout=PATIENCE
        )

    assert 2 == done.returncode
    assert why in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
