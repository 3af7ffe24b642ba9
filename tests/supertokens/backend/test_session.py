"""A session on the server: its data, its claims, its end, and what the answer gets of them."""

from __future__ import annotations

import pytest
from aiohttp import web

from async_auth import (
    ApiError,
    ConfigurationError,
    CoreUnavailable,
    InvalidClaims,
    Unauthorised,
)
from async_auth.core.jwt import peek
from async_auth.supertokens import AppInfo, BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim
from async_auth.supertokens.front_token import FrontToken

VERSIONS = pytest.mark.parametrize("version", ["5.4", "5.6"])
METHODS = pytest.mark.parametrize("method", ["header", "cookie"])


@pytest.fixture(params=["5.4", "5.6"])
async def signed_in(request, make_front_end):
    """Return a front end that is signed in, by each version."""
    front_end = make_front_end(cdi_version=request.param)
    await front_end.sign_in(access_token_payload={"role": "user", "gone": 1, "null": None})
    return front_end


async def opened(front_end, **options):
    """Return a request and its session."""
    exchange = front_end.exchange("POST")
    return exchange, await front_end.backend.get_session(exchange, **options)


async def test_changed_claims_reach_the_front_end(signed_in):
    """A merge sets, removes what is None, leaves the core's own alone, and keeps the expiry."""
    exchange, session = await opened(signed_in)
    before = session.access_token_payload

    await session.merge_into_access_token_payload(
        {"role": "admin", "gone": None, "sub": "eve", "new": {"a": [1]}}
    )

    after = session.access_token_payload
    assert {"role": "admin", "new": {"a": [1]}, "null": None, "sub": "ada"}.items() <= after.items()
    assert "gone" not in after
    assert (before["exp"], before["iss"]) == (after["exp"], after["iss"])
    signed_in.keep(exchange)
    assert session.access_token == signed_in.headers["st-access-token"]
    assert after == FrontToken.decode(signed_in.headers["front-token"]).payload
    assert after == peek(session.access_token).claims
    assert ("st-refresh-token" in dict(signed_in.said)) is False
    _, again = await opened(signed_in)
    assert after == again.access_token_payload
    assert 200 == await signed_in.refresh()
    _, refreshed = await opened(signed_in)
    assert "admin" == refreshed.access_token_payload["role"]


async def test_a_change_after_the_token_has_expired(signed_in, manual_clock):
    """The claims change at the core and in this request; the front end gets nothing new."""
    exchange, session = await opened(signed_in)
    await manual_clock.advance(36_001)

    await session.merge_into_access_token_payload({"role": "admin", "gone": None})
    await session.merge_into_access_token_payload({"more": True})

    payload = session.access_token_payload
    assert {"role": "admin", "more": True, "sub": "ada"}.items() <= payload.items()
    assert "gone" not in payload
    assert not session.tokens_changed
    assert not exchange.outgoing
    assert 200 == await signed_in.refresh()
    _, refreshed = await opened(signed_in)
    assert {"role": "admin", "more": True}.items() <= refreshed.access_token_payload.items()


async def test_a_cookie_gets_the_changed_token(make_front_end):
    """In cookie mode it is the cookie that changes, and anti-csrf is not said."""
    front_end = make_front_end("cookie", anti_csrf="VIA_TOKEN")
    await front_end.sign_in()
    exchange, session = await opened(front_end)

    await session.merge_into_access_token_payload({"role": "admin"})

    names = [name for name, _ in exchange.outgoing.merged_into([])]
    assert ["access-control-expose-headers", "front-token", "set-cookie"] == names


async def test_the_payload_is_a_copy(signed_in):
    """Whoever changes what is handed out changes nobody's session."""
    _, session = await opened(signed_in)

    session.access_token_payload["role"] = "admin"
    session.access_token_payload["sub"] = "eve"

    _, other = await opened(signed_in)
    assert ("user", "ada") == (session.access_token_payload["role"], session.user_id)
    assert "user" == other.access_token_payload["role"]


