"""The servers: what the embedded ones of `async_auth.testing` decide, reached without a socket.

GoTrue's state is asked as its `/token` and `/logout` ask it. Between SuperTokens' core and its
front end stands a back end, which is a few lines here: it hands on what the core says, in the
words of the protocol.
"""

from __future__ import annotations

import functools
import json
from email.utils import formatdate
from urllib.parse import parse_qs, urlsplit

import attrs

from async_auth.core import jwt
from async_auth.errors import InvalidToken, ProtocolError, ServerUnavailable
from async_auth.gotrue import parsing
from async_auth.gotrue.failures import FINAL_CODES
from async_auth.gotrue.provider import GoTrueProvider
from async_auth.gotrue.requests import Endpoint
from async_auth.http_messages import Request, Response
from async_auth.supertokens.client import sessions as supertokens_sessions
from async_auth.supertokens.client.provider import SuperTokensProvider
from async_auth.supertokens.client.responses import read_answer
from async_auth.supertokens.client.settings import Settings
from async_auth.supertokens.front_token import FrontToken
from async_auth.testing.gotrue.options import Options
from async_auth.testing.gotrue.post import Post
from async_auth.testing.gotrue.refusals import Refusal, wire_form
from async_auth.testing.gotrue.sessions import Sessions
from async_auth.testing.gotrue.state import GoTrueState
from async_auth.testing.gotrue.tokens import KeyRing
from async_auth.testing.supertokens.core import PUBLIC_TENANT, Core, Wish
from async_auth.testing.supertokens.settings import Settings as CoreSettings
from async_auth.testing.supertokens.versions import check_versions

ROOT = "https://auth.test"
PASSWORD = "correct horse battery staple"
API_KEY = "anon-key-of-the-simulated-project"
#: The core of each algorithm.
LAZY, ROTATING = "5.5", "5.6"


@attrs.frozen
class Served:
    """What came of a request."""

    response: Response
    #: Whether a refresh token was taken and tokens were handed out.
    granted: bool = False
    #: Whether the server has refused a refresh token for good.
    refused: bool = False


class GoTrueEnd:
    """GoTrue, of one token version, for any number of accounts."""

    def __init__(self, world):
        plan = world.plan
        self._world = world
        options = Options(
            jwt_expiry=plan.life,
            reuse_interval=10 if plan.forgiving else 0,
            parent_rule=plan.forgiving or world.random.random() < 0.5,
            token_version=int(plan.system[-1]),
        )
        # A key that is short-lived and known to nobody: not a secret that anything shows.
        self._state = GoTrueState(Sessions(options, KeyRing()), Post(options))
        self._users = {}
        self.provider = GoTrueProvider(Endpoint(ROOT, API_KEY))
        self.tolerance = 1.5

    def add(self, key):
        """Make the account of a key."""
        user = self._state.create_user(
            email=f"{key}@users.test", password=PASSWORD, now=self._world.loop.now
        )
        self._users[user.id] = key

    def sign_in_request(self, key):
        """Build the request that signs a key's account in."""
        body = {"email": f"{key}@users.test", "password": PASSWORD}
        return self.provider.api.request(
            "POST", "/token", query={"grant_type": "password"}, body=body
        )

    def read_sign_in(self, response, *, sent_at, now):
        """Return the session that a sign-in has brought."""
        return parsing.session_from(response, sent_at=sent_at, now=now, secrets=(PASSWORD,))

    def use_request(self, token):
        """Build a request to something that wants an access token."""
        return Request("GET", f"{ROOT}/use", {"Authorization": token.header})

    def spent_by(self, request):
        """Return the refresh token that a request spends, if it does."""
        if "grant_type=refresh_token" in request.url:
            return json.loads(request.body)["refresh_token"]
        return None

    def serve(self, request, now):
        """Answer a request that has arrived."""
        url = urlsplit(request.url)
        try:
            return self._served(url, request, now)
        except Refusal as refusal:
            body, headers = wire_form(refusal, request.headers.get("X-Supabase-Api-Version"))
            refused = self.spent_by(request) is not None and refusal.code in FINAL_CODES
            return Served(_json(refusal.status, body, headers, now), refused=refused)

    def _served(self, url, request, now):
        match url.path:
            case "/token":
                form = json.loads(request.body)
                if "refresh_token" in form:
                    answer = self._state.refresh(form["refresh_token"], now=now)
                else:
                    answer = self._state.sign_in_with_password(
                        email=form["email"], phone="", password=form["password"], now=now
                    )
                self._note(answer.body)
                return Served(
                    _json(200, answer.body, answer.headers, now), granted="refresh_token" in form
                )
            case "/logout":
                caller = self._state.authenticate(request.headers.get("Authorization"), now=now)
                scope = parse_qs(url.query).get("scope", ["global"])[0]
                self._state.sign_out(caller, scope)
                self.forget_ended("its user")
                return Served(Response(204))
            case _:
                bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
                try:
                    self._state.keys.verify(bearer, now=now)
                except InvalidToken:
                    return Served(Response(401))
                return Served(Response(200))

    def _note(self, body):
        claims = jwt.peek(body["access_token"]).claims
        self._world.ledger.issued(
            claims["session_id"],
            self._users[claims["sub"]],
            access=body["access_token"],
            refresh=body["refresh_token"],
            ends=claims["exp"],
        )

    def open_elsewhere(self, key):
        """Sign a key's account in without anybody here; return the tokens."""
        (user_id,) = (user for user, of in self._users.items() if of == key)
        body = self._state.open_session(user_id, now=self._world.loop.now)
        self._note(body)
        return body["access_token"], body["refresh_token"]

    def revoke(self, name):
        """End a session as an administrator does."""
        self._state.sessions.delete(name)

    def lives(self, name):
        """Say whether a session has not ended; one whose tokens are all revoked has."""
        session = self._state.sessions.rows.get(name)
        return session is not None and (session.token_version == 2 or session.active is not None)

    def forget_ended(self, who):
        """Note who has ended those sessions that have just ended."""
        for name, session in self._world.ledger.by_name.items():
            if session.ended is None and not self.lives(name):
                session.ended = who


