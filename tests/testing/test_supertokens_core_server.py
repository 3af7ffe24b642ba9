"""The embedded core as a back end and its tests see it: calls, keys, faults, outages."""

from __future__ import annotations

import asyncio
import base64
import json

import aiohttp
import pytest

from async_auth.core import jwt
from async_auth.errors import ConfigurationError
from async_auth.testing import ManualClock, SuperTokensCoreServer

REFRESH = "/recipe/session/refresh"
SESSION = "/recipe/session"
WEEK = 168 * 3600


def claims(answer):
    """Return the claims of an answer's access token."""
    return jwt.peek(answer["accessToken"]["token"]).claims


async def until(condition):
    """Give the loop's other tasks their turns until the condition holds."""
    while not condition():  # noqa: ASYNC110 - counters and clocks set no event
        await asyncio.sleep(0)


def handle(answer):
    """Return the handle of an answer's session."""
    return answer["session"]["handle"]


# ── sessions ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "version, token_version, fields",
    [
        ("2.20", "2", ["handle", "userId", "userDataInJWT"]),
        ("2.21", "3", ["handle", "userId", "userDataInJWT"]),
        ("3.1", "4", ["handle", "userId", "userDataInJWT", "tenantId"]),
        ("4.0", "5", ["handle", "userId", "recipeUserId", "userDataInJWT", "tenantId"]),
        (None, "5", ["handle", "userId", "recipeUserId", "userDataInJWT", "tenantId"]),
    ],
)
async def test_each_version_has_its_tokens_and_fields(core_call, version, token_version, fields):
    """What is issued by a version of the interface can be verified and refreshed by it."""
    caller = await core_call(version)
    created = await caller.create(userDataInJWT={"role": "tester"})
    header = json.loads(base64.b64decode(created["accessToken"]["token"].split(".")[0] + "=="))

    extra = {} if version == "2.20" else {"checkDatabase": True}
    verified = await caller.verify(created, **extra)
    refreshed = await caller.refresh(created)
    swapped = await caller.verify(refreshed, **extra)

    assert (token_version, fields) == (header["version"], list(created["session"]))
    assert created["session"] == verified["session"] == swapped["session"]
    assert "OK" == refreshed["status"] == swapped["status"]
    assert (version is not None) == ("accessToken" in swapped)


async def test_the_oldest_versions_bring_their_keys_along(core_call):
    """Up to CDI 2.20 the answers of verify carry the keys, whether the token is good or not."""
    caller = await core_call("2.20")
    good = await caller.verify(await caller.create())
    bad = await caller.verify("garbage")

    keys = good["jwtSigningPublicKeyList"]
    assert [keys[0]["publicKey"]] == [good["jwtSigningPublicKey"]] == [bad["jwtSigningPublicKey"]]
    assert "io.supertokens.session.jwt.JWT$JWTException: Invalid JWT" == bad["message"]


async def test_tenants_are_in_the_path(core_call):
    """A session's tenant is in its handle and token, and narrows what is listed and removed."""
    caller = await core_call("5.4")
    public = handle(await caller.create(tenant="/public"))
    created = await caller.create(tenant="/t1")
    other = handle(await caller.create(tenant="/t1"))
    listed = "/recipe/session/user?userId=ann"

    assert "t1" == created["session"]["tenantId"] == claims(created)["tId"]
    assert handle(created).endswith("_t1")
    assert handle(created) == handle(await caller.verify(created))
    everywhere = await caller.answer("GET", listed)
    assert [public, handle(created), other] == everywhere["sessionHandles"]
    here = await caller.answer("GET", f"/t1{listed}&fetchAcrossAllTenants=false")
    assert [handle(created), other] == here["sessionHandles"]
    removed = await caller.answer(
        "POST", f"/t1{SESSION}/remove", {"userId": "ann", "revokeAcrossAllTenants": False}
    )
    assert [handle(created), other] == removed["sessionHandlesRevoked"]
    assert [public] == list(caller.core.sessions)


