"""Signing up, in and out, and the caller's own row."""

from __future__ import annotations

from async_auth.testing.gotrue import bodies
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.calls import Call, Route
from async_auth.testing.gotrue.changes import Changes, update_user
from async_auth.testing.gotrue.oauth import sign_in_with_id_token
from async_auth.testing.gotrue.refusals import Refusal
from async_auth.testing.gotrue.verification import exchange_code
from async_auth.testing.gotrue.web3 import sign_in_with_wallet


def _sign_up(call: Call) -> Answer:
    form = call.form()
    return call.state.sign_up(
        email=bodies.text(form, "email"),
        phone=bodies.text(form, "phone"),
        password=bodies.text(form, "password"),
        data=bodies.mapping(form, "data"),
        target=call.target(form),
        now=call.now,
    )


def _token(call: Call) -> Answer:
    grant = _GRANTS.get(call.query.get("grant_type", ""))
    if grant is None:
        raise Refusal(400, "invalid_credentials", "unsupported_grant_type")
    return grant(call)


def _refresh(call: Call) -> Answer:
    return call.state.refresh(bodies.text(call.form(), "refresh_token"), now=call.now)


def _sign_in(call: Call) -> Answer:
    form = call.form()
    return call.state.sign_in_with_password(
        email=bodies.text(form, "email"),
        phone=bodies.text(form, "phone"),
        password=bodies.text(form, "password"),
        now=call.now,
    )


def _exchange(call: Call) -> Answer:
    form = call.form()
    return exchange_code(
        call.state,
        bodies.text(form, "auth_code"),
        bodies.text(form, "code_verifier"),
        now=call.now,
    )


def _id_token(call: Call) -> Answer:
    form = call.form()
    return sign_in_with_id_token(
        call.state,
        provider=bodies.text(form, "provider"),
        id_token=bodies.text(form, "id_token"),
        nonce=bodies.text(form, "nonce"),
        caller=call.caller() if bodies.flag(form, "link_identity") else None,
        now=call.now,
    )


def _web3(call: Call) -> Answer:
    form = call.form()
    return sign_in_with_wallet(
        call.state,
        chain=bodies.text(form, "chain"),
        message=bodies.text(form, "message"),
        signature=bodies.text(form, "signature"),
        now=call.now,
    )


_GRANTS = {
    "password": _sign_in,
    "refresh_token": _refresh,
    "pkce": _exchange,
    "id_token": _id_token,
    "web3": _web3,
}


def _get_user(call: Call) -> Answer:
    return call.state.get_user(call.caller(), audience=call.request.headers.get("X-JWT-AUD"))


def _update_user(call: Call) -> Answer:
    caller, form = call.caller(), call.form()
    return update_user(
        call.state,
        caller,
        Changes(
            email=bodies.text(form, "email"),
            phone=bodies.text(form, "phone"),
            password=bodies.text(form, "password"),
            current_password=bodies.text(form, "current_password"),
            nonce=bodies.text(form, "nonce"),
            data=bodies.mapping(form, "data"),
        ),
        audience=call.request.headers.get("X-JWT-AUD"),
        target=call.target(form),
        now=call.now,
    )


def _sign_out(call: Call) -> Answer:
    return call.state.sign_out(call.caller(), call.query.get("scope") or "global")


ROUTES = (
    Route("POST", "/signup", _sign_up),
    Route("POST", "/token", _token),
    Route("GET", "/user", _get_user),
    Route("PUT", "/user", _update_user),
    Route("POST", "/logout", _sign_out),
)
