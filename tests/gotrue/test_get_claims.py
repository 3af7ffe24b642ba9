"""Verified claims of an access token."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from async_auth import (
    AuthSessionMissing,
    BadSignature,
    ConfigurationError,
    InvalidToken,
    Malformed,
    ManagerClosed,
    ServerUnavailable,
    TokenExpired,
    UnknownKey,
)
from async_auth.core import jwt
from async_auth.gotrue import Claims, GoTrueClient
from async_auth.testing import GoTrueServer, ManualClock
from async_auth.testing.gotrue.tokens import make_key


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
        assert ("bad_jwt", 403) == (caught.value.code, caught.value.status)
        assert "invalid JWT" in caught.value.message
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


async def test_a_pinned_token_that_has_expired_is_refused():
    """It is a stranger's; only the session's own life is counted on our clock."""
    clock = ManualClock()
    async with (
        GoTrueServer(algorithm="ES256", clock=clock) as server,
        GoTrueClient(server.url, clock=clock, auto_refresh=False) as client,
    ):
        token = server.sign({"sub": "u", "exp": clock.now() + 60})
        client.set_auth(token)
        assert "u" == (await client.get_claims()).sub

        clock.advance(60)
        with pytest.raises(TokenExpired):
            await client.get_claims()
        assert "u" == (await client.get_claims(allow_expired=True)).sub


async def test_our_own_token_is_good_on_our_clock():
    """Ours may be hours ahead of the server's."""
    clock = ManualClock()
    async with GoTrueServer(algorithm="ES256", clock=clock) as server:
        ahead = ManualClock(clock.now() + 7200)
        async with GoTrueClient(server.url, clock=ahead, auto_refresh=False) as client:
            await client.sign_in_anonymously()

            assert client.session.user.id == (await client.get_claims()).sub
            with pytest.raises(TokenExpired):
                await client.get_claims(client.session.access_token)


async def test_a_key_replaced_under_its_name_is_found(serve):
    """A signature that the known key did not make is looked into once in a cool-down."""
    clock = ManualClock()
    keys = [make_key("ES256", "kept")]

    async def answer(_request):
        return web.json_response({"keys": [jwt.public_half(key) for key in keys]})

    def token():
        claims = {"sub": "u", "exp": clock.now() + 60}
        return jwt.sign(claims, keys[0], algorithm="ES256", headers={"kid": "kept"})

    site = await serve(answer)
    async with GoTrueClient(site.url, clock=clock, auto_refresh=False) as client:
        old = token()
        assert "u" == (await client.get_claims(old)).sub
        keys[0] = make_key("ES256", "kept")

        assert "u" == (await client.get_claims(token())).sub
        assert 2 == len(site.requests)
        for _ in range(3):
            with pytest.raises(BadSignature):
                await client.get_claims(old)
        assert 3 == len(site.requests)


async def test_what_given_keys_do_not_know_is_looked_for_at_the_server():
    """Keys of a type that nobody understands are passed over, and secrets are none."""
    async with GoTrueServer(algorithm="ES256") as server, GoTrueClient(server.url) as client:
        await client.sign_in_anonymously()
        strange = [{"kty": "OKP"}, {"kty": "oct", "k": "c2VjcmV0"}, 5]

        for keys in (strange, [*strange, jwt.public_half(make_key("RS256", "other"))]):
            assert client.session.user.id == (await client.get_claims(jwks={"keys": keys})).sub
        assert 1 == server.counts["/.well-known/jwks.json"]


@pytest.mark.parametrize("jwks", [5, [], {"kty": "EC"}, {"keys": 5}])
async def test_what_is_no_jwk_set_is_named(jwks):
    """An argument that cannot work is said to be wrong."""
    with pytest.raises(ConfigurationError, match="jwks"):
        await GoTrueClient("https://x.supabase.co/auth/v1").get_claims("a.b.c", jwks=jwks)


async def test_an_unknown_key_is_told_from_a_server_that_is_away():
    """The one is refused; the other may be good."""
    async with GoTrueServer(algorithm="ES256") as server, GoTrueClient(server.url) as client:
        token = server.sign({"sub": "u"}, headers={"kid": "made up"})
        with pytest.raises(UnknownKey):
            await client.get_claims(token)
    async with GoTrueServer(algorithm="ES256") as server, GoTrueClient(server.url) as client:
        server.faults.add("/.well-known/jwks.json", times=None, drop="before")
        with pytest.raises(ServerUnavailable):
            await client.get_claims(server.sign({"sub": "u"}))


@pytest.mark.parametrize("header", [{"crit": ["x"]}, {"enc": "A128GCM"}])
async def test_what_must_not_be_verified_is_not_asked_about(header):
    """The server is not asked about what is refused for its header."""
    async with GoTrueServer() as server, GoTrueClient(server.url) as client:
        with pytest.raises(Malformed):
            await client.get_claims(server.sign({"sub": "u"}, headers=header))
        assert 0 == sum(server.counts.values())


async def test_a_closed_client_says_so():
    """Before a fetch of keys, and when it is closed during one."""
    async with GoTrueServer(algorithm="ES256") as server:
        client = await GoTrueClient(server.url).start()
        server.faults.add("/.well-known/jwks.json", delay=60)
        token = server.sign({"sub": "u"})
        waiting = asyncio.create_task(client.get_claims(token))
        while not server.counts["/.well-known/jwks.json"]:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0)
        await client.aclose()

        with pytest.raises(ManagerClosed):
            await waiting
        with pytest.raises(ManagerClosed):
            await client.get_claims(token)


async def test_no_claim_but_the_servers_word_is_required():
    """A token that never expires is good, whoever looks: the server itself takes it."""
    async with GoTrueServer(algorithm="ES256") as server, GoTrueClient(server.url) as client:
        token = server.sign({"role": "authenticated"})

        assert "authenticated" == (await client.get_claims(token)).role
