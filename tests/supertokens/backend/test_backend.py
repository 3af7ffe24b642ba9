"""Creating, verifying and refreshing sessions: what the core is asked, what the answer gets."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from async_auth import (
    ConfigurationError,
    InvalidClaims,
    ProtocolError,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.core.web.incoming import Incoming
from async_auth.supertokens import AppInfo, ErrorHandlers, PrimitiveClaim
from async_auth.supertokens.backend.exchange import Exchange
from async_auth.supertokens.front_token import FrontToken

VERSIONS = pytest.mark.parametrize("version", ["5.4", "5.6"])
METHODS = pytest.mark.parametrize("method", ["header", "cookie"])


class Response:
    """What a framework without middleware would send."""

    def __init__(self):
        self.headers = CIMultiDict()


def asked(core):
    """Return how often the core was asked, by path."""
    return {path: count for path, count in core.counts.items() if " " not in path}


@VERSIONS
@METHODS
async def test_the_life_of_a_session(core, make_front_end, version, method):
    """Sign in, use, refresh, use, sign out; after that there is nothing left to send."""
    front_end = make_front_end(method, cdi_version=version)
    created = await front_end.sign_in(access_token_payload={"role": "admin"})

    assert 200 == await front_end.use("POST")
    assert 200 == await front_end.refresh()
    assert {} == front_end.body
    assert 200 == await front_end.use("POST")
    assert [created.handle] == list(core.sessions)
    assert 200 == await front_end.sign_out()
    assert {"status": "OK"} == front_end.body
    assert front_end.clears
    assert {} == core.sessions
    assert {} == front_end.cookies
    assert not front_end.headers.get("st-access-token")


@VERSIONS
async def test_verifying_asks_nobody(core, make_front_end, version):
    """Once the keys are here, a token that is committed costs no request at all."""
    front_end = make_front_end(cdi_version=version)
    await front_end.sign_in()
    await front_end.use()
    before = asked(core)

    for _ in range(20):
        assert 200 == await front_end.use("POST")

    assert before == asked(core)
    assert {"/recipe/session": 1, "/.well-known/jwks.json": 1} == before


async def test_the_newest_version_that_both_know_is_spoken(core, make_front_end):
    """Without a wish the core is asked once what it speaks."""
    front_end = make_front_end()
    await front_end.sign_in()
    await front_end.refresh()
    await front_end.use()

    assert 1 == core.counts["/apiversion"]
    # By CDI 5.6 nothing is left to commit.
    assert 0 == core.counts["/recipe/session/verify"]


async def test_a_new_session_has_its_claims_and_data(core, front_end):
    """The core's own claims are not the user's to set, and the issuer is ours."""
    session = await front_end.sign_in(
        access_token_payload={"role": "admin", "sub": "eve", "tId": "x", "iss": "eve", "n": None},
        session_data={"cart": [1]},
        tenant_id="shop",
    )

    payload = session.access_token_payload
    assert ("ada", "ada", "shop") == (session.user_id, session.recipe_user_id, session.tenant_id)
    assert ("admin", "ada", "shop") == (payload["role"], payload["sub"], payload["tId"])
    assert ("http://127.0.0.1:3001/auth", None) == (payload["iss"], payload["n"])
    assert {"cart": [1]} == await session.get_session_data()
    assert core.sessions[session.handle].tenant_id == "shop"
    front = FrontToken.decode(front_end.headers["front-token"])
    assert ("ada", session.expires_at, payload) == (front.user_id, front.expires_at, front.payload)


async def test_the_tenant_of_the_back_end_is_the_default(make_front_end):
    """Sessions begin in the tenant of the settings."""
    session = await make_front_end(tenant_id="shop").sign_in()

    assert "shop" == session.tenant_id
    assert session.handle.endswith("_shop")


@pytest.mark.parametrize("wish, kept", [("cookie", "header"), ("header", "cookie")])
async def test_a_sign_in_takes_away_the_tokens_of_the_other_method(front_end, wish, kept):
    """A request that carries tokens of the method that was not chosen loses them."""
    carried = {
        "header": ("authorization", "Bearer x"),
        "cookie": ("cookie", "sAccessToken=x"),
    }[kept]
    exchange = Exchange(Incoming.of("POST", "/login", [("st-auth-mode", wish), carried]))

    await front_end.backend.create_new_session(exchange, None, "ada")

    found = exchange.outgoing.merged_into([])
    if kept == "cookie":
        cleared = [
            v
            for n, v in found
            if n == "set-cookie" and v.startswith(('sAccessToken=""', 'sRefreshToken=""'))
        ]
        assert 2 == len(cleared)
    else:
        assert ("st-access-token", "") in found
        assert ("st-refresh-token", "") in found
    assert ("front-token", "remove") not in found


async def test_cookies_that_no_browser_keeps_are_refused_before_the_core_is_asked(
    core, make_backend
):
    """SameSite=None without Secure is a wrong setting, wherever one does not develop."""
    app = AppInfo("app", "http://api.example.com", "https://example.org")
    backend = make_backend(app=app)
    exchange = Exchange(Incoming.of("POST", "/login", {"st-auth-mode": "cookie"}))

    with pytest.raises(ConfigurationError, match="cookie_same_site"):
        await backend.create_new_session(exchange, None, "ada")

    assert {} == core.sessions


@pytest.mark.parametrize("user_id", ["", None, 7])
async def test_a_session_is_somebodys(core, front_end, user_id):
    """A user id is text, and not empty."""
    with pytest.raises(ConfigurationError, match="user_id"):
        await front_end.sign_in(user_id)

    assert {} == core.sessions


async def test_without_a_middleware_the_response_gets_the_tokens(core, backend):
    """Creating and refreshing write into the response; a swapped token is attached by hand."""
    login, refreshed, plain = Response(), Response(), Response()
    created = await backend.create_new_session(Incoming.of("POST", "/login", {}), login, "ada")

    assert created.access_token == login.headers["st-access-token"]
    bearer = {"authorization": f"Bearer {login.headers['st-refresh-token']}"}
    session = await backend.refresh_session(Incoming.of("POST", "/mine", bearer), refreshed)
    assert session.access_token == refreshed.headers["st-access-token"]
    assert created.handle == session.handle
    bearer = {"authorization": f"Bearer {session.access_token}"}
    found = await backend.get_session(Incoming.of("GET", "/", bearer))
    found.attach(plain)
    assert {} == dict(plain.headers)
    await found.merge_into_access_token_payload({"role": "admin"})
    found.attach(plain)
    found.attach(plain)
    assert [found.access_token] == plain.headers.getall("st-access-token")


async def test_without_a_middleware_a_swapped_token_is_attached(make_backend):
    """Up to CDI 5.5 the first use after a refresh brings a token, which the caller attaches."""
    backend = make_backend(cdi_version="5.4")
    response = Response()
    created = await backend.create_new_session_without_request_response("ada")
    bearer = {"authorization": f"Bearer {created.tokens().refresh_token}"}
    session = await backend.refresh_session(Incoming.of("POST", "/", bearer), Response())
    bearer = {"authorization": f"Bearer {session.access_token}"}

    found = await backend.get_session(Incoming.of("GET", "/", bearer))
    found.attach(response)

    assert found.tokens_changed
    assert found.access_token == response.headers["st-access-token"] != session.access_token
    assert "st-refresh-token" not in response.headers


@pytest.mark.parametrize("response", [None, object()])
async def test_tokens_that_would_go_nowhere_are_not_asked_for(core, backend, response):
    """Without a middleware and without a response nothing is created, and nothing spent."""
    session = await backend.create_new_session_without_request_response("ada")
    token = session.tokens().refresh_token
    request = Incoming.of("POST", "/", {"authorization": f"Bearer {token}"})

    with pytest.raises(ConfigurationError, match="response"):
        await backend.create_new_session(request, response, "ada")
    with pytest.raises(ConfigurationError, match="response"):
        await backend.refresh_session(request, response)

    assert [session.handle] == list(core.sessions)
    assert 0 == core.counts["/recipe/session/refresh"]


async def test_a_refusal_still_clears_in_the_response(backend):
    """Without a middleware, a refresh that is refused still takes the legacy cookie away."""
    response = Response()
    request = Incoming.of("POST", "/auth/session/refresh", {"cookie": "sIdRefreshToken=x"})

    with pytest.raises(Unauthorised) as caught:
        await backend.refresh_session(request, response)

    assert caught.value.clear_tokens
    assert response.headers["set-cookie"].startswith('sIdRefreshToken=""')


async def test_an_expired_token_wants_a_refresh(manual_clock, front_end, core):
    """Expiry is looked at each time, and never asks the core; optional routes say it too."""
    await front_end.sign_in()
    assert 200 == await front_end.use()

    await manual_clock.advance(36_000)

    assert 401 == await front_end.use()
    assert {"message": "try refresh token"} == front_end.body
    assert [] == front_end.said
    assert 401 == await front_end.use(session_required=False)
    assert 0 == core.counts["/recipe/session/verify"]
    assert 200 == await front_end.refresh()
    assert 200 == await front_end.use()


async def test_no_token_is_no_session(front_end):
    """Without a token an optional session is none, and one that is required clears nothing."""
    assert None is await front_end.backend.get_session(front_end.exchange(), session_required=False)
    assert 401 == await front_end.use()
    assert ({"message": "unauthorised"}, []) == (front_end.body, front_end.said)


@VERSIONS
async def test_a_session_that_was_revoked(core, make_front_end, version):
    """Its token is good until it expires, unless the database is asked; that clears."""
    front_end = make_front_end(cdi_version=version)
    session = await front_end.sign_in()
    core.revoke_session(session.handle)

    assert 200 == await front_end.use()
    assert 401 == await front_end.use(check_database=True)
    assert {"message": "unauthorised"} == front_end.body
    assert front_end.clears


@VERSIONS
async def test_a_token_of_a_displaced_branch_is_not_signed_out(core, make_front_end, version):
    """From CDI 5.6 it has to refresh, where the reuse is found out; nothing is cleared."""
    first = make_front_end(cdi_version=version)
    await first.sign_in()
    displaced = first.copy()
    await displaced.refresh()
    await first.refresh()

    status = await displaced.use(check_database=True)

    assert (200 if version == "5.4" else 401) == status
    assert not displaced.clears
    assert 1 == len(core.sessions)


async def test_the_core_says_when_it_has_newer_claims(make_front_end, core):
    """With the database asked, CDI 5.6 says so; otherwise nobody knows."""
    front_end = make_front_end(cdi_version="5.6")
    session = await front_end.sign_in()
    await front_end.backend.merge_into_access_token_payload(session.handle, {"role": "admin"})

    local = await front_end.backend.get_session(front_end.exchange())
    asked_for = await front_end.backend.get_session(front_end.exchange(), check_database=True)

    assert (None, True) == (local.payload_update_available, asked_for.payload_update_available)


async def test_a_request_that_asks_twice_has_one_session(core, make_front_end):
    """Where it costs a call to the core, it costs one; a session that it ended is asked about."""
    front_end = make_front_end(cdi_version="5.4")
    await front_end.sign_in()
    await front_end.refresh()
    exchange, backend = front_end.exchange(), front_end.backend

    first = await backend.get_session(exchange)

    assert first is await backend.get_session(exchange, session_required=False)
    assert 1 == core.counts["/recipe/session/verify"]
    assert first is not await backend.get_session(exchange, check_database=True)
    await exchange.session.revoke_session()
    with pytest.raises(Unauthorised):
        await backend.get_session(exchange)


@pytest.mark.parametrize("dynamic", [True, False])
async def test_a_key_of_the_other_kind_wants_a_refresh(make_backend, dynamic):
    """A token of a key that the setting does not want is refreshed into one of the right kind."""
    before = make_backend(use_dynamic_access_token_signing_key=not dynamic)
    backend = make_backend(use_dynamic_access_token_signing_key=dynamic)
    session = await before.create_new_session_without_request_response("ada")

    with pytest.raises(TryRefreshToken):
        await backend.get_session_without_request_response(session.access_token)

    token = session.tokens().refresh_token
    refreshed = await backend.refresh_session_without_request_response(token)
    found = await backend.get_session_without_request_response(refreshed.access_token)
    assert session.handle == found.handle


async def test_a_token_of_version_2_is_verified_by_the_core(core, make_backend):
    """It names no key: the core is asked every time, and swaps it where it can."""
    backend = make_backend(cdi_version="5.4")
    token = core.create_session("ada", payload={"role": "x"}, cdi_version="2.20")["accessToken"]

    session = await backend.get_session_without_request_response(token["token"])

    assert ("ada", "x") == (session.user_id, session.access_token_payload["role"])
    assert 1 == core.counts["/recipe/session/verify"]
    assert 0 == core.counts["/.well-known/jwks.json"]


async def test_a_token_of_another_core_wants_a_refresh(core, make_backend):
    """Nothing in a token is believed that was not signed by the core."""
    backend = make_backend()
    session = await backend.create_new_session_without_request_response("ada")
    await core.restart(lose_memory=True)

    with pytest.raises(TryRefreshToken):
        await make_backend().get_session_without_request_response(session.access_token)


async def test_claims_are_checked_after_the_token(front_end):
    """A claim that is missing is fetched; one that is wrong is 403, with what was fetched set."""
    claim = PrimitiveClaim("role", lambda *_: "guest")
    await front_end.sign_in()
    before = front_end.headers["st-access-token"]

    status = await front_end.use(claim_validators=[claim.validators.has_value("admin")])

    assert 403 == status
    reason = {"message": "wrong value", "expectedValue": "admin", "actualValue": "guest"}
    assert {
        "message": "invalid claim",
        "claimValidationErrors": [{"id": "role", "reason": reason}],
    } == front_end.body
    assert before != front_end.headers["st-access-token"]
    assert 200 == await front_end.use(claim_validators=[claim.validators.has_value("guest")])
    assert [] == front_end.said


async def test_a_theft_has_its_facts(make_front_end):
    """The error says whose session it is, which, and from CDI 5.6 how it was found out."""
    for version, subtype in (("5.4", None), ("5.6", "STALE_LINEAGE")):
        front_end = make_front_end(cdi_version=version)
        session = await front_end.sign_in()
        thief = front_end.copy()
        await front_end.refresh()
        await front_end.refresh()

        with pytest.raises(TokenTheftDetected) as caught:
            await thief.backend.refresh_session(
                thief.exchange("POST", front_end.backend.settings.refresh_path)
            )

        error = caught.value
        assert ("ada", session.handle, subtype) == (
            error.user_id,
            error.session_handle,
            error.subtype,
        )


# ── anti-CSRF ──────────────────────────────────────────────────────────────────────────────────


@VERSIONS
async def test_anti_csrf_by_token(make_front_end, version):
    """Cookies need the session's token, but for GET; it is another after each refresh."""
    front_end = make_front_end("cookie", anti_csrf="VIA_TOKEN", cdi_version=version)
    await front_end.sign_in()
    first = front_end.headers.pop("anti-csrf")

    assert (200, 401) == (await front_end.use(), await front_end.use("POST"))
    assert {"message": "try refresh token"} == front_end.body
    assert 401 == await front_end.use("GET", anti_csrf_check=True)
    assert 200 == await front_end.use("POST", anti_csrf_check=False)
    front_end.headers["anti-csrf"] = first
    assert 200 == await front_end.use("POST")
    assert 200 == await front_end.refresh()
    assert first != front_end.headers["anti-csrf"]
    # Up to CDI 5.5 this answer swaps the access token, and says the token again.
    assert 200 == await front_end.use("POST")
    assert (version == "5.4") == ("anti-csrf" in dict(front_end.said))


