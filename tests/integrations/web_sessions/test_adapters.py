"""Web sessions over HTTP, in each framework: the same answers, the same cookies."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import pytest
from aiohttp import web

from async_auth import ConfigurationError
from async_auth.core.jwt import base64url
from async_auth.core.web.incoming import Incoming
from async_auth.integrations.aiohttp import setup_web_sessions
from async_auth.integrations.fastapi import (
    WebSessionMiddleware,
    optional_web_session,
    web_session,
)
from async_auth.integrations.starlette import web_session_of


async def test_a_session_from_sign_in_to_sign_out(place):
    """The cookie opens it until it is signed out, and is kept by the browser alone."""
    browser = place.browser()
    assert 401 == (await browser.ask("/me")).status

    login = await browser.ask("/login", "POST")

    (cookie,) = login.cookies
    assert all(word in cookie for word in ("session=", "HttpOnly", "SameSite=lax", "Path=/"))
    assert "no-store" == login.headers["Cache-Control"]
    me = await browser.ask("/me")
    assert (200, login.json["user"], []) == (me.status, me.json["user"], me.cookies)
    assert 200 == (await browser.ask("/logout", "POST")).status
    assert {} == browser.cookies
    assert 401 == (await browser.ask("/me")).status


async def test_no_session_is_401(place):
    """The answer is JSON, with a challenge that makes no browser ask for a password."""
    answer = await place.browser().ask("/me")

    assert (401, "no_session") == (answer.status, answer.json["error"])
    assert 'Cookie realm="session"' == answer.headers["WWW-Authenticate"]
    assert "no-store" == answer.headers["Cache-Control"]


async def test_a_session_that_is_not_needed(place):
    """It is there or not."""
    browser = place.browser()

    assert {"user": None} == (await browser.ask("/maybe")).json
    await browser.sign_in()
    assert (await browser.ask("/maybe")).json["user"]


async def test_every_changed_byte_of_a_cookie_is_noticed(place):
    """It opens nothing and is taken away."""
    browser = await place.browser().sign_in()
    ((name, value),) = browser.cookies.items()
    data = base64url.decode(value)

    spoiled = [
        base64url.encode(data[:at] + bytes([byte ^ 0x80]) + data[at + 1 :])
        for at, byte in enumerate(data)
    ]
    for other in [*spoiled, value[:-1], value[:40], value + "A", "x"]:
        browser.cookies = {name: other}
        assert 401 == (await browser.ask("/me")).status
        assert {} == browser.cookies


async def test_a_cookie_that_somebody_has_put_there(place):
    """After a sign-in it is worth nothing to whoever knows it."""
    attacker = await place.browser().sign_in()
    victim = attacker.copy()

    await victim.sign_in()

    assert attacker.cookies != victim.cookies
    assert [401, 200] == [(await who.ask("/me")).status for who in (attacker, victim)]


async def test_replay_after_a_sign_out(place):
    """A copy of the cookie is worth nothing, on this replica and on the others."""
    await place.replica()
    browser = await place.browser().sign_in()
    copy = browser.copy()
    for copy.url in place.urls:
        assert 200 == (await copy.copy().ask("/me")).status

    await browser.ask("/logout", "POST")

    for copy.url in place.urls:
        assert 401 == (await copy.copy().ask("/me")).status


async def test_signing_out_everywhere(place):
    """All devices, all replicas."""
    await place.replica()
    devices = [place.browser() for _ in range(4)]
    for number, device in enumerate(devices):
        device.url = place.urls[number % 2]
        await device.sign_in()
    copies = [device.copy() for device in devices]

    await devices[0].ask("/logout", "POST", x_everywhere="1")

    for url in place.urls:
        for copy in copies:
            copy.url = url
            assert 401 == (await copy.copy().ask("/me")).status


async def test_a_provider_s_page(place):
    """The browser leaves one replica and comes back to another, which signs it in."""
    await place.replica()
    place.server.provider.sign_in_as("ada@example.com")
    browser = place.browser()
    begun = await browser.ask("/leave", "POST")
    code = await browser.travel(begun.json["url"])
    flow, browser.url = browser.copy(), place.urls[1]
    assert 401 == (await browser.ask("/me")).status

    done = await browser.ask("/back", site="cross-site", x_code=code)

    assert (200, done.json["user"]) == (
        (me := await browser.ask("/me")).status,
        me.json["user"],
    )
    assert ["session"] == list(browser.cookies)
    flow.cookies["session"] = flow.cookies["session-sign-in"]
    assert 401 == (await flow.ask("/me")).status


async def test_a_code_in_another_browser(place):
    """Whoever has not begun a sign-in cannot be made to finish it."""
    place.server.provider.sign_in_as("ada@example.com")
    attacker, victim = place.browser(), place.browser()
    code = await attacker.travel((await attacker.ask("/leave", "POST")).json["url"])

    answer = await victim.ask("/back", site="cross-site", x_code=code)

    assert {"refused": "pkce_code_verifier_not_found"} == answer.json
    assert ({}, []) == (victim.cookies, answer.cookies)


async def test_a_sign_in_that_fails(place):
    """It leaves the session that there is, and gives no cookie."""
    browser = await place.browser().sign_in()

    answer = await browser.ask("/login", "POST", x_password="wrong")

    assert (500, []) == (answer.status, answer.cookies)
    assert 200 == (await browser.ask("/me")).status


async def test_rotation(place):
    """The old cookie is worth nothing, the new one opens the same session."""
    browser = await place.browser().sign_in()
    old = browser.copy()

    rotated = await browser.ask("/rotate", "POST")

    assert (200, 1) == (rotated.status, len(rotated.cookies))
    assert [401, 200] == [(await who.ask("/me")).status for who in (old, browser)]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_other_sites_are_refused(place, site):
    """Nothing that may change something gets through, signed in or not; links do."""
    browser = await place.browser().sign_in()

    refused = [
        await browser.ask("/me", "POST", site=site),
        await browser.ask("/logout", "POST", site=site),
        await place.browser().ask("/login", "POST", site=site),
    ]

    assert [(403, "csrf")] * 3 == [(answer.status, answer.json["error"]) for answer in refused]
    assert [[]] * 3 == [answer.cookies for answer in refused]
    assert 200 == (await browser.ask("/me", site=site)).status


async def test_browsers_without_fetch_metadata(place):
    """Their origin has to be the host's, or one that is listed."""
    browser = await place.browser().sign_in()

    statuses = [
        (await browser.ask("/me", "POST", site=None, Origin=origin)).status
        for origin in (browser.url, "http://127.0.0.1:1", "http://127.0.0.1:2", "null")
    ]

    assert [200, 200, 403, 403] == statuses


