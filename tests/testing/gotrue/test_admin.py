"""What the service key opens: users, factors, links and invitations."""

from __future__ import annotations

from typing import Any

import pytest

from async_auth.errors import ConfigurationError

USERS = "/admin/users"


async def test_pages_of_users_come_with_totals(client: Any) -> None:
    """The newest first; behind the end there is nothing but the way to the last page."""
    for number in range(5):
        client.server.create_user(email=f"u{number}@example.com")
        await client.clock.advance(1)
    first = await client.as_admin("GET", f"{USERS}?per_page=2")
    third = await client.as_admin("GET", f"{USERS}?page=3&per_page=2")
    ninth = await client.as_admin("GET", f"{USERS}?page=9&per_page=2")

    assert ["u4@example.com", "u3@example.com"] == [user["email"] for user in first.json["users"]]
    assert [2, 1, 0] == [len(reply.json["users"]) for reply in (first, third, ninth)]
    assert "5" == ninth.headers["X-Total-Count"]
    last = '</admin/users?page=3&per_page=2>; rel="last"'
    assert [f'</admin/users?page=2&per_page=2>; rel="next", {last}', last, last] == [
        reply.headers["Link"] for reply in (first, third, ninth)
    ]
    bad = await client.as_admin("GET", f"{USERS}?page=0")
    assert (400, "validation_failed") == bad.error


async def test_a_user_is_made_changed_and_deleted(client: Any) -> None:
    """At once, and without a mail."""
    form = {"email": client.email, "password": client.password, "email_confirm": True}
    user = (await client.as_admin("POST", USERS, form)).json
    path = f"{USERS}/{user['id']}"
    changes = {
        "email": "new@example.com",
        "phone": "+15551234567",
        "phone_confirm": True,
        "password": "another-1",
        "role": "editor",
        "app_metadata": {"plan": "pro"},
        "user_metadata": {"name": "Ada"},
    }
    changed = (await client.as_admin("PUT", path, changes)).json
    assert ["new@example.com", "15551234567", "editor", "pro", "Ada"] == [
        changed["email"],
        changed["phone"],
        changed["role"],
        changed["app_metadata"]["plan"],
        changed["user_metadata"]["name"],
    ]
    form = {"email": "new@example.com", "password": "another-1"}
    assert 200 == (await client.post("/token?grant_type=password", **form)).status
    assert {} == (await client.as_admin("DELETE", path)).json
    assert (404, "user_not_found") == (await client.as_admin("GET", path)).error
    assert [] == client.server.outbox


async def test_a_ban_has_a_length(client: Any) -> None:
    """In Go's words; `none` lifts it."""
    session = await client.sign_up()
    path, token = f"{USERS}/{session['user']['id']}", session["access_token"]

    async def seen(duration: str) -> int:
        await client.as_admin("PUT", path, {"ban_duration": duration})
        return (await client.call("GET", "/user", token=token)).status

    assert [403, 200, 403] == [await seen(text) for text in ("1h30m", "none", "500ms")]
    await client.clock.advance(1)
    assert 200 == (await client.call("GET", "/user", token=token)).status
    bad = await client.as_admin("PUT", path, {"ban_duration": "a while"})
    assert (400, "validation_failed") == bad.error


@pytest.mark.parametrize(
    "form, error",
    [
        ({}, (400, "validation_failed")),
        ({"email": "x"}, (400, "validation_failed")),
        ({"email": "ada@example.com"}, (422, "email_exists")),
        ({"email": "b@example.com", "id": "x"}, (400, "validation_failed")),
        ({"email": "b@example.com", "password": "x"}, (422, "weak_password")),
        ({"email": "b@example.com", "email_confirm": "yes"}, (400, "bad_json")),
    ],
)
async def test_who_cannot_be_made(client: Any, form: object, error: object) -> None:
    """And nobody is."""
    await client.sign_up()

    assert error == (await client.as_admin("POST", USERS, form)).error
    assert "1" == (await client.as_admin("GET", USERS)).headers["X-Total-Count"]


