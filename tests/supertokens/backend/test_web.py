"""The back end's own routes and its answers to errors, with an application's handlers."""

from __future__ import annotations

import pytest

from async_auth import (
    CoreUnavailable,
    InvalidClaims,
    ProtocolError,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.core.web.incoming import Incoming
from async_auth.supertokens import Answer, ErrorHandlers
from async_auth.supertokens.backend.exchange import Exchange

CLEARED = ("front-token", "remove")
ERRORS = {
    "try_refresh_token": (TryRefreshToken(), 401),
    "unauthorised": (Unauthorised(), 401),
    "token_theft": (TokenTheftDetected(user_id="ada", session_handle="h"), 401),
    "invalid_claims": (InvalidClaims(), 403),
    "core_unavailable": (CoreUnavailable(), 503),
}


def exchange(method="POST", path="/", headers=(), request=None):
    """Return a request."""
    return Exchange(Incoming.of(method, path, list(headers)), request=request)


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/auth/session/refresh"),
        ("GET", "/auth/signout"),
        ("POST", "/auth/jwt/jwks.json"),
        ("POST", "/auth"),
        ("POST", "/session/refresh"),
        ("OPTIONS", "/auth/session/refresh"),
    ],
)
async def test_other_requests_are_not_ours(backend, method, path):
    """Another method or another path is left to the application."""
    assert None is await backend.web.route(exchange(method, path))


@pytest.mark.parametrize(
    "options, refresh, sign_out",
    [
        ({}, "/auth/session/refresh", "/auth/signout"),
        ({"preset": "v1"}, "/api/refresh", "/auth/signout"),
        ({"refresh_path": "/r", "signout_path": "/s"}, "/r", "/s/"),
    ],
)
async def test_the_routes_are_where_they_are_said_to_be(make_backend, options, refresh, sign_out):
    """Paths are the user's to choose; without a token both are unauthorised."""
    backend = make_backend(**options)
    status = 440 if options.get("preset") else 401
    first, second = exchange(path=refresh), exchange(path=sign_out)

    assert status == (await backend.web.route(first)).status
    assert status == (await backend.web.route(second)).status

    # A refresh without a token clears, a sign-out does not.
    assert CLEARED in first.outgoing.merged_into([])
    assert not second.outgoing


async def test_the_keys_are_public(backend, core):
    """The keys are the core's, and are kept: not every caller is the core's to serve."""
    for _ in range(3):
        answer = await backend.web.route(exchange("GET", "/auth/jwt/jwks.json"))

    assert (200, core.jwks()) == (answer.status, answer.body)
    assert 1 == core.counts["/.well-known/jwks.json"]


async def test_keys_that_cannot_be_had(make_backend, away):
    """Without the core, and without keys, that route too is 503."""
    backend = make_backend(away)

    assert 503 == (await backend.web.route(exchange("GET", "/auth/jwt/jwks.json"))).status


async def test_a_core_without_keys(backend, core):
    """No keys are an empty set."""
    core.faults.add("/.well-known/jwks.json", body={"keys": []})

    assert [] == await backend.get_jwks()


async def test_signing_out_twice(front_end):
    """A session that ended is signed out again; its token still says whose it was."""
    await front_end.sign_in()
    tokens = dict(front_end.headers)

    assert 200 == await front_end.sign_out()
    front_end.headers = tokens
    assert (200, {"status": "OK"}) == (await front_end.sign_out(), front_end.body)
    assert front_end.clears


async def test_signing_out_with_an_expired_token(front_end, manual_clock):
    """The front end refreshes and tries again."""
    await front_end.sign_in()
    await manual_clock.advance(36_000)

    assert 401 == await front_end.sign_out()
    assert ({"message": "try refresh token"}, []) == (front_end.body, front_end.said)


# ── handlers ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("name", ERRORS)
async def test_each_error_has_its_handler(make_backend, name, asynchronous):
    """It gets the request and the error, and what it gives is the answer; clearing is as before."""
    seen = []

    def handler(request, error):
        seen.append((request, error))
        return Answer(status=418, body={})

    async def later(request, error):
        return handler(request, error)

    handlers = ErrorHandlers(**{name: later if asynchronous else handler})
    backend = make_backend(error_handlers=handlers)
    for each, (error, status) in ERRORS.items():
        asked = exchange(request="the framework's")

        answer = await backend.web.answer_to(error, asked)

        assert (418 if each == name else status) == answer.status
        cleared = CLEARED in asked.outgoing.merged_into([])
        assert (each in ("unauthorised", "token_theft")) == cleared
    assert [("the framework's", ERRORS[name][0])] == seen