async def test_a_client_that_says_nothing_needs_a_token(place):
    """One of its own session."""
    one, other = [await place.browser().sign_in() for _ in range(2)]
    mine, theirs = [(await who.ask("/me")).json["csrf"] for who in (one, other)]

    async def post(**headers):
        return (await one.ask("/me", "POST", site=None, **headers)).status

    assert 403 == await post()
    assert [200, 403] == [await post(X_CSRF_Token=token) for token in (mine, theirs)]
    assert 200 == (await place.browser().ask("/login", "POST", site=None)).status


async def test_tokens_can_be_demanded(place):
    """From every page."""
    url = await place.replica(csrf="token")
    browser = place.browser()
    browser.url = url
    await browser.sign_in()
    token = (await browser.ask("/me")).json["csrf"]

    assert 403 == (await browser.ask("/me", "POST")).status
    assert 200 == (await browser.ask("/me", "POST", X_CSRF_Token=token)).status


async def test_a_new_secret(place):
    """The old one's cookies go on being good, and are signed anew while that is still known."""
    new = "a-new-secret-that-is-as-long-as-it-should-be"
    old = place.sessions
    browser = await place.browser().sign_in()
    before = browser.copy()
    url = await place.replica(secrets=[new, b"the-secret-of-these-tests-is-long-enough"])
    only_new = await place.replica(secrets=[new])
    assert old is not place.sessions

    browser.url = url
    answer = await browser.ask("/plain")
    assert (1, "public") == (len(answer.cookies), answer.headers["Cache-Control"])

    browser.url = before.url = only_new
    assert [200, 401] == [(await who.ask("/me")).status for who in (browser, before)]


async def test_use_is_written_into_the_cookie(place):
    """Into that of a streaming response too, and of an error that is handled."""
    browser = await place.browser().sign_in()

    for path, status in (("/stream", 200), ("/gone", 410), ("/maybe", 200)):
        place.clock.advance(86_400)
        answer = await browser.ask(path)
        assert (status, 1) == (answer.status, len(answer.cookies))

    place.clock.advance(8 * 86_400)
    assert 401 == (await browser.ask("/me")).status


@pytest.mark.parametrize("error", ["store", "sign in", "later", "any"])
async def test_an_error_that_nobody_handles(place, error):
    """What is not about the request's own session is 500, without cookies."""
    browser = await place.browser().sign_in()
    place.clock.advance(86_400)
    await (await place.sessions.open(_request(browser))).get_token()

    answer = await browser.ask("/crash", x_error=error)

    assert (500, []) == (answer.status, answer.cookies)
    assert 200 == (await browser.ask("/me")).status


async def test_an_outage_of_the_auth_server_signs_nobody_out(place):
    """While the token lives nobody notices; then it is 503, and the cookie stays."""
    browser = await place.browser().sign_in()
    place.clock.advance(3601)
    place.server.faults.add("/token", times=100, status=503, retry_after=7)

    answer = await browser.ask("/me")

    assert (503, "temporarily_unavailable") == (answer.status, answer.json["error"])
    assert 1 <= int(answer.headers["Retry-After"]) <= 7
    assert (1, []) == (len(browser.cookies), answer.cookies)


async def test_an_outage_of_the_store_signs_nobody_out(place):
    """It is 503, and the cookie stays."""
    browser = await place.browser().sign_in()
    await place.replica()
    browser.url = place.urls[1]

    async def fail(key):
        raise OSError("disk on fire")

    place.store.load = fail
    answer = await browser.ask("/me")

    assert (503, 1, []) == (answer.status, len(browser.cookies), answer.cookies)


