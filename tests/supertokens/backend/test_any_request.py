"""Whatever a request carries: no failure of ours, and no token that it should not get."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_auth.core.web.cookie_values import encode_value
from async_auth.core.web.incoming import Incoming
from async_auth.supertokens import AppInfo, SuperTokensBackend
from async_auth.supertokens.backend.exchange import Exchange
from async_auth.supertokens.backend.web import HANDLED
from async_auth.testing import ManualClock, SuperTokensCoreServer

PLACE = "http://127.0.0.1:3001"
REFRESH = "/auth/session/refresh"
#: What stands where a token is looked for: good ones by name, and anything else.
TOKENS = st.sampled_from(["access", "refresh", "old", "forged", "", "a.b.c", '"', "é", "\udc80"])
COOKIES = st.lists(
    st.tuples(
        st.sampled_from(["sAccessToken", "sRefreshToken", "sIdRefreshToken", "sFrontToken", "x"]),
        TOKENS | st.text(max_size=20),
    ),
    max_size=4,
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["st-auth-mode", "rid", "anti-csrf", "authorization", "fdi-version"]),
        st.text(max_size=20),
    ),
    max_size=3,
)
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT"]),
        "path": st.sampled_from([REFRESH, "/auth/signout", "/auth/jwt/jwks.json", "/"]),
        "bearers": st.lists(TOKENS, max_size=2),
        "cookies": COOKIES,
        "headers": HEADERS,
    }
)


class World:
    """A core, a back end of each anti-CSRF mode, and tokens."""

    def __init__(self, runner: asyncio.Runner, version: str) -> None:
        self.exits = AsyncExitStack()
        self.version = version
        self.clock = ManualClock()
        self.run = runner.run

    async def start(self) -> None:
        """Begin."""
        server = SuperTokensCoreServer(clock=self.clock)
        self.core = await self.exits.enter_async_context(server)
        self.backends = []
        for anti_csrf in ("VIA_TOKEN", "VIA_CUSTOM_HEADER", "NONE"):
            backend = SuperTokensBackend(
                server.url,
                app=AppInfo("app", PLACE, PLACE),
                cdi_version=self.version,
                anti_csrf=anti_csrf,
                # Without it, duplicate cookies are an operator's error, and meant to be one.
                older_cookie_domain="older.example.com",
                clock=self.clock,
            )
            self.backends.append(await self.exits.enter_async_context(backend))

    async def tokens(self) -> dict[str, str]:
        """Return what may stand in a request, of a new session."""
        begin = self.backends[2].create_new_session_without_request_response
        session = await begin("ada")
        pair = session.tokens()
        again = await self.backends[2].refresh_session_without_request_response(pair.refresh_token)
        head, body, _ = pair.access_token.split(".")
        return {
            "access": again.access_token,
            "refresh": again.tokens().refresh_token,
            "old": pair.refresh_token,
            "forged": f"{head}.{body}.{again.access_token.split('.')[2]}",
        }

    async def ask(self, backend, request) -> tuple[int, Exchange, dict[str, str]]:
        """Make a request, and return the status, what the answer gets, and the tokens there were."""
        tokens = await self.tokens()
        pairs = list(request["headers"])
        pairs += (("authorization", f"Bearer {tokens.get(t, t)}") for t in request["bearers"])
        jar = "; ".join(f"{n}={encode_value(tokens.get(t, t))}" for n, t in request["cookies"])
        if jar:
            pairs.append(("cookie", jar))
        exchange = Exchange(Incoming.of(request["method"], request["path"], pairs))
        try:
            answer = await backend.web.route(exchange)
            if answer is None:
                await backend.get_session(exchange, session_required=False)
        except HANDLED as error:
            answer = await backend.web.answer_to(error, exchange)
        return (200 if answer is None else answer.status), exchange, tokens


@pytest.fixture(scope="module", params=["5.4", "5.6"])
def world(request):
    """Return a world that lasts for the module, by each version."""
    with asyncio.Runner() as runner:
        found = World(runner, request.param)
        runner.run(found.start())
        yield found
        runner.run(found.exits.aclose())


@pytest.mark.parametrize("mode", range(3), ids=["VIA_TOKEN", "VIA_CUSTOM_HEADER", "NONE"])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=REQUESTS)
def test_any_request(world, mode, request):
    """Nothing makes it fail; tokens are given only to who brought a good one, by that way."""
    status, exchange, tokens = world.run(world.ask(world.backends[mode], request))

    assert status in (200, 401)
    found = exchange.outgoing.merged_into([])
    given_by_header = [v for n, v in found if n in ("st-access-token", "st-refresh-token") and v]
    given_by_cookie = [
        value
        for name, value in found
        if name == "set-cookie" and not value.split(";")[0].endswith('=""')
    ]
    good = {tokens["access"], tokens["refresh"], tokens["old"]}
    brought = {value for _, value in exchange.incoming.cookies} & good
    assert not given_by_header or exchange.incoming.bearer in good
    assert not given_by_cookie or brought
    assert not (given_by_header and given_by_cookie)
    if ("front-token", "remove") in found:
        assert not given_by_header
        assert not given_by_cookie
    assert "*" not in dict(found).get("access-control-expose-headers", "")
