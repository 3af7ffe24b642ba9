"""Passkeys: the ceremonies, and the caller's own."""

from __future__ import annotations

from async_auth.testing.gotrue import bodies, passkeys
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.calls import Call, Route


def _registration_options(call: Call) -> Answer:
    return passkeys.registration_options(call.state, call.caller(), now=call.now)


def _register(call: Call) -> Answer:
    caller, form = call.caller(), call.form()
    return passkeys.register(
        call.state,
        caller,
        challenge_id=bodies.text(form, "challenge_id"),
        credential=bodies.mapping(form, "credential"),
        now=call.now,
    )


def _authentication_options(call: Call) -> Answer:
    return passkeys.authentication_options(call.state, now=call.now)


def _sign_in(call: Call) -> Answer:
    form = call.form()
    return passkeys.sign_in(
        call.state,
        challenge_id=bodies.text(form, "challenge_id"),
        credential=bodies.mapping(form, "credential"),
        now=call.now,
    )


def _list(call: Call) -> Answer:
    return passkeys.list_passkeys(passkeys.check_owner(call.state, call.caller()))


def _rename(call: Call) -> Answer:
    user = passkeys.check_owner(call.state, call.caller())
    name = bodies.text(call.form(), "friendly_name")
    return passkeys.rename(user, call.names["passkey_id"], name)


def _delete(call: Call) -> Answer:
    caller = call.caller()
    passkeys.check_owner(call.state, caller)
    return passkeys.delete_own(caller, call.names["passkey_id"])


ROUTES = (
    Route("POST", "/passkeys/registration/options", _registration_options),
    Route("POST", "/passkeys/registration/verify", _register),
    Route("POST", "/passkeys/authentication/options", _authentication_options),
    Route("POST", "/passkeys/authentication/verify", _sign_in),
    Route("GET", "/passkeys", _list),
    Route("PATCH", "/passkeys/{passkey_id}", _rename),
    Route("DELETE", "/passkeys/{passkey_id}", _delete),
)
