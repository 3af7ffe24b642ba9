"""A real browser: headless Chromium, driven through its DevTools protocol, without a driver.

`nox -s browser` runs the tests beside this file; they need `chromium` on the path. With
`ASYNC_AUTH_SCREENSHOTS` naming a folder, what the browser showed is kept there.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=900,640",
    "--remote-debugging-port=0",
)
#: Seconds for everything that a browser is asked; a loaded machine may be slow.
PATIENCE = 60.0
#: A browser is no fake: it says nothing when it is ready, so it has to be looked at.
LOOK = 0.05
#: What it says where the page that was asked has gone: Chromium's words.
NAVIGATED = ("navigated or closed", "Cannot find context", "context was destroyed")


class Gone(Exception):
    """The page that was asked has made room for another one meanwhile."""


@attrs.define(eq=False)
class Tab:
    """
    A page of the browser.

    Args:
        socket: The page's own web socket.
    """

    socket: aiohttp.ClientWebSocketResponse
    errors: list[str] = attrs.field(factory=list)
    _numbers: Any = attrs.field(factory=lambda: itertools.count(1))

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        await self.socket.send_json({"id": number, "method": method, "params": arguments})
        while True:
            message = await self.socket.receive_json()
            if message.get("id") == number:
                error = message.get("error")
                if error is not None and any(word in error["message"] for word in NAVIGATED):
                    raise Gone(error["message"])
                assert error is None, error
                return message["result"]
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        """Keep what the page complains of: a script or a style that its policy forbids."""
        if message.get("method") == "Log.entryAdded":
            entry = message["params"]["entry"]
            if entry["level"] == "error" and entry["source"] != "network":
                self.errors.append(entry["text"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.errors.append(str(message["params"]["exceptionDetails"]))

    async def value(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        """Return when an expression in the page is true, whichever page that is by then."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(Gone):
                    if await self.value(expression):
                        return
                await asyncio.sleep(LOOK)

    async def visit(self, url: str) -> None:
        """Go to an address."""
        await self.call("Page.navigate", url=url)

    async def click(self, selector: str) -> None:
        """Click on what the selector finds, once it is there."""
        found = f"document.querySelector({selector!r})"
        await self.wait_for(f"document.readyState === 'complete' && {found} !== null")
        await self.value(f"{found}.click()")

    async def colours(self, scheme: str) -> None:
        """Have pages shown as to a user who likes `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def screenshot(self, path: Path) -> bytes:
        """Keep what is shown as a PNG file, and return it."""
        answer = await self.call("Page.captureScreenshot", format="png")
        picture = base64.b64decode(answer["data"])
        await asyncio.to_thread(path.write_bytes, picture)
        return picture


@pytest.fixture(scope="session")
def chromium_command() -> str:
    """Where Chromium is; a machine without it fails these tests."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.fail(
            f"There is none of {', '.join(NAMES)} on the path: install one "
            "(Debian: `apt-get install chromium`)."
        )
    return found


@pytest.fixture
def chromium(chromium_command, tmp_path):
    """Return the address of a running browser's DevTools."""
    profile, log = tmp_path / "profile", tmp_path / "chromium.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [chromium_command, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield devtools(process, profile, log)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def devtools(process: subprocess.Popen[bytes], profile: Path, log: Path) -> str:
    """Return the address that the browser writes into its profile when it is ready."""
    told = profile / "DevToolsActivePort"
    deadline = time.monotonic() + PATIENCE
    while not told.exists() or not told.read_text().count("\n"):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"Chromium did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(LOOK)
    return f"http://127.0.0.1:{told.read_text().split()[0]}"


async def pages_of(http: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    """Return the pages that a browser has open."""
    async with http.get(f"{url}/json/list") as answer:
        return [page for page in await answer.json() if page["type"] == "page"]


@pytest.fixture
async def tab(chromium):
    """Return the browser's first page."""
    async with aiohttp.ClientSession() as http:
        async with asyncio.timeout(PATIENCE):
            # It tells its port before it has opened the page.
            while not (pages := await pages_of(http, chromium)):  # noqa: ASYNC110 - another process knows it
                await asyncio.sleep(LOOK)
        async with http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            tab = Tab(socket)
            for domain in ("Page", "Log", "Runtime"):
                await tab.call(f"{domain}.enable")
            yield tab


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Return the folder for screenshots."""
    folder = Path(os.environ.get("ASYNC_AUTH_SCREENSHOTS") or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
