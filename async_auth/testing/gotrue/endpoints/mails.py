"""Messages to users, and the codes that come back."""

from __future__ import annotations

from async_auth.testing.gotrue import bodies, mails, verification
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.calls import Call, Route


def _otp(call: Call) -> Answer:
    form = call.form()
    return mails.send_otp(
        call.state,
        email=bodies.text(form, "email"),
        phone=bodies.text(form, "phone"),
        create_user=bodies.flag(form, "create_user", default=True),
        data=bodies.mapping(form, "data"),
        target=call.target(form),
        now=call.now,
    )


def _magic_link(call: Call) -> Answer:
    form = call.form()
    return mails.send_otp(
        call.state,
        email=bodies.text(form, "email"),
        phone="",
        create_user=True,
        data=bodies.mapping(form, "data"),
        target=call.target(form),
        now=call.now,
    )


def _recover(call: Call) -> Answer:
    form = call.form()
    return mails.recover(
        call.state, bodies.text(form, "email"), target=call.target(form), now=call.now
    )


def _resend(call: Call) -> Answer:
    form = call.form()
    return mails.resend(
        call.state,
        bodies.text(form, "type"),
        email=bodies.text(form, "email"),
        phone=bodies.text(form, "phone"),
        target=call.target(form),
        now=call.now,
    )


def _reauthenticate(call: Call) -> Answer:
    return mails.reauthenticate(call.state, call.caller(), now=call.now)


def _verify(call: Call) -> Answer:
    form = call.form()
    proof = verification.Proof(
        kind=bodies.text(form, "type"),
        email=bodies.text(form, "email"),
        phone=bodies.text(form, "phone"),
        code=bodies.text(form, "token"),
        token_hash=bodies.text(form, "token_hash"),
    )
    return verification.verify(call.state, proof, now=call.now)


def _follow_link(call: Call) -> Answer:
    return verification.follow_link(
        call.state,
        token_hash=call.query.get("token", ""),
        kind=call.query.get("type", ""),
        redirect_to=call.query.get("redirect_to", ""),
        now=call.now,
    )


ROUTES = (
    Route("POST", "/otp", _otp),
    Route("POST", "/magiclink", _magic_link),
    Route("POST", "/recover", _recover),
    Route("POST", "/resend", _resend),
    Route("GET", "/reauthenticate", _reauthenticate),
    Route("POST", "/verify", _verify),
    Route("GET", "/verify", _follow_link),
)
