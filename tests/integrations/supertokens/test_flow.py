"""The life of a session over HTTP, in each framework: expiry, refresh, sign-out, theft."""

from __future__ import annotations

import pytest

HEADERS_AND_COOKIES = pytest.mark.parametrize("method", ["header", "cookie"])


@HEADERS_AND_COOKIES
async def test_an_expired_session_is_refreshed_and_goes_on(place, method):
    """The try-refresh status, the refresh, a new pair, and then the first call again."""
    before = await place.sign_in(method)
    assert 200 == (await before.ask()).status
    place.core.clock.advance(3601)

    expired = await before.ask()
    after = await before.refreshed()
    again = await after.ask()

    assert (401, {"message": "try refresh token"}) == (expired.status, expired.json)
    assert [] == expired.cookies
    assert (200, before.handle) == (again.status, again.json["sessionHandle"])
    assert len({before.access, after.access, before.refresh, after.refresh}) == 4