async def test_a_refresh_by_cookie_without_the_token_is_refused(make_front_end, core):
    """It clears, though the session lives on."""
    front_end = make_front_end("cookie", anti_csrf="VIA_TOKEN")
    await front_end.sign_in()
    del front_end.headers["anti-csrf"]

    assert 401 == await front_end.refresh()
    assert ({"message": "unauthorised"}, True) == (front_end.body, front_end.clears)
    assert 1 == len(core.sessions)


async def test_anti_csrf_by_header(make_front_end, core):
    """Cookies need a rid, whatever it says; a refresh without is refused before the core is asked."""
    front_end = make_front_end("cookie", anti_csrf="VIA_CUSTOM_HEADER")
    await front_end.sign_in()

    assert (401, 200) == (await front_end.use("POST"), await front_end.use())
    exchange = front_end.exchange("POST", rid="x")
    assert await front_end.backend.get_session(exchange)
    cookies = dict(front_end.cookies)
    assert 401 == await front_end.refresh()
    assert 0 == core.counts["/recipe/session/refresh"]
    front_end.cookies = cookies
    assert 200 == await front_end.refresh(rid="x")


@pytest.mark.parametrize("anti_csrf", ["VIA_TOKEN", "VIA_CUSTOM_HEADER", "NONE"])
async def test_headers_need_no_anti_csrf(make_front_end, anti_csrf):
    """In header mode nothing is checked, on any method."""
    front_end = make_front_end(anti_csrf=anti_csrf)
    await front_end.sign_in()

    assert "anti-csrf" not in front_end.headers
    assert (200, 200) == (await front_end.use("POST"), await front_end.refresh())
    assert 200 == await front_end.sign_out()


