"""The requests of the consent page of GoTrue's OAuth server. Sends nothing."""

from __future__ import annotations

from async_auth.gotrue.requests import arguments
from async_auth.gotrue.requests.endpoint import Endpoint
from async_auth.http_messages import Request


def details_request(api: Endpoint, access_token: str, authorization_id: str) -> Request:
    """Build `GET /oauth/authorizations/:id`."""
    return api.request("GET", _path(authorization_id), bearer=access_token)


def decision_request(
    api: Endpoint, access_token: str, authorization_id: str, *, action: str
) -> Request:
    """Build `POST /oauth/authorizations/:id/consent`; *action* is `approve` or `deny`."""
    path = f"{_path(authorization_id)}/consent"
    return api.request("POST", path, body={"action": action}, bearer=access_token)


def grants_request(api: Endpoint, access_token: str) -> Request:
    """Build `GET /user/oauth/grants`."""
    return api.request("GET", "/user/oauth/grants", bearer=access_token)


def revoke_request(api: Endpoint, access_token: str, client_id: str) -> Request:
    """Build `DELETE /user/oauth/grants`."""
    query = {"client_id": arguments.required("client_id", client_id)}
    return api.request("DELETE", "/user/oauth/grants", query=query, bearer=access_token)


def _path(authorization_id: str) -> str:
    return f"/oauth/authorizations/{arguments.segment('authorization_id', authorization_id)}"
