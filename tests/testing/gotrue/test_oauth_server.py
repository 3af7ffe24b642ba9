"""The OAuth server: what clients may be, how they show who they are, and what is refused."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import attrs
import pytest

CALLBACK = "https://printer.example/cb"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
FORM = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}


@attrs.frozen
class Program:
    """A client, and its user."""

    client: Any
    id: str
    token: str
    user: str

    async def authorize(self, **changes: str) -> Any:
        """Send a browser."""
        query = {"client_id": self.id, "redirect_uri": CALLBACK, **self.client.pkce(), **changes}
        url = f"{self.client.server.url}/oauth/authorize"
        async with self.client.http.get(url, params=query, allow_redirects=False) as response:
            if response.status == 302:
                return response.headers["Location"].partition("authorization_id=")[2]
            answer = await response.json()
            return response.status, answer["error_code"], answer["msg"]

    async def approved(self) -> str:
        """Be let in, and return the code."""
        path = f"/oauth/authorizations/{await self.authorize()}"
        await self.client.call("GET", path, token=self.token)
        reply = await self.decide(path, "approve")
        return str(reply.json["redirect_url"].partition("code=")[2])

    async def decide(self, path: str, action: str) -> Any:
        """Decide as the user."""
        body = {"action": action}
        return await self.client.call("POST", f"{path}/consent", body, token=self.token)

    async def exchange(self, **changes: str) -> Any:
        """Ask for tokens as a public client, in JSON."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self.id,
            "code_verifier": self.client.verifier,
            **changes,
        }
        return await self.client.post("/oauth/token", **form)


@pytest.fixture
async def program(client: Any) -> Program:
    """A public client that has registered itself, and somebody who signed up."""
    registered = (await client.post("/oauth/clients/register", **FORM)).json
    session = await client.sign_up()
    return Program(client, registered["client_id"], session["access_token"], session["user"]["id"])


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uris": None},
        {"redirect_uris": []},
        {"redirect_uris": [CALLBACK] * 11},
        {"redirect_uris": ["http://printer.example/cb"]},
        {"redirect_uris": [f"{CALLBACK}#x"]},
        {"redirect_uris": ["/cb"]},
        {"grant_types": ["password"]},
        {"client_uri": "here"},
        {"logo_uri": "here"},
        {"client_type": "secret"},
        {"client_type": "confidential"},
        {"token_endpoint_auth_method": "private_key_jwt"},
    ],
)
async def test_what_is_no_client(client: Any, changes: dict[str, object]) -> None:
    """Nothing is registered of it."""
    reply = await client.post("/oauth/clients/register", **{**FORM, **changes})
    assert (400, "validation_failed") == reply.error
    assert [] == (await client.as_admin("GET", "/admin/oauth/clients")).json["clients"]


@pytest.mark.parametrize("uris", ["text", [1], [None]])
async def test_lists_are_lists_of_texts(client: Any, uris: object) -> None:
    """As strictly as Go reads them."""
    reply = await client.post("/oauth/clients/register", redirect_uris=uris)
    assert (400, "bad_json") == reply.error


@pytest.mark.parametrize("client", [{"dynamic_registration": False}], indirect=True)
async def test_self_registration_can_be_switched_off(client: Any) -> None:
    """The metadata says so, and administrators still can."""
    reply = await client.post("/oauth/clients/register", **FORM)
    assert (403, "oauth_dynamic_client_registration_disabled") == reply.error
    metadata = await client.call("GET", "/.well-known/oauth-authorization-server")
    assert "registration_endpoint" not in metadata.json
    reply = await client.as_admin("POST", "/admin/oauth/clients", FORM)
    assert (201, "manual") == (reply.status, reply.json["registration_type"])


@pytest.mark.parametrize(
    "form, kind",
    [
        ({}, "confidential"),
        ({"client_type": "public"}, "public"),
        ({"client_type": "public", "token_endpoint_auth_method": "none"}, "public"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "confidential"),
    ],
)
async def test_the_kind_of_a_client(client: Any, form: dict[str, str], kind: str) -> None:
    """Said, or told from how it authenticates; who is public has no secret."""
    reply = await client.post("/oauth/clients/register", redirect_uris=[CALLBACK], **form)
    assert kind == reply.json["client_type"]
    assert (kind == "confidential") == ("client_secret" in reply.json)


async def test_administrators_change_clients(client: Any, program: Program) -> None:
    """What is not named stays; a public client gets no secret; a wrong id is refused."""
    path = f"/admin/oauth/clients/{program.id}"
    form = {"client_uri": "https://printer.example", "logo_uri": "https://printer.example/i.png"}
    changed = (await client.as_admin("PUT", path, form)).json
    assert form.items() <= changed.items()
    assert [CALLBACK] == changed["redirect_uris"]
    form = {"client_name": "P", "redirect_uris": ["http://localhost/x"], "grant_types": []}
    changed = (await client.as_admin("PUT", path, form)).json
    assert ("P", ["http://localhost/x"], 2) == (
        changed["client_name"],
        changed["redirect_uris"],
        len(changed["grant_types"]),
    )
    assert (400, "validation_failed") == (await client.as_admin("PUT", path, {})).error
    assert 405 == (await client.as_admin("PATCH", path, form)).status
    reply = await client.as_admin("POST", f"{path}/regenerate_secret")
    assert (400, "validation_failed") == reply.error
    reply = await client.as_admin("GET", "/admin/oauth/clients/x")
    assert (400, "validation_failed") == reply.error


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"client_id": ""}, "validation_failed"),
        ({"redirect_uri": ""}, "validation_failed"),
        ({"client_id": UNKNOWN}, "oauth_client_not_found"),
        ({"redirect_uri": "https://elsewhere.example"}, "validation_failed"),
        ({"response_type": "token"}, "validation_failed"),
        ({"code_challenge": "", "code_challenge_method": ""}, "validation_failed"),
    ],
)
async def test_a_wrong_request_is_not_sent_back(
    program: Program, changes: dict[str, str], code: str
) -> None:
    """It is refused where it is made; PKCE is not optional."""
    assert (400, code) == (await program.authorize(**changes))[:2]


