"""A real kernel: cells sign in, look, restart and sleep, as in a notebook.

One kernel serves the whole module, in a thread of its own, for its client blocks; the server is
in the tests' event loop. Every wait has an end.
"""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

EMAIL, PASSWORD = "ann@example.com", "correct-horse-battery"
PATIENCE = 40
LOGIN = "from async_auth.integrations.ipython import login"


@attrs.define
class Cell:
    """What came of a cell: its messages, and what it asked."""

    status: str = ""
    messages: list = attrs.field(factory=list)
    asked: list = attrs.field(factory=list)

    @property
    def text(self):
        """What it printed, and the plain text of its results."""
        parts = []
        for message in self.messages:
            content = message["content"]
            parts += [content.get("text", ""), content.get("data", {}).get("text/plain", "")]
            parts.append("\n".join(content.get("traceback", [])))
        return "\n".join(filter(None, parts)).strip()

    @property
    def html(self):
        """The HTML of its results."""
        pages = [m["content"].get("data", {}).get("text/html") for m in self.messages]
        return [page for page in pages if page]


class Kernel:
    """A kernel and its client, all in one thread."""

    def __init__(self, folder):
        self._thread = ThreadPoolExecutor(1)
        # By sockets in a folder: ports are chosen before the kernel starts, and again kept by
        # nobody while it restarts, so that another program may have one of them by then.
        self._manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/k")
        self._client = None

    def start(self):
        """Start the kernel; blocks."""
        self._thread.submit(self._start).result(PATIENCE)

    def stop(self):
        """End the kernel; blocks."""
        self._thread.submit(self._stop).result(PATIENCE)
        self._thread.shutdown()

    async def run(self, code, *, answers=None):
        """Run a cell; *answers* are what is typed, `None` if there is nobody to ask."""
        return await self._aside(self._run, code, answers)

    async def restart(self):
        """Restart the kernel: every variable is gone."""
        await self._aside(self._restart)

    async def _aside(self, work, *arguments):
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _start(self):
        self._manager.start_kernel()
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)

    def _restart(self):
        self._manager.restart_kernel(now=False)
        self._client.wait_for_ready(timeout=PATIENCE)

    def _stop(self):
        if self._client is not None:
            self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
        # Its blocking calls have made one for this thread, and nobody else closes it.
        ensure_event_loop().close()

    def _run(self, code, answers):
        cell, left = Cell(), list(answers or [])

        def answer(message):
            cell.asked.append((message["content"]["prompt"], message["content"]["password"]))
            self._client.input(left.pop(0))

        reply = self._client.execute_interactive(
            code,
            allow_stdin=answers is not None,
            stdin_hook=answer,
            output_hook=cell.messages.append,
            timeout=PATIENCE,
        )
        cell.status = reply["content"]["status"]
        return cell


@pytest.fixture(scope="module")
def running(home):
    """Run the module's kernel."""
    # Short, for the path of a socket has some hundred characters at most.
    with tempfile.TemporaryDirectory(prefix="k") as folder:
        kernel = Kernel(folder)
        try:
            kernel.start()
            yield kernel
        finally:
            kernel.stop()


@pytest.fixture
async def kernel(running, server, nothing_kept):
    """Begin with what a notebook of this test's server begins with; close what it has left open."""
    cell = await running.run(f"{LOGIN}\nurl, auth = {server.url!r}, None")
    assert "ok" == cell.status, cell.text
    yield running
    await running.run("if auth is not None: await auth.aclose()")


def assert_ok(cell):
    """The cell went through, and shows no password and no token."""
    assert "ok" == cell.status, cell.text
    shown = str(cell.messages)
    assert PASSWORD not in shown
    assert "eyJ" not in shown


async def test_a_cell_signs_in_and_shows_the_session(kernel, server):
    """What is missing is asked for below the cell, the password unseen; the client is shown."""
    cell = await kernel.run("auth = await login(url)\nauth", answers=[EMAIL, PASSWORD])

    assert_ok(cell)
    assert [("E-mail: ", False), (f"Password of {EMAIL}: ", True)] == cell.asked
    assert cell.text.startswith("<GoTrueClient 'notebook http://127.0.0.1:")
    assert " left; due 10 s before the end" in cell.html[0]
    assert 1 == len(cell.html)
    assert "SIGNED_IN" in cell.html[0]
    assert EMAIL not in cell.html[0]


