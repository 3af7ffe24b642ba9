"""What a core answers, as values."""

from __future__ import annotations

import pytest

from async_auth import ProtocolError
from async_auth.supertokens.cdi.values import (
    CreatedSession,
    IssuedToken,
    RegeneratedSession,
    SessionInformation,
    VerifiedSession,
    handles,
)


def test_a_creation_gives_the_session_and_its_tokens(recorded):
    """Times are unix seconds."""
    body = recorded["core create session enableAntiCsrf"]["response"]["json"]

    assert CreatedSession(
        handle="e250d9a9-365f-43eb-9817-d4dd2b7930e1",
        user_id="user-anti",
        recipe_user_id="user-anti",
        tenant_id="public",
        payload={"role": "tester"},
        access_token=IssuedToken(
            value=body["accessToken"]["token"], expires_at=1795256203.0, created_at=1795252603.0
        ),
        refresh_token=IssuedToken(
            value=body["refreshToken"]["token"],
            expires_at=1803892603.563,
            created_at=1795252603.563,
        ),
        anti_csrf_token="6e1985e6-a143-4c50-a55e-4ccb616e54b7",
    ) == CreatedSession.parse(body)


@pytest.mark.parametrize(
    "name", ["core create session cdi 2.20 (v2 token)", "core create session cdi 2.21 (v3 token)"]
)
def test_an_older_core_knows_one_tenant_and_one_user_id(recorded, name):
    """What it does not send has its old meaning."""
    session = CreatedSession.parse(recorded[name]["response"]["json"])

    assert ("user-old", "user-old", "public") == (
        session.user_id,
        session.recipe_user_id,
        session.tenant_id,
    )


def test_a_verification_may_swap_the_token(recorded):
    """At the first use after a refresh (up to CDI 5.5)."""
    swapped = recorded["core verify a2 (commits the rotation; new access token)"]
    plain = recorded["core verify fresh token"]
    body = swapped["response"]["json"]

    assert body["accessToken"]["token"] == VerifiedSession.parse(body).access_token.value
    found = VerifiedSession.parse(plain["response"]["json"])
    assert (None, None) == (found.access_token, found.payload_update_available)


def test_a_verification_may_say_whether_the_claims_are_stale(recorded):
    """From CDI 5.6, where the database was asked."""
    body = recorded["cdi5.6 verify a2 checkDatabase"]["response"]["json"]

    assert VerifiedSession.parse(body).payload_update_available is False
    for odd in (None, 1, "true", {}):
        found = VerifiedSession.parse({**body, "payloadUpdateAvailable": odd})
        assert found.payload_update_available is None


def test_a_regeneration_with_an_expired_token_brings_none(recorded):
    """Only the database was changed."""
    expired = recorded["core(2s/6s) regenerate with expired access token"]["response"]["json"]
    fresh = recorded["core regenerate"]["response"]["json"]

    assert (None, {"n": 1}) == (
        RegeneratedSession.parse(expired).access_token,
        RegeneratedSession.parse(expired).payload,
    )
    assert 1795256203.0 == RegeneratedSession.parse(fresh).access_token.expires_at


def test_the_information_about_a_session_is_whole(recorded):
    """Members that nobody knows are passed over."""
    body = {**recorded["core get session"]["response"]["json"], "new": [1]}

    assert SessionInformation(
        session_handle="176a3e1e-e0b6-4c3a-ac5b-13cbc23fe4f5",
        user_id="user-core-1",
        recipe_user_id="user-core-1",
        tenant_id="public",
        session_data={"k": "v"},
        access_token_payload={"role": "tester"},
        expires_at=1803892603.555,
        created_at=1795252603.555,
    ) == SessionInformation.parse(body)


@pytest.mark.parametrize("missing", ["session", "accessToken", "refreshToken"])
def test_an_answer_without_what_it_is_for_is_none(recorded, missing):
    """Half a session is worse than an error."""
    body = dict(recorded["core create session"]["response"]["json"])
    body.pop(missing)

    with pytest.raises(ProtocolError, match=missing):
        CreatedSession.parse(body)


def test_a_session_without_a_name_is_none(recorded):
    """Nothing could be done with it."""
    body = recorded["core verify fresh token"]["response"]["json"]

    with pytest.raises(ProtocolError, match="handle"):
        VerifiedSession.parse({**body, "session": {**body["session"], "handle": 5}})


@pytest.mark.parametrize("expiry", [None, "1795256203000", True])
def test_a_time_that_is_no_number_is_an_error(expiry):
    """Nobody guesses when a token ends."""
    with pytest.raises(ProtocolError, match="expiry"):
        IssuedToken.parse({"x": {"token": "t", "expiry": expiry, "createdTime": 1}}, "x")


@pytest.mark.parametrize("listed", [None, "one", [1], {}])
def test_handles_are_a_list_of_texts(listed):
    """Anything else is an error."""
    with pytest.raises(ProtocolError, match="sessionHandles"):
        handles({"sessionHandles": listed}, "sessionHandles")


def test_no_value_shows_a_secret(recorded):
    """Nor what a user has put into a session."""
    body = recorded["core create session enableAntiCsrf"]["response"]["json"]
    shown = repr(CreatedSession.parse(body))
    information = repr(SessionInformation.parse(recorded["core get session"]["response"]["json"]))

    assert [] == [
        secret
        for secret in (
            body["accessToken"]["token"],
            body["refreshToken"]["token"],
            body["antiCsrfToken"],
            "tester",
        )
        if secret in shown + information
    ]


@pytest.mark.parametrize("value", ["", "a\r\nSet-Cookie: b=c", "\u00e9", "\ud800", 5])
@pytest.mark.parametrize("name", ["accessToken", "refreshToken", "antiCsrfToken"])
def test_a_token_has_to_fit_into_a_header(recorded, name, value):
    """A core that answers with anything else is none, and writes no headers of ours."""
    body = recorded["core create session enableAntiCsrf"]["response"]["json"]
    hostile = value if name == "antiCsrfToken" else {**body[name], "token": value}

    with pytest.raises(ProtocolError, match=r"has no (token|antiCsrfToken), or one"):
        CreatedSession.parse({**body, name: hostile})


def test_a_session_knows_its_tenant_and_its_recipe_user():
    """Cores that know neither mean the public one and the user."""
    old = {
        "sessionHandle": "h",
        "userId": "u",
        "userDataInDatabase": {},
        "userDataInJWT": {},
        "expiry": 2000,
        "timeCreated": 1000,
    }
    new = {**old, "tenantId": "t1", "recipeUserId": "r1"}

    assert [("public", "u"), ("t1", "r1")] == [
        (found.tenant_id, found.recipe_user_id)
        for found in map(SessionInformation.parse, (old, new))
    ]


def test_a_session_of_a_linked_account_knows_both_users(recorded):
    """The one that is meant, and the one that signed in."""
    body = recorded["core create session enableAntiCsrf"]["response"]["json"]
    linked = {**body, "session": {**body["session"], "recipeUserId": "other"}}

    found = CreatedSession.parse(linked)
    assert ("other", body["session"]["userId"]) == (found.recipe_user_id, found.user_id)
