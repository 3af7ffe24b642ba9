"""Which errors are about a login, what follows, and on which connections a token may travel."""

from __future__ import annotations

import ssl

import asyncpg
import pytest

from async_auth.errors import ConfigurationError, ServerUnavailable
from async_auth.integrations.databases import check_encrypted, log_in, refuses_password


class Wrapping(Exception):
    """An error of a driver or a library, with what they put on it."""

    def __init__(self, *args, **facts):
        super().__init__(*args)
        self.__dict__.update(facts)


def caused(error, cause):
    """Return *error* as if it had been raised from *cause*."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error,expected",
    [
        (asyncpg.InvalidPasswordError("no"), True),
        (asyncpg.InvalidAuthorizationSpecificationError("no"), True),
        (asyncpg.InvalidCatalogNameError("no"), False),
        (Wrapping(1045, "Access denied for user"), True),
        (Wrapping(1049, "Unknown database"), False),
        (Wrapping("no", orig=asyncpg.InvalidPasswordError("no")), True),
        (Wrapping("no", orig="28P01"), False),
        (caused(Wrapping("no"), asyncpg.InvalidPasswordError("no")), True),
        (OSError(), False),
    ],
)
def test_which_errors_are_about_the_login(error, expected):
    """By SQLSTATE, or MySQL's number, however deep they are wrapped."""
    assert expected == refuses_password(error)


@pytest.mark.parametrize("error", [None, ServerUnavailable("away")])
async def test_a_refusal_without_a_remedy_is_raised(error, poor):
    """It is the server's true answer, not that of the auth server; nothing is tried in vain."""
    tried = []

    async def connect(password):
        tried.append(password)
        raise asyncpg.InvalidPasswordError("no")

    with pytest.raises(asyncpg.InvalidPasswordError) as caught:
        await log_in(poor(error), connect)
    assert (["t1"], None) == (tried, caught.value.__cause__)


HERE = ["localhost", "127.0.0.1:5432", "[::1]:5432", "::1", "/run/postgresql", "@abstract"]
ELSEWHERE = ["db.example.com", "10.0.0.1:5432", "[2001:db8::1]", "localhost.example.com"]
SURE = [
    "require",
    "verify-full",
    "VERIFY-CA",
    True,
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    {"ca": "x"},
]
UNSURE = [None, False, "", "prefer", "allow", "Disable", "false", {}]


def test_this_machine_needs_no_encryption():
    """Neither does the driver's own default."""
    for told in UNSURE:
        check_encrypted(HERE, told, allow_insecure=False)
        check_encrypted([], told, allow_insecure=False)


@pytest.mark.parametrize("host", ELSEWHERE)
def test_any_other_does(host):
    """One of several is enough to refuse; whoever asks for it gets it."""
    for told in SURE:
        check_encrypted(["localhost", host], told, allow_insecure=False)
    for told in UNSURE:
        with pytest.raises(ConfigurationError, match=r"^ssl: "):
            check_encrypted(["localhost", host], told, allow_insecure=False)
        check_encrypted([host], told, allow_insecure=True)