# ── duplicate and legacy cookies ───────────────────────────────────────────────────────────────


async def test_duplicate_cookies_are_cleared_by_the_refresh(core, make_backend):
    """Verifying wants a refresh; the refresh takes the older ones away with 200, and no more."""
    backend = make_backend(cookie_domain="example.com", older_cookie_domain="")
    session = await backend.create_new_session_without_request_response("ada")
    twice = f"sAccessToken={session.access_token}; sAccessToken=old; sRefreshToken=x"
    exchange = Exchange(Incoming.of("POST", "/auth/session/refresh", {"cookie": twice}))

    with pytest.raises(TryRefreshToken):
        await backend.get_session(exchange)
    answer = await backend.web.route(exchange)

    assert 200 == answer.status
    [(_, line)] = [p for p in exchange.outgoing.merged_into([]) if p[0] == "set-cookie"]
    assert line.startswith('sAccessToken=""; expires=Thu, 01 Jan 1970')
    assert "Domain" not in line
    assert 0 == core.counts["/recipe/session/refresh"]


async def test_duplicate_cookies_without_a_setting_are_the_operators_error(backend):
    """Nobody can say which is the old one, so it is no answer to the caller."""
    twice = {"cookie": "sRefreshToken=a; sRefreshToken=b"}

    with pytest.raises(ConfigurationError, match="older_cookie_domain"):
        await backend.web.route(Exchange(Incoming.of("POST", "/auth/session/refresh", twice)))