async def test_a_restarted_kernel_takes_the_session_up(kernel, server):
    """After a restart the same cell signs in without asking, and with the same session."""
    first = await kernel.run("auth = await login(url)", answers=[EMAIL, PASSWORD])
    assert_ok(first)
    await kernel.restart()
    again = f"{LOGIN}\nauth = await login({server.url!r})\nprint(auth.status.value)"
    cell = await kernel.run(again, answers=[])

    assert_ok(cell)
    assert ("fresh", []) == (cell.text, cell.asked)
    assert 1 == server.counts["/token"]
    assert 0 == server.issued


async def test_after_a_sleep_the_next_call_has_a_good_token(kernel, server):
    """The lid was closed for a night: the next cell's token is new, for one refresh."""
    cell = await kernel.run(
        "import asyncio, time\n"
        "from async_auth.testing import ManualClock\n"
        "clock = ManualClock(time.time())\n"
        "auth = await login(url, clock=clock)",
        answers=[EMAIL, PASSWORD],
    )
    assert_ok(cell)
    assert_ok(await kernel.run("_ = clock.suspend(8 * 3600)"))
    cell = await kernel.run(
        "tokens = await asyncio.gather(*(auth.get_token() for _ in range(20)))\n"
        "print({(t.generation, t.expires_at > clock.now() + 3000) for t in tokens})"
    )

    assert_ok(cell)
    assert "{(2, True)}" == cell.text
    assert 1 == server.issued


async def test_the_timer_goes_off_between_cells(kernel, server):
    """While the kernel idles its event loop runs: the token is refreshed ahead of its end."""
    setup = (
        "import time\n"
        "from async_auth.testing import EventRecorder, ManualClock\n"
        "clock = ManualClock(time.time())\n"
        "auth = await login(url, clock=clock)\n"
        "recorder = EventRecorder(auth.manager)\n"
        "await recorder.start()\n"
    )
    assert_ok(await kernel.run(setup, answers=[EMAIL, PASSWORD]))
    assert_ok(await kernel.run("await clock.advance(3595)"))
    cell = await kernel.run(
        'await recorder.wait_for("TOKEN_REFRESHED")\n'
        "await recorder.stop()\n"
        # One text: what is printed in parts may come in parts.
        "print(f'{auth.session.generation} {auth.status.value}')"
    )

    assert_ok(cell)
    assert "2 fresh" == cell.text


async def test_the_magic_shows_what_variables_hold(kernel):
    """`%auth status` shows every client once, or the one that is named; the rest is bad usage."""
    await kernel.run("auth = await login(url)", answers=[EMAIL, PASSWORD])
    loaded = await kernel.run("%load_ext async_auth.integrations.ipython")
    assert_ok(loaded)
    every = await kernel.run("other = auth\n%auth status")
    one = await kernel.run("manager = auth.manager\n%auth status manager")
    wrong = await kernel.run("%auth token")
    unloaded = await kernel.run("del other, manager\n%unload_ext async_auth.integrations.ipython")
    gone = await kernel.run("%auth status")

    for cell in (every, one, unloaded):
        assert_ok(cell)
    assert ["<strong>GoTrueClient</strong>" in page for page in every.html] == [True]
    assert ["<strong>SessionManager</strong>" in page for page in one.html] == [True]
    assert "UsageError" in wrong.text or "%auth status [name of a variable]" in wrong.text
    assert "not found" in gone.text


async def test_where_nobody_can_be_asked_that_is_said(kernel, server):
    """A notebook that runs by itself is told what to do, and nothing is left open."""
    cell = await kernel.run("auth = await login(url)")

    assert "error" == cell.status
    assert "ConfigurationError" in cell.text
    assert "Nobody can be asked here" in cell.text
    assert not server.counts["/token"]


async def test_a_wrong_password_changes_nothing(kernel, server):
    """Who mistypes gets the server's word, and is asked again by the next cell."""
    cell = await kernel.run("auth = await login(url)", answers=[EMAIL, "wrong-password"])
    assert "InvalidCredentials" in cell.text
    assert "wrong-password" not in cell.text

    assert_ok(await kernel.run("auth = await login(url)", answers=[EMAIL, PASSWORD]))
