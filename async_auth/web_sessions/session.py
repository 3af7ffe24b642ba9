"""A browser's session, as the code that answers a request has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from async_auth.engine.facade import GetToken
from async_auth.engine.pool import PooledSession
from async_auth.session import Session


class WebSession:
    """
    The session of a request's cookie. Its repr shows no part of the cookie.

    Args:
        handle: The session in the pool: every member of a manager's is there.
        user_id: Whose it is, if anybody said.
        began_at: When the user signed in, in unix seconds.
        ends_at: When it ends however much it is used, in unix seconds.
        make_token: Makes tokens against cross-site requests.
        is_token: Says whether a text is such a token.
    """

    #: The pooled session's own bound method: a token that is good now; see
    #: `SessionManager.get_token`.
    get_token: GetToken

    def __init__(
        self,
        handle: PooledSession,
        *,
        user_id: str | None,
        began_at: float,
        ends_at: float,
        make_token: Callable[[], str],
        is_token: Callable[[str], bool],
    ):
        self.handle = handle
        self.get_token = handle.get_token
        self.user_id = user_id
        self.began_at = began_at
        self.ends_at = ends_at
        self._make_token = make_token
        self._is_token = is_token

    @property
    def key(self) -> str:
        """Its key in the pool, which is a hash: the cookie cannot be made of it."""
        return self.handle.key

    @property
    def session(self) -> Session | None:
        """The tokens and the user, as of the last refresh; `None` once it has ended. No I/O."""
        return self.handle.session

    @property
    def user(self) -> Any:
        """The provider's user object, if there is one. No I/O."""
        session = self.handle.session
        return None if session is None else session.user

    @property
    def csrf_token(self) -> str:
        """
        A token for the session's own pages, to come back in `X-CSRF-Token`; new at each call.

        Any of them is good as long as the session's cookie keeps its id.
        """
        return self._make_token()

    def is_csrf_token(self, text: object) -> bool:
        """Say whether *text*, a form's field for instance, is a token of this very session."""
        return isinstance(text, str) and self._is_token(text)

    def __repr__(self) -> str:
        return f"<WebSession {self.handle.status.value} user={self.user_id!r}>"
