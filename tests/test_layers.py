"""The arrows between the modules: imports point to lower layers, third parties stay in their place.

Read from the source by AST, so that imports inside functions and under TYPE_CHECKING count too.
"""

from __future__ import annotations

import ast
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(find_spec("async_auth").submodule_search_locations[0])

#: Each module's layer, by its longest prefix. A new one without a row fails: decide where it lives.
LAYERS = {
    # words: frozen values
    "errors": 0,
    "events": 0,
    "http_messages": 0,
    "lazy": 0,
    "notebook": 0,
    "session": 0,
    # core: pure functions and values
    "core": 1,
    # ports: the protocols
    "ports": 2,
    # adapters: one file per thing outside
    "clock": 3,
    "jwks": 3,
    "loopback": 3,
    "stores": 3,
    "transport": 3,
    "verifier": 3,
    "web_browser": 3,
    # shell: the owner of the tasks
    "engine": 4,
    # façades
    "gotrue": 5,
    "supertokens": 5,
    "web_sessions": 5,
    # rim
    "cli": 6,
    "integrations": 6,
    "testing": 6,
    # the public names; nothing of ours may import them, or every import would be a circle
    "": 7,
}

#: Which modules may import which third party. What is not named here may be imported nowhere.
THIRD_PARTIES = {
    # Values are attrs classes everywhere; attrs is light.
    "attrs": ("",),
    "attr": (),
    "multidict": (
        "core.web",
        "http_messages",
        "integrations.httpx",
        "supertokens.client",
    ),
    # The one place that does HTTP, the adapter named after it, and the servers and the demo.
    "aiohttp": ("transport", "integrations.aiohttp", "testing", "cli"),
    "yarl": (
        "transport",
        "integrations.aiohttp",
        "integrations.httpx",
        "integrations.origins",
        "integrations.requests",
        "integrations.websockets",
        "testing",
        "cli",
    ),
    # The other HTTP clients that it serves.
    "httpx": ("integrations.httpx",),
    "httpx2": ("integrations.httpx",),
    "requests": ("integrations.requests",),
    # Other protocols that carry the token.
    "grpc": ("integrations.grpc",),
    "websockets": ("integrations.websockets",),
    # Databases whose password it is, and SDKs that ask for it.
    "asyncpg": ("integrations.asyncpg",),
    "sqlalchemy": ("integrations.sqlalchemy",),
    "azure": ("integrations.azure",),
    # What notebooks and the better prompts are made of.
    "IPython": ("integrations.ipython",),
    # The demo's workers. Nowhere else: its threads hang an unclosed loop's exit (stores.threads),
    # and its scopes may not span two of a user's tasks (engine.runtime).
    "anyio": ("cli",),
    # The wire form of values.
    "cattrs": ("stores", "gotrue", "supertokens"),
    # No longer released: swapping it must touch one file (testing makes keys with cryptography).
    "jose": ("core.jwt.keys",),
    # … and encryption at rest, which is no JWT.
    "cryptography": ("testing", "stores.sealing"),
    # FastAPI is Starlette: what it hands out is Starlette's.
    "starlette": ("integrations.starlette", "integrations.fastapi"),
    "fastapi": ("integrations.fastapi",),
    "click": ("cli",),
    "rich": ("cli",),
    "tomli_w": ("cli.profile_file",),
    "pytest": ("testing.pytest_plugin",),
    "pytest_asyncio": ("testing.pytest_plugin",),
    "opentelemetry": ("integrations.opentelemetry",),
    "redis": ("stores.redis",),
    "keyring": ("stores.keyring",),
}

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").strip("."): path
    for path in sorted(ROOT.rglob("*.py"))
}


def within(module: str, place: str) -> bool:
    """Say whether *module* is *place* or lies in it; the empty place holds everything."""
    return not place or module == place or module.startswith(f"{place}.")


def layer_of(module: str) -> int:
    """Return the layer of the longest row that holds *module*."""
    rows = [row for row in LAYERS if module == row or (row and within(module, row))]
    assert rows, f"async_auth.{module} has no layer: add it to LAYERS in {__file__}"
    return LAYERS[max(rows, key=len)]


def imports_of(path: Path) -> list[tuple[int, str]]:
    """Return the line and the full name of everything that the file imports, wherever it does."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: import by the full name"
            # `from package import module` reaches the module, not only the package.
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def our_module(name: str) -> str:
    """Cut `async_auth.a.b.Name` down to the module `a.b`."""
    parts = name.split(".")[1:]
    while ".".join(parts) not in MODULES:
        parts.pop()
    return ".".join(parts)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_to_lower_layers(module):
    """A module imports its own layer and lower ones, never a higher one, never the front door."""
    upwards = [
        f"line {line}: {name}"
        for line, name in imports_of(MODULES[module])
        if within(name, "async_auth") and layer_of(our_module(name)) > layer_of(module)
    ]

    assert [] == upwards


@pytest.mark.parametrize("module", MODULES)
def test_third_parties_stay_in_their_place(module):
    """A third-party package is imported only where its row says."""
    strangers = [
        f"line {line}: {name}"
        for line, name in imports_of(MODULES[module])
        if (package := name.split(".")[0]) not in {"async_auth", *sys.stdlib_module_names}
        and not any(within(module, place) for place in THIRD_PARTIES.get(package, ()))
    ]

    assert [] == strangers


def test_every_row_is_about_something():
    """A place in the table of third parties is a layer's row, or lies in one."""
    unknown = {place.split(".")[0] for places in THIRD_PARTIES.values() for place in places}

    assert set() == unknown - set(LAYERS)
