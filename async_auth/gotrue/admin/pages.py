"""Long lists, page by page: what the headers tell of the whole, and walking through it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

import attrs

from async_auth.core.digits import whole_number
from async_auth.gotrue.models import User
from async_auth.http_messages import Response

T = TypeVar("T")

#: Characters of the `Link` headers that are read; GoTrue writes two short addresses.
LINK_MAX = 4096

_PAGE = re.compile(r'<[^<>]*[?&]page=(\d{1,9})\b[^>]*>\s*;\s*rel="?(next|last)\b', re.ASCII)


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """
    One page of a list.

    Args:
        items: What stands on it.
        total: How many there are on all pages together, if the server said so.
        next_page: The number of the next page; `None` on the last.
        last_page: The number of the last page, if the server said so.
    """

    items: tuple[T, ...]
    total: int | None = None
    next_page: int | None = None
    last_page: int | None = None


@attrs.frozen(kw_only=True)
class UserPage(Page[User]):
    """One page of users."""

    @property
    def users(self) -> tuple[User, ...]:
        """The users on it."""
        return self.items


def page_of(response: Response, items: tuple[T, ...]) -> Page[T]:
    """Return the page that an answer with these items is, by its `X-Total-Count` and `Link`."""
    total = response.headers.get("X-Total-Count", "")
    links = {
        relation: int(number)
        for number, relation in _PAGE.findall(
            ", ".join(response.headers.getall("Link", []))[:LINK_MAX]
        )
    }
    return Page(
        items=items,
        total=whole_number(total),
        next_page=links.get("next"),
        last_page=links.get("last"),
    )


async def walk(fetch: Callable[[int], Awaitable[Page[T]]]) -> AsyncIterator[T]:
    """
    Yield everything on all pages.

    Args:
        fetch: Returns a page by its number, from 1.
    """
    number = 1
    while True:
        page = await fetch(number)
        for item in page.items:
            yield item
        following = page.next_page
        if page.last_page is None and page.items:
            # A gateway has taken the header away: the end is where nothing comes any more.
            following = following or number + 1
        if following is None or following <= number:
            return
        number = following
