"""The README: its examples run, its commands are those of CI, and its links lead somewhere.

Every fenced `python` block runs. The blocks under one heading are one program: they run in order
and share their names; a block in an HTML comment (`<!-- python … -->`) runs too and is not shown,
for what a reader need not see. Top-level `await` works as in a notebook. Where the README has
`AUTH_URL`, `API_URL`, `CORE_URL` and `BOTS_URL` (below), the examples talk to servers on loopback.
Blocks that are not shown have two names more: `auth_server`, the `GoTrueServer` that stands in, and
`serve_asgi(app)`, which serves an application with uvicorn and returns its URL.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from http import HTTPStatus
from pathlib import Path

import attrs
import pytest
from aiohttp import web

from async_auth.integrations.aiohttp import session_of, setup_supertokens, verify_session
from async_auth.supertokens import AppInfo, SuperTokensBackend
from async_auth.testing import GoTrueServer, SuperTokensCoreServer

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
#: What the README writes for the reader's own servers; loopback stands in for them.
AUTH_URL = "https://your-project.supabase.co/auth/v1"
API_URL = "https://api.example.com"
CORE_URL = "https://core.example.com"
BOTS_URL = "https://api.bots.example"
#: An account that the stand-in knows, so that examples can sign in.
EMAIL, PASSWORD = "bot@example.com", "correct-horse-battery"
#: An example that is not over by then waits for something that does not come.
PATIENCE = 30.0

BLOCK = re.compile(
    r"^(?:```python\n(?P<shown>.*?)^```$|<!-- python\n(?P<hidden>.*?)^-->$|#+ (?P<heading>.+?)$)"
    r"|^```\w*\n.*?^```$",
    re.MULTILINE | re.DOTALL,
)


@attrs.frozen
class Program:
    """The blocks under one heading, each with the line it begins at."""

    heading: str
    blocks: list[tuple[int, str]]

    def __str__(self):
        return self.heading


def programs(text):
    """Return the programs of a Markdown *text*."""
    found = [Program("top", [])]
    for match in BLOCK.finditer(text):
        if match["heading"]:
            found.append(Program(match["heading"], []))
        elif code := match["shown"] or match["hidden"]:
            group = "shown" if match["shown"] else "hidden"
            found[-1].blocks.append((text.count("\n", 0, match.start(group)), code))
    return [program for program in found if program.blocks]


async def greet(request):
    """Answer like an API that wants a token."""
    if not request.headers.get("Authorization", "").startswith("Bearer ey"):
        return web.json_response({"error": "no token"}, status=HTTPStatus.UNAUTHORIZED)
    return web.json_response({"path": request.path})


@pytest.fixture
async def auth_server():
    """Run what stands in for the reader's GoTrue, with an account."""
    async with GoTrueServer(algorithm="ES256") as server:
        server.create_user(email=EMAIL, password=PASSWORD)
        # Browsers of the examples are signed in without being asked.
        server.provider.sign_in_as(EMAIL)
        yield server


@pytest.fixture
async def bots():
    """Run the application that the README's bot signs in to; return its address."""

    async def login(request):
        await backend.create_new_session(request, None, (await request.json())["user"])
        return web.json_response({})

    @verify_session()
    async def orders(request):
        return web.json_response({"for": session_of(request).user_id})

    async with SuperTokensCoreServer() as core:
        backend = SuperTokensBackend(core.url, app=AppInfo("bots", BOTS_URL, BOTS_URL))
        app = web.Application()
        app.add_routes([web.post("/login", login), web.get("/orders", orders)])
        setup_supertokens(app, backend, close_backend=True)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()


@pytest.fixture
async def stand_ins(auth_server, bots):
    """Run what the README's examples talk to; by address, what stands in for it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", greet)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with SuperTokensCoreServer() as core:
        yield {
            AUTH_URL: auth_server.url,
            API_URL: f"http://127.0.0.1:{runner.addresses[0][1]}",
            CORE_URL: core.url,
            BOTS_URL: bots,
        }
    await runner.cleanup()


async def run(program, stand_ins, names):
    """Run a program's blocks in order, in one namespace that begins with *names*."""
    names = {"__name__": "__main__", **names}
    for line, source in program.blocks:
        code = source
        for address, stand_in in stand_ins.items():
            code = code.replace(address, stand_in)
        # Line numbers in tracebacks are the README's.
        compiled = compile("\n" * line + code, README, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if compiled.co_flags & inspect.CO_COROUTINE:
            await eval(compiled, names)  # noqa: S307 -- the README is ours
        else:
            # A script brings its own loop (`asyncio.run`), so it gets a thread without one.
            await asyncio.to_thread(exec, compiled, names)


@pytest.mark.parametrize("program", programs(README.read_text(encoding="utf-8")), ids=str)
async def test_examples_run(program, stand_ins, auth_server, serve_asgi, tmp_path, monkeypatch):
    """The examples under a heading run, one after the other, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "ASYNC_AUTH_PROFILE", "ASYNC_AUTH_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    async with asyncio.timeout(PATIENCE):
        await run(program, stand_ins, {"auth_server": auth_server, "serve_asgi": serve_asgi})


def test_no_example_is_overlooked():
    """Every fence that looks like Python is one that runs."""
    text = README.read_text(encoding="utf-8")
    shown = [match for match in BLOCK.finditer(text) if match["shown"]]

    assert len(shown) == len(re.findall(r"^\s*(?:```|~~~)\s*(?:py|ipy)", text, re.MULTILINE))


def test_the_commands_are_those_of_ci():
    """Whoever follows the README does what CI has done."""
    commands = re.findall(r"python3 -m venv .+", README.read_text(encoding="utf-8"))
    in_ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert 2 == len(commands)
    assert set() == {command.strip("`") for command in commands} - set(in_ci)


def test_the_links_lead_somewhere():
    """A relative link names a file of the repository, a fragment a heading of the page."""
    text = README.read_text(encoding="utf-8")
    headings = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    dead = [
        link
        for link in links
        if (link[1:] not in headings if link.startswith("#") else not (ROOT / link).exists())
    ]

    assert [] == dead
