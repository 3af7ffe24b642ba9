"""What it costs to verify a token whose key is at hand.

Measured is CPU time. The base is python-jose's own `decode` with a key that it has parsed already:
it does the cryptography for us, so what we add to it, or spare, is the difference. All contenders
check the signature and `exp`, and know the key before they begin; those that are no clients check
`aud` and `iss` as well. supabase_auth's client takes no secret: an HS256 token it asks the server
about, so it is not in that table.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from harness import Aim, Factory, Report, Row, Turn, set_up, take_turns

from async_auth import JWTVerifier
from async_auth.core import jwt
from async_auth.gotrue import GoTrueClient
from async_auth.testing import ScriptedTransport
from async_auth.testing.gotrue.tokens import make_key

OURS = "async_auth JWTVerifier"
OUR_CLIENT = "async_auth client.get_claims"
JOSE = "python-jose decode, key parsed"
JOSE_UNPARSED = "python-jose decode, key as JWK"
PYJWT = "PyJWT decode, key parsed"
SUPABASE = "supabase_auth client.get_claims, JWKS cached"

SECRET = "a-secret-of-at-least-thirty-two-characters"
ISSUER, AUDIENCE = "https://x.supabase.co/auth/v1", "authenticated"
REMARK = (
    "python-jose does the cryptography for us, so what we look at besides (doubled members, `crit`, "
    "claims that must be there) comes on top; a verifier of our own under it would change that."
)
#: The limit of what we may cost, as a multiple of python-jose.
AT_MOST = 1.15


def turn(call: Callable[[], Awaitable[Any]], *, calls: int) -> Turn:
    """Return a turn of *calls* verifications, one after the other."""

    async def take() -> float:
        start = time.process_time()
        for _ in range(calls):
            await call()
        return (time.process_time() - start) / calls

    return take


def token_and_key(algorithm: str) -> tuple[str, dict[str, Any] | str]:
    """Return a token as GoTrue writes it, and what verifies it: a secret or a public JWK."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": "5f1c1d3e-2f0a-4c1b-9a57-0a1e9d6f7c11",
        "aud": AUDIENCE,
        "exp": now + 3600,
        "iat": now,
        "email": "ada@example.com",
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"email": "ada@example.com", "email_verified": True},
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": now}],
        "session_id": "0b8f2c1e-6a5d-4f0c-8f6a-2c9d6f1b7a55",
        "is_anonymous": False,
    }
    if algorithm == "HS256":
        return jwt.sign(claims, SECRET, algorithm=algorithm), SECRET
    key = make_key(algorithm, "k")
    token = jwt.sign(claims, key, algorithm=algorithm, headers={"kid": "k"})
    return token, jwt.public_half(key)


async def our_client(token: str, key: Any, *, calls: int) -> Turn:
    """Return our client's turn: its keys are fetched, or it is given the secret."""
    transport = ScriptedTransport((200, {"keys": [key]}))
    client = GoTrueClient(ISSUER, transport=transport, auto_refresh=False)
    secret = key if isinstance(key, str) else None

    async def verify() -> Any:
        return await client.get_claims(token, secret=secret)

    assert jwt.peek(token).claims["sub"] == (await verify()).sub
    # From now on the script is over: a second fetch would fail.
    return turn(verify, calls=calls)


async def supabase_client(token: str, key: Any, *, calls: int) -> Turn:
    """Return the turn of supabase_auth's client: its keys are fetched."""
    import httpx
    from supabase_auth import AsyncGoTrueClient

    answers = [httpx.Response(200, json={"keys": [key]})]
    transport = httpx.MockTransport(lambda _: answers.pop())
    client = AsyncGoTrueClient(url=ISSUER, http_client=httpx.AsyncClient(transport=transport))

    async def verify() -> Any:
        return await client.get_claims(token)

    found: Any = await verify()
    assert jwt.peek(token).claims == found["claims"]
    return turn(verify, calls=calls)


async def run(*, quick: bool) -> list[Report]:
    """Measure; the full run takes about half a minute."""
    return [await run_one(name, quick=quick) for name in ("HS256", "ES256", "RS256")]


async def run_one(algorithm: str, *, quick: bool) -> Report:
    """Measure one algorithm."""
    calls = 20 if quick else 1500
    token, key = token_and_key(algorithm)
    expected = jwt.peek(token).claims

    async def ours() -> Turn:
        source: Any = {"secret": key} if isinstance(key, str) else {"keys": key}
        verifier = JWTVerifier(**source, issuer=ISSUER, audience=AUDIENCE)
        assert expected == await verifier.verify(token)
        return turn(lambda: verifier.verify(token), calls=calls)

    def jose_turn(prepared: Any) -> Turn:
        import jose.jwt

        async def verify() -> Any:
            return jose.jwt.decode(
                token, prepared, algorithms=[algorithm], issuer=ISSUER, audience=AUDIENCE
            )

        return turn(verify, calls=calls)

    async def jose_parsed() -> Turn:
        import jose.jwk

        return jose_turn(jose.jwk.construct(key, algorithm))

    async def jose_unparsed() -> Turn:
        return jose_turn(key)

    async def pyjwt() -> Turn:
        import jwt as pyjwt

        prepared: Any = key if isinstance(key, str) else pyjwt.PyJWK(key, algorithm)
        if algorithm != "HS256":
            prepared = prepared.key

        async def verify() -> Any:
            return pyjwt.decode(
                token, prepared, algorithms=[algorithm], issuer=ISSUER, audience=AUDIENCE
            )

        assert expected == await verify()
        return turn(verify, calls=calls)

    contenders: dict[str, Factory] = {
        OURS: ours,
        OUR_CLIENT: partial(our_client, token, key, calls=calls),
        JOSE: jose_parsed,
        JOSE_UNPARSED: jose_unparsed,
        PYJWT: pyjwt,
    }
    if algorithm != "HS256":
        contenders[SUPABASE] = partial(supabase_client, token, key, calls=calls)
    turns, skipped = await set_up(contenders)
    samples = await take_turns(turns, rounds=2 if quick else 15)
    return Report(
        name=f"verify {algorithm}",
        about=f"Verifying a {algorithm} token of the usual size, its key known: CPU time.",
        unit="µs",
        samples=samples,
        bases=dict.fromkeys(samples, JOSE),
        aims=[Aim(who=OURS, at_most=AT_MOST, base=JOSE)],
        skipped=skipped,
        rows=[
            Row(
                title=f"Verifying a token, {algorithm}",
                who=OURS,
                base=JOSE,
                at_most=AT_MOST,
                peers={
                    JOSE: "python-jose, key parsed",
                    JOSE_UNPARSED: "python-jose",
                    PYJWT: "PyJWT",
                    SUPABASE: "supabase_auth get_claims",
                },
                remark=REMARK,
            )
        ],
    )
