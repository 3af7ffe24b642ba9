"""Ending pooled sessions: here, in the store, and at the auth server.

A session ends in memory and in the store whether or not the server can be told, and other
replicas hear of it as of any sign-out. What is ended beside what a request is about (an older
session of the same browser, the other devices) is no reason for that request to fail.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

import attrs

from async_auth.engine.pool import PooledSession, SessionPool
from async_auth.errors import AuthError, StoreError
from async_auth.session import Session
from async_auth.web_sessions.index import UserSessions

logger = logging.getLogger("async_auth.web_sessions")


@attrs.define(eq=False)
class Ending:
    """
    Ends sessions of a pool.

    Args:
        pool: Whose.
        index: Which sessions users have.
    """

    pool: SessionPool
    index: UserSessions

    async def one(self, key: str, user_id: str | None, *, everywhere: bool = False) -> None:
        """
        End a session, and tell the server.

        Args:
            key: Which.
            user_id: Whose; the list of the user's sessions is mended.
            everywhere: Whether the server is told to end all of the user's, where it can be.

        Raises:
            TemporaryError: The server could not be told; the session has ended all the same.
            ApiError: The server refused; the session has ended all the same.
            StoreError: The store could not be written; removing the session is retried.
        """
        left = False
        try:
            handle = self.pool.session(key)
            await handle.sign_out(**self._options(key, everywhere=everywhere))
        except StoreError:
            # It may still be in the store, and then it must be in the list as well.
            left = True
            raise
        finally:
            if user_id is not None and not left:
                await self.forget(user_id, [key])

    async def quietly(self, key: str, *, instead: Session | None) -> Session | None:
        """
        End a session that another one replaces, or that is not to be; what fails is logged.

        Args:
            key: Which.
            instead: What replaces it. If it has the same tokens, the server is told nothing.

        Returns:
            The session that has ended, if there was one.
        """
        session: Session | None = None
        try:
            handle = self.pool.session(key)
            session = await loaded(handle)
            if session is None:
                return None
            if instead is not None and _same_tokens(session, instead):
                await handle.discard(session, reason="user")
            else:
                await handle.sign_out(**self._options(key, everywhere=False))
        except AuthError as error:
            logger.warning("A session was not ended everywhere: %s", error)
            if isinstance(error, StoreError):
                return None
        return session

    async def all_of(self, user_id: str, *, tell: bool) -> tuple[list[str], list[AuthError]]:
        """
        End all sessions of a user. Their list is left as it is.

        Args:
            user_id: Whose.
            tell: Whether the server is told of each.

        Returns:
            The keys of those that have ended, and what went wrong, with these and with others:
            what may be left comes first.

        Raises:
            StoreError: The list cannot be read; sessions may be left.
        """
        ended: dict[str, None] = {}
        left: set[str] = set()
        failures: list[AuthError] = []

        async def end(key: str) -> None:
            try:
                if tell:
                    await self.pool.session(key).sign_out(**self._options(key, everywhere=False))
                else:
                    await self._discard(key)
            except AuthError as error:
                failures.append(error)
                if isinstance(error, StoreError):
                    left.add(key)
            ended[key] = None

        # Twice, for one may be on its way to another key just now. Each enters the list before it
        # moves, and moves only while its old key has not ended: after the first round nothing
        # moves any more, and what has moved is found by the second.
        for _ in range(2):
            entries = await self.index.of_user(user_id)
            async with asyncio.TaskGroup() as group:
                for entry in entries:
                    group.create_task(end(entry.key))
        failures.sort(key=lambda error: not isinstance(error, StoreError))
        return [key for key in ended if key not in left], failures

    def server_ends_all(self, key: str) -> bool:
        """Say whether the server of a session can be told to end all of its user's."""
        return takes_scope(self.pool.session(key).provider)

    async def forget(self, user_id: str, keys: list[str]) -> None:
        """Take ended sessions out of a user's list. Never raises: they leave it in the end."""
        try:
            await self.index.remove(user_id, keys)
        except AuthError as error:
            logger.warning("The list of a user's sessions could not be mended: %s", error)

    async def _discard(self, key: str) -> None:
        handle = self.pool.session(key)
        session = await loaded(handle)
        if session is not None:
            await handle.discard(session, reason="user")

    def _options(self, key: str, *, everywhere: bool) -> dict[str, Any]:
        scope = "global" if everywhere else "local"
        return {"scope": scope} if takes_scope(self.pool.session(key).provider) else {}


async def loaded(handle: PooledSession) -> Session | None:
    """
    Return a pooled session, loaded if it is not in memory; nothing is refreshed.

    Raises:
        StoreError: The store cannot be read.
        ManagerClosed: The pool is closed.
    """
    # It stays in memory while it is in use, however soon the pool lets go of idle ones.
    async with handle.while_open():
        return handle.session


def takes_scope(provider: Any) -> bool:
    """Say whether a provider's server can be told to end one session, or all of a user's."""
    build = getattr(provider, "sign_out_request", None)
    return build is not None and "scope" in inspect.signature(build).parameters


def _same_tokens(one: Session, other: Session) -> bool:
    return one.access_token == other.access_token or (
        one.refresh_token is not None and one.refresh_token == other.refresh_token
    )
