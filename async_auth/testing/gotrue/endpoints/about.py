"""What the server says about itself, and the resource that only wants a good token."""

from __future__ import annotations

from http import HTTPStatus

from async_auth.errors import InvalidToken, TokenExpired
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.calls import Call, Route

#: A resource that is not GoTrue's: it looks at the bearer token as any API would, by itself.
PROTECTED_PATH = "/rest/v1/echo"


def _health(_call: Call) -> Answer:
    description = "GoTrue is a user registration and authentication API"
    return Answer({"version": "", "name": "GoTrue", "description": description})


def _settings(call: Call) -> Answer:
    options = call.state.options
    providers = {"anonymous_users": options.anonymous, "email": True, "phone": True}
    return Answer(
        {
            "external": providers | dict.fromkeys(options.providers, True),
            "disable_signup": False,
            "mailer_autoconfirm": options.autoconfirm,
            "phone_autoconfirm": options.autoconfirm,
            "sms_provider": "",
            "saml_enabled": bool(call.state.sso_providers),
        }
    )


def _jwks(call: Call) -> Answer:
    return Answer(call.state.keys.jwks(), {"Cache-Control": "public, max-age=600"})


def _protected(call: Call) -> Answer:
    scheme, _, token = (call.authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return _unauthorized("Bearer", "No bearer token")
    try:
        claims = call.state.keys.verify(token.strip(), now=call.now)
    except InvalidToken as error:
        why = "JWT expired" if isinstance(error, TokenExpired) else "JWT invalid"
        return _unauthorized(f'Bearer error="invalid_token", error_description="{why}"', why)
    shown = {name: claims.get(name) for name in ("sub", "role", "session_id", "iat", "exp")}
    return Answer({**shown, "method": call.request.method, "length": len(call.body)})


def _unauthorized(challenge: str, message: str) -> Answer:
    return Answer({"message": message}, {"WWW-Authenticate": challenge}, HTTPStatus.UNAUTHORIZED)


ROUTES = (
    Route("GET", "/health", _health),
    Route("GET", "/settings", _settings),
    Route("GET", "/.well-known/jwks.json", _jwks),
    *(
        Route(method, PROTECTED_PATH, _protected)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ),
)
