"""Which token counts: the official tables of verifying and refreshing, over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TABLES = json.loads(
    (Path(__file__).parents[2] / "vectors" / "supertokens-transfer.json").read_text("utf-8")
)
UNAUTHORISED = (401, {"message": "unauthorised"})


def rows(table, method):
    """Return a table's rows about a method that the back end takes."""
    return [row for row in TABLES[table] if row["transfer_method"] == method]


@pytest.fixture(params=["any", "header", "cookie"])
def taken(request):
    """Name each thing that a back end may take."""
    return request.param


@pytest.fixture
async def both(open_place, taken):
    """Serve two applications of one core: one that takes what is *taken*, one that takes any."""
    place = await open_place(token_transfer_method=taken, anti_csrf="VIA_TOKEN")
    free = await open_place(core=place.core, anti_csrf="VIA_TOKEN")
    return place, free


async def two_sessions(free):
    """Begin a session in headers, and one in cookies."""
    return (
        await free.sign_in("header", user_id="validateheader"),
        await free.sign_in("cookie", user_id="validatecookie"),
    )


def shown(row, by_header, by_cookie):
    """Return the headers of a row's request: the one's, the other's, both or none."""
    return {**(by_header if row["bearer"] else {}), **(by_cookie if row["cookie"] else {})}


def test_no_row_is_left_out():
    """There are 24 rows and 12, and each is about something that is taken."""
    methods = ("any", "header", "cookie")

    assert [24, 12] == [
        sum(len(rows(table, method)) for method in methods) for table in ("verify", "refresh")
    ]


async def test_the_table_of_verifying(both, taken):
    """No session, no error; or a refusal; or the session of the token that counts."""
    place, free = both
    header, cookie = await two_sessions(free)
    for row in rows("verify", taken):
        path = "/protected" if row["session_required"] else "/optional"
        reply = await place.ask("GET", path, shown(row, header.headers, cookie.headers))

        if row["result"] == "UNAUTHORISED":
            assert (row, UNAUTHORISED) == (row, (reply.status, reply.json))
        else:
            assert (row, 200, row["result"]) == (row, reply.status, reply.json["userId"])
        assert {"status": reply.status, "headers": {}, "cookies": []} == reply.said


async def test_the_table_of_refreshing(both, taken):
    """What is set, by the method of the token that counts, and what is cleared of the other."""
    place, free = both
    for row in rows("refresh", taken):
        header, cookie = await two_sessions(free)
        shows = shown(row, header.refresh_headers, cookie.refresh_headers)
        reply = await place.ask("POST", "/auth/session/refresh", shows)

        headers = [reply.header(name) for name in ("st-access-token", "st-refresh-token")]
        cookies = [reply.cookie(name) for name in ("sAccessToken", "sRefreshToken")]
        expected = UNAUTHORISED if row["result"] == "unauthorised" else (200, {})
        assert (row, *expected) == (row, reply.status, reply.json)
        for found, name, nothing in ((headers, "headers", ""), (cookies, "cookies", '""')):
            if row["sets"] == name:
                assert all(value and value != nothing for value in found), row
            elif row["clears"] in (name, "both"):
                assert (row, [nothing, nothing]) == (row, found)
            else:
                assert (row, [None, None]) == (row, found)
        assert (reply.header("front-token") == "remove") == (row["sets"] is None)
        if row["sets"] is not None:
            after = await place.ask("GET", "/protected", bearing(reply))
            assert (row, row["result"]) == (row, after.json["userId"])


def bearing(reply):
    """Return the headers that show the access token of a refresh."""
    if token := reply.header("st-access-token"):
        return {"authorization": f"Bearer {token}"}
    return {"cookie": f"sAccessToken={reply.cookie('sAccessToken')}"}