async def test_a_session_that_the_auth_server_ends(place):
    """It is 401 at once, and the cookie goes with the next answer."""
    browser = await place.browser().sign_in()
    place.clock.advance(3601)
    user = (await place.sessions.open(_request(browser))).user_id
    place.server.revoke_sessions(user)

    assert [401, 401] == [(await browser.ask("/me")).status for _ in range(2)]
    assert {} == browser.cookies


def _request(browser):
    return Incoming.of("GET", "/", browser.jar)


async def test_requests_of_one_browser_share_a_refresh(place, together):
    """Twenty at once with an expired token cost one, over two replicas too."""
    await place.replica()
    browser = await place.browser().sign_in()
    other = browser.copy()
    other.url = place.urls[1]
    place.clock.advance(3601)

    answers = await together(*(who.ask("/me") for who in [browser, other] * 10))

    assert {200} == {answer.status for answer in answers}
    assert (1, 1) == (place.server.issued, len({answer.json["expires"] for answer in answers}))


async def test_a_flood_of_made_up_cookies_reaches_nobody(place):
    """Neither the store nor the pool."""
    browser, asked = place.browser(), []
    load = place.store.load

    async def count(key):
        asked.append(key)
        return await load(key)

    place.store.load = count
    name = place.sessions.settings.cookie.name
    for number in range(100):
        browser.cookies = {name: base64url.encode(b"\x01" + number.to_bytes(76))}
        assert 401 == (await browser.ask("/me")).status

    assert ([], 0) == (asked, len(place.sessions.pool))


async def test_web_sockets(place):
    """They open the session of the cookie, for pages of ours only."""
    browser = await place.browser().sign_in()

    async def connect(headers):
        async with browser.http.ws_connect(browser.url + "/chat", headers=headers) as socket:
            return (await socket.receive()).data

    assert await connect({**browser.jar, "Origin": browser.url})
    for headers, status in (
        ({**browser.jar, "Origin": "http://evil.example"}, 403),
        ({**browser.jar, "Origin": browser.url, "Sec-Fetch-Site": "cross-site"}, 403),
        (browser.jar, 403),
        ({"Origin": browser.url}, 401),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await connect(headers)
        assert status == caught.value.status


async def test_a_cookie_that_comes_too_late(place, caplog):
    """Once the headers are sent nobody can be signed out; the session stays as it is."""
    browser = await place.browser().sign_in()

    with pytest.raises(aiohttp.ClientError):
        await browser.ask("/stream", x_late="1")

    assert 200 == (await browser.ask("/me")).status


async def test_what_nobody_has_looked_for(place):
    """Asking for it is an error of the application's, which is said."""
    browser = await place.browser().sign_in()

    assert 500 == (await browser.ask("/unasked")).status


async def test_no_cookie_is_logged(place, caplog):
    """Whatever happens."""
    caplog.set_level(logging.DEBUG, "async_auth")
    browser = await place.browser().sign_in()
    ((name, value),) = browser.cookies.items()
    await browser.ask("/me", "POST", site="cross-site")
    await browser.ask("/rotate", "POST")
    await browser.ask("/logout", "POST")
    browser.cookies = {name: value}
    await browser.ask("/me")

    assert value[:20] not in caplog.text
    assert value[-20:] not in caplog.text


async def test_cookies_are_host_cookies_where_pages_are_https(place):
    """Behind a proxy that speaks https the application itself may well not."""
    place.urls = [await place.replica(origins="https://app.example.com")]
    browser = place.browser()

    (cookie,) = (await browser.ask("/login", "POST", Origin="https://app.example.com")).cookies

    assert cookie.startswith("__Host-session=")
    assert "Secure" in cookie
    assert 403 == (await browser.ask("/me", "POST", site=None, Origin=browser.url)).status
    assert 200 == (await browser.ask("/me")).status


@pytest.mark.parametrize(
    "install",
    [
        lambda: setup_web_sessions(web.Application(), object()),
        lambda: WebSessionMiddleware(None, object()),
    ],
)
def test_what_is_no_web_sessions(install):
    """It is refused when the application is made."""
    with pytest.raises(ConfigurationError, match="sessions must be"):
        install()


async def test_without_the_middleware(place):
    """What needs it says so."""
    request = {"type": "http", "headers": []}
    for call in (web_session, optional_web_session):
        with pytest.raises(ConfigurationError, match="middleware"):
            await call(request)
    with pytest.raises(ConfigurationError, match="middleware"):
        web_session_of(request)


async def test_many_browsers_at_once(place):
    """Each has its own session."""
    browsers = await asyncio.gather(*(place.browser().sign_in() for _ in range(10)))

    users = await asyncio.gather(*(browser.ask("/me") for browser in browsers))

    assert 10 == len({tuple(browser.cookies.values()) for browser in browsers})
    assert {200} == {answer.status for answer in users}