async def test_a_legacy_cookie_goes_with_the_refresh(make_front_end):
    """A request with one has to refresh, and the answer takes it away."""
    front_end = make_front_end("cookie")
    await front_end.sign_in()
    front_end.cookies["sIdRefreshToken"] = "x"

    assert 401 == await front_end.use()
    assert 200 == await front_end.refresh()
    assert "sIdRefreshToken" not in front_end.cookies
    assert 200 == await front_end.use()


# ── without requests ───────────────────────────────────────────────────────────────────────────


@VERSIONS
async def test_sessions_without_requests(core, make_backend, version):
    """The same life, with tokens in place of requests."""
    backend = make_backend(cdi_version=version)
    created = await backend.create_new_session_without_request_response(
        "ada", access_token_payload={"role": "admin"}, session_data={"cart": 1}
    )
    assert created.tokens_changed
    refreshed = await backend.refresh_session_without_request_response(
        created.tokens().refresh_token
    )
    found = await backend.get_session_without_request_response(refreshed.access_token)

    assert (version == "5.4") == found.tokens_changed
    assert "admin" == found.access_token_payload["role"]
    response = Response()
    found.attach(response)
    assert (version == "5.4") == ("st-access-token" in response.headers)
    await found.revoke_session()
    found.attach(response, transfer_method="cookie")
    assert "remove" == response.headers["front-token"]
    assert 2 == len(response.headers.getall("set-cookie"))
    assert {} == core.sessions


