"""The public names of every package, and what `import async_auth` costs."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import importlib.util
import json
import pkgutil
import subprocess
import sys
import types

import pytest

import async_auth

#: What an import of the package must not bring along: each is behind its first use (an import of
#: aiohttp alone costs several times as much as all of ours).
HEAVY = {
    "IPython",
    "aiohttp",
    "anyio",
    "asyncpg",
    "azure",
    "cattrs",
    "click",
    "cryptography",
    "fastapi",
    "grpc",
    "httpx",
    "httpx2",
    "jose",
    "keyring",
    "opentelemetry",
    "pytest",
    "redis",
    "requests",
    "rich",
    "sqlalchemy",
    "starlette",
    "tomli_w",
    "websockets",
    "yarl",
}

#: Importable only with an extra or inside pytest; their own tests import them.
OPTIONAL = {
    "async_auth.cli": "click",
    "async_auth.integrations.asyncpg": "asyncpg",
    "async_auth.integrations.azure": "azure",
    "async_auth.integrations.fastapi": "fastapi",
    "async_auth.integrations.grpc": "grpc",
    "async_auth.integrations.httpx": "httpx",
    "async_auth.integrations.ipython": "IPython",
    "async_auth.integrations.opentelemetry": "opentelemetry",
    "async_auth.integrations.requests": "requests",
    "async_auth.integrations.sqlalchemy": "sqlalchemy",
    "async_auth.integrations.starlette": "starlette",
    "async_auth.integrations.websockets": "websockets",
    "async_auth.testing.pytest_plugin": "pytest",
}


def modules():
    """Name every module of ours that this environment can import, and whether it is a package."""
    missing = [
        place for place, needs in OPTIONAL.items() if importlib.util.find_spec(needs) is None
    ]
    found = [(m.name, m.ispkg) for m in pkgutil.walk_packages(async_auth.__path__, "async_auth.")]
    return [
        ("async_auth", True),
        *((name, package) for name, package in found if not name.startswith(tuple(missing))),
    ]


def run(code):
    """Run *code* in a new interpreter and return what it printed, as JSON."""
    # -P keeps the current folder off the path: the installed package is what is measured.
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", [name for name, _ in modules()])
def test_public_names_are_sorted_and_there(name):
    """Every `__all__` is sorted, without doubles, and names only what the module has."""
    module = importlib.import_module(name)
    names = getattr(module, "__all__", [])

    assert sorted(set(names)) == list(names)
    assert [] == [public for public in names if not hasattr(module, public)]


@pytest.mark.parametrize("name", [name for name, package in modules() if package])
def test_public_names_are_complete(name):
    """A package's `__all__` has every name that its `__init__` binds without an underscore."""
    package = importlib.import_module(name)
    bound = {
        public
        for public, value in vars(package).items()
        if not public.startswith("_")
        # Submodules become attributes when somebody imports them; they are no exports. Nor is
        # what a package that loads lazily needs for that.
        and not isinstance(value, types.ModuleType)
        and public != "TYPE_CHECKING"
        and getattr(value, "__module__", "async_auth").partition(".")[0] == "async_auth"
    }

    assert set() == bound - set(getattr(package, "__all__", []))


def test_every_error_and_event_is_public():
    """Whoever catches or matches our errors and events finds them at the top."""
    for place in ("async_auth.errors", "async_auth.events"):
        module = importlib.import_module(place)
        defined = {
            name
            for name, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == place and not name.startswith("_")
        }

        assert set() == defined - set(async_auth.__all__)


def test_the_import_is_light():
    """`import async_auth` loads none of the heavy packages, and no plugin of ours either."""
    loaded = run("import async_auth, json, sys; print(json.dumps(sorted(sys.modules)))")

    assert [] == [name for name in loaded if name.partition(".")[0] in HEAVY]


def test_a_client_that_only_signs_in_is_light():
    """What hangs on it under a name of its own is loaded on first use, and so are notebooks."""
    seen = "[n for n in sys.modules if n.startswith('async_auth.') and n.split('.')[2:] in parts]"
    code = f"""
import json, sys
from async_auth.gotrue import GoTrueClient
parts = [["admin"], ["mfa"], ["passkeys"], ["consent"], ["cards"]]
client = GoTrueClient("http://127.0.0.1:9")
before = {seen}
client.admin, client.mfa, client.passkeys, client.oauth
print(json.dumps([before, sorted({seen})]))
"""
    names = [f"async_auth.gotrue.{name}" for name in ("admin", "consent", "mfa", "passkeys")]

    assert [[], names] == run(code)


def test_the_types_are_shipped():
    """The package says that it is typed (PEP 561)."""
    assert importlib.resources.files("async_auth").joinpath("py.typed").is_file()


def test_the_distribution_is_installed():
    """The installed distribution is found under the package's name."""
    assert importlib.metadata.version("async_auth")
