"""Sessions by their handles and users: ending, looking, changing, without any of their tokens."""

from __future__ import annotations

import pytest

from async_auth import ConfigurationError
from async_auth.supertokens import PrimitiveClaim

CLAIM = PrimitiveClaim("st-role", lambda user_id, *_: f"role of {user_id}")
NOTHING = PrimitiveClaim("st-none", lambda *_: None)


@pytest.fixture(params=["5.4", "5.6"])
def backend(request, make_backend):
    """Return a back end by each version."""
    return make_backend(cdi_version=request.param)


async def begin(backend, user_id="ada", **options):
    """Begin a session and return its handle."""
    create = backend.create_new_session_without_request_response
    return (await create(user_id, **options)).handle


async def test_ending_sessions(backend, core):
    """Each way of ending says what it ended, and what is not there is no error."""
    first, second, third = [await begin(backend) for _ in range(3)]
    other, shop = await begin(backend, "bob"), await begin(backend, tenant_id="shop")

    assert (True, False) == (
        await backend.revoke_session(first),
        await backend.revoke_session(first),
    )
    assert (second,) == await backend.revoke_multiple_sessions([first, second])
    assert () == await backend.revoke_multiple_sessions([])
    assert (shop,) == await backend.revoke_all_sessions_for_user("ada", tenant_id="shop")
    assert (third,) == await backend.revoke_all_sessions_for_user("ada")
    assert () == await backend.revoke_all_sessions_for_user("nobody")
    assert [other] == list(core.sessions)
    assert (other,) == await backend.revoke_multiple_sessions(other)


async def test_looking_at_sessions(backend, manual_clock):
    """A user's handles and a session's facts; where there is none, there is none."""
    first = await begin(backend, access_token_payload={"a": 1}, session_data={"b": 2})
    shop = await begin(backend, tenant_id="shop")

    assert {first, shop} == set(await backend.get_all_session_handles_for_user("ada"))
    handles = await backend.get_all_session_handles_for_user("ada", tenant_id="shop")
    assert (shop,) == handles
    assert () == await backend.get_all_session_handles_for_user("nobody")
    found = await backend.get_session_information(first)
    assert (first, "ada", "public") == (found.session_handle, found.user_id, found.tenant_id)
    assert {"b": 2} == found.session_data
    assert 1 == found.access_token_payload["a"]
    assert manual_clock.now() == found.created_at
    assert None is await backend.get_session_information("nothing")


async def test_changing_sessions(backend):
    """Data is replaced, claims are merged, and the next token has them."""
    session = await backend.create_new_session_without_request_response(
        "ada", access_token_payload={"a": 1, "b": 2}
    )
    handle = session.handle

    assert await backend.update_session_data(handle, {"cart": 1})
    assert await backend.merge_into_access_token_payload(handle, {"a": None, "c": 3, "sub": "eve"})

    found = await backend.get_session_information(handle)
    assert {"cart": 1} == found.session_data
    assert {"b": 2, "c": 3, "iss": "http://127.0.0.1:3001/auth"} == found.access_token_payload
    refreshed = await backend.refresh_session_without_request_response(
        session.tokens().refresh_token
    )
    assert (2, 3) == tuple(refreshed.access_token_payload[name] for name in ("b", "c"))
    assert not await backend.update_session_data("nothing", {})
    assert not await backend.merge_into_access_token_payload("nothing", {"a": 1})


async def test_the_claims_of_a_session(backend):
    """Set, get, fetch and remove by handle; `False` or `None` where there is no session."""
    handle = await begin(backend)

    assert None is await backend.get_claim_value(handle, CLAIM)
    assert await backend.set_claim_value(handle, CLAIM, "admin")
    assert "admin" == await backend.get_claim_value(handle, CLAIM)
    assert await backend.fetch_and_set_claim(handle, CLAIM)
    assert "role of ada" == await backend.get_claim_value(handle, CLAIM)
    assert await backend.fetch_and_set_claim(handle, NOTHING)
    assert await backend.remove_claim(handle, CLAIM)
    assert None is await backend.get_claim_value(handle, CLAIM)
    assert not await backend.set_claim_value("nothing", CLAIM, "x")
    assert not await backend.fetch_and_set_claim("nothing", CLAIM)
    assert not await backend.remove_claim("nothing", CLAIM)
    assert None is await backend.get_claim_value("nothing", CLAIM)


async def test_validating_claims(backend):
    """What has to be fetched is fetched and stored; what is wrong is returned."""
    handle = await begin(backend)
    good, bad = CLAIM.validators.has_value("role of ada"), CLAIM.validators.has_value("admin")
    validate = backend.validate_claims_for_session_handle

    assert () == await validate(handle, [good])
    assert "role of ada" == await backend.get_claim_value(handle, CLAIM)
    [reason] = await validate(handle, [good, bad])
    assert ("st-role", "wrong value") == (reason["id"], reason["reason"]["message"])
    [reason] = await validate(handle, [NOTHING.validators.has_value(1)])
    assert "value does not exist" == reason["reason"]["message"]
    assert None is await validate("nothing", [good])


async def test_a_session_that_ends_while_its_claims_are_fetched(backend, core):
    """It is as if it had not been there."""
    handle = await begin(backend)
    ending = PrimitiveClaim("st-x", lambda *_: core.revoke_session(handle) or "x")

    assert None is await backend.validate_claims_for_session_handle(
        handle, [ending.validators.has_value("x")]
    )


@pytest.mark.parametrize("value", ["", None, 7])
async def test_names_are_text(backend, core, value):
    """A handle or user that is none is refused before the core is asked."""
    for call in (
        backend.revoke_session(value),
        backend.revoke_multiple_sessions(["a", value]),
        backend.get_session_information(value),
        backend.update_session_data(value, {}),
    ):
        with pytest.raises(ConfigurationError, match="session_handle"):
            await call
    for call in (
        backend.revoke_all_sessions_for_user(value),
        backend.get_all_session_handles_for_user(value),
    ):
        with pytest.raises(ConfigurationError, match="user_id"):
            await call
    assert {} == core.counts