async def test_anti_csrf_tokens_rotate_with_the_pair(core_call):
    """Refresh and verify want the token of the pair before them; the next pair has another."""
    caller = await core_call("5.4")
    first = await caller.create(enableAntiCsrf=True)

    refused = await caller.refresh(first, enableAntiCsrf=True, antiCsrfToken="wrong")
    second = await caller.refresh(first, enableAntiCsrf=True, antiCsrfToken=first["antiCsrfToken"])

    assert {
        "status": "UNAUTHORISED",
        "message": "Anti CSRF token missing, or not matching",
    } == refused
    assert first["antiCsrfToken"] != second["antiCsrfToken"] == claims(second)["antiCsrfToken"]
    usual = {"enableAntiCsrf": True, "doAntiCsrfCheck": True}
    stale = await caller.verify(second, antiCsrfToken=first["antiCsrfToken"], **usual)
    assert {"status": "TRY_REFRESH_TOKEN", "message": "anti-csrf check failed"} == stale
    good = await caller.verify(second, antiCsrfToken=second["antiCsrfToken"], **usual)
    assert second["antiCsrfToken"] == claims(good)["antiCsrfToken"]


async def test_a_session_begun_without_anti_csrf_refreshes_with_it(core_call):
    """There is nothing to compare with yet; the next pair is bound."""
    caller = await core_call("5.4")

    answer = await caller.refresh(await caller.create(), enableAntiCsrf=True)

    assert answer["antiCsrfToken"] == claims(answer)["antiCsrfToken"]


async def test_a_payload_that_was_changed_elsewhere(core_call):
    """A look into the database brings it: in a new token up to 5.5, as a hint from 5.6."""
    caller = await core_call("5.4")
    created = await caller.create(userDataInJWT={"role": "a"})
    body = {"sessionHandle": handle(created), "userDataInJWT": {"role": "b"}}
    await caller.answer("PUT", "/recipe/jwt/data", body)

    unasked = await caller.verify(created)
    asked = await caller.verify(created, checkDatabase=True)
    caller.version = "5.6"
    hint = await caller.verify(created, checkDatabase=True)

    assert ({"role": "a"}, False) == (unasked["session"]["userDataInJWT"], "accessToken" in unasked)
    assert "b" == asked["session"]["userDataInJWT"]["role"] == claims(asked)["role"]
    assert claims(created)["exp"] == claims(asked)["exp"]
    assert (True, "a") == (hint["payloadUpdateAvailable"], hint["session"]["userDataInJWT"]["role"])
    assert "accessToken" not in hint


async def test_regenerating_keeps_the_expiry(core_call):
    """The new token has the new payload, the old expiry and a later beginning."""
    caller = await core_call("5.6")
    created = await caller.create(userDataInJWT={"role": "a"})
    await caller.clock.advance(60)
    body = {"accessToken": created["accessToken"]["token"]}
    path = f"{SESSION}/regenerate"

    changed = await caller.answer("POST", path, {**body, "userDataInJWT": {"role": None}})
    same = await caller.answer("POST", path, body)

    assert {"role": None} == changed["session"]["userDataInJWT"] == same["session"]["userDataInJWT"]
    before, after = claims(created), claims(changed)
    assert (before["exp"], before["iat"] + 60, None) == (after["exp"], after["iat"], after["role"])
    caller.core.revoke_session(handle(created))
    gone = await caller.answer("POST", path, body)
    assert {"status": "UNAUTHORISED", "message": "Session does not exist."} == gone


async def test_sessions_end_and_are_gone(core_call):
    """A session past its end is listed, found, refreshed and removed nowhere."""
    caller = await core_call("5.6", access_token_validity=10, refresh_token_validity=60)
    created = await caller.create()
    await caller.clock.advance(59)
    refreshed = await caller.refresh(created)
    await caller.clock.advance(59)
    assert [handle(created)] == list(caller.core.sessions)
    await caller.clock.advance(1)

    assert {} == caller.core.sessions
    assert "UNAUTHORISED" == (await caller.refresh(refreshed))["status"]
    listed = await caller.answer("GET", f"{SESSION}/user?userId=ann")
    assert [] == listed["sessionHandles"]
    body = {"sessionHandles": [handle(created)]}
    assert [] == (await caller.answer("POST", f"{SESSION}/remove", body))["sessionHandlesRevoked"]
    assert (
        "Session does not exist."
        == (await caller.answer("GET", f"{SESSION}?sessionHandle={handle(created)}"))["message"]
    )


