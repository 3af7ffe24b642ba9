"""Second factors."""

from __future__ import annotations

from async_auth.testing.gotrue import bodies, factors
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.calls import Call, Route


def _enroll(call: Call) -> Answer:
    caller, form = call.caller(), call.form()
    return factors.enroll(
        call.state,
        caller,
        factor_type=bodies.text(form, "factor_type"),
        friendly_name=bodies.text(form, "friendly_name"),
        issuer=bodies.text(form, "issuer"),
        phone=bodies.text(form, "phone"),
        now=call.now,
    )


def _challenge(call: Call) -> Answer:
    return factors.challenge(call.state, call.caller(), call.names["factor_id"], now=call.now)


def _verify(call: Call) -> Answer:
    caller, form = call.caller(), call.form()
    proof = factors.FactorProof(
        challenge_id=bodies.text(form, "challenge_id"),
        code=bodies.text(form, "code"),
        webauthn=bodies.mapping(form, "webauthn"),
    )
    return factors.verify(call.state, caller, call.names["factor_id"], proof, now=call.now)


def _unenroll(call: Call) -> Answer:
    return factors.unenroll(call.state, call.caller(), call.names["factor_id"])


ROUTES = (
    Route("POST", "/factors", _enroll),
    Route("DELETE", "/factors/{factor_id}", _unenroll),
    Route("POST", "/factors/{factor_id}/challenge", _challenge),
    Route("POST", "/factors/{factor_id}/verify", _verify),
)
