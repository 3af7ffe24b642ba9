"""gotrue/admin: users, links, factors, clients, providers, and the log, as administrators."""

from __future__ import annotations

import json
import re

import pytest

from async_auth import AuthSessionMissing, ConfigurationError, ProtocolError
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.admin import GeneratedLink, OAuthClient
from async_auth.http_messages import Response
from async_auth.testing import ScriptedTransport

URL = "http://127.0.0.1:9999"
KEY = "service-role-key"
CLIENTS, CUSTOM, SSO = "/admin/oauth/clients", "/admin/custom-providers", "/admin/sso/providers"


def page(numbers, *, total=None, link=None, member="users"):
    """Return a page of things with these ids."""
    items = [{"id": str(number)} for number in numbers]
    headers = {"X-Total-Count": total, "Link": link}
    sent = {name: value for name, value in headers.items() if value is not None}
    body = items if member is None else {member: items}
    return Response(200, sent, json.dumps(body).encode())


async def asked(call, *answers, key=KEY, token=None, **options):
    """Return what a call gives, and each request as method, path and body."""
    transport = ScriptedTransport(*answers)
    client = GoTrueClient(URL, key, transport=transport, auto_refresh=False, **options)
    client.set_auth(token)
    async with client:
        result = await call(client.admin)
    return result, transport.requests


def told(requests):
    """Return each request as method, path and body."""
    return [
        (request.method, request.url.removeprefix(URL), json.loads(request.body or b"null"))
        for request in requests
    ]


async def collected(users):
    """Return the ids of an iterator's users."""
    return [user.id async for user in users]


@pytest.mark.parametrize(
    "options, bearer",
    [
        ({}, f"Bearer {KEY}"),
        ({"token": "pinned"}, "Bearer pinned"),
        ({"key": None, "token": "pinned"}, "Bearer pinned"),
        ({"key": None, "headers": {"authorization": "Bearer mine"}}, "Bearer mine"),
    ],
)
async def test_who_asks(options, bearer):
    """A pinned token, else the key; the user's own header beats both."""
    _, (request,) = await asked(lambda admin: admin.list_users(), page([]), **options)
    assert bearer == request.headers["Authorization"]


async def test_without_either_the_session_asks(stage):
    """Its role may be an administrator's."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    wire.change = lambda _: page([1])
    await client.admin.list_users()
    assert f"Bearer {client.session.access_token}" == wire.requests[-1].headers["Authorization"]


async def test_nobody_asks_nothing():
    """Without a key, a token and a session there is nobody to ask as."""
    with pytest.raises(AuthSessionMissing):
        await asked(lambda admin: admin.list_users(), key=None)


async def test_a_page_tells_of_the_whole():
    """By GoTrue's headers, whose addresses are relative."""
    link = (
        '</admin/users?page=2&per_page=1>; rel="next", </admin/users?page=3&per_page=1>; rel="last"'
    )
    found, requests = await asked(
        lambda admin: admin.list_users(page=1, per_page=1), page([1], total="3", link=link)
    )
    assert (3, 2, 3) == (found.total, found.next_page, found.last_page)
    assert ["1"] == [user.id for user in found.items]
    assert [("GET", "/admin/users?page=1&per_page=1", None)] == told(requests)


@pytest.mark.parametrize("total", [None, "", "many", "-1", "9" * 40, "²"])
async def test_a_total_that_is_none(total):
    """A gateway may have taken it away, or put something else there."""
    found, _ = await asked(lambda admin: admin.list_users(), page([1], total=total))
    assert (None, None, None) == (found.total, found.next_page, found.last_page)


async def test_every_user_is_walked_through():
    """Page by page, as the links lead."""
    more, last = '</admin/users?page={}>; rel="next", ', '</admin/users?page=3>; rel="last"'
    found, requests = await asked(
        lambda admin: collected(admin.iter_users(per_page=2)),
        page([1, 2], link=more.format(2) + last),
        page([3, 4], link=more.format(3) + last),
        page([5], link=last),
    )
    assert ["1", "2", "3", "4", "5"] == found
    pages = [re.search(r"page=(\d)&per_page=2", request.url)[1] for request in requests]
    assert ["1", "2", "3"] == pages


async def test_without_links_the_end_is_an_empty_page():
    """Nobody is lost behind a gateway that strips headers."""
    found, requests = await asked(
        lambda admin: collected(admin.iter_users()), page([1]), page([2]), page([])
    )
    assert (["1", "2"], 3) == (found, len(requests))


