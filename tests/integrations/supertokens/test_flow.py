"""The life of a session over HTTP in each framework: expiry, refresh, refusals, theft, sign-out.

Once with today's statuses and paths, and once with the habits of release 1.0 (status 440, the
refresh at `/api/refresh`, and a theft that is told to the application, which decides).
"""

from __future__ import annotations

import pytest

HEADERS_AND_COOKIES = pytest.mark.parametrize("method", ["header", "cookie"])
PRESETS = pytest.mark.parametrize(
    "preset, status, refresh_path",
    [(None, 401, "/auth/session/refresh"), ("v1", 440, "/api/refresh")],
)
CLEARED = {
    "front-token": "remove",
    "st-access-token": "",
    "st-refresh-token": "",
    "access-control-expose-headers": "front-token,st-access-token,st-refresh-token",
}


def forgotten(refresh_path):
    """Return the lines that make a browser forget both cookies."""
    return [
        f'{name}=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Path={path}; SameSite=lax'
        for name, path in (("sAccessToken", "/"), ("sRefreshToken", refresh_path))
    ]


def ended(reply, message, status, refresh_path):
    """Whether a reply refuses with a message, and takes every token away."""
    return {"message": message} == reply.json and {
        "status": status,
        "headers": CLEARED,
        "cookies": forgotten(refresh_path),
    } == reply.said


@PRESETS
@HEADERS_AND_COOKIES
async def test_an_expired_session_is_refreshed_and_goes_on(
    open_place, preset, status, refresh_path, method
):
    """The try-refresh status, the refresh, a new pair, and then the first call succeeds."""
    place = await open_place(preset=preset)
    before = await place.sign_in(method)
    assert 200 == (await before.ask()).status
    await place.core.clock.advance(3601)

    expired = await before.ask()
    refresh = await place.ask("POST", refresh_path, before.refresh_headers)
    after = await before.refreshed()
    again = await after.ask()

    assert {"status": status, "headers": {}, "cookies": []} == expired.said
    assert {"message": "try refresh token"} == expired.json
    assert (200, {}) == (refresh.status, refresh.json)
    assert (200, before.handle) == (again.status, again.json["sessionHandle"])
    assert 4 == len({before.access, after.access, before.refresh, after.refresh})


@PRESETS
async def test_without_a_session(open_place, preset, status, refresh_path):
    """A call is refused and nothing is cleared; a refresh is refused, and everything is."""
    place = await open_place(preset=preset)

    call = await place.ask("GET", "/protected")
    refresh = await place.ask("POST", refresh_path)

    assert {"status": status, "headers": {}, "cookies": []} == call.said
    assert {"message": "unauthorised"} == call.json
    assert ended(refresh, "unauthorised", status, refresh_path)


@PRESETS
@HEADERS_AND_COOKIES
async def test_a_general_error_is_nobodys_sign_out(
    open_place, preset, status, refresh_path, method
):
    """A core that fails is 503, one that talks nonsense 500; the refresh succeeds after."""
    place = await open_place(preset=preset)
    signed = await place.sign_in(method)
    for fault, expected in (({"status": 500}, 503), ({"body": b"[]"}, 500)):
        place.core.faults.add("/recipe/session/refresh", **fault)
        reply = await signed.ask_refresh()

        assert (expected, [], None) == (reply.status, reply.cookies, reply.header("front-token"))
    assert (await (await signed.refreshed()).ask()).json["userId"] == "ada"


async def theft(place, method="header"):
    """Let a refresh token be spent twice, with its child used in between."""
    first = await place.sign_in(method)
    second = await first.refreshed()
    assert 200 == (await second.ask()).status
    return first, await first.ask_refresh()


@HEADERS_AND_COOKIES
async def test_a_theft_ends_that_session_alone(open_place, method):
    """By default: the thief and the victim have to sign in, whoever they are."""
    place = await open_place(cdi_version="5.4")
    other = await place.sign_in(method)

    stolen, reply = await theft(place, method)

    assert ended(reply, "token theft detected", 401, "/auth/session/refresh")
    assert {other.handle} == set(place.core.sessions)
    assert 1 == place.core.counts["/recipe/session/remove"]
    assert stolen.handle != other.handle


