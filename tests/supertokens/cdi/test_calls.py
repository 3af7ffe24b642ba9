"""Every call that a back end makes: its request, and what its answer becomes."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from async_auth import (
    ConfigurationError,
    ProtocolError,
    TokenTheftDetected,
    TryRefreshToken,
    Unauthorised,
)
from async_auth.supertokens.cdi import calls
from async_auth.supertokens.cdi.values import (
    CreatedSession,
    RegeneratedSession,
    SessionInformation,
    VerifiedSession,
)

BASE = "http://127.0.0.1:3567"

#: What we never send: other calls, and bodies and headers made wrong on purpose.
NOT_OURS = {
    "core hello",
    "core apiversion",
    "core jwks",
    "core recipe jwt jwks",
    "core with api_keys: hello without key",
    "core with api_keys: jwks without key",
    "core handshake cdi 2.20",
    "core handshake cdi 5.4",
    "core unknown path",
    "core refresh missing field",
    "core refresh no body",
    "core unsupported cdi-version",
    # Versions that we do not speak.
    "core create session cdi 2.20 (v2 token)",
    "core create session cdi 2.21 (v3 token)",
    # Without useDynamicSigningKey, which we always send.
    "cdi5.6 create accessTokenValidity too long",
    "cdi5.6 cdi 5.4 on the same core: create",
}


def validity(body):
    """Return the life of the access token in seconds."""
    found = body.get("accessTokenValidity")
    return None if found is None else found / 1000


def make_create(body):
    """Begin a session."""
    return calls.create_session(
        body["userId"],
        payload=body["userDataInJWT"],
        data=body["userDataInDatabase"],
        enable_anti_csrf=body["enableAntiCsrf"],
        use_dynamic_signing_key=body["useDynamicSigningKey"],
        access_token_validity=validity(body),
    )


def make_verify(body):
    """Ask whether a token is good."""
    return calls.verify_session(
        body["accessToken"],
        enable_anti_csrf=body["enableAntiCsrf"],
        do_anti_csrf_check=body["doAntiCsrfCheck"],
        check_database=body["checkDatabase"],
        anti_csrf_token=body.get("antiCsrfToken"),
    )


def make_refresh(body):
    """Spend a refresh token."""
    return calls.refresh_session(
        body["refreshToken"],
        enable_anti_csrf=body["enableAntiCsrf"],
        use_dynamic_signing_key=body["useDynamicSigningKey"],
        anti_csrf_token=body.get("antiCsrfToken"),
        access_token_validity=validity(body),
    )


def make_remove(body):
    """End sessions."""
    if "userId" not in body:
        return calls.remove_sessions(body["sessionHandles"])
    return calls.remove_sessions_of_user(
        body["userId"], linked_accounts=body["revokeSessionsForLinkedAccounts"]
    )


MAKERS = {
    ("POST", "/recipe/session"): make_create,
    ("POST", "/recipe/session/verify"): make_verify,
    ("POST", "/recipe/session/refresh"): make_refresh,
    ("POST", "/recipe/session/remove"): make_remove,
    ("POST", "/recipe/session/regenerate"): lambda body: calls.regenerate_session(
        body["accessToken"], body["userDataInJWT"]
    ),
    ("PUT", "/recipe/session/data"): lambda body: calls.update_session_data(
        body["sessionHandle"], body["userDataInDatabase"]
    ),
    ("PUT", "/recipe/jwt/data"): lambda body: calls.update_payload(
        body["sessionHandle"], body["userDataInJWT"]
    ),
}

#: The class of what a call gives where the core says OK.
RESULTS = {
    "/recipe/session": CreatedSession,
    "/recipe/session/verify": VerifiedSession,
    "/recipe/session/refresh": CreatedSession,
    "/recipe/session/regenerate": RegeneratedSession,
    "/recipe/session/remove": tuple,
    "/recipe/session/data": bool,
    "/recipe/jwt/data": bool,
}
ERRORS = {
    "UNAUTHORISED": Unauthorised,
    "TRY_REFRESH_TOKEN": TryRefreshToken,
    "TOKEN_THEFT_DETECTED": TokenTheftDetected,
}


def ours(recorded):
    """Return the recorded exchanges that one of our calls makes."""
    return [item for name, item in recorded.items() if name not in NOT_OURS]


def call_of(request):
    """Return our call for a recorded request."""
    path = urlsplit(request["path"])
    if request["method"] == "GET":
        return calls.session_information(path.query.removeprefix("sessionHandle="))
    return MAKERS[request["method"], path.path](request["json"])


def test_every_recorded_request_is_built_as_it_was(recorded):
    """Method, path, query, headers and JSON."""
    for item in ours(recorded):
        request = item["request"]
        version = request["headers"].get("cdi-version", "5.4")
        built = call_of(request).request(BASE, version=version)
        headers = {name.lower(): value for name, value in built.headers.items()}

        assert (request["method"], BASE + request["path"]) == (built.method, built.url)
        assert request["json"] == (json.loads(built.body) if built.body else None), item["name"]
        for name in {"cdi-version"} & set(request["headers"]):
            assert request["headers"][name] == headers[name]
        assert "session" == headers["rid"]
    assert len(ours(recorded)) > 50


def test_every_recorded_answer_is_a_value_or_a_typed_error(recorded):
    """OK is a value; every other outcome an error, or the word for nothing there."""
    for item in ours(recorded):
        request, answer = item["request"], item["response"]
        if answer["status"] != 200:
            continue  # tests/supertokens/cdi/test_failures.py
        call, status = call_of(request), answer["json"]["status"]
        path = urlsplit(request["path"]).path
        if status == "OK":
            kind = SessionInformation if request["method"] == "GET" else RESULTS[path]
            assert isinstance(call.parse(answer["json"]), kind), item["name"]
        elif call.absent is not None:
            assert not call.parse(answer["json"])
        else:
            displaced = "rotated-out" in answer["json"].get("message", "")
            with pytest.raises(TryRefreshToken if displaced else ERRORS[status]):
                call.parse(answer["json"])


def test_what_is_not_ours_is_still_recorded(recorded):
    """A name that is not in the recordings would hide what is."""
    assert set() == NOT_OURS - set(recorded)


def test_an_api_key_goes_with_every_call():
    """And the length of a session's life in milliseconds."""
    request = calls.create_session("ada", access_token_validity=2.5).request(
        BASE, version="5.6", api_key="secret"
    )

    assert "secret" == request.headers["api-key"]
    assert 2500 == json.loads(request.body)["accessTokenValidity"]