@pytest.mark.parametrize(
    "version, database, message",
    [
        ("5.4", False, "Session missing in db"),
        ("5.4", True, "Either the session has ended or has been blacklisted"),
        ("5.6", True, "Either the session has ended or has been blacklisted"),
    ],
)
async def test_an_unused_token_of_a_removed_session(core_call, version, database, message):
    """Where the core looks, it says that the session is gone."""
    caller = await core_call(version)
    pair = await caller.refresh(await caller.create())
    caller.core.revoke_sessions("ann")

    answer = await caller.verify(pair, checkDatabase=database)

    assert {"status": "UNAUTHORISED", "message": message} == answer


async def test_a_shorter_life_can_be_asked_for(core_call):
    """From CDI 5.6 a caller shortens an access token's life; before, the wish is not read."""
    caller = await core_call("5.6")
    short = claims(await caller.create(accessTokenValidity=5000))
    caller.version = "5.4"
    long = claims(await caller.create(accessTokenValidity=5000))

    assert (5, 3600) == (short["exp"] - short["iat"], long["exp"] - long["iat"])


async def test_jitter_shortens_lives(core_call):
    """An access token loses up to that part of its life; the draw is the caller's."""
    caller = await core_call("5.4", access_token_jitter=0.05, random=lambda: 0.5)
    made = claims(await caller.create())

    assert 3510 == made["exp"] - made["iat"]


@pytest.mark.parametrize("steps, subtype", [(0, "RECENT_PREV"), (1, "STALE_LINEAGE")])
async def test_reuse_may_be_reported_as_unauthorised(core_call, steps, subtype):
    """A recent token's reuse is reported as the core is told to, a stale one's always as theft."""
    caller = await core_call("5.6", reuse_behaviour="UNAUTHORISED")
    first = pair = await caller.create()
    for _ in range(1 + steps):
        pair = await caller.refresh(pair)
    await caller.clock.advance(60)

    answer = await caller.refresh(first)

    status = "UNAUTHORISED" if subtype == "RECENT_PREV" else "TOKEN_THEFT_DETECTED"
    assert (status, subtype) == (answer["status"], answer["recentTokenReuseSubtype"])
    assert {} == caller.core.sessions


# ── tokens that are none ───────────────────────────────────────────────────────────────────────


async def test_foreign_and_changed_refresh_tokens_are_refused(core_call):
    """A token of another core, and one that was changed, are unauthorised, and no theft."""
    caller, other = await core_call("5.4"), await core_call("5.4")
    pair = await caller.create()
    token = pair["refreshToken"]["token"]
    sealed, nonce, _ = token.split(".")
    bad = [
        (await other.create())["refreshToken"]["token"],
        f"{sealed}.{nonce[::-1]}.V2",
        f"{sealed[::-1]}.{nonce}.V2",
        f"é.{nonce}.V2",
        f"{sealed}.{nonce}.V1",
        "",
    ]

    answers = [await caller.refresh({"refreshToken": {"token": text}}) for text in bad]

    assert ["UNAUTHORISED"] * len(bad) == [answer["status"] for answer in answers]
    assert "version of refresh token not recognised" in answers[-2]["message"]
    assert "OK" == (await caller.refresh(pair))["status"]


