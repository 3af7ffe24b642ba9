"""The official tables of verifying and refreshing, through the back end and an embedded core."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from async_auth import Unauthorised
from async_auth.core.web.cookie_values import encode_value
from async_auth.core.web.incoming import Incoming
from async_auth.supertokens.backend.exchange import Exchange

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "supertokens-transfer.json").read_text("utf-8")
)


def name_of(row):
    """Return the name of a row."""
    return "-".join(str(value) for value in row.values())


async def two_sessions(make_backend, row):
    """Return a back end as a row has it, and a session in headers and one in cookies."""
    backend = make_backend(
        token_transfer_method=row["transfer_method"], anti_csrf="VIA_TOKEN", cdi_version="5.4"
    )
    in_headers = await backend.create_new_session_without_request_response(
        "ada", disable_anti_csrf=True
    )
    in_cookies = await backend.create_new_session_without_request_response("ada")
    return backend, in_headers, in_cookies


def anti_csrf_of(session):
    """Return the headers that the session in cookies needs."""
    return [("anti-csrf", session.tokens().anti_csrf)]


@pytest.mark.parametrize("verify_row", VECTORS["verify"], ids=name_of)
async def test_verifying(core, make_backend, verify_row):
    """Each row gives the session that it says, none, or UNAUTHORISED that clears nothing."""
    backend, in_headers, in_cookies = await two_sessions(make_backend, verify_row)
    pairs = anti_csrf_of(in_cookies)
    if verify_row["bearer"]:
        pairs.append(("authorization", f"Bearer {in_headers.access_token}"))
    if verify_row["cookie"]:
        pairs.append(("cookie", f"sAccessToken={encode_value(in_cookies.access_token)}"))
    exchange = Exchange(Incoming.of("POST", "/verify", pairs))
    required = verify_row["session_required"]

    if verify_row["result"] == "UNAUTHORISED":
        with pytest.raises(Unauthorised) as caught:
            await backend.get_session(exchange, session_required=required)
        assert not caught.value.clear_tokens
        return
    session = await backend.get_session(exchange, session_required=required)

    wanted = {"validateheader": in_headers, "validatecookie": in_cookies}.get(verify_row["result"])
    assert (None if wanted is None else wanted.handle) == (session and session.handle)
    assert not exchange.outgoing
    assert 0 == core.counts["/recipe/session/verify"]


@pytest.mark.parametrize("refresh_row", VECTORS["refresh"], ids=name_of)
async def test_refreshing(make_backend, refresh_row):
    """Each row sets and clears what it says, and is answered by the method that counts."""
    backend, in_headers, in_cookies = await two_sessions(make_backend, refresh_row)
    pairs = anti_csrf_of(in_cookies)
    if refresh_row["bearer"]:
        pairs.append(("authorization", f"Bearer {in_headers.tokens().refresh_token}"))
    if refresh_row["cookie"]:
        token = encode_value(in_cookies.tokens().refresh_token)
        pairs.append(("cookie", f"sAccessToken=; sRefreshToken={token}"))
    exchange = Exchange(Incoming.of("POST", "/auth/session/refresh", pairs))

    answer = await backend.web.route(exchange)

    refused = refresh_row["result"] == "unauthorised"
    assert (401 if refused else 200) == answer.status
    found = exchange.outgoing.merged_into([])
    headers = {name: value for name, value in found if name != "set-cookie"}
    cookies = dict(
        value.split(";")[0].split("=", 1) for name, value in found if name == "set-cookie"
    )
    assert refused == ("remove" == headers["front-token"])
    states = {
        "headers": {
            bool(headers[n]) for n in ("st-access-token", "st-refresh-token") if n in headers
        },
        "cookies": {value != '""' for value in cookies.values()},
    }
    expected = {"headers": set(), "cookies": set()}
    if refresh_row["sets"]:
        expected[refresh_row["sets"]] = {True}
    for method in expected if refresh_row["clears"] == "both" else [refresh_row["clears"]]:
        if method:
            expected[method] = {False}
    assert expected == states
