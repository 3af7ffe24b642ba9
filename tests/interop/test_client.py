"""The same tests of a client, unchanged, against our own back-end half and supertokens-python.

Ours runs on both refresh algorithms of the core, the official one speaks CDI 5.4 only; and each
is called through both adapters.
"""

from __future__ import annotations

import asyncio

import pytest

from async_auth.errors import NetworkError, TemporaryError, TokenTheftDetected
from async_auth.events import ApiInvalidClaim, SignedOut
from async_auth.stores import MemoryStore
from async_auth.supertokens import BooleanClaim

METHODS = pytest.mark.parametrize("method", ["header", "cookie"])
VERIFIED = BooleanClaim("st-ev", lambda *_: None)


@METHODS
async def test_login_use_refresh_sign_out(place, method):
    """The life of a session, with the access token that is swapped after a refresh."""
    client, http = await place.signed_in(token_transfer_method=method)
    assert "ada" == await client.get_user_id()
    assert 200 == await http("/x")

    before = (await client.get_access_token_payload())["sessionHandle"]
    await client.refresh_session()
    assert [200, 200] == [await http("/x"), await http("/database")]
    payload = await client.get_access_token_payload()
    assert (before, None) == (payload["sessionHandle"], payload["parentRefreshTokenHash1"])

    await client.sign_out()
    assert (None, {}) == (client.session, place.core.sessions)
    assert 401 == await http("/x")
    assert 1 == place.refreshes


async def test_a_chain_of_refreshes(place):
    """Refreshed again and again without a use, the session holds."""
    client, http = await place.signed_in()

    for _ in range(5):
        await client.refresh_session()

    assert (200, 6) == (await http("/database"), client.session.generation)


@METHODS
async def test_fifty_requests_meet_an_expired_token(place, method):
    """One refresh, fifty times 200, and no theft after."""
    client, http = await place.signed_in(expired=True, token_transfer_method=method)

    assert [200] * 50 == await asyncio.gather(*(http("/x") for _ in range(50)))

    assert 1 == place.refreshes
    await client.refresh_session()
    assert 200 == await http("/database")


async def test_signing_out_with_an_expired_token(place, shifted):
    """It is refreshed once, so that the server can be told."""
    client, _ = await place.signed_in(clock=shifted)
    shifted.ahead = client.session.expires_at - client.session.issued_at + 60

    await client.sign_out()

    assert (None, {}, 1) == (client.session, place.core.sessions, place.refreshes)


async def test_signing_out_while_refreshing(place):
    """The sign-out wins, whoever answers first."""
    client, http = await place.signed_in()

    refresh = asyncio.create_task(client.refresh_session())
    await asyncio.sleep(0)
    await client.sign_out()
    await asyncio.gather(refresh, return_exceptions=True)

    assert client.session is None
    assert 401 == await http("/x")


async def test_a_theft(place):
    """Whoever comes second with a token that was replaced and used is told so by its name."""
    store = MemoryStore()
    client, _ = await place.signed_in(store=store)
    recorder = await place.record(client)
    thief = await place.client()
    await thief.refresh_session(client.session.refresh_token)
    await thief.refresh_session()
    assert 200 == await (await place.http(thief))("/x")

    with pytest.raises(TokenTheftDetected):
        await client.refresh_session()

    assert "theft" == (await recorder.wait_for(SignedOut)).reason
    assert (None, None) == (client.session, await store.load("default"))
    assert {} == place.core.sessions


@METHODS
async def test_a_claim_is_missing_then_there(place, method):
    """The refusal is told and handed back; the token with the claim is taken from an answer."""
    client, http = await place.signed_in(token_transfer_method=method)
    recorder = await place.record(client)

    assert 403 == await http("/needs-claim")
    (error,) = (await recorder.wait_for(ApiInvalidClaim)).claim_validation_errors
    assert "st-ev" == error["id"]
    assert 200 == await http("/set-claim")
    assert 200 == await http("/needs-claim")

    assert () == await client.validate_claims([VERIFIED.validators.is_true()])
    assert 0 == place.refreshes


@METHODS
async def test_lost_answers(place, method):
    """The same refresh token goes out again at once, and no theft comes of it."""
    lossy = await place.lossy()
    client, http = await place.signed_in(transport=lossy, token_transfer_method=method)

    for _ in range(3):
        lossy.losses = [NetworkError("lost", sent=True)]
        await client.refresh_session()
        assert 200 == await http("/database")

    assert 6 == place.refreshes


@METHODS
async def test_a_session_that_the_app_ends(place, method):
    """Its own route revokes it: the client is signed out by the answer."""
    client, http = await place.signed_in(token_transfer_method=method)
    recorder = await place.record(client)

    assert 200 == await http("/revoke-me")

    assert "user" == (await recorder.wait_for(SignedOut)).reason
    assert 401 == await http("/x")


async def test_a_session_that_was_ended_elsewhere(place):
    """The refusal of the next refresh says so; the 401 is the answer."""
    client, http = await place.signed_in(expired=True)
    recorder = await place.record(client)
    place.core.revoke_sessions("ada")

    assert 401 == await http("/x")

    assert (await recorder.wait_for(SignedOut)).reason in {"rejected", "session_not_found"}
    assert await client.does_session_exist() is False


async def test_the_core_is_away(place):
    """The session is used and kept meanwhile, and everything is right again after."""
    client, http = await place.signed_in()
    assert 200 == await http("/x")
    await place.core.stop()
    with pytest.raises(TemporaryError):
        await client.refresh_session()
    assert 200 == await http("/x")

    await place.core.start()
    await client.refresh_session()

    assert 200 == await http("/database")