async def test_a_written_link_works_and_nobody_is_sent_it(client: Any) -> None:
    """Any kind, in the end, is a session."""
    await client.sign_up()
    made = [
        {"type": "signup", "email": "a@example.com", "password": client.password},
        {"type": "invite", "email": "b@example.com"},
        {"type": "magiclink", "email": "c@example.com"},
        {"type": "recovery", "email": client.email},
    ]
    for form in made:
        link = (await client.as_admin("POST", "/admin/generate_link", form)).json
        place = (await client.call("GET", link["action_link"])).place
        assert "access_token" in place.query, form
    assert [] == client.server.outbox


async def test_both_halves_of_an_email_change_can_be_written(client: Any) -> None:
    """One link for each address."""
    await client.sign_up()
    form = {"email": client.email, "new_email": "new@example.com"}
    hashes = [
        (await client.as_admin("POST", "/admin/generate_link", {**form, "type": kind})).json[
            "hashed_token"
        ]
        for kind in ("email_change_current", "email_change_new")
    ]
    replies = [await client.post("/verify", type="email_change", token_hash=one) for one in hashes]

    assert "200" == replies[0].json["code"]
    assert "new@example.com" == replies[1].json["user"]["email"]


@pytest.mark.parametrize(
    "form, error",
    [
        ({"type": "bogus", "email": "a@example.com"}, (400, "validation_failed")),
        ({"type": "signup", "email": "a@example.com"}, (400, "validation_failed")),
        (
            {"type": "signup", "email": "ada@example.com", "password": "correct-horse-1"},
            (422, "email_exists"),
        ),
        ({"type": "invite", "email": "ada@example.com"}, (422, "email_exists")),
        ({"type": "recovery", "email": "a@example.com"}, (404, "user_not_found")),
        (
            {
                "type": "email_change_new",
                "email": "ada@example.com",
                "new_email": "bob@example.com",
            },
            (422, "email_exists"),
        ),
    ],
)
async def test_links_that_are_not_written(client: Any, form: object, error: object) -> None:
    """Each with its reason."""
    await client.sign_up()
    client.server.create_user(email="bob@example.com")

    assert error == (await client.as_admin("POST", "/admin/generate_link", form)).error


async def test_an_invitation_can_be_sent_again_and_accepted(client: Any) -> None:
    """By the link of the newer mail."""
    for _ in range(2):
        await client.as_admin("POST", "/invite", {"email": client.email})
    first, second = client.server.outbox
    reply = await client.post("/verify", type="invite", token_hash=second.token_hash)

    assert "invited_at" in reply.json["user"]
    assert 403 == (await client.post("/verify", type="invite", token_hash=first.token_hash)).status


async def test_an_administrator_renames_and_removes_factors(client: Any) -> None:
    """Of anybody."""
    session = await client.sign_up()
    form = {"factor_type": "totp", "friendly_name": "a"}
    await client.call("POST", "/factors", form, token=session["access_token"])
    path = f"{USERS}/{session['user']['id']}/factors"
    (factor,) = (await client.as_admin("GET", path)).json
    one = f"{path}/{factor['id']}"

    assert "b" == (await client.as_admin("PUT", one, {"friendly_name": "b"})).json["friendly_name"]
    assert 200 == (await client.as_admin("DELETE", one)).status
    assert [] == (await client.as_admin("GET", path)).json


async def test_keys_can_change_their_algorithm(client: Any) -> None:
    """Old tokens are good for as long as the old keys stay."""
    session = await client.sign_up()
    token = session["access_token"]
    client.server.rotate_keys(algorithm="ES256")
    assert 200 == (await client.call("GET", "/user", token=token)).status
    newer = client.server.open_session(session["user"]["id"])["access_token"]
    client.server.rotate_keys(algorithm="HS256", keep_old=False)
    assert (403, "bad_jwt") == (await client.call("GET", "/user", token=newer)).error
    assert {"keys": []} == client.server.jwks()
    with pytest.raises(ConfigurationError, match="algorithm"):
        client.server.rotate_keys(algorithm="none")
