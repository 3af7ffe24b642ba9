"""The README and the pages of docs/: their examples run, their commands are CI's, their links lead on.

Every fenced `python` block runs. The blocks under one heading of the README, and all blocks of a
page of docs/, are one program: they run in order and share their names; a block in an HTML comment
(`<!-- python … -->`) runs too and is not shown, for what a reader need not see. Top-level `await`
works as in a notebook. A block `text` after `<!-- prints -->` is what the block before it has to print.

After `<!-- not run: why -->` nothing runs down to the next heading; UNRUN counts what is shown
there. Where a page has `AUTH_URL`, `API_URL`, `CORE_URL` and `BOTS_URL` (below),
the examples talk to servers on loopback. Blocks that are not shown have two names more:
`auth_server`, the `GoTrueServer` that stands in, and `serve_asgi(app)`, which serves an application
with uvicorn and returns its URL.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import json
import os
import pkgutil
import re
import runpy
import tomllib
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from unittest.mock import patch

import attrs
import pytest
from aiohttp import web

from async_auth import integrations
from async_auth.testing import GoTrueServer, SuperTokensCoreServer
from async_auth.testing.example_servers import EMAIL, PASSWORD, supertokens_example

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
#: Those whose examples run. Pages of docs/reference have none of their own.
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
#: How many blocks of each page do not run; why not stands before them.
UNRUN = {
    "docs/how-to/from-supabase-py.md": 1,
    "docs/how-to/from-supertokens-python.md": 1,
    "docs/scale.md": 2,
}
#: What the README writes for the reader's own servers; loopback stands in for them.
AUTH_URL = "https://your-project.supabase.co/auth/v1"
API_URL = "https://api.example.com"
CORE_URL = "https://core.example.com"
BOTS_URL = "https://api.bots.example"
#: An example that is not over by then waits for something that does not come.
PATIENCE = 120.0

BLOCK = re.compile(
    r"^(?:```python\n(?P<shown>.*?)^```$|<!-- python\n(?P<hidden>.*?)^-->$"
    r"|<!-- prints -->\n\n```text\n(?P<prints>.*?)^```$|<!-- not run: (?P<unrun>.+?) -->$"
    r"|(?P<rank>#+) (?P<heading>.+?)$)"
    r"|^```\w*\n.*?^```$",
    re.MULTILINE | re.DOTALL,
)


@attrs.frozen
class Block:
    """
    A block, the line it begins at, and what it has to print if the page says so.

    *unrun* says why it does not run, if it does not.
    """

    line: int
    code: str
    shown: bool
    unrun: str | None = None
    prints: str | None = None


@attrs.frozen
class Program:
    """The blocks that run in one namespace, and where they stand."""

    page: Path
    heading: str
    blocks: list[Block] = attrs.field(factory=list)

    def __str__(self):
        return f"{self.page.stem}: {self.heading}" if self.heading else self.page.stem


def programs(page):
    """Return the programs of a Markdown *page*."""
    text = page.read_text(encoding="utf-8")
    found = [Program(page, "")]
    unrun = None
    for match in BLOCK.finditer(text):
        if match["heading"]:
            unrun = None
            if page == README:
                found.append(Program(page, match["heading"]))
        elif match["unrun"]:
            unrun = match["unrun"]
        elif match["prints"]:
            found[-1].blocks[-1] = attrs.evolve(found[-1].blocks[-1], prints=match["prints"])
        elif code := match["shown"] or match["hidden"]:
            group = "shown" if match["shown"] else "hidden"
            line = text.count("\n", 0, match.start(group))
            found[-1].blocks.append(Block(line, code, group == "shown", unrun))
    return [program for program in found if program.blocks]


PROGRAMS = [program for page in PAGES for program in programs(page)]


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
    async with supertokens_example(port=0, core_port=0, token_life=3600) as (_, where, *_):
        yield where.rpartition(" ")[2]


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


async def run(program, stand_ins, names, printed):
    """Run a program's blocks in order, in one namespace that begins with *names*."""
    names = {"__name__": "__main__", **names}
    for block in program.blocks:
        if block.unrun:
            continue
        code = block.code
        for address, stand_in in stand_ins.items():
            code = code.replace(address, stand_in)
        # Line numbers in tracebacks are the page's.
        compiled = compile(
            "\n" * block.line + code,
            program.page,
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
        )
        printed()
        if compiled.co_flags & inspect.CO_COROUTINE:
            await eval(compiled, names)  # noqa: S307 -- the pages are ours
        else:
            # A script brings its own loop (`asyncio.run`), so it gets a thread without one.
            await asyncio.to_thread(exec, compiled, names)
        if block.prints is not None:
            assert block.prints == printed()


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
async def test_examples_run(
    program, stand_ins, auth_server, serve_asgi, tmp_path, monkeypatch, capsys
):
    """The examples of a program run, one after the other, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "ASYNC_AUTH_PROFILE", "ASYNC_AUTH_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    names = {"auth_server": auth_server, "serve_asgi": serve_asgi}
    # Some set variables of the environment, which are gone for the tests that come after.
    with patch.dict(os.environ):
        async with asyncio.timeout(PATIENCE):
            await run(program, stand_ins, names, lambda: capsys.readouterr().out)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_example_is_overlooked(page):
    """Every fence that looks like Python is one that runs, but for those that are counted."""
    text = page.read_text(encoding="utf-8")
    blocks = [block for program in programs(page) for block in program.blocks]

    assert sum(block.shown for block in blocks) == len(
        re.findall(r"^\s*(?:```|~~~)\s*(?:py|ipy)", text, re.MULTILINE)
    )
    assert sum(block.prints is not None for block in blocks) == text.count("<!-- prints -->")


def test_what_does_not_run_is_counted():
    """A block that does not run says why, and is no surprise."""
    unrun = Counter(
        program.page.relative_to(ROOT).as_posix()
        for program in PROGRAMS
        for block in program.blocks
        if block.unrun and block.shown
    )

    assert unrun == UNRUN


def test_the_commands_are_those_of_ci():
    """Whoever follows the README does what CI has done."""
    commands = re.findall(r"python3 -m venv .+", README.read_text(encoding="utf-8"))
    in_ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()

    assert 2 == len(commands)
    assert set() == {command.strip("`") for command in commands} - set(in_ci)


def anchors(page):
    """Return what a link into the page may name."""
    text = page.read_text(encoding="utf-8")
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    } | set(re.findall(r"^::: (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_links_lead_somewhere(page):
    """A relative link names a file of the repository, a fragment a heading of its page."""
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        place, _, fragment = link.partition("#")
        target = page.parent / place if place else page
        if "://" not in link and not (
            target.exists() and (not fragment or fragment in anchors(target))
        ):
            dead.append(link)

    assert [] == dead


#: A link to a file of tests whose title names one of them.
SHOWN = re.compile(r'\]\((tests/[^)\s]+) "(\w+)"\)')


def test_what_the_table_of_faults_says_is_shown():
    """Each row names a test of the others and one of ours, and these tests are there."""
    text = README.read_text(encoding="utf-8")
    table = text.partition("## When things go wrong\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    defined = {}
    for place, name in SHOWN.findall(table):
        source = (ROOT / place).read_text(encoding="utf-8")
        defined[place, name] = bool(re.search(rf"^(?:async )?def {name}\(", source, re.MULTILINE))

    assert 10 <= len(rows)
    assert [] == [row for row in rows if not all(SHOWN.search(cell) for cell in row[1:3])]
    assert all(SHOWN.search(row[1])[1].startswith("tests/servers/peers/") for row in rows)
    assert [] == [shown for shown, is_there in defined.items() if not is_there]


@pytest.mark.parametrize("package", ["supabase-auth", "supertokens-python"])
def test_the_table_of_faults_names_the_releases_that_run(package):
    """Those that the session `servers` installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = dict(
        need.split("==") for need in project["dependency-groups"]["servers"] if "==" in need
    )
    named = package.replace("supabase-", "supabase_")

    assert f"{named} {pins[package]}" in README.read_text(encoding="utf-8")


