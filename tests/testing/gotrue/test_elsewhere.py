"""SSO and wallets at the server: what is refused, and where browsers are sent."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from async_auth import ConfigurationError
from async_auth.testing import EthereumWallet, SolanaWallet

CALLBACK = "http://127.0.0.1:3000/cb"


# ── companies ──────────────────────────────────────────────────────────────────────────────────


async def signed_in(client: Any, **form: object) -> Any:
    """Send a browser through a company's provider, and return where it ends."""
    begun = await client.post("/sso", domain="example.com", redirect_to=CALLBACK, **form)
    place = begun.headers["Location"] if begun.status == 303 else begun.json["url"]
    onward = await client.call("GET", place)
    return await client.call("GET", onward.headers["Location"])


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"domain": "example.com", "provider_id": "00000000-0000-4000-8000-000000000000"},
        {"provider_id": "x"},
        {"domain": "example.com", "code_challenge": "x" * 43},
    ],
)
async def test_a_company_is_named_in_one_way(client: Any, form: dict[str, str]) -> None:
    """By its domain or by its provider's id."""
    client.server.add_sso_provider("example.com")
    assert (400, "validation_failed") == (await client.post("/sso", **form)).error


async def test_a_browser_is_sent_or_a_program_told(client: Any) -> None:
    """With `skip_http_redirect` the address is the answer."""
    provider_id = client.server.add_sso_provider("Example.com")
    sent = await client.post("/sso", domain="EXAMPLE.com")
    told = await client.post("/sso", provider_id=provider_id, skip_http_redirect=True)
    places = [URL(sent.headers["Location"]), URL(told.json["url"])]
    assert ["/provider/saml/authorize"] * 2 == [place.path for place in places]


async def test_a_company_signs_in_without_pkce_too(client: Any) -> None:
    """The session is in the fragment, and the second time the user is the same."""
    client.server.add_sso_provider("example.com")
    client.server.provider.sign_in_as("ada@example.com")
    first, second = [await signed_in(client, skip_http_redirect=True) for _ in range(2)]
    assert {"access_token", "refresh_token"} <= set(first.place.query)
    assert "provider_token" not in first.place.query
    tokens = [reply.place.query["access_token"] for reply in (first, second)]
    users = [(await client.call("GET", "/user", token=token)).json["id"] for token in tokens]
    assert 1 == len(set(users))


async def test_who_may_not_sign_in_is_told_at_the_page(client: Any) -> None:
    """The company's provider says no, or the user is banned."""
    client.server.add_sso_provider("example.com")
    client.server.provider.deny()
    assert "access_denied" == (await signed_in(client)).place.query["error"]
    client.server.provider.sign_in_as("ada@example.com")
    token = (await signed_in(client)).place.query["access_token"]
    user = (await client.call("GET", "/user", token=token)).json
    client.server.ban_user(user["id"])
    assert "user_banned" == (await signed_in(client)).place.query["error_code"]


async def test_a_domain_is_one_companys(client: Any) -> None:
    """The second one is refused, and not added."""
    assert not (await client.call("GET", "/settings")).json["saml_enabled"]
    client.server.add_sso_provider("a.example", "b.example")
    assert (await client.call("GET", "/settings")).json["saml_enabled"]
    with pytest.raises(ConfigurationError, match="already assigned"):
        client.server.add_sso_provider("c.example", "B.example")
    assert (404, "sso_provider_not_found") == (await client.post("/sso", domain="c.example")).error


# ── wallets ────────────────────────────────────────────────────────────────────────────────────


async def web3(client: Any, signed: dict[str, str]) -> Any:
    """Show a signed message."""
    return await client.post("/token?grant_type=web3", **signed)


@pytest.mark.parametrize(
    "client", [{"redirect_urls": ["https://app.example.com/*"]}], indirect=True
)
@pytest.mark.parametrize(
    "members, words",
    [
        ({"uri": "http://app.example.com/"}, "does not use HTTPS"),
        ({"uri": "https://elsewhere.example/"}, "not allowed on this server"),
        ({"domain": "elsewhere.example"}, "a Domain that does not match"),
        ({"not_before": 10}, "becomes valid in the future"),
        ({"expires_at": -1}, "is expired"),
        ({"issued_at": -601}, "too long ago"),
        ({"issued_at": 602}, "too far in the future"),
    ],
)
async def test_a_message_is_for_here_and_now(
    client: Any, members: dict[str, Any], words: str
) -> None:
    """A good signature is not enough. Times are relative to the server's."""
    now = client.clock.now()
    times = {name: now + value for name, value in members.items() if isinstance(value, int)}
    reply = await web3(client, SolanaWallet().sign_in(**{"issued_at": now, **members, **times}))
    assert (400, "invalid_grant") == reply.error
    assert words in reply.json["error_description"]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"chain": ""}, "Unsupported chain"),
        ({"message": "short"}, "too short"),
        ({"message": "x" * 20481}, "20KB"),
        ({"message": "x" * 100}, "6 lines"),
        ({"signature": "x"}, "signature must be"),
    ],
)
async def test_what_is_no_signed_message(client: Any, changes: dict[str, str], words: str) -> None:
    """It is said what is wrong with it."""
    signed = SolanaWallet().sign_in(issued_at=client.clock.now())
    reply = await web3(client, {**signed, **changes})
    assert 400 == reply.status
    assert words in reply.json["msg"]


async def test_a_page_on_this_machine_needs_no_https(client: Any) -> None:
    """As for the developers of it."""
    wallet = EthereumWallet()
    signed = wallet.sign_in(issued_at=client.clock.now(), uri="http://localhost:3000/")
    session = (await web3(client, signed)).json
    claims = session["user"]["user_metadata"]["custom_claims"]
    assert (wallet.address, "1", "ethereum") == (
        claims["address"],
        claims["network"],
        claims["chain"],
    )
    client.server.ban_user(session["user"]["id"])
    assert (403, "user_banned") == (await web3(client, signed)).error