async def test_a_request_is_its_first_readers(client: Any, program: Program) -> None:
    """Another user does not find it, and nobody does after ten minutes."""
    path = f"/oauth/authorizations/{await program.authorize()}"
    assert 200 == (await client.call("GET", path, token=program.token)).status
    client.email = "other@example.com"
    other = (await client.sign_up())["access_token"]
    reply = await client.call("GET", path, token=other)
    assert (404, "oauth_authorization_not_found") == reply.error
    assert (400, "validation_failed") == (await program.decide(path, "maybe")).error
    await client.clock.advance(600)
    assert (404, "oauth_authorization_not_found") == (await program.decide(path, "deny")).error


async def test_a_code_is_good_once(program: Program) -> None:
    """For its client, its address and its verifier; a wrong try does not spend it."""
    code = await program.approved()
    for changes, error in (
        ({}, "invalid_request"),
        ({"code": "x"}, "invalid_grant"),
        ({"code": code, "redirect_uri": "https://elsewhere.example"}, "invalid_grant"),
        ({"code": code, "code_verifier": "w" * 50}, "invalid_grant"),
        ({"code": code, "code_verifier": ""}, "invalid_grant"),
        ({"code": code, "grant_type": ""}, "invalid_request"),
        ({"code": code, "grant_type": "password"}, "unsupported_grant_type"),
        ({"code": code, "client_id": ""}, "invalid_client"),
        ({"code": code, "grant_type": "refresh_token"}, "invalid_request"),
    ):
        assert (400, error) == (await program.exchange(**changes)).error
    assert 200 == (await program.exchange(code=code)).status
    assert (400, "invalid_grant") == (await program.exchange(code=code)).error


async def test_a_code_is_not_another_clients(client: Any, program: Program) -> None:
    """Nor are its tokens."""
    code = await program.approved()
    other = (await client.post("/oauth/clients/register", **FORM)).json["client_id"]
    assert (400, "invalid_grant") == (await program.exchange(code=code, client_id=other)).error
    token = (await program.exchange(code=code)).json["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert (400, "invalid_client") == (await program.exchange(**form, client_id=other)).error
    form["refresh_token"] = client.server.open_session(program.user)["refresh_token"]
    assert (400, "invalid_client") == (await program.exchange(**form)).error


@pytest.mark.parametrize(
    "what, error",
    [("late", "invalid_grant"), ("ban", "access_denied"), ("delete", "invalid_grant")],
)
async def test_a_code_needs_its_user_and_is_exchanged_in_time(
    client: Any, program: Program, what: str, error: str
) -> None:
    """Banned and deleted users give nothing away."""
    code, user = await program.approved(), program.user
    if what == "late":
        await client.clock.advance(600)
    elif what == "ban":
        client.server.ban_user(user)
    else:
        client.server.delete_user(user)
    assert (400, error) == (await program.exchange(code=code)).error


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_client_with_a_secret_shows_it_as_it_said(client: Any, method: str) -> None:
    """In the header or in the body, not the other way, not a wrong one, not without."""
    form = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": method}
    registered = (await client.post("/oauth/clients/register", **form)).json
    name, secret = registered["client_id"], registered["client_secret"]

    async def ask(authorization: str = "", **more: str) -> str:
        url, form = f"{client.server.url}/oauth/token", {"grant_type": "refresh_token"}
        headers = {"Authorization": authorization} if authorization else {}
        data = aiohttp.FormData({**form, "refresh_token": "a" * 12, **more})
        async with client.http.post(url, data=data, headers=headers) as response:
            return str((await response.json())["error_code"])

    def basic(secret: str) -> str:
        return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"

    good = {
        "client_secret_basic": await ask(basic(secret)),
        "client_secret_post": await ask(client_id=name, client_secret=secret),
    }
    assert "refresh_token_not_found" == good.pop(method)
    assert ["invalid_credentials"] == list(good.values())
    for answer in (
        await ask(basic("wrong")),
        await ask("Basic *"),
        await ask(client_id=name, client_secret="wrong"),
        await ask(client_id=name),
    ):
        assert "invalid_credentials" == answer


async def test_grants_are_named_by_their_client(client: Any, program: Program) -> None:
    """A text that is none, and none at all; a client that is gone is not listed."""
    for query in ("", "?client_id=x"):
        reply = await client.call("DELETE", f"/user/oauth/grants{query}", token=program.token)
        assert (400, "validation_failed") == reply.error
    session = (await program.exchange(code=await program.approved())).json
    reply = await client.call("GET", "/user/oauth/grants", token=program.token)
    assert [{"id": program.id}] == [grant["client"] for grant in reply.json]
    await client.as_admin("DELETE", f"/admin/oauth/clients/{program.id}")
    assert [] == (await client.call("GET", "/user/oauth/grants", token=program.token)).json
    reply = await program.exchange(
        grant_type="refresh_token", refresh_token=session["refresh_token"]
    )
    assert (400, "invalid_credentials") == reply.error


async def test_revoking_ends_the_clients_sessions_only(client: Any, program: Program) -> None:
    """The user's own go on."""
    await program.exchange(code=await program.approved())
    assert 2 == len(client.server.session_ids(program.user))
    path = f"/user/oauth/grants?client_id={program.id}"
    assert 204 == (await client.call("DELETE", path, token=program.token)).status
    assert 1 == len(client.server.session_ids(program.user))
