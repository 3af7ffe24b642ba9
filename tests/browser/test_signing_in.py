"""`sign_in_with_browser()` with a real browser, its clicks and its pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import attrs
import pytest

from async_auth import ApiError, ProtocolError
from async_auth.gotrue import GoTrueClient
from async_auth.testing import GoTrueServer

#: What a page of ours says, as its user hears it read out.
TEXT = "document.querySelector('main').innerText"
PNG = b"\x89PNG"


@attrs.define
class SignIn:
    """A sign-in that is under way in the browser."""

    task: asyncio.Task
    url: str

    @property
    def back(self) -> str:
        """Where the browser is to come back, with our state."""
        (address,) = parse_qs(urlsplit(self.url).query)["redirect_to"]
        return address

    @property
    def home(self) -> str:
        """The same without the state."""
        return self.back.partition("?")[0]


@pytest.fixture
async def server():
    """Return a server whose provider shows browsers its page."""
    async with GoTrueServer() as running:
        yield running


@pytest.fixture
async def client(server):
    """Return a client of that server."""
    async with GoTrueClient(server.url) as started:
        yield started


@pytest.fixture
async def begin(client):
    """Return a function that begins a sign-in and returns it once its address is known."""
    begun = []

    async def begin() -> SignIn:
        told = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(
            client.sign_in_with_browser("github", open_browser=told.set_result)
        )
        begun.append(task)
        return SignIn(task, await told)

    yield begin
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)


Begin = Callable[[], SignIn]


async def see(tab, sign_in, title):
    """Wait for the last page, whose address shows nothing of the sign-in."""
    await tab.wait_for(f"document.title === {title!r} && document.readyState === 'complete'")
    assert sign_in.home == await tab.value("location.href")
    # The address of a page is kept in the history: the one with the code is gone from there too.
    entries = (await tab.call("Page.getNavigationHistory"))["entries"]
    assert [] == [entry["url"] for entry in entries if "code=" in entry["url"]]
    assert [] == tab.errors


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_click_signs_in(begin, tab, client, pictures, scheme):
    """The user allows it at the provider and reads that it is done; the program has a session."""
    await tab.colours(scheme)
    sign_in = await begin()
    await tab.visit(sign_in.url)
    await tab.click("#allow")

    response = await sign_in.task

    assert "somebody@example.com" == response.user.email
    assert response.session == client.session
    await see(tab, sign_in, "You are signed in")
    assert "go back to your program" in await tab.value(TEXT)
    assert (await tab.screenshot(pictures / f"done-{scheme}.png")).startswith(PNG)
    # The page follows the user's choice.
    shade = await tab.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert ("light" == scheme) == (int(shade) > 127)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_refusal_is_shown(begin, tab, client, pictures, scheme):
    """The user denies it: page and program say so, and nobody is signed in."""
    await tab.colours(scheme)
    sign_in = await begin()
    await tab.visit(sign_in.url)
    await tab.click("#deny")

    with pytest.raises(ApiError) as caught:
        await sign_in.task

    assert "access_denied" == caught.value.code
    await see(tab, sign_in, "Not signed in")
    assert "User denied" in await tab.value(TEXT)
    await tab.screenshot(pictures / f"denied-{scheme}.png")
    assert client.session is None


async def test_an_error_in_the_fragment_is_read(begin, tab, pictures):
    """Only the page's own script can see it; foreign text is shown as text."""
    sign_in = await begin()
    fragment = {
        "error": "server_error",
        "error_code": "signup_disabled",
        "error_description": "Signups <b id=bold>not</b> allowed",
    }
    await tab.visit(f"{sign_in.back}#{urlencode(fragment)}")

    with pytest.raises(ApiError, match="Signups") as caught:
        await sign_in.task

    assert "signup_disabled" == caught.value.code
    await see(tab, sign_in, "Not signed in")
    assert await tab.value("document.querySelector('#bold') === null")
    await tab.screenshot(pictures / "fragment.png")


async def test_tokens_in_the_fragment_are_not_taken(begin, tab, client):
    """An answer of the implicit flow is an error, and the tokens leave the address bar."""
    sign_in = await begin()
    await tab.visit(f"{sign_in.back}#access_token=a-token&refresh_token=another")

    with pytest.raises(ProtocolError, match="implicit"):
        await sign_in.task

    await see(tab, sign_in, "Not signed in")
    assert client.session is None


async def test_an_empty_answer_is_an_error(begin, tab):
    """Neither a code nor an error, in the query or in the fragment."""
    sign_in = await begin()
    await tab.visit(sign_in.back)

    with pytest.raises(ProtocolError, match="neither"):
        await sign_in.task

    await see(tab, sign_in, "Not signed in")


async def test_a_stranger_is_told_so(begin, tab, pictures):
    """A page without our state ends nothing: the sign-in goes on after it."""
    sign_in = await begin()
    await tab.visit(f"{sign_in.home}?code=a-code&state=guessed")
    await see(tab, sign_in, "Nothing was changed")
    await tab.screenshot(pictures / "stranger.png")
    await tab.visit(sign_in.url)
    await tab.click("#allow")

    assert "somebody@example.com" == (await sign_in.task).user.email
