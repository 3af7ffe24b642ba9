"""gotrue/requests.py: what goes to the server."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.core.plain_json import MAX_DEPTH, MAX_LENGTH
from async_auth.errors import AuthSessionMissing, ConfigurationError, Malformed
from async_auth.gotrue import requests
from async_auth.gotrue.requests import Endpoint, secrets_in
from async_auth.http_messages import Request

API = Endpoint("http://127.0.0.1:9999", "anon-key")


def test_every_request_carries_the_same_headers() -> None:
    """The API key goes along twice, with the API version and our name."""
    request = requests.health_request(API)
    assert ("GET", "http://127.0.0.1:9999/health") == (request.method, request.url)
    assert "anon-key" == request.headers["apikey"]
    assert "Bearer anon-key" == request.headers["Authorization"]
    assert "2024-01-01" == request.headers["X-Supabase-Api-Version"]
    assert request.headers["X-Client-Info"].startswith("async_auth/")
    assert b"" == request.body
    assert "Content-Type" not in request.headers


def test_without_an_api_key_there_is_no_authorization() -> None:
    """A bare GoTrue gets neither header."""
    request = requests.settings_request(Endpoint("http://localhost:9999"))
    assert "http://localhost:9999/settings" == request.url
    assert "apikey" not in request.headers
    assert "Authorization" not in request.headers


def test_the_users_headers_win_whatever_their_case() -> None:
    """Headers that the user gives replace ours, repeats and all."""
    api = Endpoint(
        "https://example.com",
        "anon-key",
        headers=[("APIKEY", "mine"), ("authorization", "Basic x"), ("X-A", "1"), ("x-a", "2")],
    )
    headers = requests.user_request(api, "token").headers
    assert ["mine"] == headers.getall("apikey")
    assert ["Basic x"] == headers.getall("Authorization")
    assert ["1", "2"] == headers.getall("X-A")
    assert "X-Client-Info" in headers


def test_a_path_in_the_url_is_kept_and_its_last_slash_dropped() -> None:
    """Supabase's prefix stays in front of every path."""
    for url in ("https://x.supabase.co/auth/v1", "https://x.supabase.co/auth/v1/"):
        assert "https://x.supabase.co/auth/v1/health" == requests.health_request(Endpoint(url)).url


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://LOCALHOST:9999",
        "http://auth.localhost/",
        "http://localhost.:1",
        "http://127.0.0.1:9999/",
        "http://127.8.8.8",
        "http://[::1]:9999",
        "http://[::ffff:127.0.0.1]:9999",
        "https://example.com",
        "HTTPS://example.com/auth/v1/",
    ],
)
def test_good_urls(url: str) -> None:
    """Https goes anywhere, plain http to this machine."""
    assert url.rstrip("/") == Endpoint(url).url


@pytest.mark.parametrize(
    "url",
    [
        None,
        5,
        "",
        "example.com",
        "//example.com",
        "ftp://example.com",
        "https://",
        "https:///path",
        "https://example.com?x=1",
        "https://example.com?",
        "https://example.com#",
        "https://user:hunter22@example.com",
        "https://@example.com",
        "https://exa mple.com",
        "https://example.com\n",
        "https://example.com\\@localhost",
        "https://example.com:port",
        "https://example.com:99999",
        "https://example.com:0",
        "https://[::1",
        "http://example.com",
        "http://0.0.0.0:9999",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://192.168.1.4",
        "http://[::2]",
    ],
)
def test_bad_urls(url: Any) -> None:
    """A URL that cannot be used is refused by name, and its password is not repeated."""
    with pytest.raises(ConfigurationError, match=r"\burl\b") as caught:
        Endpoint(url)
    assert "hunter22" not in str(caught.value)


def test_plain_http_may_be_asked_for() -> None:
    """Whoever says allow_insecure=True gets plain http to another machine."""
    assert "http://gotrue:9999" == Endpoint("http://gotrue:9999", allow_insecure=True).url
    with pytest.raises(ConfigurationError, match="allow_insecure"):
        Endpoint("http://gotrue:9999")


