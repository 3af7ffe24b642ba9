"""Times that no server means, in the whole client: no storm, no crash, and no end of the session."""

from __future__ import annotations

import asyncio
import contextlib
import json

import attrs
import pytest

from async_auth.errors import TemporaryError

#: What stands in `expires_in` and in `expires_at`, as in a JSON text.
TIMES = [
    *("null", '"soon"', "true", "-1e308", "1e-300", "NaN", "1e999"),
    *("1e308", "253402300800", "9" * 309, "9" * 5000),
]
DATES = {
    "no date": "",
    "last": "Fri, 31 Dec 9999 23:59:59 GMT",
    "first": "Mon, 01 Jan 0001 00:00:00 GMT",
}
#: Seconds that are looked at, and requests that are no storm in them: with the longest back-off one
#: in a minute, and those of the beginning.
LONG, STORM = 1200.0, 40


async def answered(wire, clock):
    """Let everything run until nobody waits for the server; the time stands still meanwhile."""
    await clock.advance(0)
    while wire.under_way:
        await asyncio.sleep(0)
        if not wire.under_way:
            await clock.advance(0)


async def pass_time(wire, clock, seconds):
    """Let *seconds* pass as `clock.run` does, where every answer takes none of them."""
    end = clock.monotonic() + seconds
    await answered(wire, clock)
    while (wait := clock.next_wake) is not None and clock.monotonic() + wait <= end:
        await clock.advance(max(wait, 0.0))
        await answered(wire, clock)
    await clock.advance(max(end - clock.monotonic(), 0.0))


@pytest.mark.parametrize("date", DATES.values(), ids=DATES)
@pytest.mark.parametrize("value", TIMES, ids=lambda value: value[:12])
async def test_times_that_are_none_cost_nothing(stage, value, date):
    """Whatever a server says of a token's life, the session lives on, and the server is left alone."""
    wire = stage.wire()
    client = await stage.client(transport=wire, random=lambda: 1.0)

    def lie(response):
        if b'"expires_in"' not in response.body:
            return response
        members = json.loads(response.body)
        members["expires_in"] = members["expires_at"] = "@"
        body = json.dumps(members).replace('"@"', value).encode()
        headers = [(k, v) for k, v in response.headers.items() if k.lower() != "date"]
        return attrs.evolve(response, headers=[*headers, ("Date", date)], body=body)

    wire.change = lie
    await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    before = stage.refreshes
    await pass_time(wire, stage.clock, LONG)
    with contextlib.suppress(TemporaryError):
        # The token may have expired, by what the server says; then that is what is raised.
        assert (await client.get_token()).value

    assert client.session is not None
    assert stage.refreshes - before <= STORM
    assert client.to_html()