async def test_what_is_no_access_token_is_no_session(backend):
    """Text of another structure is refused without clearing, or none where that will do."""
    get = backend.get_session_without_request_response
    with pytest.raises(Unauthorised) as caught:
        await get("garbage")

    assert not caught.value.clear_tokens
    assert None is await get("garbage", session_required=False)
    with pytest.raises(ConfigurationError, match="access_token"):
        await get(None)


async def test_anti_csrf_by_token_without_a_request(make_backend):
    """It is compared where the session has one, or where that is asked for."""
    backend = make_backend(anti_csrf="VIA_TOKEN")
    bound = await backend.create_new_session_without_request_response("ada")
    free = await backend.create_new_session_without_request_response("ada", disable_anti_csrf=True)
    get = backend.get_session_without_request_response

    assert bound.handle == (await get(bound.access_token, bound.tokens().anti_csrf)).handle
    assert bound.handle == (await get(bound.access_token, anti_csrf_check=False)).handle
    assert free.handle == (await get(free.access_token)).handle
    for arguments in ((bound.access_token,), (bound.access_token, "other")):
        with pytest.raises(TryRefreshToken):
            await get(*arguments)
    with pytest.raises(TryRefreshToken):
        await get(free.access_token, anti_csrf_check=True)
    refresh = backend.refresh_session_without_request_response
    with pytest.raises(Unauthorised):
        await refresh(bound.tokens().refresh_token)
    renewed = await refresh(bound.tokens().refresh_token, anti_csrf_token=bound.tokens().anti_csrf)
    assert bound.handle == renewed.handle
    await refresh(free.tokens().refresh_token, disable_anti_csrf=True)


