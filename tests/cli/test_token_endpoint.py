"""The loopback endpoint of `exec`: tokens for who knows the secret, and for nobody else."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from yarl import URL

from async_auth import errors
from async_auth.cli.token_endpoint import BODY_MAX, serving
from async_auth.session import AccessToken


class Tokens:
    """Somebody who has tokens."""

    def __init__(self):
        self.token = AccessToken(value="first", expires_at=9e9)
        self.error = None
        self.rejected = []

    async def get_token(self, *, rejected=None):
        """Return one, or raise."""
        self.rejected.append(rejected)
        if self.error is not None:
            raise self.error
        return self.token


@pytest.fixture
def tokens():
    """Return somebody who has tokens."""
    return Tokens()


@pytest.fixture
async def place(tokens):
    """Open the endpoint."""
    async with serving(tokens) as place:
        yield place


@pytest.fixture
async def ask(place):
    """Return a function that asks it, with the secret: the status, the headers, the text."""
    async with aiohttp.ClientSession() as http:

        async def ask(method="GET", url=place.url, *, secret=place.secret, data=None, **headers):
            if secret is not None:
                headers["Authorization"] = f"Bearer {secret}"
            async with http.request(method, url, headers=headers, data=data) as answer:
                return answer.status, answer.headers, await answer.text()

        yield ask


async def test_a_token_as_text(ask, place):
    """One line, which nobody keeps."""
    status, headers, text = await ask()

    assert (200, "first\n", "no-store") == (status, text, headers["Cache-Control"])
    assert place.url.startswith("http://127.0.0.1:")
    assert "Access-Control-Allow-Origin" not in headers


async def test_a_token_as_json(place, tokens):
    """With its end, and what is left."""
    async with aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {place.secret}", "Accept": "application/json"}
        async with http.get(place.url, headers=headers) as answer:
            told = await answer.json()
        tokens.token = AccessToken(value="pinned")
        async with http.get(place.url, headers=headers) as answer:
            pinned = await answer.json()

    assert {"access_token", "token_type", "expires_at", "expires_in"} == set(told)
    assert ("first", 9e9) == (told["access_token"], told["expires_at"])
    assert told["expires_in"] > 0
    assert (None, None) == (pinned["expires_at"], pinned["expires_in"])


async def test_a_token_that_was_refused(ask, tokens):
    """Who hands it back gets another."""
    status, *_ = await ask("POST", data="refused\n")
    await ask("POST")
    await ask("GET")

    assert (200, ["refused", None, None]) == (status, tokens.rejected)


@pytest.mark.parametrize("secret", [None, "", "wrong", "é"])
async def test_without_the_secret(ask, tokens, secret):
    """401, and nobody is asked for a token."""
    status, headers, text = await ask(secret=secret)

    assert (401, "Bearer", []) == (status, headers["WWW-Authenticate"], tokens.rejected)
    assert "first" not in text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "a b", "", "[::1", "a:b"])
async def test_by_another_name(ask, tokens, host):
    """A web page whose name leads here by DNS is sent away, whatever it knows."""
    status, *_ = await ask(Host=host)

    assert status in {400, 403}
    assert [] == tokens.rejected


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:9"])
async def test_by_our_own_names(ask, host):
    """Any port: it may have been forwarded."""
    status, *_ = await ask(Host=host)

    assert 200 == status


@pytest.mark.parametrize("method, path, status", [("GET", "/", 404), ("PUT", "/token", 405)])
async def test_anything_else(ask, place, tokens, method, path, status):
    """Is not here."""
    url = place.url.removesuffix("/token") + path

    assert status == (await ask(method, url))[0]
    assert [] == tokens.rejected


@pytest.mark.parametrize(
    "error, status, after",
    [
        (errors.RateLimited("slow", retry_after=7.0), 503, "7"),
        (errors.RateLimited("slow", retry_after=0.3), 503, "1"),
        (errors.NetworkError("away"), 503, None),
        (errors.RefreshRejected("over"), 410, None),
        (errors.StoreError("broken"), 500, None),
    ],
)
async def test_no_token(ask, tokens, error, status, after):
    """The status says whether asking again is of use."""
    tokens.error = error
    found, headers, text = await ask()

    assert (status, after, f"{error}\n") == (found, headers.get("Retry-After"), text)


async def test_a_secret_that_is_no_text(place, tokens, caplog):
    """It is a wrong one, and no error of ours that would be logged."""
    url = URL(place.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = b"GET /token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    writer.write(head + b"Authorization: Bearer \xff\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert ([], []) == (tokens.rejected, caplog.records)


@pytest.mark.parametrize("body, kind", [(b"\xff", "text/plain"), (b"x", "text/plain; charset=no")])
async def test_a_refused_token_that_is_no_text(place, tokens, caplog, body, kind):
    """Nobody's token: the current one is the answer."""
    headers = {"Authorization": f"Bearer {place.secret}", "Content-Type": kind}
    async with (
        aiohttp.ClientSession() as http,
        http.post(place.url, data=body, headers=headers) as answer,
    ):
        assert (200, "first\n") == (answer.status, await answer.text())
    assert [] == caplog.records


async def test_a_refused_token_may_be_long(ask, tokens):
    """As long as any that a server takes; what is longer is not read."""
    assert 200 == (await ask("POST", data="x" * BODY_MAX))[0]
    assert 413 == (await ask("POST", data="x" * (BODY_MAX + 1)))[0]
    assert ["x" * BODY_MAX] == tokens.rejected


async def test_what_is_allowed_is_said(ask, place):
    """As RFC 9110 section 15.5.6 wants it."""
    _, headers, _ = await ask("DELETE", place.url)

    assert "GET, POST" == headers["Allow"]


async def test_it_is_gone_with_its_block(tokens):
    """No port stays open; whoever is given it next has no token of ours."""
    async with serving(tokens) as place:
        pass
    headers = {"Authorization": f"Bearer {place.secret}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        with contextlib.suppress(aiohttp.ClientError):
            await http.get(place.url)

    assert [] == tokens.rejected


async def test_each_run_has_its_own_secret(tokens):
    """And nobody sees it."""
    async with serving(tokens) as one, serving(tokens) as other:
        assert one.secret != other.secret
        assert one.secret not in repr(one)
