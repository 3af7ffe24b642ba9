"""Builds GoTrue's requests: plain arguments in, `Request` values out. Sends nothing.

A wrong argument is a `ConfigurationError` that names the argument and does not repeat its value.
Which of a request's parts are secret is written down here too, so that an answer that repeats
one can be redacted. What a session lives by has its names here; each noun has a module.
"""

from async_auth.gotrue.requests.endpoint import Endpoint, client_info
from async_auth.gotrue.requests.secret_parts import secrets_in
from async_auth.gotrue.requests.session import (
    checked_scope,
    health_request,
    jwks_request,
    refresh_request,
    settings_request,
    sign_out_request,
    user_request,
)
from async_auth.gotrue.requests.sign_in import anonymous_request, password_request, sign_up_request

__all__ = [
    "Endpoint",
    "anonymous_request",
    "checked_scope",
    "client_info",
    "health_request",
    "jwks_request",
    "password_request",
    "refresh_request",
    "secrets_in",
    "settings_request",
    "sign_out_request",
    "sign_up_request",
    "user_request",
]