@functools.cache
def signing_key():
    """Return the one RSA key of all worlds: making one takes longer than a world."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it protects nothing


class SuperTokensEnd:
    """SuperTokens' core of one algorithm, behind the few routes of a back end."""

    def __init__(self, world):
        plan = world.plan
        self._world = world
        version = LAZY if "lazy" in plan.system else ROTATING
        self._version = check_versions([version])[version]
        self._core = Core(
            CoreSettings(
                versions={version: self._version},
                access_token_validity=plan.life,
                refresh_token_validity=100 * 24 * 3600.0,
                grace=30 if plan.forgiving else 0,
                reuse_behaviour="TOKEN_THEFT",
                jitter=0,
                key_interval=7 * 24 * 3600.0,
                api_keys=(),
                make_key=signing_key,
            ),
            world.loop.now,
        )
        self.provider = SuperTokensProvider(
            Settings.of(
                ROOT,
                "/auth",
                token_transfer_method="header",
                session_expired_status_code=None,
                invalid_claim_status_code=403,
                max_refresh_attempts=10,
                session_token_backend_domain=None,
                by_hostname=False,
                preset=None,
                pre_api_hook=None,
                post_api_hook=None,
                allow_insecure=False,
            )
        )
        # Whole seconds in the token, and a clock that is up to 7 s off counts as right.
        self.tolerance = 8.5

    def add(self, key):
        """Accounts need no making."""

    def sign_in_request(self, key):
        """Build the request that signs a key's account in."""
        body = json.dumps({"user": key, "password": PASSWORD}).encode()
        return Request("POST", f"{ROOT}/auth/signin", {"st-auth-mode": "header"}, body)

    def read_sign_in(self, response, *, sent_at, now):
        """Return the session that a sign-in has brought."""
        if response.status >= 500 or response.status == 429:
            raise ServerUnavailable("The sign-in failed.", status=response.status)
        told = read_answer(response.headers, now=now)
        session = None
        if told is not None:
            session = supertokens_sessions.session_in(told, sent_at=sent_at, now=now)
        if session is None:
            raise ProtocolError("The sign-in has brought nothing.")
        return session

    def use_request(self, token):
        """Build a request to something that wants an access token."""
        return Request("GET", f"{ROOT}/use", {"Authorization": token.header})

    def spent_by(self, request):
        """Return the refresh token that a request spends, if it does."""
        if request.url.endswith("/auth/session/refresh"):
            return _bearer(request)
        return None

    def serve(self, request, now):
        """Answer a request that has arrived."""
        match urlsplit(request.url).path:
            case "/auth/session/refresh":
                return self._refresh(_bearer(request), now)
            case "/auth/signin":
                return Served(
                    self._paired(self._create(json.loads(request.body)["user"], now), now)
                )
            case "/auth/signout":
                return self._sign_out(_bearer(request), now)
            case _:
                found = self._verify(_bearer(request), now)
                return Served(Response(200 if found["status"] == "OK" else 401))

    def _create(self, user, now):
        return self._core.create(
            self._version,
            user,
            payload={},
            data={},
            tenant_id=PUBLIC_TENANT,
            wish=Wish(static_key=False),
            now=now,
        )

    def _verify(self, text, now, *, database=False):
        return self._core.verify(
            self._version,
            text,
            anti_csrf=None,
            check_anti_csrf=False,
            check_database=database,
            now=now,
        )

    def _refresh(self, token, now):
        found = self._core.refresh(
            self._version, token, anti_csrf=None, wish=Wish(static_key=False), now=now
        )
        if found["status"] == "OK":
            return Served(self._paired(found, now), granted=True)
        theft = found["status"] == "TOKEN_THEFT_DETECTED"
        if theft:
            # A back end's default: whoever holds the tokens now is signed out.
            self._core.remove([found["session"]["handle"]], now=now)
        message = "token theft detected" if theft else "unauthorised"
        removed = {"front-token": "remove", "st-access-token": "", "st-refresh-token": ""}
        return Served(_json(401, {"message": message}, removed, now), refused=True)

    def _sign_out(self, text, now):
        found = self._verify(text, now, database=True)
        if found["status"] != "OK":
            return Served(_json(401, {"message": "unauthorised"}, {}, now))
        self._core.remove([found["session"]["handle"]], now=now)
        self.forget_ended("its user")
        return Served(_json(200, {"status": "OK"}, {"front-token": "remove"}, now))

    def _paired(self, found, now):
        access, refresh = self._note(found)
        ends = found["accessToken"]["expiry"] / 1000
        claims = json.loads(_segment(access))
        front = FrontToken(user_id=found["session"]["userId"], expires_at=ends, payload=claims)
        headers = {
            "st-access-token": access,
            "st-refresh-token": refresh,
            "front-token": front.encode(),
        }
        return _json(200, {"status": "OK"}, headers, now)

    def _note(self, found):
        access, refresh = found["accessToken"]["token"], found["refreshToken"]["token"]
        handle, user = found["session"]["handle"], found["session"]["userId"]
        ends = found["accessToken"]["expiry"] / 1000
        self._world.ledger.issued(handle, user, access=access, refresh=refresh, ends=ends)
        return access, refresh

    def open_elsewhere(self, key):
        """Sign a key's account in without anybody here; return the tokens."""
        return self._note(self._create(key, self._world.loop.now))

    def revoke(self, name):
        """End a session as an administrator does."""
        self._core.remove([name], now=self._world.loop.now)

    def lives(self, name):
        """Say whether a session has not ended."""
        return self._core.row(name, now=self._world.loop.now) is not None

    def forget_ended(self, who):
        """Note who has ended those sessions that have just ended."""
        for name, session in self._world.ledger.by_name.items():
            if session.ended is None and not self.lives(name):
                session.ended = who


def server_of(world):
    """Return the server that the plan wants."""
    return (GoTrueEnd if world.plan.system.startswith("gotrue") else SuperTokensEnd)(world)


def _json(status, body, headers, now):
    named = {"Content-Type": "application/json", "Date": formatdate(now, usegmt=True), **headers}
    return Response(status, named, json.dumps(body).encode())


def _bearer(request):
    return request.headers.get("Authorization", "").removeprefix("Bearer ")


def _segment(token):
    import base64

    text = token.split(".")[1]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