async def test_links_that_lead_back_end_the_walk():
    """No server can keep us walking in a circle."""
    link = '</admin/users?page=1>; rel="next", </admin/users?page=9>; rel="last"'
    found, _ = await asked(lambda admin: collected(admin.iter_users()), page([1], link=link))
    assert ["1"] == found


async def test_a_list_that_is_null_is_empty():
    """Go writes an empty list so."""
    found, _ = await asked(lambda admin: admin.list_users(), (200, {"users": None}))
    assert () == found.items


@pytest.mark.parametrize("answer", [(200, {}), (200, []), (200, {"users": 5}), 200])
async def test_an_answer_without_a_list_is_none(answer):
    """Nobody is told that there are no users."""
    with pytest.raises(ProtocolError):
        await asked(lambda admin: admin.list_users(), answer)


def test_a_link_shows_nothing(recordings):
    """Whoever has it can sign in."""
    answer = recordings["admin_generate_link_signup"].answer
    link = GeneratedLink.from_json(answer)
    assert (answer["id"], answer["email_otp"]) == (link.user.id, link.email_otp)
    assert "signup" == link.verification_type
    shown = repr(link) + str(link) + repr(link.user)
    assert not [s for s in (link.email_otp, link.hashed_token, link.action_link) if s in shown]
    assert answer == link.to_json()
    assert link.email_otp not in json.dumps(link.user.to_json())


def test_a_client_shows_no_secret(recordings):
    """It is told once, to the program."""
    answer = recordings["oauth_admin_register_client"].answer
    client = OAuthClient.from_json(answer)
    assert answer["client_secret"] == client.client_secret
    assert client.client_secret not in repr(client)
    assert answer == client.to_json()


async def test_a_users_token_signs_that_user_out():
    """The key is no use for this."""
    _, (request,) = await asked(lambda admin: admin.sign_out("users-token", "local"), 204)
    assert ("POST", "/logout?scope=local", {}) == told([request])[0]
    assert "Bearer users-token" == request.headers["Authorization"]


async def test_the_log_is_read_by_the_page():
    """A bare list, with the same headers."""
    entry = {"id": "e", "payload": {"action": "login"}, "created_at": "2026-11-21T09:23:09Z"}
    found, requests = await asked(
        lambda admin: admin.audit_log(query="author:ann", page=2),
        Response(200, {"X-Total-Count": "7"}, json.dumps([entry]).encode()),
    )
    assert (7, "login") == (found.total, found.items[0].payload["action"])
    assert [("GET", "/admin/audit?query=author%3Aann&page=2", None)] == told(requests)


FACTOR = {"id": "f", "factor_type": "totp", "status": "verified"}
NAMED = {"client_name": "App", "client_id": "c"}