@pytest.mark.parametrize(
    "call, path",
    [
        (calls.create_session("ada", tenant_id="acme-x"), "/acme-x/recipe/session"),
        (
            calls.remove_sessions_of_user("ada", tenant_id="acme"),
            "/acme/recipe/session/remove",
        ),
        (
            calls.handles_of_user("a&b c", tenant_id="acme", linked_accounts=False),
            (
                "/acme/recipe/session/user?userId=a%26b%20c&fetchAcrossAllTenants=false"
                "&fetchSessionsForAllLinkedAccounts=false"
            ),
        ),
        (
            calls.handles_of_user("ada"),
            (
                "/recipe/session/user?userId=ada&fetchAcrossAllTenants=true"
                "&fetchSessionsForAllLinkedAccounts=true"
            ),
        ),
        (
            calls.handles_of_user("ada", tenant_id="public"),
            (
                "/recipe/session/user?userId=ada&fetchAcrossAllTenants=false"
                "&fetchSessionsForAllLinkedAccounts=true"
            ),
        ),
        (calls.session_information("a b/c"), "/recipe/session?sessionHandle=a%20b%2Fc"),
    ],
)
def test_tenants_and_queries_are_part_of_the_url(call, path):
    """Everything of the user's is percent-encoded."""
    assert BASE + path == call.request(BASE, version="5.4").url


def test_removing_within_a_tenant_says_so():
    """The flags go with a user id only."""
    tenant = calls.remove_sessions_of_user("ada", tenant_id="acme", linked_accounts=False)

    assert {
        "userId": "ada",
        "revokeAcrossAllTenants": False,
        "revokeSessionsForLinkedAccounts": False,
    } == json.loads(tenant.request(BASE, version="5.4").body)


def test_a_regeneration_may_leave_the_claims_as_they_are():
    """Then nothing is said of them."""
    request = calls.regenerate_session("token").request(BASE, version="5.4")

    assert {"accessToken": "token"} == json.loads(request.body)


def test_handles_are_read():
    """As a tuple."""
    body = {"status": "OK", "sessionHandles": ["one", "two"]}

    assert ("one", "two") == calls.handles_of_user("ada").parse(body)


@pytest.mark.parametrize("make", [calls.create_session, calls.refresh_session])
def test_a_shorter_life_needs_a_newer_core(make):
    """It is not left out in silence."""
    call = make("x", access_token_validity=1.0)

    with pytest.raises(ConfigurationError, match="access_token_validity"):
        call.request(BASE, version="5.4")


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, b"bytes", {("a",): 1}])
def test_data_that_is_not_json_is_refused(value):
    """Before anything is sent."""
    call = calls.create_session("ada", payload={"x": value})

    with pytest.raises(ConfigurationError, match="plain JSON"):
        call.request(BASE, version="5.4")


def test_only_a_creation_must_not_happen_twice():
    """Everything else gives the same when it is done again."""
    repeatable = {
        call.path: call.repeatable
        for call in (
            calls.create_session("u"),
            calls.verify_session("t"),
            calls.refresh_session("t"),
            calls.regenerate_session("t"),
            calls.remove_sessions(["h"]),
            calls.update_session_data("h", {}),
            calls.update_payload("h", {}),
        )
    }

    assert ["/recipe/session"] == [path for path, again in repeatable.items() if not again]


def test_calls_show_no_secret():
    """Neither tokens nor what a user put into a session."""
    for call in (
        calls.refresh_session("tiger", anti_csrf_token="tiger"),
        calls.verify_session("tiger", anti_csrf_token="tiger"),
        calls.regenerate_session("tiger", {"x": "tiger"}),
        calls.create_session("ada", data={"x": "tiger"}),
    ):
        assert "tiger" not in repr(call)


def test_a_refusal_does_not_repeat_what_was_sent():
    """Should the core do so."""
    call = calls.refresh_session("tiger-token")

    with pytest.raises(Unauthorised) as caught:
        call.parse({"status": "UNAUTHORISED", "message": "no tiger-token here"})
    assert "no [redacted] here" == str(caught.value)


def test_an_answer_to_something_else_is_refused():
    """A list is no session."""
    with pytest.raises(ProtocolError):
        calls.verify_session("t").parse({"status": "OK", "sessionHandles": []})


@pytest.mark.parametrize("tenant_id", ["..", ".", "", "a/b", "a?b", "a%2e", 5])
@pytest.mark.parametrize(
    "call",
    [
        lambda tenant: calls.create_session("ada", tenant_id=tenant),
        lambda tenant: calls.remove_sessions_of_user("ada", tenant_id=tenant),
        lambda tenant: calls.handles_of_user("ada", tenant_id=tenant),
    ],
)
def test_a_tenant_is_a_name(call, tenant_id):
    """A name that changes the path would reach another tenant's sessions."""
    with pytest.raises(ConfigurationError, match="tenant_id must be letters"):
        call(tenant_id)
