"""The client's own methods, beside what the criteria say of them."""

from __future__ import annotations

import asyncio

import pytest

from async_auth.errors import ConfigurationError, Malformed, ManagerClosed, ProtocolError
from async_auth.events import TokenRefreshed
from async_auth.supertokens import BooleanClaim


@pytest.mark.parametrize(
    "arguments, error",
    [
        ({"access_token": ""}, ConfigurationError),
        ({"access_token": None}, ConfigurationError),
        ({"refresh_token": None}, ConfigurationError),
        ({"front_token": 1}, ConfigurationError),
        ({"anti_csrf": 1}, ConfigurationError),
        ({"front_token": "garbage"}, ProtocolError),
        ({"front_token": None}, Malformed),
    ],
)
async def test_tokens_that_cannot_be_adopted_change_nothing(desk, api, arguments, error):
    """The session there was stays."""
    client, _ = await desk.signed_in()
    before = client.session
    given = {"access_token": "a", "refresh_token": "r", "front_token": None, **arguments}

    with pytest.raises(error):
        await client.adopt_tokens(given.pop("access_token"), given.pop("refresh_token"), **given)
    assert before == client.session


async def test_a_refresh_token_from_elsewhere(desk, api):
    """It is spent at once, and what comes back is the session."""
    client = await desk.client()
    recorder = await desk.record(client)
    tokens = api.sign_in()

    session = await client.refresh_session(tokens.refresh)

    await recorder.wait_for(TokenRefreshed)
    assert session == client.session
    assert "ada" == await client.get_user_id()


async def test_a_claim_is_renewed_by_the_api(desk, api):
    """Its function asks the API; the token that comes of it counts."""
    client, http = await desk.signed_in()

    async def renew(user_id, recipe_user_id, tenant_id, payload):
        assert ("ada", "ada", "public") == (user_id, recipe_user_id, tenant_id)
        value = {"v": True, "t": int(api.now() * 1000)}
        tokens = api.issue("handle-1", refresh=False, **{"st-ev": value})
        api.faults["/renew"] = [api.answer(tokens, "header")]
        await (await http.get(f"{api.url}/renew")).read()

    claim = BooleanClaim("st-ev", renew)

    assert () == await client.validate_claims([claim.validators.is_true()])
    assert () == await client.validate_claims([claim.validators.is_true()])
    assert 1 == api.counts["/renew"]


async def test_a_claim_that_cannot_be_renewed_is_validated_as_it_is(desk, api, caplog):
    """The error is logged; the answer says what is wrong, in the server's words."""
    client, _ = await desk.signed_in()

    async def fail(*_):
        raise OSError

    (found,) = await client.validate_claims([BooleanClaim("st-ev", fail).validators.is_true()])

    assert "st-ev" == found["id"]
    assert "value does not exist" == found["reason"]["message"]
    assert "could not be renewed" in caplog.text


@pytest.mark.parametrize(
    "status, body",
    [
        (401, b'{"claimValidationErrors": []}'),
        (403, b"no"),
        (403, {}),
        (403, {"claimValidationErrors": "x"}),
    ],
)
async def test_a_refusal_of_another_kind_is_no_invalid_claim(desk, status, body):
    """Nothing to raise."""
    assert (await desk.client()).invalid_claims(status, body) is None


async def test_an_invalid_claim_can_be_raised_from_bytes(desk):
    """The reasons are the server's."""
    client = await desk.client()

    error = client.invalid_claims(403, b'{"claimValidationErrors": [{"id": "x"}]}')
    assert ({"id": "x"},) == error.reasons


async def test_a_close_during_the_refresh_of_a_refused_request(desk, api):
    """The request ends with ManagerClosed, and leaves no connection behind."""
    client, http = await desk.signed_in()
    api.expire()
    gate, arrived = asyncio.Event(), asyncio.Event()

    async def hold(_):
        arrived.set()
        await gate.wait()

    api.faults["/auth/session/refresh"] = [hold]
    request = asyncio.create_task(http.get(f"{api.url}/x"))
    await arrived.wait()
    close = asyncio.create_task(client.aclose())
    with pytest.raises(ManagerClosed):
        await request
    gate.set()
    await close