#: A call, the answer, what it gives of it, and the request it makes.
OTHERS = {
    "delete factor": (
        lambda a: a.mfa.delete_factor("u", "f"),
        (200, FACTOR),
        None,
        ("DELETE", "/admin/users/u/factors/f", None),
    ),
    "update factor": (
        lambda a: a.mfa.update_factor("u", "f", {"friendly_name": "n"}),
        (200, FACTOR),
        FACTOR,
        ("PUT", "/admin/users/u/factors/f", {"friendly_name": "n"}),
    ),
    "list passkeys": (
        lambda a: a.passkeys.list_passkeys("u"),
        (200, [{"id": "p"}]),
        [{"id": "p"}],
        ("GET", "/admin/users/u/passkeys", None),
    ),
    "delete passkey": (
        lambda a: a.passkeys.delete_passkey("u", "p"),
        204,
        None,
        ("DELETE", "/admin/users/u/passkeys/p", None),
    ),
    "list clients": (
        lambda a: a.oauth.list_clients(page=1, per_page=9),
        (200, {"clients": [NAMED]}),
        [NAMED],
        ("GET", f"{CLIENTS}?page=1&per_page=9", None),
    ),
    "get client": (
        lambda a: a.oauth.get_client("c/d"),
        (200, NAMED),
        NAMED,
        ("GET", f"{CLIENTS}/c%2Fd", None),
    ),
    "update client": (
        lambda a: a.oauth.update_client("c", {"client_name": "App"}),
        (200, NAMED),
        NAMED,
        ("PUT", f"{CLIENTS}/c", {"client_name": "App"}),
    ),
    "delete client": (
        lambda a: a.oauth.delete_client("c"),
        204,
        None,
        ("DELETE", f"{CLIENTS}/c", None),
    ),
    "another secret": (
        lambda a: a.oauth.regenerate_client_secret("c"),
        (200, {**NAMED, "client_secret": "s"}),
        {**NAMED, "client_secret": "s"},
        ("POST", f"{CLIENTS}/c/regenerate_secret", {}),
    ),
    "list custom": (
        lambda a: a.custom_providers.list_providers(type="oidc"),
        (200, {"providers": [{"identifier": "custom:x"}]}),
        [{"identifier": "custom:x"}],
        ("GET", f"{CUSTOM}?type=oidc", None),
    ),
    "create custom": (
        lambda a: a.custom_providers.create_provider({"identifier": "custom:x"}),
        (201, {"identifier": "custom:x"}),
        {"identifier": "custom:x"},
        ("POST", CUSTOM, {"identifier": "custom:x"}),
    ),
    "get custom": (
        lambda a: a.custom_providers.get_provider("custom:x"),
        (200, {"identifier": "custom:x"}),
        {"identifier": "custom:x"},
        ("GET", f"{CUSTOM}/custom%3Ax", None),
    ),
    "update custom": (
        lambda a: a.custom_providers.update_provider("custom:x", {"enabled": False}),
        (200, {"enabled": False}),
        {"enabled": False},
        ("PUT", f"{CUSTOM}/custom%3Ax", {"enabled": False}),
    ),
    "delete custom": (
        lambda a: a.custom_providers.delete_provider("custom:x"),
        204,
        None,
        ("DELETE", f"{CUSTOM}/custom%3Ax", None),
    ),
    "list sso": (
        lambda a: a.sso_providers.list_providers(),
        (200, {"items": [{"id": "s", "domains": []}]}),
        [{"id": "s", "domains": []}],
        ("GET", SSO, None),
    ),
    "create sso": (
        lambda a: a.sso_providers.create_provider({"type": "saml"}),
        (201, {"id": "s"}),
        {"id": "s"},
        ("POST", SSO, {"type": "saml"}),
    ),
    "get sso": (
        lambda a: a.sso_providers.get_provider("s"),
        (200, {"id": "s"}),
        {"id": "s"},
        ("GET", f"{SSO}/s", None),
    ),
    "update sso": (
        lambda a: a.sso_providers.update_provider("s", {"domains": ["x"]}),
        (200, {"id": "s"}),
        {"id": "s"},
        ("PUT", f"{SSO}/s", {"domains": ["x"]}),
    ),
    "delete sso": (
        lambda a: a.sso_providers.delete_provider("s"),
        (200, {"id": "s"}),
        None,
        ("DELETE", f"{SSO}/s", None),
    ),
}


@pytest.mark.parametrize("call, answer, wanted, request_", OTHERS.values(), ids=OTHERS)
async def test_everything_else(call, answer, wanted, request_):
    """One request each; what the answer holds is given without loss."""
    found, requests = await asked(call, answer)
    if isinstance(found, tuple):
        found = [item.to_json() for item in found]
    assert wanted == (found.to_json() if hasattr(found, "to_json") else found)
    assert [request_] == told(requests)


@pytest.mark.parametrize(
    "call, named",
    [
        (lambda a: a.list_users(page=0), "page"),
        (lambda a: a.list_users(per_page=True), "per_page"),
        (lambda a: a.get_user_by_id(""), "user_id"),
        (lambda a: a.get_user_by_id(".."), "user_id"),
        (lambda a: a.create_user(email=""), "email"),
        (lambda a: a.create_user(app_metadata=[]), "app_metadata"),
        (lambda a: a.generate_link(type="bogus", email="a"), "type"),
        (lambda a: a.mfa.delete_factor("u", ""), "factor_id"),
        (lambda a: a.passkeys.delete_passkey("u", ""), "passkey_id"),
        (lambda a: a.oauth.create_client([]), "attributes"),
        (lambda a: a.sign_out("t", "bogus"), "scope"),
    ],
)
async def test_a_wrong_argument_is_not_sent(call, named):
    """The argument is named."""
    with pytest.raises(ConfigurationError, match=named):
        await asked(call)
