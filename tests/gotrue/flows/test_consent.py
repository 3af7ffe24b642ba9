"""Another program is let into an account: the client consents, the program gets tokens."""

from __future__ import annotations

import base64

import aiohttp
import pytest
from yarl import URL

from async_auth import ApiError, RefreshRejected
from async_auth.core import jwt
from async_auth.gotrue import GoTrueClient

CALLBACK = "http://127.0.0.1:4000/cb"
VERIFIER = "v" * 50
#: S256 of it.
CHALLENGE = "CrlVwe1WSHWuTQYh3iczmx3aS-faRx6C92k9_hNxl4A"


class Program:
    """A confidential OAuth client, which knows nothing of this library."""

    def __init__(self, server, registered):
        self.url = server.url
        self.id, self.secret = registered.client_id, registered.client_secret

    def address(self, scope="email"):
        """Return where it sends its user's browser."""
        query = {
            "client_id": self.id,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": scope,
            "state": "st",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return URL(f"{self.url}/oauth/authorize").with_query(query)

    async def token(self, **form):
        """Ask for tokens, and return the status and the answer."""
        basic = base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/oauth/token", data=form, headers=headers) as response,
        ):
            return response.status, await response.json()

    async def exchange(self, address):
        """Exchange the code with which a browser came back."""
        code = URL(address).query["code"]
        return await self.token(
            grant_type="authorization_code",
            code=code,
            code_verifier=VERIFIER,
            redirect_uri=CALLBACK,
        )


@pytest.fixture
async def program(server):
    """A program that an administrator has registered."""
    async with GoTrueClient(server.url, server.service_key) as admin:
        registered = await admin.admin.oauth.create_client(
            {"client_name": "Printer", "redirect_uris": [CALLBACK]}
        )
    return Program(server, registered)


async def asked(visit, program, scope="email"):
    """Send a browser on the program's behalf, and return the authorization's id."""
    page = await visit(program.address(scope))
    assert "/oauth/consent" == page.path
    return page.query["authorization_id"]


async def test_a_program_is_let_in_and_out_again(ann, visit, program):
    """Look, approve, exchange, refresh; then revoke, and its session is over."""
    wanted = await asked(visit, program)
    details = await ann.oauth.get_authorization_details(wanted)
    assert ("Printer", "email", "ann@example.com") == (
        details.client.name,
        details.scope,
        details.user.email,
    )
    status, tokens = await program.exchange(await ann.oauth.approve_authorization(wanted))
    assert (200, {"access_token", "expires_in", "refresh_token", "token_type"}) == (
        status,
        set(tokens),
    )
    claims = jwt.peek(tokens["access_token"]).claims
    assert (program.id, "email") == (claims["client_id"], claims["scope"])
    (grant,) = await ann.oauth.list_grants()
    assert (program.id, ("email",)) == (grant.client.id, grant.scopes)

    refresh = {"grant_type": "refresh_token"}
    status, newer = await program.token(refresh_token=tokens["refresh_token"], **refresh)
    assert 200 == status
    await ann.oauth.revoke_grant(program.id)
    status, answer = await program.token(refresh_token=newer["refresh_token"], **refresh)
    assert (400, "refresh_token_not_found") == (status, answer["error_code"])
    assert () == await ann.oauth.list_grants()
    with pytest.raises(ApiError) as raised:
        await ann.oauth.revoke_grant(program.id)
    assert (404, "oauth_consent_not_found") == (raised.value.status, raised.value.code)


async def test_a_denied_program_is_told_so(ann, visit, program):
    """The browser goes back with `access_denied`, and there is no second decision."""
    wanted = await asked(visit, program)
    await ann.oauth.get_authorization_details(wanted)
    back = URL(await ann.oauth.deny_authorization(wanted))
    assert ("access_denied", "st") == (back.query["error"], back.query["state"])
    with pytest.raises(ApiError) as raised:
        await ann.oauth.approve_authorization(wanted)
    assert (400, "validation_failed") == (raised.value.status, raised.value.code)


async def test_a_decision_needs_a_look_first(ann, visit, program):
    """Whoever has not looked cannot decide."""
    wanted = await asked(visit, program)
    with pytest.raises(ApiError) as raised:
        await ann.oauth.approve_authorization(wanted)
    assert (404, "oauth_authorization_not_found") == (raised.value.status, raised.value.code)


async def test_what_was_granted_is_not_asked_again(ann, visit, program):
    """The details lead on at once; for more than was granted, the user is asked."""
    wanted = await asked(visit, program)
    await ann.oauth.get_authorization_details(wanted)
    await ann.oauth.approve_authorization(wanted)

    details = await ann.oauth.get_authorization_details(await asked(visit, program))
    assert 200 == (await program.exchange(details.redirect_url))[0]
    details = await ann.oauth.get_authorization_details(await asked(visit, program, "email phone"))
    assert (None, "email phone") == (details.redirect_url, details.scope)


async def test_a_programs_session_is_not_the_clients(server, ann, visit, program):
    """Its refresh token is refused by the users' endpoint, and the user's own goes on."""
    wanted = await asked(visit, program)
    await ann.oauth.get_authorization_details(wanted)
    _, tokens = await program.exchange(await ann.oauth.approve_authorization(wanted))
    with pytest.raises(RefreshRejected, match="Client authentication required") as raised:
        await ann.refresh_session(tokens["refresh_token"])
    assert "invalid_client" == raised.value.code
    assert "ann@example.com" == (await ann.refresh_session()).user.email


async def test_administrators_keep_the_programs(server, program):
    """They are listed, changed, given another secret and removed."""
    async with GoTrueClient(server.url, server.service_key) as client:
        clients = client.admin.oauth
        assert [program.id] == [one.client_id for one in await clients.list_clients()]
        assert (await clients.get_client(program.id)).client_secret is None
        changed = await clients.update_client(program.id, {"client_name": "Scanner"})
        assert ("Scanner", (CALLBACK,)) == (changed.client_name, tuple(changed.redirect_uris))
        newer = await clients.regenerate_client_secret(program.id)
        form = {"grant_type": "refresh_token", "refresh_token": "aaaaaaaaaaaa"}
        assert "invalid_credentials" == (await program.token(**form))[1]["error_code"]
        program.secret = newer.client_secret
        assert "refresh_token_not_found" == (await program.token(**form))[1]["error_code"]
        await clients.delete_client(program.id)
        assert () == await clients.list_clients()
        with pytest.raises(ApiError) as raised:
            await clients.get_client(program.id)
    assert (404, "oauth_client_not_found") == (raised.value.status, raised.value.code)