def segment(value):
    """Return a JSON value as a segment of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c",
        "x",
        f"{segment([])}.{segment({})}.AAAA",
        f"{segment({'version': 'five'})}.{segment({})}.AAAA",
        f"{segment({'version': 1e400})}.{segment({})}.AAAA",
        f"é.{segment({})}.AAAA",
    ],
)
async def test_what_is_no_token_is_invalid(core_call, token):
    """Nothing that a caller sends as an access token makes the core fail in verify."""
    caller = await core_call("5.4")

    answer = await caller.verify(token)

    assert {
        "status": "TRY_REFRESH_TOKEN",
        "message": "io.supertokens.session.jwt.JWT$JWTException: Invalid JWT",
    } == answer


async def test_any_claims_can_be_signed(core_call):
    """`sign()` makes what the core would never issue; what it lacks is missed."""
    caller = await core_call("5.4")
    good = claims(await caller.create())
    sign = caller.core.sign

    verdicts = [
        (await caller.verify(sign(said, headers=headers))).get("message", "OK")
        for said, headers in [
            (good, {}),
            ({**good, "exp": 1}, {}),
            ({**good, "sub": None}, {}),
            ({**good, "exp": float("inf")}, {}),
            ({name: value for name, value in good.items() if name != "tId"}, {}),
            (good, {"kid": "d-1"}),
        ]
    ]

    incomplete = (
        "Access token does not contain all the information. Maybe the structure has changed?"
    )
    assert [
        "OK",
        "Access token expired",
        incomplete,
        incomplete,
        incomplete,
        "io.supertokens.session.jwt.JWT$JWTException: JWT verification failed",
    ] == verdicts
    static = caller.core.sign(good, static_key=True)
    assert "OK" == (await caller.verify(static))["status"]


# ── requests that are none ─────────────────────────────────────────────────────────────────────

CREATE = {"userId": "ann", "userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": False}
SPEND = {"refreshToken": "x", "enableAntiCsrf": False}


@pytest.mark.parametrize(
    "method, path, body, status, text",
    [
        ("POST", SESSION, b"[]", 400, "Invalid Json Input"),
        ("POST", SESSION, b"\xff", 400, "Invalid Json Input"),
        ("POST", SESSION, b"[" * 100_000, 400, "Invalid Json Input"),
        ("POST", SESSION, {**CREATE, "userId": 1}, 400, "Field name 'userId' is invalid"),
        ("POST", SESSION, {**CREATE, "userId": None}, 400, "Field name 'userId' is invalid"),
        ("POST", SESSION, {**CREATE, "enableAntiCsrf": 1}, 400, "Field name 'enableAntiCsrf' is"),
        ("POST", SESSION, {**CREATE, "userDataInJWT": []}, 400, "Field name 'userDataInJWT' is"),
        ("POST", SESSION, {**CREATE, "userDataInJWT": {"sub": 1}}, 400, "The user payload contai"),
        ("POST", SESSION, {**CREATE, "accessTokenValidity": True}, 400, "Field name 'accessToken"),
        ("POST", SESSION, {**CREATE, "accessTokenValidity": 0}, 400, "accessTokenValidity must be"),
        ("POST", REFRESH, SPEND, 400, "Field name 'useDynamicSigningKey' is invalid"),
        ("POST", f"{SESSION}/remove", {}, 400, "Invalid JSON input - use one of userId or"),
        (
            "POST",
            f"{SESSION}/remove",
            {"sessionHandles": ["a"], "revokeAcrossAllTenants": True},
            400,
            "Invalid JSON input - revokeAcrossAllTenants can only be set if userId is set",
        ),
        ("POST", f"{SESSION}/remove", {"sessionHandles": [1]}, 400, "Field name 'sessionHandles'"),
        ("GET", SESSION, None, 400, "Field name 'sessionHandle' is missing in GET request"),
        ("DELETE", SESSION, None, 405, "Method not supported"),
        ("POST", "/hello", None, 405, "Method not supported"),
        ("POST", "/apiversion", None, 405, "Method not supported"),
        ("GET", "/t1/nope", None, 404, "Not found"),
        ("GET", "/appid-a/recipe/session/user?userId=ann", None, 404, "Not found"),
    ],
)
async def test_bad_requests_are_refused_in_plain_text(core_call, method, path, body, status, text):
    """What is wrong with a request is said in the core's words, and nothing is done."""
    caller = await core_call("5.6")

    reply = await caller.ask(method, path, body)

    assert (status, True) == (reply.status, reply.text.startswith(text)), reply.text
    assert "text/html;charset=UTF-8" == reply.headers["Content-Type"]
    assert reply.text.endswith("\n")
    assert {} == caller.core.sessions


