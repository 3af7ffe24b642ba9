"""web_browser.py: the user's browser, or the address in its place."""

from __future__ import annotations

import asyncio
import threading
import webbrowser

import pytest

from async_auth.web_browser import open_in_browser

URL = "https://auth.example.com/authorize?a=b"


async def test_the_address_is_opened(monkeypatch, capsys):
    """Beside the event loop, and nothing is printed."""
    opened = []

    def start(url):
        opened.append((url, threading.current_thread().daemon))
        return True

    monkeypatch.setattr(webbrowser, "open", start)
    await open_in_browser(URL)

    assert [(URL, True)] == opened
    assert ("", "") == capsys.readouterr()


@pytest.mark.parametrize(
    "failure", [None, webbrowser.Error("none"), OSError("none"), ValueError("none")]
)
async def test_without_a_browser_the_address_is_printed(monkeypatch, capsys, failure):
    """To stderr, on a line of its own."""

    def fail(_):
        if failure is not None:
            raise failure
        return False

    monkeypatch.setattr(webbrowser, "open", fail)
    await open_in_browser(URL)

    out, err = capsys.readouterr()
    assert "" == out
    assert f"  {URL}" in err.splitlines()


async def test_a_browser_in_the_terminal_holds_nobody_up(monkeypatch):
    """Its caller may be cancelled, and its end tells nobody anything."""
    entered, leave, threads = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def hold(_):
        threads.append(threading.current_thread())
        loop.call_soon_threadsafe(entered.set)
        return leave.wait(60)

    monkeypatch.setattr(webbrowser, "open", hold)
    opening = asyncio.create_task(open_in_browser(URL))
    await entered.wait()
    opening.cancel()

    with pytest.raises(asyncio.CancelledError):
        await opening
    # Not by a look at all threads: those of the tests before may not be quite over yet.
    (thread,) = threads
    assert "async_auth-browser" == thread.name
    leave.set()
    await asyncio.to_thread(thread.join)
    # What the thread has told the loop is looked at.
    await asyncio.sleep(0)


def test_a_browser_outlives_its_loop(monkeypatch):
    """A loop that is closed is told nothing, and nothing is said about it."""
    leave, threads = threading.Event(), []

    async def begin():
        entered, loop = asyncio.Event(), asyncio.get_running_loop()

        def hold(_):
            threads.append(threading.current_thread())
            loop.call_soon_threadsafe(entered.set)
            return leave.wait(60)

        monkeypatch.setattr(webbrowser, "open", hold)
        opening = asyncio.create_task(open_in_browser(URL))
        await entered.wait()
        opening.cancel()

    asyncio.run(begin())
    leave.set()
    threads[0].join()
