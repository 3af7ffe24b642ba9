"""What is kept at the server under one path: listing, making, reading, changing, removing.

What is changed is sent under the server's own names, so that a newer server's can be used too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import attrs

from async_auth.gotrue.caller import Answer, Caller
from async_auth.gotrue.requests import admin, arguments

T = TypeVar("T")


@attrs.frozen(eq=False, kw_only=True)
class Collection(Generic[T]):
    """
    What is kept under one path: the requests that every kind has in common.

    Args:
        caller: Who asks.
        path: Where it is kept.
        items: Where in the answer a list stands.
        id_name: What its ids are called in arguments.
        read: Reads one of them.
    """

    _caller: Caller
    _path: str
    _items: str
    _id_name: str
    _read: Callable[[Any], T]

    async def list(self, query: Mapping[str, str | None] | None = None) -> tuple[T, ...]:
        """Return all, or those that *query* is about."""
        answer = await self._ask("GET", query=query)
        return tuple(self._read(item) for item in answer.objects(self._items))

    async def create(self, attributes: Mapping[str, Any]) -> T:
        """Add one."""
        return self._read((await self._ask("POST", body=attributes)).object())

    async def get(self, name: str) -> T:
        """Return one by its id."""
        return self._read((await self._ask("GET", self._id(name))).object())

    async def update(self, name: str, attributes: Mapping[str, Any]) -> T:
        """Change one."""
        return self._read((await self._ask("PUT", self._id(name), body=attributes)).object())

    async def delete(self, name: str) -> None:
        """Remove one."""
        (await self._ask("DELETE", self._id(name))).check()

    async def post(self, name: str, action: str) -> T:
        """Have *action* done to one."""
        return self._read((await self._ask("POST", self._id(name), action, body={})).object())

    async def _ask(
        self,
        method: str,
        *segments: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str | None] | None = None,
    ) -> Answer:
        path = "/".join((self._path, *segments))
        return await self._caller.ask_as_admin(
            lambda bearer: admin.collection_request(
                self._caller.api, bearer, method, path, body=body, query=query
            )
        )

    def _id(self, name: str) -> str:
        return arguments.segment(self._id_name, name)