@pytest.mark.parametrize(
    "key", ["hunter22\n", "hunter22\r\nX: y", "hunter22\0", "hunter22€", "", 5]
)
def test_bad_api_keys(key: Any) -> None:
    """An API key that no header can carry is refused by name and not repeated."""
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        Endpoint("https://example.com", key)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "hunter22\nX-B: y"},
        {"X-A": "hunter22€"},
        {"X A": "hunter22"},
        {"": "hunter22"},
        {"X-A": 5},
        {5: "hunter22"},
        5,
        "hunter22",
    ],
)
def test_bad_headers(headers: Any) -> None:
    """Headers that HTTP does not allow are refused by name, and no value is repeated."""
    with pytest.raises(ConfigurationError, match="headers") as caught:
        Endpoint("https://example.com", headers=headers)
    assert "hunter22" not in str(caught.value)


def test_an_endpoint_can_be_printed() -> None:
    """Neither the key nor the headers are in the repr."""
    api = Endpoint("https://example.com", "hunter22", headers={"X": "hunter22"})
    assert "hunter22" not in repr(api)
    assert api == Endpoint("https://example.com/", "hunter22", headers={"X": "hunter22"})


def body_of(request: Request) -> Any:
    """Return a request's JSON."""
    assert "application/json" == request.headers["Content-Type"]
    return json.loads(request.body)


def test_sign_up() -> None:
    """The redirect goes into the query, everything else into the body."""
    request = requests.sign_up_request(
        API,
        email="a@example.com",
        password="secret-1",
        data={"name": "Ä"},
        redirect_to="http://127.0.0.1:3000/cb?x=1&y=ä",
        captcha_token="captcha",
    )
    assert "POST" == request.method
    assert (
        "http://127.0.0.1:9999/signup?redirect_to="
        "http%3A%2F%2F127.0.0.1%3A3000%2Fcb%3Fx%3D1%26y%3D%C3%A4" == request.url
    )
    assert {
        "email": "a@example.com",
        "password": "secret-1",
        "data": {"name": "Ä"},
        "gotrue_meta_security": {"captcha_token": "captcha"},
    } == body_of(request)


def test_sign_up_by_phone() -> None:
    """A phone number may say how its code comes."""
    request = requests.sign_up_request(API, phone="+1", password="p", channel="whatsapp")
    assert "http://127.0.0.1:9999/signup" == request.url
    assert {
        "phone": "+1",
        "password": "p",
        "data": {},
        "channel": "whatsapp",
        "gotrue_meta_security": {},
    } == body_of(request)


def test_anonymous_sign_up_always_has_a_body() -> None:
    """GoTrue refuses a sign-up without a body."""
    request = requests.anonymous_request(API)
    assert ("POST", "http://127.0.0.1:9999/signup") == (request.method, request.url)
    assert {"data": {}, "gotrue_meta_security": {}} == body_of(request)
    request = requests.anonymous_request(API, data={"k": "v"}, captcha_token="c")
    assert {"data": {"k": "v"}, "gotrue_meta_security": {"captcha_token": "c"}} == body_of(request)


def test_password_grant() -> None:
    """The grant stands in the query, the credentials in the body."""
    request = requests.password_request(API, email="a@example.com", password="secret-1")
    assert "http://127.0.0.1:9999/token?grant_type=password" == request.url
    assert {
        "email": "a@example.com",
        "password": "secret-1",
        "gotrue_meta_security": {},
    } == body_of(request)


def test_refresh_grant() -> None:
    """R2: one token in the body, and no bearer but the API key."""
    request = requests.refresh_request(API, "luwamgajpx4l")
    assert "POST" == request.method
    assert "http://127.0.0.1:9999/token?grant_type=refresh_token" == request.url
    assert {"refresh_token": "luwamgajpx4l"} == body_of(request)
    assert "Bearer anon-key" == request.headers["Authorization"]


@pytest.mark.parametrize("token", [None, ""])
def test_an_empty_refresh_token_is_never_sent(token: str | None) -> None:
    """R5: without a refresh token there is no request."""
    with pytest.raises(AuthSessionMissing):
        requests.refresh_request(API, token)


def test_user_and_sign_out_use_the_access_token() -> None:
    """The session's token replaces the API key as the bearer, not as the key."""
    user = requests.user_request(API, "a.b.c")
    assert ("GET", "http://127.0.0.1:9999/user") == (user.method, user.url)
    assert ("anon-key", "Bearer a.b.c") == (user.headers["apikey"], user.headers["Authorization"])
    out = requests.sign_out_request(API, "a.b.c", scope="others")
    assert ("POST", "http://127.0.0.1:9999/logout?scope=others") == (out.method, out.url)
    assert "Bearer a.b.c" == out.headers["Authorization"]


