"""gotrue/redirects.py and get_session_from_url(): what a browser brings back."""

from __future__ import annotations

import contextlib
from urllib.parse import urlencode

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth import (
    ApiError,
    AuthError,
    AuthSessionMissing,
    ConfigurationError,
    ProtocolError,
    ServerUnavailable,
    SignInRequired,
)
from async_auth.gotrue import GoTrueClient
from async_auth.gotrue.redirects import Redirect, read_redirect
from async_auth.testing import GoTrueServer, ScriptedTransport

HERE = "http://127.0.0.1:3000/cb"
URL = "http://127.0.0.1:9999"
EMAIL = "ann@example.com"


def ended_at(**members):
    """Return an address with these in its fragment."""
    return f"{HERE}#{urlencode(members)}"


def location(recording):
    """Return where the recorded answer sends the browser."""
    return recording.response.headers["Location"]


@pytest.mark.parametrize("name", ["verify_get_pkce", "callback_pkce"])
def test_a_code_is_read(recordings, name):
    """It is in the query, and in no `repr`."""
    url = location(recordings[name])
    found = read_redirect(url)
    assert (url.partition("code=")[2], None) == (found.code, found.tokens)
    assert found.code not in repr(found)


def test_tokens_are_read(recordings):
    """They are in the fragment; how long they last was counted from a moment nobody knows."""
    found = read_redirect(location(recordings["callback_implicit"]))
    names = ["access_token", "expires_at", "provider_refresh_token", "provider_token"]
    assert [*names, "refresh_token", "token_type"] == sorted(found.tokens)
    assert (1_795_253_026, False) == (found.tokens["expires_at"], found.recovery)
    assert found.tokens["access_token"] not in repr(found)


def test_the_programs_own_query_is_none_of_the_tokens():
    """It is what the program asked for, and says nothing of the sign-in."""
    found = read_redirect(f"{HERE}?next=/home&type=recovery#access_token=a&refresh_token=b&x=")
    assert {"access_token": "a", "refresh_token": "b"} == found.tokens
    assert not found.recovery


def test_tokens_are_the_members_of_a_session():
    """Without what is about the link; an end of fifteen digits is one, and what is empty is not."""
    found = read_redirect(
        f"{HERE}#access_token=a&refresh_token=r&expires_in=9&type=signup&token_type="
        f"&expires_at={'9' * 15}"
    )

    assert {"access_token": "a", "refresh_token": "r", "expires_at": 10**15 - 1} == found.tokens
    assert not found.recovery


@pytest.mark.parametrize("until", ["soon", "-1", "1e9", "٣", "9" * 16])
def test_an_expiry_that_is_none_is_left_out(until):
    """The token's own `exp` counts then."""
    assert "expires_at" not in read_redirect(ended_at(access_token="a", expires_at=until)).tokens


def test_an_error_of_the_provider(recordings):
    """Its code and its text are in the query as well as in the fragment."""
    with pytest.raises(ApiError, match="User denied") as caught:
        read_redirect(location(recordings["callback_idp_error"]))
    assert ("access_denied", None) == (caught.value.code, caught.value.status)


@pytest.mark.parametrize(
    "members, kind, code",
    [
        ({"error": "access_denied", "error_code": "otp_expired"}, ApiError, "otp_expired"),
        ({"error_code": "otp_expired"}, ApiError, "otp_expired"),
        ({"error_description": "No"}, ApiError, None),
        ({"error": "", "code": "c0de"}, ApiError, None),
        ({"error": "<b>"}, ApiError, None),
        ({"error": "server_error"}, ServerUnavailable, "server_error"),
        (
            {"error": "server_error", "error_code": "unexpected_failure"},
            ServerUnavailable,
            "unexpected_failure",
        ),
        (
            {"error": "server_error", "error_code": "identity_already_exists"},
            ApiError,
            "identity_already_exists",
        ),
        ({"error": "temporarily_unavailable"}, ServerUnavailable, "temporarily_unavailable"),
        (
            {"error": "access_denied", "code": "c0de", "access_token": "a"},
            ApiError,
            "access_denied",
        ),
    ],
)
def test_errors_win(members, kind, code):
    """Of two codes the server's own counts; with an error nothing else does."""
    with pytest.raises(kind) as caught:
        read_redirect(ended_at(**members))
    assert (kind, code) == (type(caught.value), caught.value.code)


def test_an_error_shows_no_token():
    """Who made the address up may have put anything into its text."""
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.u-siO_Kg86IQ"
    with pytest.raises(ApiError) as caught:
        read_redirect(ended_at(error=jwt, error_description=f"no {jwt}\nno"))
    assert "no [redacted] no" == caught.value.message
    assert "[redacted]" == caught.value.code


def test_half_an_email_change_is_neither_code_nor_tokens():
    """The other address has to be confirmed as well."""
    assert Redirect() == read_redirect(ended_at(message="Confirmation link accepted."))


@pytest.mark.parametrize("url", [HERE, "", f"{HERE}?code=", f"{HERE}#access_token="])
def test_nothing_of_a_sign_in(url):
    """There is no session."""
    with pytest.raises(AuthSessionMissing):
        read_redirect(url)


