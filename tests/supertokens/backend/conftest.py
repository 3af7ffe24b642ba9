"""The recorded exchanges of SuperTokens' own back end, and the settings that they were made with."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from async_auth.core.jwt import peek
from async_auth.errors import InvalidToken
from async_auth.supertokens.backend.app import AppInfo
from async_auth.supertokens.backend.incoming import Incoming
from async_auth.supertokens.backend.settings import Settings

TESTS = Path(__file__).parents[2]
EXCHANGES = {
    exchange["name"]: exchange
    for exchange in json.loads(
        (TESTS / "recordings" / "supertokens.json").read_text(encoding="utf-8")
    )
    if exchange["server"].startswith("app:")
}
VECTORS = json.loads((TESTS / "vectors" / "supertokens-transfer.json").read_text(encoding="utf-8"))
#: What each of the recorded applications was set to.
OPTIONS = {
    "3001": {"anti_csrf": "VIA_TOKEN"},
    "3002": {"anti_csrf": "VIA_CUSTOM_HEADER"},
    "3003": {"anti_csrf": "NONE"},
    "3004": {},
    "3005": {
        "anti_csrf": "VIA_TOKEN",
        "expose_access_token_to_frontend_in_cookie_based_auth": True,
    },
    "3006": {},
}


def pytest_generate_tests(metafunc):
    """Give a test each recorded exchange, or each row of the tables."""
    if "exchange" in metafunc.fixturenames:
        metafunc.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES)
    for table in ("verify", "refresh"):
        if f"{table}_row" in metafunc.fixturenames:
            ids = ["-".join(map(str, row.values())) for row in VECTORS[table]]
            metafunc.parametrize(f"{table}_row", VECTORS[table], ids=ids)


def make_settings(**options):
    """Return the settings of an application on this machine."""
    place = "http://127.0.0.1:3001"
    return Settings.of(options.pop("app", AppInfo("app", place, place)), **options)


@pytest.fixture(name="make_settings")
def make_settings_fixture():
    """Make settings of some options."""
    return make_settings


@pytest.fixture
def settings():
    """Return settings with nothing said."""
    return make_settings()


@pytest.fixture
def recorded(exchange):
    """Return an exchange as values: the settings, the request, the response."""
    request, response = exchange["request"], exchange["response"]
    headers = dict(response["headers"])
    return SimpleNamespace(
        name=exchange["name"],
        settings=make_settings(**OPTIONS[exchange["server"].removeprefix("app:")]),
        incoming=Incoming.of(request["method"], request["path"], request["headers"]),
        status=response["status"],
        json=response["json"],
        cookies=headers.pop("set-cookie", []),
        headers=headers,
    )


@pytest.fixture
def read():
    """Take an access token apart, or say that it is none."""

    def read(token):
        try:
            peeked = peek(token)
        except InvalidToken:
            return None
        return peeked.claims if "version" in peeked.header else None

    return read


@pytest.fixture
def request_with():
    """Make a request of headers by their names."""

    def make(method="GET", path="/", **headers):
        pairs = ((name.replace("_", "-"), value) for name, value in headers.items())
        return Incoming.of(method, path, list(pairs))

    return make
