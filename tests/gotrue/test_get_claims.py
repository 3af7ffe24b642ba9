"""Verified claims of an access token."""

from __future__ import annotations

import pytest

from async_auth import (
    AuthSessionMissing,
    BadSignature,
    InvalidToken,
    Malformed,
    ServerUnavailable,
    TokenExpired,
)
from async_auth.gotrue import Claims, GoTrueClient
from async_auth.testing import GoTrueServer, ManualClock


@pytest.fixture(params=["HS256", "ES256", "RS256"])
async def pair(request):
    """Return a server that signs in each way, and a client that is signed in."""
    clock = ManualClock()
    async with (
        GoTrueServer(algorithm=request.param, clock=clock) as server,
        GoTrueClient(server.url, clock=clock, auto_refresh=False) as client,
    ):
        await client.sign_in_anonymously()
        yield server, client, clock


async def test_claims_of_the_session(pair):
    """Without a token they are the session's own."""
    _, client, _ = pair

    claims = await client.get_claims()

    assert isinstance(claims, Claims)
    assert (client.session.user.id, "authenticated", True) == (
        claims.sub,
        claims.role,
        claims.is_anonymous,
    )


async def test_an_expired_token_is_told_as_such_and_may_be_allowed(pair):
    """`exp` counts, unless the caller wants the claims all the same."""
    server, client, clock = pair
    token = (await client.get_token()).value
    secret = server.jwt_secret
    clock.advance(3600)

    with pytest.raises(TokenExpired):
        await client.get_claims(token, secret=secret)
    assert (
        client.session.user.id
        == (await client.get_claims(token, secret=secret, allow_expired=True)).sub
    )


async def test_a_forged_signature_is_refused(pair):
    """Whoever signed it, it was not the server."""
    server, client, _ = pair
    token = (await client.get_token()).value
    forged = token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")

    with pytest.raises(BadSignature):
        await client.get_claims(forged, secret=server.jwt_secret)


async def test_hs256_without_the_secret_asks_the_server():
    """The server's word is taken; its refusal is an InvalidToken, and says if it has expired."""
    clock = ManualClock()
    async with (
        GoTrueServer(clock=clock) as server,
        GoTrueClient(server.url, clock=clock, auto_refresh=False) as client,
    ):
        await client.sign_in_anonymously()
        token = (await client.get_token()).value
        assert client.session.user.id == (await client.get_claims(token)).sub
        assert 1 == server.counts["/user"]

        clock.advance(3600)
        with pytest.raises(TokenExpired):
            await client.get_claims(token)
        with pytest.raises(InvalidToken) as caught:
            await client.get_claims(token[:-8] + "AAAAAAAA")
        assert "bad_jwt" == caught.value.code
        server.faults.add("/user", status=503)
        with pytest.raises(ServerUnavailable):
            await client.get_claims(token)


async def test_given_keys_are_looked_in_first():
    """With the caller's own JWK set there is no request."""
    async with GoTrueServer(algorithm="ES256") as server, GoTrueClient(server.url) as client:
        await client.sign_in_anonymously()
        jwks = server.jwks()

        assert client.session.user.id == (await client.get_claims(jwks=jwks)).sub
        assert 0 == server.counts["/.well-known/jwks.json"]


@pytest.mark.parametrize("token", ["", "abc", "a.b", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
async def test_what_is_no_token_is_malformed(token):
    """Nothing is asked about something that is no JWT, or an unsigned one."""
    async with GoTrueServer() as server, GoTrueClient(server.url) as client:
        with pytest.raises(Malformed):
            await client.get_claims(token, jwks={"keys": [{"kid": None}]})
        assert 0 == sum(server.counts.values())


async def test_nobody_is_signed_in():
    """Without a token and a session there is nothing to verify."""
    async with GoTrueServer() as server, GoTrueClient(server.url) as client:
        with pytest.raises(AuthSessionMissing):
            await client.get_claims()
