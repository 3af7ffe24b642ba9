"""Sessions of very many users as GoTrue words them, and a server in memory that renews them all.

The first answer comes from the embedded GoTrue, so that tokens and users are as long as real ones;
the others are made from it. Nothing is signed: what a signature costs is the server's.
"""

from __future__ import annotations

import json
import time
from typing import Any

from async_auth import Request, Response, Session
from async_auth.gotrue import Endpoint, GoTrueClient, GoTrueProvider
from async_auth.ports import Record
from async_auth.testing import GoTrueServer

URL = "http://127.0.0.1:9"
EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery"
LIFE = 3600


async def first_answer() -> dict[str, Any]:
    """Return what GoTrue answers to a sign-in with a password."""
    async with GoTrueServer(algorithm="ES256", jwt_expiry=LIFE) as server:
        server.create_user(email=EMAIL, password=PASSWORD)
        async with GoTrueClient(server.url) as client:
            session = (await client.sign_in_with_password(email=EMAIL, password=PASSWORD)).session
            assert session is not None
            return dict(GoTrueProvider(Endpoint(URL)).dump(session))


class ManyUsers:
    """
    The server, as our transport: it rotates the refresh token of each user.

    It answers at once, and knows the users by the names in their refresh tokens, so that it costs
    everyone the same.

    Args:
        answer: See `first_answer`.
        life: Seconds that its tokens last.
    """

    def __init__(self, answer: dict[str, Any], *, life: float = LIFE) -> None:
        self.answer = answer
        self.life = life
        self.requests = 0
        head, _, tail = json.dumps(
            {**self._plain(), "refresh_token": "@", "expires_in": life}
        ).partition('"@"')
        self._head, self._tail = head.encode(), tail.encode()

    async def send(self, request: Request, *, timeout: float) -> Response:
        """Answer a refresh with the user's next refresh token."""
        del timeout  # it always answers
        return Response(200, {"Content-Type": "application/json"}, self.body(request.body or b""))

    def body(self, sent: bytes) -> bytes:
        """Return the answer to a request with this body."""
        self.requests += 1
        user, _, number = json.loads(sent)["refresh_token"].partition(".")
        token = json.dumps(f"{user}.{int(number) + 1}").encode()
        return self._head + token + self._tail

    def session(self, user: str, *, ends_in: float) -> Session:
        """Return a session of *user* whose token ends in so many seconds."""
        sent_at = time.time() + ends_in - self.life
        body = json.dumps(
            {**self._plain(), "refresh_token": f"{user}.0", "expires_in": self.life}
        ).encode()
        return provider().parse_refresh(
            Response(200, {}, body),
            Session(access_token="", refresh_token=""),
            sent_at=sent_at,
            now=sent_at,
        )

    def record(self, user: str, *, ends_in: float) -> Record:
        """Return the same as a store keeps it."""
        session = self.session(user, ends_in=ends_in)
        return Record(generation=1, sign_in_id="0" * 32, session=provider().dump(session))

    def _plain(self) -> dict[str, Any]:
        names = ("access_token", "token_type", "user")
        return {name: self.answer[name] for name in names}


def provider() -> GoTrueProvider:
    """Return the provider that its users need."""
    return GoTrueProvider(Endpoint(URL))
