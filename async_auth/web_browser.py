"""The user's own web browser: opens an address in it, or shows the address where there is none.

It promises that a browser that holds its caller up (those of a terminal do, until they are left)
keeps neither the event loop nor the end of the process waiting. Whether anybody looks at what
was opened it cannot know.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading


async def open_in_browser(url: str) -> None:
    """
    Open *url* in the user's browser, or print it to stderr if none can be started.

    Being cancelled stops the waiting, not the browser.
    """
    if not await _opened(url):
        print(f"To sign in, open this address in a browser:\n\n  {url}\n", file=sys.stderr)  # noqa: T201 - nobody could read it elsewhere


async def _opened(url: str) -> bool:
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[bool] = loop.create_future()

    def tell(*, well: bool) -> None:
        if not opened.done():
            opened.set_result(well)

    def in_thread() -> None:
        # It brings half a dozen modules, for something that most programs never do.
        import webbrowser

        try:
            well = webbrowser.open(url)
        except Exception:  # noqa: BLE001 - a stranger's code: no word of it would reach anybody
            well = False
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(lambda: tell(well=well))

    # A daemon: an executor's threads are waited for when the interpreter ends.
    threading.Thread(target=in_thread, name="async_auth-browser", daemon=True).start()
    return await opened
