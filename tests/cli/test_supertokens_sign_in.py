"""Signing in at an API before SuperTokens: the recipe's way, an application's own, and refusals."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from async_auth import errors
from async_auth.cli import exit_codes
from async_auth.cli.profile_file import read_profiles
from async_auth.cli.supertokens_sign_in import read_refusal, sign_in_request
from async_auth.http_messages import Response
from async_auth.integrations.aiohttp import setup_supertokens
from async_auth.supertokens import AppInfo, SuperTokensBackend
from async_auth.testing import SuperTokensCoreServer

EMAIL, PASSWORD = "ada@example.com", "correct-horse-battery"


@pytest.fixture
async def api(make_key):
    """Run an API with the recipe's route and one of its own; return its address."""
    async with SuperTokensCoreServer(make_key=make_key) as core:
        url = "http://127.0.0.1"
        backend = SuperTokensBackend(core.url, app=AppInfo("bots", url, url))

        async def signin(request):
            body = await request.json()
            fields = {field["id"]: field["value"] for field in body["formFields"]}
            if fields != {"email": EMAIL, "password": PASSWORD}:
                return web.json_response({"status": "WRONG_CREDENTIALS_ERROR"})
            await backend.create_new_session(request, None, "ada")
            return web.json_response({"status": "OK"})

        async def login(request):
            body = await request.json()
            assert {"email": EMAIL, "password": PASSWORD} == body
            await backend.create_new_session(request, None, "ada")
            return web.json_response({})

        async def nothing(_):
            return web.json_response({"status": "OK"})

        app = web.Application()
        routes = {"/auth/signin": signin, "/login": login, "/nothing": nothing}
        app.add_routes([web.post(path, handler) for path, handler in routes.items()])
        setup_supertokens(app, backend, close_backend=True)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"{url}:{runner.addresses[0][1]}"
        await runner.cleanup()


@pytest.fixture
def login(invoke, api):
    """Return a function that signs in there."""

    async def login(*options, password=PASSWORD):
        arguments = ("login", "--supertokens", api, "--email", EMAIL, "--password-stdin")
        return await invoke(*arguments, *options, typed=f"{password}\n")

    return login


@pytest.mark.parametrize("options", [(), ("--sign-in-path", "/login"), ("--sign-in-path", "login")])
async def test_a_session_from_the_first_to_the_last(login, invoke, options):
    """Signed in, a token, a doctor who is content, signed out."""
    done = await login(*options)
    status = json.loads((await invoke("status", "--json")).stdout)
    token = await invoke("token")
    doctor = await invoke("doctor")
    out = await invoke("logout")

    assert (0, "") == (done.exit_code, done.stderr)
    assert ("supertokens", EMAIL) == (status["kind"], read_profiles().chosen(None).account)
    assert "ada" == status["user"]
    assert 3 == len(token.stdout.split("."))
    assert 0 == doctor.exit_code, doctor.stdout
    assert 0 == out.exit_code
    assert exit_codes.SIGN_IN == (await invoke("token")).exit_code


async def test_the_route_is_remembered(login, invoke):
    """The second time nothing has to be said."""
    await login("--sign-in-path", "/login")
    done = await invoke("login", "--password-stdin", typed=f"{PASSWORD}\n")

    assert (0, "") == (done.exit_code, done.stderr)


async def test_an_expired_token_is_refreshed(login, invoke, stored):
    """By the protocol of SuperTokens."""
    await login()
    session = (await stored()).session
    changes = {name: session[name] - 7200 for name in ("expires_at", "issued_at")}
    await stored(**changes)
    done = await invoke("token")

    assert (0, 2) == (done.exit_code, (await stored()).generation)


async def test_a_wrong_password(login, stored):
    """The recipe says that in a 200."""
    done = await login(password="wrong-wrong")

    assert exit_codes.REFUSED == done.exit_code
    assert "Error: Wrong address or password." in done.stderr
    assert None is await stored()


async def test_an_answer_without_a_session(login, stored):
    """Is no sign-in."""
    done = await login("--sign-in-path", "/nothing")

    assert exit_codes.REFUSED == done.exit_code
    assert "its answer has no session" in done.stderr


async def test_a_route_that_is_not_there(login):
    """The message says which option names another."""
    done = await login("--sign-in-path", "/nowhere")

    assert exit_codes.REFUSED == done.exit_code
    assert "The API has nothing at /nowhere" in done.stderr


async def test_scopes_are_gotrues(login, invoke):
    """They would be passed over in silence."""
    await login()
    done = await invoke("logout", "--scope", "global")

    assert exit_codes.USAGE == done.exit_code


@pytest.mark.parametrize(
    "recipe, account, expected",
    [
        (False, EMAIL, {"email": EMAIL, "password": "p"}),
        (False, "+4915", {"phone": "+4915", "password": "p"}),
        (
            True,
            EMAIL,
            {"formFields": [{"id": "email", "value": EMAIL}, {"id": "password", "value": "p"}]},
        ),
    ],
)
def test_the_request(recipe, account, expected):
    """Tokens are asked for in headers; the password is in the body, which nobody prints."""
    request = sign_in_request("http://x/s", account=account, password="p", recipe=recipe)

    assert expected == json.loads(request.body)
    assert ("POST", "header") == (request.method, request.headers["st-auth-mode"])
    assert "4915" not in repr(request)


@pytest.mark.parametrize(
    "status, body, kind, text",
    [
        (200, {"status": "OK"}, None, ""),
        (200, {}, None, ""),
        (204, b"", None, ""),
        (200, b"<html>", None, ""),
        (200, {"status": "WRONG_CREDENTIALS_ERROR"}, errors.InvalidCredentials, "Wrong address"),
        (401, {"message": "no such user"}, errors.InvalidCredentials, "no such user"),
        (403, b"", errors.InvalidCredentials, "Wrong address"),
        (
            200,
            {"status": "FIELD_ERROR", "formFields": [{"id": "email", "error": "Odd"}, 1]},
            errors.ApiError,
            "Odd",
        ),
        (200, {"status": "SIGN_IN_NOT_ALLOWED", "reason": "Not you"}, errors.ApiError, "Not you"),
        (200, {"status": 7}, errors.ApiError, "The API refused."),
        (302, b"", errors.ApiError, "The API refused."),
        (400, {"message": "hush-hush is short"}, errors.ApiError, "[redacted] is short"),
        (404, b"", errors.ApiError, "The API has nothing at /s"),
        (429, b"", errors.RateLimited, "Too many"),
        (503, b"", errors.ServerUnavailable, "for now"),
    ],
)
def test_answers(status, body, kind, text):
    """What each means; none repeats the password."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Response(status, {"Retry-After": "7"}, content)
    error = read_refusal(response, path="/s", password="hush-hush")

    assert kind is (None if error is None else type(error))
    assert text in str(error)
    assert status != 429 or error.retry_after == 7