async def test_a_refresh_need_not_name_the_kind_of_key_before_5_0(core_call):
    """Then the session keeps the kind that it has; a refresh that names one changes it."""
    caller = await core_call("4.0")
    created = await caller.create(useDynamicSigningKey=False)
    body = {"refreshToken": created["refreshToken"]["token"], "enableAntiCsrf": False}

    kept = await caller.answer("POST", REFRESH, body)
    changed = await caller.refresh(created, useDynamicSigningKey=True)

    kids = [jwt.peek(each["accessToken"]["token"]).header["kid"][:2] for each in (kept, changed)]
    assert ["s-", "d-"] == kids
    assert [False] == [row.static_key for row in caller.core.sessions.values()]


async def test_half_a_character_does_no_harm(core_call):
    """Text that UTF-8 cannot write comes back replaced."""
    caller = await core_call("5.4")
    user = {**CREATE, "userId": "a\ud800"}

    answer = await caller.answer("POST", SESSION, json.dumps(user).encode())

    assert "a?" == answer["session"]["userId"]
    assert "OK" == (await caller.verify(answer))["status"]


async def test_api_keys(core_call):
    """Where keys are configured, every call wants one of them; hello and the JWK set do not."""
    caller = await core_call("5.4", api_keys=["one", "two"])

    for path, open_to_all in [("/hello", True), ("/apiversion", False), (f"{SESSION}/user", False)]:
        reply = await caller.ask("GET", path)
        assert (200 if open_to_all else 401) == reply.status
    reply = await caller.ask("GET", "/apiversion", headers={"api-key": "two"})
    assert 200 == reply.status
    assert "Invalid API key\n" == (await caller.ask("GET", "/recipe/jwt/jwks")).text


async def test_the_newest_version_answers_who_names_none(core_call):
    """Without the header the newest version decides which algorithm it is."""
    caller = await core_call(None, cdi_versions=["5.6", "5.4"])
    first = await caller.create()
    await caller.refresh(first)
    await caller.clock.advance(60)

    assert "RECENT_PREV" == (await caller.refresh(first))["recentTokenReuseSubtype"]
    assert {"versions": ["5.6", "5.4"]} == await caller.answer("GET", "/apiversion")


# ── keys ───────────────────────────────────────────────────────────────────────────────────────


def kid(answer):
    """Return the key that signed an answer's access token."""
    return jwt.peek(answer["accessToken"]["token"]).header["kid"]


async def published(caller):
    """Return the kids of the JWK set and for how long it says that it stays."""
    reply = await caller.ask("GET", "/.well-known/jwks.json")
    max_age, _, revalidate = reply.headers["Cache-Control"].partition(", ")
    assert "must-revalidate" == revalidate
    return [key["kid"] for key in reply.json["keys"]], int(max_age.removeprefix("max-age="))


async def test_keys_take_turns_by_themselves(core_call):
    """A successor is published a minute before it signs; the old one stays two token lives."""
    caller = await core_call("5.4", access_token_validity=100)
    kids, max_age = await published(caller)
    old = await caller.create()
    assert (2, kid(old), WEEK - 60) == (len(kids), kids[0], max_age)

    await caller.clock.advance(max_age)
    ahead, _ = await published(caller)
    assert [ahead[0], *kids] == ahead
    assert kids[0] == kid(await caller.create())
    await caller.clock.advance(60)
    assert ahead[0] == kid(await caller.create())
    await caller.clock.advance(199)
    assert ahead == (await published(caller))[0]
    await caller.clock.advance(1)
    assert [ahead[0], kids[1]] == (await published(caller))[0]


async def test_a_clock_that_jumps_over_many_turns_makes_one_key(core_call):
    """After a long sleep there is one new key, and it signs at once."""
    caller = await core_call("5.4")
    kids, _ = await published(caller)

    await caller.clock.advance(10 * WEEK)

    after, max_age = await published(caller)
    assert (2, after[0], WEEK - 60) == (len(after), kid(await caller.create()), max_age)
    assert kids[1:] == after[1:]