def test_the_table_of_faults_names_the_release_on_node():
    """The one of package.json."""
    place = ROOT / "tests" / "servers" / "supabase_lite" / "package.json"
    pins = json.loads(place.read_text(encoding="utf-8"))["dependencies"]

    assert f"auth-js {pins['@supabase/auth-js']}" in README.read_text(encoding="utf-8")


def test_the_reference_has_every_public_name():
    """What a package exports is on a page of the reference, and nothing that is not there."""
    pages = (ROOT / "docs" / "reference").glob("*.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    on_pages = re.findall(r"^::: (\S+)$", text, re.MULTILINE)
    packages = ["", ".gotrue", ".stores", ".supertokens", ".testing", ".web_sessions"]
    packages += [f".integrations.{one.name}" for one in pkgutil.iter_modules(integrations.__path__)]
    # What adapters share has no `__all__`.
    public = {
        f"async_auth{package}.{name}"
        for package in packages
        for name in getattr(importlib.import_module(f"async_auth{package}"), "__all__", ())
    }

    assert set() == public - set(on_pages)
    assert len(set(on_pages)) == len(on_pages)


def test_the_lifecycle_is_drawn_from_the_code():
    """The drawing is what its program draws today; the program compares itself with the code."""
    drawing = runpy.run_path(str(ROOT / "docs" / "lifecycle.py"))

    assert drawing["PLACE"].read_text(encoding="utf-8") == drawing["draw"]()


def test_an_arrow_that_the_code_has_not_is_an_error():
    """A state or an arrow too many, or too few, stops the drawing."""
    drawing = runpy.run_path(str(ROOT / "docs" / "lifecycle.py"))
    found = drawing["found"]()

    for wrong in (found - set(drawing["ARROWS"]), found | {("here", "there", "by magic")}):
        with pytest.raises(ValueError, match="not drawn"):
            drawing["check"](wrong)


@pytest.mark.parametrize("name", ["demo.svg", "lifecycle.svg"])
def test_drawings_fetch_nothing(name):
    """A drawing that is on the page has neither fonts nor scripts from elsewhere."""
    text = (ROOT / "docs" / "assets" / name).read_text(encoding="utf-8")

    assert [] == re.findall(r"""(?:href=|src=|url\()["']?\w+:""", text)
    assert "<script" not in text
    assert "@font-face" not in text