async def test_a_header_cannot_be_looked_at_without_a_request(make_backend):
    """With VIA_CUSTOM_HEADER the caller has to say that it knows, unless cookies are never taken."""
    backend = make_backend(anti_csrf="VIA_CUSTOM_HEADER")
    session = await backend.create_new_session_without_request_response("ada")
    get = backend.get_session_without_request_response
    refresh = backend.refresh_session_without_request_response

    with pytest.raises(ConfigurationError, match="anti_csrf_check=False"):
        await get(session.access_token)
    with pytest.raises(ConfigurationError, match="disable_anti_csrf=True"):
        await refresh(session.tokens().refresh_token)
    assert await get(session.access_token, anti_csrf_check=False)
    assert await refresh(session.tokens().refresh_token, disable_anti_csrf=True)
    only = make_backend(anti_csrf="VIA_CUSTOM_HEADER", token_transfer_method="header")
    assert await only.get_session_without_request_response(session.access_token)


async def test_claims_are_checked_without_a_request(backend):
    """Validators look at a session without a request, too."""
    claim = PrimitiveClaim("role", lambda *_: None)
    session = await backend.create_new_session_without_request_response("ada")

    with pytest.raises(InvalidClaims):
        await backend.get_session_without_request_response(
            session.access_token, claim_validators=[claim.validators.has_value("admin")]
        )


# ── the object itself ──────────────────────────────────────────────────────────────────────────


async def test_its_repr_shows_no_secret(backend):
    """Neither the back end nor a session shows a key or a token."""
    session = await backend.create_new_session_without_request_response("ada")
    exchange = Exchange(Incoming.of("GET", "/", {}), session=session)
    shown = f"{backend!r} {session!r} {backend.web!r} {exchange!r} {session.tokens()!r}"

    assert session.handle in shown
    assert "'key'" not in shown
    assert session.access_token not in shown
    assert session.tokens().refresh_token not in shown


@pytest.mark.parametrize(
    "options",
    [
        {"error_handlers": {}},
        {"error_handlers": ErrorHandlers},
        {"remembered_tokens": -1},
        {"remembered_tokens": True},
        {"remembered_tokens": "9"},
        {"cdi_version": "1.0"},
        {"timeout": 0},
        {"anti_csrf": "MAYBE"},
    ],
    ids=str,
)
def test_arguments_are_checked(options):
    """What makes no sense is refused by its name, before anything is asked."""
    from async_auth.supertokens import SuperTokensBackend

    app = AppInfo("app", "http://127.0.0.1:1", "http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        SuperTokensBackend("http://127.0.0.1:1", app=app, **options)


async def test_a_request_that_goes_on_is_verified_again_once_its_token_has_expired(
    front_end, manual_clock
):
    """A web socket's request outlives its token; whoever asks again hears of that."""
    await front_end.sign_in()
    exchange = front_end.exchange()
    get = front_end.backend.get_session
    session = await get(exchange)
    await manual_clock.advance(session.expires_at - manual_clock.now() - 1)
    assert session is await get(exchange)
    await manual_clock.advance(1)

    with pytest.raises(TryRefreshToken):
        await get(exchange)


async def test_nothing_is_spent_for_an_answer_that_has_been_sent(front_end, core):
    """Its tokens would be lost, and the session with them."""
    await front_end.sign_in()
    exchange = front_end.exchange("POST", front_end.backend.settings.refresh_path)
    exchange.over = True
    asked = core.counts.total()

    with pytest.raises(ConfigurationError, match="response has been sent already"):
        await front_end.backend.refresh_session(exchange)
    with pytest.raises(ConfigurationError, match="response has been sent already"):
        await front_end.backend.create_new_session(exchange, None, "ada")

    assert asked == core.counts.total()


async def test_a_core_that_makes_something_else_is_a_protocol_error(core, front_end):
    """A core whose tokens nobody knows is nothing that a caller can do anything about."""
    core.faults.add(
        "/recipe/session",
        body={
            "status": "OK",
            "session": {"handle": "h", "userId": "ada", "userDataInJWT": {}},
            "accessToken": {"token": "x", "expiry": 1, "createdTime": 1},
            "refreshToken": {"token": "y", "expiry": 1, "createdTime": 1},
        },
    )

    with pytest.raises(ProtocolError):
        await front_end.sign_in()


@pytest.mark.parametrize("garbage", ["a.b.c", "é", "x" * 70_000, "Bearer"])
async def test_garbage_is_no_token(front_end, garbage):
    """Whatever stands in the place of a token, the answer is a 401."""
    for name in ("st-access-token", "st-refresh-token"):
        front_end.headers[name] = garbage

    assert (401, 401) == (await front_end.use(), await front_end.refresh())