async def test_what_is_no_json_changes_nothing(signed_in):
    """Claims and data that cannot be written are refused before the core is asked."""
    exchange, session = await opened(signed_in)

    with pytest.raises(ConfigurationError):
        await session.merge_into_access_token_payload({"x": object()})
    with pytest.raises(ConfigurationError):
        await session.update_session_data({"x": {1, 2}})

    assert not exchange.outgoing


async def test_session_data(signed_in):
    """What stays on the server is replaced as a whole."""
    _, session = await opened(signed_in)

    assert {} == await session.get_session_data()
    await session.update_session_data({"cart": [1]})
    assert {"cart": [1]} == await session.get_session_data()
    await session.update_session_data({})
    assert {} == await session.get_session_data()


async def test_when_it_began_and_ends(signed_in, manual_clock):
    """Its times are the core's: the session's, and the access token's."""
    _, session = await opened(signed_in)

    now = manual_clock.now()
    assert now == await session.get_time_created()
    assert now + 144_000 * 60 == await session.get_expiry()
    assert now + 36_000 == session.expires_at


async def test_what_ended_elsewhere_is_unauthorised(signed_in, core):
    """Asking for, or changing, what the core has no more is an UNAUTHORISED that clears."""
    _, session = await opened(signed_in)
    core.revoke_session(session.handle)

    for call in (
        session.get_session_data,
        session.get_time_created,
        session.get_expiry,
        lambda: session.update_session_data({}),
        lambda: session.merge_into_access_token_payload({"a": 1}),
    ):
        with pytest.raises(Unauthorised) as caught:
            await call()
        assert caught.value.clear_tokens


@METHODS
async def test_revoking_always_clears(make_front_end, core, method):
    """The tokens go even if the core knew the session no more, and only those of its method."""
    front_end = make_front_end(method)
    await front_end.sign_in()
    exchange, session = await opened(front_end)
    core.revoke_session(session.handle)

    await session.revoke_session()
    await session.revoke_session()

    front_end.keep(exchange)
    assert front_end.clears
    assert (method == "cookie") == ("st-access-token" not in dict(front_end.said))
    assert {} == front_end.cookies


async def test_a_swap_and_a_revocation_are_a_revocation(make_front_end):
    """What was attached before in the same answer is not attached any more."""
    front_end = make_front_end("cookie", cdi_version="5.4")
    await front_end.sign_in()
    await front_end.refresh()
    exchange, session = await opened(front_end)
    assert session.tokens_changed

    await session.revoke_session()

    lines = [value for name, value in exchange.outgoing.merged_into([]) if name == "set-cookie"]
    assert 2 == len(lines)
    assert all('=""' in line for line in lines)


async def test_a_core_that_is_away_leaves_the_tokens(signed_in, core):
    """A revocation that nobody heard is no revocation: it can be tried again."""
    exchange, session = await opened(signed_in)
    await core.stop()

    with pytest.raises(CoreUnavailable):
        await session.revoke_session()

    assert not exchange.outgoing


# ── claims ─────────────────────────────────────────────────────────────────────────────────────


async def test_the_claims_of_a_session(signed_in, manual_clock):
    """Set, get, remove, fetch: each reaches the token."""
    role = PrimitiveClaim("st-role", lambda user_id, *_: f"role of {user_id}")
    none = PrimitiveClaim("st-none", lambda *_: None)
    _, session = await opened(signed_in)

    assert None is await session.get_claim_value(role)
    await session.set_claim_value(role, "admin")
    assert "admin" == await session.get_claim_value(role)
    stored = {"v": "admin", "t": int(manual_clock.now() * 1000)}
    assert stored == session.access_token_payload["st-role"]
    await session.fetch_and_set_claim(role)
    assert "role of ada" == await session.get_claim_value(role)
    token = session.access_token
    await session.fetch_and_set_claim(none)
    assert token == session.access_token
    await session.remove_claim(role)
    assert "st-role" not in session.access_token_payload


