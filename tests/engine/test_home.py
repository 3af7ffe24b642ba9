"""Where a manager is at work."""

from __future__ import annotations

import asyncio

from async_auth.engine.home import Home


async def test_who_has_moved_out_disturbs_nobody():
    """A keeper that ends late leaves alone what another one has taken over."""
    home, loop = Home(), asyncio.get_running_loop()
    old, new = object(), object()
    home.move(old, loop)
    home.move(new, loop)

    home.leave(old)
    assert loop is home.loop
    home.leave(new)
    assert None is home.loop