async def test_a_handler_may_leave_it_at_that(make_backend):
    """`None` is the default, any other object goes to the framework as it is."""
    mine = object()
    backend = make_backend(
        error_handlers=ErrorHandlers(
            try_refresh_token=lambda *_: None, invalid_claims=lambda *_: mine
        )
    )

    assert 401 == (await backend.web.answer_to(TryRefreshToken(), exchange())).status
    assert mine is await backend.web.answer_to(InvalidClaims(), exchange())


async def test_a_handler_sees_at_least_what_the_rules_see(make_backend):
    """Without a framework's request it gets the `Incoming`; its answer may clear more."""
    seen = []

    def handler(request, error):
        seen.append((request, error))
        return Answer(status=200, body={}, clears=("header",))

    backend = make_backend(error_handlers=ErrorHandlers(try_refresh_token=handler))
    asked = exchange()

    await backend.web.answer_to(TryRefreshToken(), asked)

    assert asked.incoming is seen[0][0]
    assert CLEARED in asked.outgoing.merged_into([])


async def test_what_is_no_callers_business_goes_on(backend):
    """A core that talks nonsense is nobody's 401."""
    error = ProtocolError("nonsense")

    with pytest.raises(ProtocolError) as caught:
        await backend.web.answer_to(error, exchange())

    assert error is caught.value


# ── theft ──────────────────────────────────────────────────────────────────────────────────────


async def rob(front_end):
    """Refresh twice, and then by the first token again; return the status."""
    await front_end.sign_in()
    thief = front_end.copy()
    await front_end.refresh()
    await front_end.refresh()
    return thief, await thief.refresh()


@pytest.mark.parametrize("version", ["5.4", "5.6"])
async def test_a_theft_ends_the_session_once(make_front_end, core, version):
    """By default it is revoked, whether or not the core has done so already; the answer clears."""
    thief, status = await rob(make_front_end(cdi_version=version))

    assert (401, {"message": "token theft detected"}) == (status, thief.body)
    assert thief.clears
    assert {} == core.sessions
    assert 1 == core.counts["/recipe/session/remove"]


async def test_a_theft_by_the_first_version_ends_nothing(make_front_end, core):
    """Preset v1 leaves it to the application, which gets the user and the handle."""
    facts = []

    async def handler(request, error):
        facts.append((error.user_id, error.session_handle, request.path))

    front_end = make_front_end(
        preset="v1", cdi_version="5.4", error_handlers=ErrorHandlers(token_theft=handler)
    )
    _, status = await rob(front_end)

    assert 440 == status
    assert [("ada", next(iter(core.sessions)), "/api/refresh")] == facts
    assert 0 == core.counts["/recipe/session/remove"]
    # As documents 002 and 003 go on: that session, and then all of the user's.
    assert await front_end.backend.revoke_session(facts[0][1])
    assert () == await front_end.backend.revoke_all_sessions_for_user(facts[0][0])


@pytest.mark.parametrize("answers, removals", [(True, 0), (False, 1)])
async def test_a_theft_with_a_handler(make_front_end, core, answers, removals):
    """A handler that answers has done what it thinks right; one that does not leaves the default."""
    handlers = ErrorHandlers(
        token_theft=lambda *_: Answer(status=401, body={"mine": True}) if answers else None
    )
    thief, status = await rob(make_front_end(cdi_version="5.4", error_handlers=handlers))

    assert (401, answers) == (status, "mine" in thief.body)
    assert thief.clears
    assert removals == core.counts["/recipe/session/remove"]


async def test_a_theft_while_the_core_goes_away(make_front_end, core):
    """What cannot be ended is 503 and clears nothing; the next try finds the theft again."""
    core.faults.add("/recipe/session/remove", status=500)
    thief, status = await rob(make_front_end(cdi_version="5.4"))

    assert (503, False) == (status, thief.clears)
    assert 401 == await thief.refresh()
    assert thief.clears
    assert {} == core.sessions


async def test_a_theft_of_another_kind(backend, core):
    """A session that the program itself has elsewhere is none of ours: nobody is signed out."""
    asked = exchange()

    with pytest.raises(TokenTheftDetected):
        await backend.web.answer_to(TokenTheftDetected(), asked)

    assert not asked.outgoing
    assert {} == core.counts