async def test_claims_are_asserted(signed_in, manual_clock):
    """What is missing or too old is fetched and kept; what is wrong is told with its reason."""
    calls = []

    async def fetch(user_id, recipe_user_id, tenant_id, payload):
        calls.append((user_id, recipe_user_id, tenant_id, payload["role"]))
        return len(calls) < 3

    verified = BooleanClaim("st-ev", fetch, default_max_age=60)
    roles = PrimitiveArrayClaim("st-roles", lambda *_: ["user"])
    _, session = await opened(signed_in)

    await session.assert_claims([])
    assert not session.tokens_changed
    await session.assert_claims([verified.validators.is_true(), roles.validators.includes("user")])
    assert [("ada", "ada", "public", "user")] == calls
    assert await session.get_claim_value(verified)
    await session.assert_claims([verified.validators.is_true()])
    assert 1 == len(calls)
    await manual_clock.advance(61)
    await session.assert_claims([verified.validators.is_true()])
    await manual_clock.advance(61)
    with pytest.raises(InvalidClaims) as caught:
        await session.assert_claims(
            v for v in (verified.validators.is_true(), roles.validators.includes("admin"))
        )

    assert (
        {
            "id": "st-ev",
            "reason": {"message": "wrong value", "expectedValue": True, "actualValue": False},
        },
        {
            "id": "st-roles",
            "reason": {
                "message": "wrong value",
                "expectedToInclude": "admin",
                "actualValue": ["user"],
            },
        },
    ) == caught.value.reasons


async def test_a_refusal_of_the_core_is_told(signed_in, core):
    """What the core will not have is the caller's to see, and the token stays as it is."""
    _, session = await opened(signed_in)
    before = session.access_token
    core.faults.add("/recipe/session/regenerate", status=400, body="no")

    with pytest.raises(ApiError):
        await session.merge_into_access_token_payload({"a": 1})

    assert before == session.access_token
    assert "a" not in session.access_token_payload


@pytest.mark.parametrize(
    "change, name",
    [
        (lambda session, _: session.merge_into_access_token_payload(["a"]), "update"),
        (lambda session, _: session.update_session_data("ab"), "data"),
        (lambda session, backend: backend.update_session_data(session.handle, "ab"), "data"),
        (
            lambda session, backend: backend.merge_into_access_token_payload(session.handle, 5),
            "update",
        ),
        (
            lambda _, backend: backend.create_new_session_without_request_response(
                "ada", access_token_payload=["a"]
            ),
            "access_token_payload",
        ),
        (
            lambda _, backend: backend.create_new_session_without_request_response(
                "ada", session_data=5
            ),
            "session_data",
        ),
        (
            lambda session, backend: backend.get_session_without_request_response(
                session.access_token, b"x"
            ),
            "anti_csrf_token",
        ),
        (
            lambda session, backend: backend.refresh_session_without_request_response(
                session.tokens().refresh_token, anti_csrf_token=b"x"
            ),
            "anti_csrf_token",
        ),
    ],
)
async def test_arguments_of_another_type_are_refused_by_name(core, backend, change, name):
    """Before the core is asked."""
    session = await backend.create_new_session_without_request_response("ada")
    asked = core.counts.total()

    with pytest.raises(ConfigurationError, match=f"^{name} must be a"):
        await change(session, backend)

    assert asked == core.counts.total()


async def test_attaching_by_a_method_that_there_is_not(make_backend):
    """It is refused by its name, and so are cookies that no browser would keep."""
    session = await make_backend().create_new_session_without_request_response("ada")
    response = web.Response()
    with pytest.raises(ConfigurationError, match="transfer_method must be"):
        session.attach(response, transfer_method="cokie")
    app = AppInfo("app", "http://api.example.com", "http://example.org")
    session = await make_backend(app=app).create_new_session_without_request_response(
        "ada", disable_anti_csrf=True
    )
    with pytest.raises(ConfigurationError, match="browsers drop"):
        session.attach(response, transfer_method="cookie")

    assert "front-token" not in response.headers