@pytest.mark.parametrize("keep_old", [True, False])
async def test_keys_can_be_rotated(core_call, keep_old):
    """A rotation on demand signs anew at once; old tokens are good while their key is kept."""
    caller = await core_call("5.4")
    old = await caller.create()

    caller.core.rotate_keys(keep_old=keep_old)

    new = await caller.create()
    kids, _ = await published(caller)
    assert kid(old) != kid(new) == kids[0]
    assert keep_old == (kid(old) in kids)
    status = "OK" if keep_old else "TRY_REFRESH_TOKEN"
    assert status == (await caller.verify(old))["status"]
    jwt.verify(
        new["accessToken"]["token"],
        caller.core.jwks(),
        algorithms=["RS256"],
        now=caller.clock.now(),
    )


# ── outages and faults ─────────────────────────────────────────────────────────────────────────


async def test_an_outage_keeps_everything(core_call):
    """Down and up again it is on the same port, with its sessions and keys."""
    caller = await core_call("5.4")
    created, url = await caller.create(), caller.core.url

    await caller.core.stop()
    await caller.core.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.verify(created)
    await caller.core.start()
    await caller.core.start()

    assert url == caller.core.url
    assert "OK" == (await caller.verify(created, checkDatabase=True))["status"]


@pytest.mark.parametrize(
    "lose_memory, message",
    [
        (False, None),
        (True, "javax.crypto.AEADBadTagException: Tag mismatch"),
    ],
)
async def test_a_restart(core_call, lose_memory, message):
    """A core without a database loses sessions and keys; no new key is named as an old one."""
    caller = await core_call("5.4")
    created = await caller.create()
    kids, _ = await published(caller)

    await caller.core.restart(lose_memory=lose_memory)

    assert message == (await caller.refresh(created)).get("message")
    assert lose_memory == (kids != (await published(caller))[0])
    assert lose_memory == ("OK" != (await caller.verify(created))["status"])
    assert "OK" == (await caller.create())["status"]


async def test_a_core_that_hangs(core_call):
    """While it is paused requests are taken and counted, and answered when it goes on."""
    caller = await core_call("5.4")
    created = await caller.create()
    caller.core.pause()
    caller.core.pause()

    waiting = asyncio.ensure_future(caller.refresh(created))
    await until(lambda: caller.core.counts[REFRESH])

    assert (False, 0) == (waiting.done(), caller.core.counts[f"{REFRESH} 200"])
    caller.core.resume()
    caller.core.resume()
    assert "OK" == (await waiting)["status"]
    assert 1 == caller.core.counts[f"{REFRESH} 200"]


async def test_a_core_that_hangs_can_be_stopped(core_call):
    """Stopping does not wait for what it holds up; started again it is still paused."""
    caller = await core_call("5.4")
    created = await caller.create()
    caller.core.pause()
    waiting = asyncio.ensure_future(caller.refresh(created))
    await until(lambda: caller.core.counts[REFRESH])

    await caller.core.restart()

    with pytest.raises(aiohttp.ClientConnectionError):
        await waiting
    caller.core.resume()
    assert "OK" == (await caller.refresh(created))["status"]


async def test_faults(core_call):
    """What is asked for goes wrong, so often, and the work is done or not as was said."""
    caller = await core_call("5.6")
    created = await caller.create()
    faults, row = caller.core.faults, caller.core.sessions[handle(created)]
    token = {"refreshToken": created["refreshToken"]["token"], **SPEND}
    token |= {"refreshToken": created["refreshToken"]["token"], "useDynamicSigningKey": True}

    faults.add(REFRESH, status=429, retry_after=2)
    reply = await caller.ask("POST", REFRESH, token)
    assert (429, "2", "429\n") == (reply.status, reply.headers["Retry-After"], reply.text)
    faults.add(REFRESH, status=503, body="<h1>no</h1>", times=2)
    for _ in range(2):
        reply = await caller.ask("POST", REFRESH, token)
        assert (503, "<h1>no</h1>") == (reply.status, reply.text)
    faults.add(REFRESH, drop="before")
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.ask("POST", REFRESH, token)
    faults.add(REFRESH, body={"status": "NEW_ONE"})
    assert {"status": "NEW_ONE"} == (await caller.ask("POST", REFRESH, token)).json
    assert row == caller.core.sessions[handle(created)]

    faults.add(REFRESH, delay=5)
    slow = asyncio.ensure_future(caller.ask("POST", REFRESH, token))
    await until(lambda: caller.clock.sleepers)
    assert not slow.done()
    await caller.clock.advance(5)
    assert "OK" == (await slow).json["status"]
    assert 0 == len(faults)
    assert (6, 1) == (caller.core.counts[REFRESH], caller.core.counts[f"{REFRESH} 429"])