@pytest.mark.parametrize("url", [None, 5, b"http://x/?code=c", "http://[::1/?code=s3cret"])
def test_what_is_no_address(url):
    """The argument is named, what stands in it is not shown."""
    with pytest.raises(ConfigurationError, match=r"^url ") as caught:
        read_redirect(url)
    assert "s3cret" not in f"{caught.value} {caught.value.__cause__}"


@given(st.text() | st.text().map(lambda text: f"{HERE}#error={text}"))
def test_any_text(url):
    """It is read, or it is one of our errors."""
    with contextlib.suppress(AuthError):
        assert isinstance(read_redirect(url), Redirect)


@pytest.fixture
async def server(manual_clock):
    """Return a server that sends as many mails as it is asked for, at a time that stands still."""
    async with GoTrueServer(email_max_frequency=0, clock=manual_clock) as running:
        yield running


@pytest.fixture
async def http():
    """Return the browser: an HTTP session that follows no redirect by itself."""
    async with aiohttp.ClientSession() as session:
        yield session


async def opened(link, http):
    """Return where a browser ends that opens *link*."""
    async with http.get(link, allow_redirects=False) as response:
        return response.headers["Location"]


@pytest.mark.parametrize("flow", ["pkce", "implicit"])
async def test_the_link_in_a_mail_signs_in(server, http, flow):
    """The browser ends with a code or with tokens: here it is the same."""
    client = GoTrueClient(server.url, flow=flow, clock=server.clock)
    async with client, client.events() as events:
        sent = await client.sign_in_with_otp(email=EMAIL, redirect_to=HERE)
        url = await opened(server.outbox[-1].link, http)
        response = await client.get_session_from_url(url, flow_id=sent.flow_id)
        assert ["INITIAL_SESSION", "SIGNED_IN"] == [(await anext(events)).name for _ in range(2)]
        assert (EMAIL, client.session) == (response.user.email, response.session)
        assert 3600 == response.session.expires_in
        await client.refresh_session()


@pytest.mark.parametrize("flow", ["pkce", "implicit"])
async def test_a_recovery_link_is_told_as_one(server, http, flow):
    """Either flow knows what it was begun for."""
    async with GoTrueClient(server.url, flow=flow, clock=server.clock) as client:
        await client.sign_up(email=EMAIL, password="secret-enough")
        await client.sign_out()
        async with client.events() as events:
            await client.reset_password_for_email(EMAIL, redirect_to=HERE)
            await client.get_session_from_url(await opened(server.outbox[-1].link, http))
            names = [(await anext(events)).name for _ in range(2)]
    assert ["INITIAL_SESSION", "PASSWORD_RECOVERY"] == names


async def test_a_spent_link_leaves_the_session(server, http):
    """The browser brings an error."""
    async with GoTrueClient(server.url, flow="implicit", clock=server.clock) as client:
        await client.sign_in_with_otp(email=EMAIL, redirect_to=HERE)
        link = server.outbox[-1].link
        await client.get_session_from_url(await opened(link, http))
        before = client.session
        with pytest.raises(ApiError) as caught:
            await client.get_session_from_url(await opened(link, http))
        assert ("otp_expired", before) == (caught.value.code, client.session)


async def test_tokens_are_not_taken_where_a_code_is_expected(recordings):
    """Anybody could make up an address that signs in as somebody else."""
    wire = ScriptedTransport()
    async with GoTrueClient(URL, transport=wire, auto_refresh=False) as client:
        with pytest.raises(ProtocolError, match="flow='implicit'"):
            await client.get_session_from_url(location(recordings["verify_get_implicit"]))
    assert [] == wire.requests


async def test_tokens_that_the_server_refuses_are_not_taken(recordings):
    """Nothing in the address is believed."""
    recording = recordings["user_bad_signature"]
    wire = ScriptedTransport(recording.response)
    async with GoTrueClient(URL, transport=wire, auto_refresh=False, flow="implicit") as client:
        with pytest.raises(ApiError) as caught:
            await client.get_session_from_url(location(recordings["verify_get_implicit"]))
        assert ("bad_jwt", None) == (caught.value.code, client.session)


async def test_a_session_wants_both_tokens(recordings):
    """An address without a refresh token holds no session."""
    wire = ScriptedTransport(recordings["user_get"].response)
    async with GoTrueClient(URL, transport=wire, auto_refresh=False, flow="implicit") as client:
        with pytest.raises(AuthSessionMissing):
            await client.get_session_from_url(ended_at(access_token="a"))
        assert None is client.session


async def test_half_an_email_change_signs_nobody_in():
    """As `verify_otp()` says of it: neither a user nor a session."""
    wire = ScriptedTransport()
    async with GoTrueClient(URL, transport=wire, auto_refresh=False) as client:
        response = await client.get_session_from_url(ended_at(message="accepted"))
    assert (None, None, []) == (response.user, response.session, wire.requests)


async def test_a_code_that_nobody_waits_for():
    """The flow was begun elsewhere, or never."""
    async with GoTrueClient(URL, transport=ScriptedTransport(), auto_refresh=False) as client:
        with pytest.raises(SignInRequired) as caught:
            await client.get_session_from_url(f"{HERE}?code=c0de")
    assert "pkce_code_verifier_not_found" == caught.value.code
