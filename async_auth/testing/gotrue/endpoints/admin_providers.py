"""The providers that administrators add."""

from __future__ import annotations

from async_auth.testing.gotrue import custom_providers, sso_providers
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.calls import Call, Route
from async_auth.testing.gotrue.endpoints.admin import for_admins
from async_auth.testing.gotrue.provider_rows import CustomProvider, SsoProvider


def _custom(call: Call) -> CustomProvider:
    return custom_providers.find(call.state, call.names["identifier"])


def _list_custom(call: Call) -> Answer:
    return custom_providers.list_providers(call.state, call.query.get("type", ""))


def _create_custom(call: Call) -> Answer:
    return custom_providers.create(call.state, call.form(), now=call.now)


def _get_custom(call: Call) -> Answer:
    return Answer(_custom(call).wire_form())


def _update_custom(call: Call) -> Answer:
    return custom_providers.update(_custom(call), call.form(), now=call.now)


def _delete_custom(call: Call) -> Answer:
    return custom_providers.delete(call.state, _custom(call))


def _sso(call: Call) -> SsoProvider:
    return sso_providers.find(call.state, call.names["provider_id"])


def _list_sso(call: Call) -> Answer:
    return sso_providers.list_providers(call.state)


def _create_sso(call: Call) -> Answer:
    return sso_providers.create(call.state, call.form(), now=call.now)


def _get_sso(call: Call) -> Answer:
    return Answer(_sso(call).wire_form())


def _update_sso(call: Call) -> Answer:
    return sso_providers.update(call.state, _sso(call), call.form(), now=call.now)


def _delete_sso(call: Call) -> Answer:
    return sso_providers.delete(call.state, _sso(call))


ROUTES = tuple(
    Route(method, path, for_admins(handler))
    for method, path, handler in (
        ("GET", "/admin/custom-providers", _list_custom),
        ("POST", "/admin/custom-providers", _create_custom),
        ("GET", "/admin/custom-providers/{identifier}", _get_custom),
        ("PUT", "/admin/custom-providers/{identifier}", _update_custom),
        ("DELETE", "/admin/custom-providers/{identifier}", _delete_custom),
        ("GET", "/admin/sso/providers", _list_sso),
        ("POST", "/admin/sso/providers", _create_sso),
        ("GET", "/admin/sso/providers/{provider_id}", _get_sso),
        ("PUT", "/admin/sso/providers/{provider_id}", _update_sso),
        ("DELETE", "/admin/sso/providers/{provider_id}", _delete_sso),
    )
)