@pytest.mark.parametrize("token", ["", " ", "a\nb", "a.b.€"])
def test_a_token_that_no_header_carries_is_malformed(token: str) -> None:
    """What cannot be a token is refused before anything is sent."""
    with pytest.raises(Malformed):
        requests.user_request(API, token)


@pytest.mark.parametrize(
    "build, name",
    [
        (lambda: requests.sign_up_request(API, password="p"), "email or phone"),
        (
            lambda: requests.sign_up_request(API, email="a", phone="b", password="p"),
            "email or phone",
        ),
        (lambda: requests.sign_up_request(API, email="", password="p"), "email"),
        (lambda: requests.password_request(API, email=7, password="p"), "email"),  # type: ignore[arg-type]  # the point
        (lambda: requests.password_request(API, phone="", password="p"), "phone"),
        (lambda: requests.password_request(API, email="a", password=""), "password"),
        (lambda: requests.password_request(API, email="a", password=None), "password"),  # type: ignore[arg-type]  # the point
        (lambda: requests.sign_up_request(API, email="a", password="p", data=[]), "data"),  # type: ignore[arg-type]  # the point
        (
            lambda: requests.sign_up_request(API, email="a", password="p", data={"x": object()}),
            "data",
        ),
        (
            lambda: requests.sign_up_request(API, email="a", password="p", data={"x": 1e999}),
            "data",
        ),
        (
            lambda: requests.sign_up_request(API, email="a", password="p", redirect_to=""),
            "redirect_to",
        ),
        (
            lambda: requests.sign_up_request(API, email="a", password="p", captcha_token=""),
            "captcha_token",
        ),
        (lambda: requests.sign_up_request(API, email="a", password="p", channel="sms"), "channel"),
        (lambda: requests.sign_out_request(API, "t", scope="bogus"), "scope"),
    ],
)
def test_wrong_arguments_are_named(build: Callable[[], Request], name: str) -> None:
    """A wrong argument is a ConfigurationError with its name in it."""
    with pytest.raises(ConfigurationError, match=name):
        build()


def test_the_secrets_of_a_request_are_known() -> None:
    """Tokens, keys, passwords and captchas are secret; addresses and metadata are not."""
    request = requests.sign_up_request(
        API, email="a@example.com", password="pw", data={"token": "x"}, captcha_token="captcha"
    )
    assert {"anon-key", "pw", "captcha"} == set(secrets_in(request))
    assert {"anon-key", "r"} == set(secrets_in(requests.refresh_request(API, "r")))
    assert {"anon-key", "a.b.c"} == set(secrets_in(requests.user_request(API, "a.b.c")))
    assert () == secrets_in(requests.health_request(Endpoint("https://example.com")))
    api = Endpoint("https://example.com", headers={"Cookie": "c=1", "X-Proxy-Token": "t", "X": "y"})
    assert {"c=1", "t"} == set(secrets_in(requests.health_request(api)))


def test_a_body_that_is_no_json_is_secret_as_a_whole() -> None:
    """Nobody knows what a foreign body holds."""
    assert ("x=hunter22",) == secrets_in(Request("POST", "https://e.com", {}, b"x=hunter22"))
    assert () == secrets_in(Request("POST", "https://e.com", {}, b"[1]"))


@pytest.mark.parametrize(
    "data",
    [
        "x" * (MAX_LENGTH + 1),
        functools.reduce(lambda inner, _: [inner], range(MAX_DEPTH + 1), None),
    ],
    ids=["long", "deep"],
)
def test_secrets_are_found_beside_much_metadata(data: Any) -> None:
    """A user's metadata may be longer, or deeper, than what is read of a server's answer."""
    body = json.dumps({"password": "hunter22", "data": {"mine": data}}).encode()

    assert ("hunter22",) == secrets_in(Request("POST", "https://e.com", {}, body))


@given(st.text(min_size=1), st.text(min_size=1))
def test_credentials_arrive_as_they_were_given(email: str, password: str) -> None:
    """Any text reaches the body unchanged, and no repr shows it."""
    request = requests.password_request(API, email=email, password=password)
    body = body_of(request)
    assert (email, password) == (body["email"], body["password"])
    assert (
        repr(requests.password_request(API, email="a", password="b")).partition("<")[0]
        == (repr(request).partition("<")[0])
    )
