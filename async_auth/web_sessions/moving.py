"""A session under another key: whoever knew the old one is left with nothing.

It is moved in the store, and with the session's refresh lock held: no replica is spending its
refresh token meanwhile, and what a replica has in memory under the old key finds out that it is
gone. The new key is written before the old one goes, so a crash between the two loses nothing:
until its cookie is sent nobody knows the new key. The old one is marked by compare-and-swap
before it goes, so that a session which was signed out meanwhile does not live on under a new key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import attrs

from async_auth.engine.shelf import store_error
from async_auth.engine.state import new_sign_in_id
from async_auth.errors import AuthSessionMissing, Conflict, StoreError, TemporaryError
from async_auth.ports import RefreshLock, SessionStore


async def move(
    store: SessionStore,
    lock: RefreshLock,
    *,
    old: str,
    new: str,
    known: Callable[[], int] = lambda: 0,
) -> None:
    """
    Move what is stored under a key to another one, where nothing may be.

    Args:
        store: Where it is kept.
        lock: Who may refresh it.
        old: Where it is.
        new: Where it is to be.
        known: Says which generation is in memory. One that could not be saved yet is not left
            behind: its refresh token is the only one that is good.

    Raises:
        AuthSessionMissing: There is nothing.
        TemporaryError: It is being changed by others just now, or not saved yet; it stays where it
            is.
        StoreError: The store cannot be read or written.
    """
    async with lock.hold(old):
        try:
            record = await store.load(old)
        except Exception as error:
            raise store_error("read", error) from error
        if record is None:
            raise AuthSessionMissing
        if record.generation < known():
            raise TemporaryError("The session is not saved yet; try again.", retry_after=1.0)
        await _write(store.save(new, record, expected=0))
        # A delete would not say whether there was anything left to be deleted. By the mark other
        # replicas know it for ended.
        mark = attrs.evolve(record, generation=record.generation + 1, sign_in_id=new_sign_in_id())
        try:
            await _write(store.save(old, mark, expected=record.generation))
            try:
                await _write(store.delete(old, expected=mark.generation))
            except (StoreError, TemporaryError):
                with contextlib.suppress(StoreError, TemporaryError):
                    await _write(store.save(old, record, expected=mark.generation))
                raise
        except (StoreError, TemporaryError):
            # Two keys must not spend one refresh token.
            with contextlib.suppress(StoreError, TemporaryError):
                await _write(store.delete(new, expected=record.generation))
            raise


async def _write(change: Awaitable[None]) -> None:
    try:
        await change
    except Conflict as error:
        # A sign-in takes no lock, nor does a sign-out.
        raise TemporaryError(
            "The session is being changed just now; try again.", retry_after=1.0
        ) from error
    except Exception as error:
        raise store_error("written", error) from error
