"""The requests of administrators: users, their factors and passkeys, links. Sends nothing.

*bearer* is an administrator's access token; `None` leaves that to the API key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from async_auth.gotrue.requests import arguments
from async_auth.gotrue.requests.endpoint import Endpoint
from async_auth.http_messages import Request

#: What a link can be made for.
LINK_TYPES = (
    "signup",
    "invite",
    "magiclink",
    "recovery",
    "email_change_current",
    "email_change_new",
)


def attributes(
    *,
    email: str | None = None,
    phone: str | None = None,
    password: str | None = None,
    password_hash: str | None = None,
    email_confirm: bool | None = None,
    phone_confirm: bool | None = None,
    user_metadata: Mapping[str, Any] | None = None,
    app_metadata: Mapping[str, Any] | None = None,
    role: str | None = None,
    ban_duration: str | None = None,
    id: str | None = None,  # noqa: A002 - GoTrue's word
) -> dict[str, Any]:
    """
    Return what a user is to be, as a body; what is `None` stays as it is.

    Args:
        email: The address.
        phone: The number.
        password: The password; or
        password_hash: what another system kept of it (bcrypt, Argon2, …).
        email_confirm: Whether the address counts as confirmed.
        phone_confirm: Whether the number counts as confirmed.
        user_metadata: What the user may change as well.
        app_metadata: What the user may not change.
        role: The database role.
        ban_duration: Go's way of writing a duration ("24h"), or "none".
        id: A new user's id.

    Raises:
        ConfigurationError: An argument is of a wrong type; it is named.
    """
    texts = {
        "email": email,
        "phone": phone,
        "password": password,
        "password_hash": password_hash,
        "role": role,
        "ban_duration": ban_duration,
        "id": id,
    }
    objects = {"user_metadata": user_metadata, "app_metadata": app_metadata}
    return {
        **{n: arguments.required(n, text) for n, text in texts.items() if text is not None},
        **{n: arguments.mapping(n, value) for n, value in objects.items() if value is not None},
        **arguments.given(email_confirm=email_confirm, phone_confirm=phone_confirm),
    }


def list_users_request(
    api: Endpoint, bearer: str | None, *, page: int | None = None, per_page: int | None = None
) -> Request:
    """Build `GET /admin/users`."""
    query = {
        "page": arguments.page("page", page),
        "per_page": arguments.page("per_page", per_page),
    }
    return api.request("GET", "/admin/users", query=query, bearer=bearer)


def create_user_request(api: Endpoint, bearer: str | None, body: Mapping[str, Any]) -> Request:
    """Build `POST /admin/users`; see `attributes`."""
    return api.request("POST", "/admin/users", body=body, bearer=bearer)


def get_user_request(api: Endpoint, bearer: str | None, user_id: str) -> Request:
    """Build `GET /admin/users/:id`."""
    return api.request("GET", _user(user_id), bearer=bearer)


def update_user_request(
    api: Endpoint, bearer: str | None, user_id: str, body: Mapping[str, Any]
) -> Request:
    """Build `PUT /admin/users/:id`; see `attributes`."""
    return api.request("PUT", _user(user_id), body=body, bearer=bearer)


def delete_user_request(
    api: Endpoint, bearer: str | None, user_id: str, *, should_soft_delete: bool = False
) -> Request:
    """Build `DELETE /admin/users/:id`."""
    body = {"should_soft_delete": True} if should_soft_delete else None
    return api.request("DELETE", _user(user_id), body=body, bearer=bearer)


def invite_request(
    api: Endpoint,
    bearer: str | None,
    *,
    email: str,
    data: Mapping[str, Any] | None = None,
    redirect_to: str | None = None,
) -> Request:
    """Build `POST /invite`."""
    body = {"email": arguments.required("email", email), "data": arguments.data(data)}
    query = {"redirect_to": arguments.optional("redirect_to", redirect_to)}
    return api.request("POST", "/invite", query=query, body=body, bearer=bearer)


def generate_link_request(
    api: Endpoint,
    bearer: str | None,
    *,
    type: str,  # noqa: A002 - GoTrue's word
    email: str,
    password: str | None = None,
    new_email: str | None = None,
    data: Mapping[str, Any] | None = None,
    redirect_to: str | None = None,
) -> Request:
    """
    Build `POST /admin/generate_link`.

    Raises:
        ConfigurationError: An argument is missing or of a wrong type; it is named.
    """
    body = {
        "type": arguments.one_of("type", type, LINK_TYPES),
        "email": arguments.required("email", email),
        **arguments.given(
            password=arguments.optional("password", password),
            new_email=arguments.optional("new_email", new_email),
            data=None if data is None else arguments.data(data),
            redirect_to=arguments.optional("redirect_to", redirect_to),
        ),
    }
    return api.request("POST", "/admin/generate_link", body=body, bearer=bearer)


def list_of_user_request(api: Endpoint, bearer: str | None, user_id: str, kind: str) -> Request:
    """Build `GET /admin/users/:id/factors`, or `…/passkeys`."""
    return api.request("GET", f"{_user(user_id)}/{kind}", bearer=bearer)


def delete_of_user_request(
    api: Endpoint, bearer: str | None, user_id: str, kind: str, name: str
) -> Request:
    """Build `DELETE /admin/users/:id/factors/:factor`, or `…/passkeys/:passkey`."""
    return api.request("DELETE", f"{_user(user_id)}/{kind}/{_name(kind, name)}", bearer=bearer)


def update_factor_request(
    api: Endpoint, bearer: str | None, user_id: str, factor_id: str, body: Mapping[str, Any]
) -> Request:
    """Build `PUT /admin/users/:id/factors/:factor`."""
    path = f"{_user(user_id)}/factors/{_name('factors', factor_id)}"
    return api.request("PUT", path, body=arguments.mapping("attributes", body), bearer=bearer)


def audit_request(
    api: Endpoint,
    bearer: str | None,
    *,
    query: str | None = None,
    page: int | None = None,
    per_page: int | None = None,
) -> Request:
    """Build `GET /admin/audit`."""
    parameters = {
        "query": arguments.optional("query", query),
        "page": arguments.page("page", page),
        "per_page": arguments.page("per_page", per_page),
    }
    return api.request("GET", "/admin/audit", query=parameters, bearer=bearer)


def collection_request(
    api: Endpoint,
    bearer: str | None,
    method: str,
    path: str,
    *,
    body: Mapping[str, Any] | None = None,
    query: Mapping[str, str | None] | None = None,
) -> Request:
    """Build a request about what is kept under *path*: OAuth clients, providers."""
    sent = None if body is None else arguments.mapping("attributes", body)
    return api.request(method, path, body=sent, query=query, bearer=bearer)


def _user(user_id: str) -> str:
    return f"/admin/users/{arguments.segment('user_id', user_id)}"


def _name(kind: str, name: str) -> str:
    return arguments.segment(f"{kind.removesuffix('s')}_id", name)