async def test_a_theft_under_the_newer_algorithm(open_place):
    """The core has ended the session itself; the handler is told how it was found out."""
    told = []
    handlers = {"token_theft": lambda _, error: told.append(error)}
    place = await open_place(cdi_version="5.6", handlers=handlers)
    first = await place.sign_in()
    await first.refreshed()
    await place.core.clock.advance(31)

    reply = await first.ask_refresh()

    assert ended(reply, "token theft detected", 401, "/auth/session/refresh")
    assert [("ada", first.handle, "RECENT_PREV")] == [
        (error.user_id, error.session_handle, error.subtype) for error in told
    ]
    assert {} == place.core.sessions


async def test_release_1_leaves_a_theft_to_the_application(open_place):
    """It is told the user and the handle; then it revokes that session, or all of the user's."""
    told = []

    async def report(_request, error):
        told.append((error.user_id, error.session_handle))

    place = await open_place(preset="v1", cdi_version="5.4", handlers={"token_theft": report})
    others = [await place.sign_in() for _ in range(2)]
    bob = await place.sign_in(user_id="bob")

    stolen, reply = await theft(place)
    assert ended(reply, "token theft detected", 440, "/api/refresh")
    assert [("ada", stolen.handle)] == told
    assert stolen.handle in place.core.sessions

    user_id, handle = told[0]
    one = await place.ask("POST", "/revoke", body={"sessionHandle": handle})
    rest = await place.ask("POST", "/revoke", body={"userId": user_id})

    assert {"revoked": True} == one.json
    assert {signed.handle for signed in others} == set(rest.json["revoked"])
    assert {bob.handle} == set(place.core.sessions)


@HEADERS_AND_COOKIES
async def test_signing_out(place, method):
    """It takes away the tokens of its own method, and can be said twice."""
    signed = await place.sign_in(method)

    replies = [await signed.ask("/auth/signout", method="POST") for _ in range(2)]

    for reply in replies:
        assert (200, {"status": "OK"}, "remove") == (
            reply.status,
            reply.json,
            reply.header("front-token"),
        )
        assert (method == "header") == (reply.header("st-access-token") == "")
        assert (forgotten("/auth/session/refresh") if method == "cookie" else []) == reply.cookies
    assert {} == place.core.sessions


@HEADERS_AND_COOKIES
async def test_signing_out_right_after_a_refresh(open_place, method):
    """What the verification has swapped is not set first: every name comes once."""
    place = await open_place(cdi_version="5.4")
    signed = await place.swappable(method)

    reply = await signed.ask("/auth/signout", method="POST")

    assert 200 == reply.status
    assert (forgotten("/auth/session/refresh") if method == "cookie" else []) == reply.cookies
    assert "remove" == reply.header("front-token")


async def test_a_core_that_is_down_signs_nobody_out(place):
    """Known sessions go on, refreshes and sign-outs wait; when it is back, all is well."""
    signed = await place.sign_in()
    assert 200 == (await signed.ask()).status
    await place.core.stop()

    during = [
        await signed.ask(),
        await signed.ask("/protected-db"),
        await signed.ask_refresh(),
        await signed.ask("/auth/signout", method="POST"),
        await place.ask("POST", "/login", body={"userId": "eve"}),
    ]
    await place.core.start()
    after = await (await signed.refreshed()).ask()

    assert [200, 503, 503, 503, 503] == [reply.status for reply in during]
    for reply in during:
        assert ([], None) == (reply.cookies, reply.header("front-token"))
    assert ["5"] * 4 == [reply.header("retry-after") for reply in during[1:]]
    assert (200, signed.handle) == (after.status, after.json["sessionHandle"])


async def test_a_core_that_lost_its_memory(place):
    """Access tokens go on until they expire, by the keys that are known; a refresh is refused."""
    signed = await place.sign_in()
    assert 200 == (await signed.ask()).status
    await place.core.restart(lose_memory=True)

    assert 200 == (await signed.ask()).status
    assert ended(await signed.ask_refresh(), "unauthorised", 401, "/auth/session/refresh")
    assert 200 == (await (await place.sign_in()).ask()).status


async def test_a_session_that_is_gone_is_found_out_in_the_database(place):
    """Without asking, the access token is good until it expires; asked, everything is cleared."""
    signed = await place.sign_in("cookie")
    place.core.revoke_session(signed.handle)

    assert 200 == (await signed.ask()).status
    reply = await signed.ask("/protected-db")
    assert ended(reply, "unauthorised", 401, "/auth/session/refresh")