async def test_two_cores_on_one_database(core_call):
    """A replica knows the sessions and keys of the first, and has its own faults and counts."""
    caller = await core_call("5.6")
    created = await caller.create()

    async with caller.core.replica() as other:
        caller.core.faults.add("*", status=500, times=None)
        url, caller.core = caller.core.url, other
        assert url != other.url
        assert "OK" == (await caller.verify(created, checkDatabase=True))["status"]
        assert {SESSION + "/verify": 1, SESSION + "/verify 200": 1} == other.counts
        await other.restart(lose_memory=True)
        assert {} == other.sessions


# ── the object itself ──────────────────────────────────────────────────────────────────────────


async def test_it_says_where_it_is_and_no_more():
    """Its repr counts; neither keys nor tokens are in any repr."""
    core = SuperTokensCoreServer(clock=ManualClock(), api_keys=["secret-key"])
    assert "<SuperTokensCoreServer closed sessions=0>" == repr(core)
    with pytest.raises(ConfigurationError, match="not started"):
        _ = core.url

    async with core:
        answer = core.create_session("ann", payload={"role": "tester"})
        assert f"<SuperTokensCoreServer {core.url} sessions=1>" == repr(core)
        rows = repr(core.sessions)
        assert "ann" in rows
        assert "tester" not in rows
        assert answer["refreshToken"]["token"] not in rows
    await core.aclose()
    assert repr(core).startswith("<SuperTokensCoreServer closed")


async def test_sessions_can_be_begun_without_a_request(core_call):
    """What comes back is what a request would have been answered."""
    caller = await core_call("5.4")
    made = caller.core.create_session(
        "ann", data={"k": 1}, tenant_id="t1", anti_csrf=True, static_key=True, cdi_version="3.0"
    )

    assert ("ann", "t1") == (made["session"]["userId"], made["session"]["tenantId"])
    assert "recipeUserId" not in made["session"]
    assert kid(made).startswith("s-")
    assert made["antiCsrfToken"] == claims(made)["antiCsrfToken"]
    assert {"k": 1} == caller.core.sessions[handle(made)].data
    assert 0 == caller.core.counts.total()
    assert "OK" == (await caller.verify(made))["status"]
    with pytest.raises(ConfigurationError, match="cdi_version must be one of"):
        caller.core.create_session("ann", cdi_version="9.9")


def test_keys_are_made_by_whoever_is_asked(make_key):
    """Each key of a core is one of its own: the first, the static one, and each that follows."""
    made = []
    core = SuperTokensCoreServer(make_key=lambda: made.append(make_key()) or made[-1])
    core.rotate_keys()

    shown = [key["n"] for key in core.jwks()["keys"]]

    assert 3 == len(made) == len(set(shown))
    assert {key.public_key().public_numbers().n for key in made} == {
        int.from_bytes(base64.urlsafe_b64decode(n + "=="), "big") for n in shown
    }


@pytest.mark.parametrize(
    "options, text",
    [
        ({"access_token_validity": 0}, "access_token_validity must be more than 0"),
        ({"refresh_token_validity": 3600}, "refresh_token_validity must be more than"),
        ({"grace": 301}, "grace must be 0 to 300"),
        ({"reuse_behaviour": "THEFT"}, "reuse_behaviour must be one of"),
        ({"access_token_jitter": 1.5}, "access_token_jitter must be 0 to 1"),
        ({"key_update_interval": 0}, "key_update_interval must be more than 0"),
        ({"make_key": None}, "make_key must be a function"),
        ({"cdi_versions": []}, "cdi_versions must be some of"),
        ({"cdi_versions": ["5.4", "9.9"]}, "got 9.9"),
        ({"api_keys": "a-key"}, "api_keys must be several"),
    ],
)
def test_options_are_checked(options, text):
    """A value that no core could have is refused by its name."""
    with pytest.raises(ConfigurationError, match=text):
        SuperTokensCoreServer(**options)
