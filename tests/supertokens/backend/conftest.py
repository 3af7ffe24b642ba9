"""Helpers for the tests of the back end: settings of an application here, and requests."""

from __future__ import annotations

import pytest

from async_auth.supertokens import AppInfo
from async_auth.supertokens.backend.incoming import Incoming
from async_auth.supertokens.backend.settings import Settings

#: Where SuperTokens' own back end was when it was recorded.
PLACE = "http://127.0.0.1:3001"


@pytest.fixture
def make_settings():
    """Make settings of some options, for an application on this machine."""
    return lambda **options: Settings.of(AppInfo("app", PLACE, PLACE), **options)


@pytest.fixture
def settings(make_settings):
    """Return settings with nothing said."""
    return make_settings()


@pytest.fixture
def request_with():
    """Make a request of headers by their names."""

    def make(method="GET", path="/", **headers):
        pairs = ((name.replace("_", "-"), value) for name, value in headers.items())
        return Incoming.of(method, path, list(pairs))

    return make
