"""What a client is told when it is made: checked at once, and named where it is wrong."""

from __future__ import annotations

import pytest

from async_auth.errors import ConfigurationError
from async_auth.supertokens import SuperTokensClient


async def hook(*_):
    """Be no plain function."""


@pytest.mark.parametrize(
    "options, named",
    [
        ({"api_domain": "http://api.example.com"}, "api_domain"),
        ({"api_domain": "https://api.example.com/path"}, "api_domain"),
        ({"api_domain": 1}, "api_domain"),
        ({"api_base_path": "/a b"}, "api_base_path"),
        ({"token_transfer_method": "any"}, "token_transfer_method"),
        ({"preset": "v2"}, "preset"),
        ({"session_expired_status_code": 200}, "session_expired_status_code"),
        ({"session_expired_status_code": True}, "session_expired_status_code"),
        ({"session_expired_status_code": 403}, "must differ"),
        ({"invalid_claim_status_code": "403"}, "invalid_claim_status_code"),
        ({"max_refresh_attempts": -1}, "max_refresh_attempts"),
        ({"max_refresh_attempts": 1.5}, "max_refresh_attempts"),
        ({"session_token_backend_domain": 1}, "session_token_backend_domain"),
        ({"session_token_backend_domain": ""}, "valid domain name"),
        ({"pre_api_hook": hook}, "pre_api_hook"),
        ({"post_api_hook": 1}, "post_api_hook"),
        ({"http": object(), "transport": object()}, "http or transport"),
    ],
)
def test_a_mistake_is_raised_where_it_is_made(options, named):
    """The argument is named."""
    options = {"api_domain": "https://api.example.com", **options}

    with pytest.raises(ConfigurationError, match=named):
        SuperTokensClient(**options)


@pytest.mark.parametrize(
    "given, url",
    [
        ("https://API.example.com/", "https://api.example.com/auth/session/refresh"),
        ("api.example.com", "https://api.example.com/auth/session/refresh"),
        ("localhost:3000", "http://localhost:3000/auth/session/refresh"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000/auth/session/refresh"),
    ],
)
def test_where_the_api_is(given, url):
    """The domain is read as SuperTokens' own front ends read it."""
    assert url == SuperTokensClient(given).settings.refresh_url


def test_the_path_below_which_the_routes_are():
    """With or without slashes; the root is a path too."""
    for given, url in (("api/", "https://x.test/api/signout"), ("/", "https://x.test/signout")):
        assert url == SuperTokensClient("https://x.test", given).settings.sign_out_url


def test_the_preset_gives_way_to_what_is_said():
    """A status of one's own wins over that of the preset."""
    client = SuperTokensClient("https://x.test", preset="v1", session_expired_status_code=401)

    assert (401, "/api/refresh") == (client.settings.expired, client.settings.refresh_path)


def test_plain_http_can_be_asked_for():
    """Whoever says so may send tokens unencrypted."""
    client = SuperTokensClient("http://api.example.com", allow_insecure=True)

    assert client.exchange.covers("http://api.example.com/x")
