"""Real uvicorn and gunicorn processes with several workers, on the README's own application.

What they run is cut out of the README, commands included; a GoTrue on loopback stands in for the
reader's. It forgives nothing: a refresh token that is spent twice ends the session.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from contextlib import AsyncExitStack
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import attrs
import pytest
from kept_ports import KeptPort
from redis_server import RedisServer, find_program

from async_auth.testing import GoTrueServer

README = Path(__file__).parents[3] / "README.md"
AUTH_URL = "https://your-project.supabase.co/auth/v1"
REDIS_URL = "rediss://user:password@redis.example:6379/0"
EMAIL, PASSWORD = "bot@example.com", "correct-horse-battery"
#: Seconds that a token lives; it is refreshed after four fifths of them.
LIFE = 2
#: Seconds that a start or an end may take on a loaded machine; here they take one or two.
PATIENCE = 120.0


def section():
    """Return the README's part about several workers."""
    text = README.read_text(encoding="utf-8")
    return text.partition("\n## Several workers\n")[2].partition("\n## ")[0]


def blocks():
    """Return the Python that a reader sees there: the application, and the replica's lifespan."""
    return re.findall(r"^```python\n(.*?)^```$", section(), re.MULTILINE | re.DOTALL)


def commands():
    """Return the command lines that a reader is told to start it with."""
    return re.findall(r"^    ((?:uvicorn|gunicorn) .+)$", section(), re.MULTILINE)


def on_redis(url):
    """
    Return the application as the README changes it for several machines.

    It is more patient than that: where Redis or a worker stands still, no request shall fail.
    """
    app, change = blocks()
    imported, _, lifespan = change.partition("\n\n")
    found = re.search(r"^@asynccontextmanager\n.*?(?=\n\n\S)", app, re.MULTILINE | re.DOTALL)
    app = app.replace(found[0], lifespan.rstrip())
    return f"{imported}\n{app}".replace(f'"{REDIS_URL}"', f'"{url}", lease=60.0, timeout=60.0')


@attrs.define(kw_only=True)
class Deployment:
    """One master and its workers."""

    command: list[str]
    folder: Path
    url: str
    #: Seconds that a token lives.
    life: float = LIFE
    process: asyncio.subprocess.Process | None = None
    #: By worker, the generations that it has answered with; and all answers that were no 200.
    seen: dict[int, list[int]] = attrs.field(factory=lambda: defaultdict(list))
    failures: list[str] = attrs.field(factory=list)
    #: Connections that a worker that is recycled has closed before it read a request from them.
    hung_up: int = 0

    @property
    def log(self):
        """Where everything is that it has printed."""
        return self.folder / f"{self.url.rpartition(':')[2]}.log"

    async def start(self):
        """Start it."""
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                cwd=self.folder,
                # gunicorn keeps its control socket in the user's home.
                env={**os.environ, "HOME": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ask(self):
        """Make one request, on a connection of its own, so that any worker may get it."""
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self.url}/whoami") as answer:
                if answer.status == HTTPStatus.OK:
                    found = await answer.json()
                    self.seen[found["worker"]].append(found["generation"])
                else:
                    self.failures.append(f"{answer.status} {await answer.text()}")
        except aiohttp.ClientConnectorError:
            raise
        except aiohttp.ClientConnectionError:
            # uvicorn ends so when the connection has come and the request has not.
            if "--max-requests" not in self.command:
                raise
            self.hung_up += 1

    async def until(self, condition):
        """Ask until *condition* holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                try:
                    await self.ask()
                except aiohttp.ClientConnectorError:
                    # Nobody listens: not yet, or it has ended.
                    assert self.process.returncode is None, self.log.read_text()
                    assert not self.seen
                await asyncio.sleep(0.03)

    async def all_at_work(self, workers=4):
        """Wait until each of the workers has answered."""
        await self.until(lambda: len(self.seen) >= workers)

    async def all_reach(self, generation):
        """Wait until the last answer of each worker was of this generation, or a later one."""
        await self.until(lambda: min(seen[-1] for seen in self.seen.values()) >= generation)

    async def ends(self):
        """Wait for its end; return its status, and what was printed."""
        async with asyncio.timeout(PATIENCE):
            status = await self.process.wait()
        return status, self.log.read_text(encoding="utf-8")

    async def stop(self):
        """Tell the master to end, as a service manager does; return its status and its words."""
        self.process.terminate()
        return await self.ends()

    async def kill(self):
        """Make sure that nobody is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()


@pytest.fixture
async def auth_server():
    """Run what stands in for the reader's GoTrue."""
    async with GoTrueServer(jwt_expiry=LIFE, reuse_interval=0, parent_rule=False) as server:
        yield server


@pytest.fixture
def user_id(auth_server):
    """Make the account that the README signs in."""
    return auth_server.create_user(email=EMAIL, password=PASSWORD)


@pytest.fixture
async def deploy(auth_server, user_id, tmp_path):
    """Return a function that deploys the README's application, or another, with a command."""
    async with AsyncExitStack() as exits:

        async def deploy(command, *, app=None):
            program, *arguments = command.split()
            if find_spec(program) is None or find_spec("uvicorn_worker") is None:
                pytest.skip(f"{command}: not installed; `nox -s servers` runs it")
            text = (blocks()[0] if app is None else app).replace(AUTH_URL, auth_server.url)
            (tmp_path / "app.py").write_text(text, encoding="utf-8")
            port = exits.enter_context(KeptPort()).number
            place = ("-b", f"127.0.0.1:{port}")
            if program == "uvicorn":
                # Its master kills a worker that says nothing for five seconds, as one on a loaded
                # machine may.
                place = ("--port", str(port), "--timeout-worker-healthcheck", "120")
            words = (*arguments, "--log-level", "warning", *place)
            deployment = Deployment(
                command=[sys.executable, "-m", program, *words],
                folder=tmp_path,
                url=f"http://127.0.0.1:{port}",
            )
            await deployment.start()
            exits.push_async_callback(deployment.kill)
            return deployment

        yield deploy


@pytest.fixture
def redis_url(tmp_path):
    """Start a Redis of its own that keeps nothing, and return where it is."""
    program = find_program()
    if program is None:
        pytest.fail("there is no redis-server here: run `nox -s servers`, or install one")
    server = RedisServer(program=program, folder=tmp_path)
    try:
        server.start()
        yield server.url
    finally:
        server.close()


@pytest.fixture
def readme_app():
    """Return the README's application."""
    return blocks()[0]


@pytest.fixture
def replica(redis_url):
    """Return the application as the README changes it for several machines."""
    return on_redis(redis_url)


def pytest_generate_tests(metafunc):
    """Run a test that takes a *command* with each of the README's."""
    if "command" in metafunc.fixturenames:
        metafunc.parametrize("command", commands())
