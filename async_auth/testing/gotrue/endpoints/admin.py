"""What needs an administrator's token."""

from __future__ import annotations

import functools

from async_auth.testing.gotrue import admin, bodies, links, oauth_clients, passkeys
from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.calls import Call, Handler, Route
from async_auth.testing.gotrue.oauth_rows import OAuthClient
from async_auth.testing.gotrue.rows import User


def for_admins(handler: Handler) -> Handler:
    """Let nobody through but who bears an administrator's token."""

    @functools.wraps(handler)
    def guarded(call: Call) -> Answer:
        admin.check_admin(call.state, call.authorization, now=call.now)
        return handler(call)

    return guarded


def _user(call: Call) -> User:
    return admin.find_user(call.state, call.names["user_id"])


def _user_form(call: Call) -> admin.UserForm:
    form = call.form()
    return admin.UserForm(
        id=bodies.text(form, "id"),
        email=bodies.text(form, "email"),
        phone=bodies.text(form, "phone"),
        password=bodies.text(form, "password"),
        role=bodies.text(form, "role"),
        ban_duration=bodies.text(form, "ban_duration"),
        email_confirm=bodies.flag(form, "email_confirm"),
        phone_confirm=bodies.flag(form, "phone_confirm"),
        user_metadata=bodies.mapping(form, "user_metadata"),
        app_metadata=bodies.mapping(form, "app_metadata"),
    )


def _list_users(call: Call) -> Answer:
    page, per_page = call.query.get("page", ""), call.query.get("per_page", "")
    return admin.list_users(call.state, page=page, per_page=per_page)


def _create_user(call: Call) -> Answer:
    return admin.create_user(call.state, _user_form(call), now=call.now)


def _get_user(call: Call) -> Answer:
    return Answer(_user(call).wire_form())


def _update_user(call: Call) -> Answer:
    return admin.update_user(call.state, _user(call), _user_form(call), now=call.now)


def _delete_user(call: Call) -> Answer:
    user, form = _user(call), call.form() if call.body.strip() else {}
    soft = bodies.flag(form, "should_soft_delete")
    call.state.delete_user(user.id, soft=soft, now=call.now)
    return Answer({})


def _list_factors(call: Call) -> Answer:
    return admin.list_factors(_user(call))


def _update_factor(call: Call) -> Answer:
    user, name = _user(call), bodies.text(call.form(), "friendly_name")
    return admin.update_factor(user, call.names["factor_id"], name, now=call.now)


def _delete_factor(call: Call) -> Answer:
    return admin.delete_factor(call.state, _user(call), call.names["factor_id"])


def _list_passkeys(call: Call) -> Answer:
    return passkeys.list_passkeys(_user(call))


def _delete_passkey(call: Call) -> Answer:
    return passkeys.delete(_user(call), call.names["passkey_id"])


def _client(call: Call) -> OAuthClient:
    return oauth_clients.find_client(call.state, call.names["client_id"])


def _list_clients(call: Call) -> Answer:
    return oauth_clients.list_clients(call.state)


def _register_client(call: Call) -> Answer:
    return oauth_clients.register(call.state, call.form(), registration_type="manual", now=call.now)


def _get_client(call: Call) -> Answer:
    return Answer(_client(call).wire_form())


def _update_client(call: Call) -> Answer:
    return oauth_clients.update(_client(call), call.form(), now=call.now)


def _delete_client(call: Call) -> Answer:
    return oauth_clients.delete(call.state, _client(call))


def _regenerate_secret(call: Call) -> Answer:
    return oauth_clients.regenerate_secret(_client(call), now=call.now)


def _invite(call: Call) -> Answer:
    form = call.form()
    return links.invite(
        call.state,
        bodies.text(form, "email"),
        bodies.mapping(form, "data"),
        target=call.target(form),
        now=call.now,
    )


def _generate_link(call: Call) -> Answer:
    form = call.form()
    wanted = links.LinkForm(
        kind=bodies.text(form, "type"),
        email=bodies.text(form, "email"),
        password=bodies.text(form, "password"),
        new_email=bodies.text(form, "new_email"),
        data=bodies.mapping(form, "data"),
        redirect_to=bodies.text(form, "redirect_to") or call.query.get("redirect_to", ""),
    )
    return links.generate_link(call.state, wanted, now=call.now)


ROUTES = tuple(
    Route(method, path, for_admins(handler))
    for method, path, handler in (
        ("GET", "/admin/users", _list_users),
        ("POST", "/admin/users", _create_user),
        ("GET", "/admin/users/{user_id}", _get_user),
        ("PUT", "/admin/users/{user_id}", _update_user),
        ("DELETE", "/admin/users/{user_id}", _delete_user),
        ("GET", "/admin/users/{user_id}/factors", _list_factors),
        ("PUT", "/admin/users/{user_id}/factors/{factor_id}", _update_factor),
        ("DELETE", "/admin/users/{user_id}/factors/{factor_id}", _delete_factor),
        ("GET", "/admin/users/{user_id}/passkeys", _list_passkeys),
        ("DELETE", "/admin/users/{user_id}/passkeys/{passkey_id}", _delete_passkey),
        ("GET", "/admin/oauth/clients", _list_clients),
        ("POST", "/admin/oauth/clients", _register_client),
        ("GET", "/admin/oauth/clients/{client_id}", _get_client),
        ("PUT", "/admin/oauth/clients/{client_id}", _update_client),
        ("DELETE", "/admin/oauth/clients/{client_id}", _delete_client),
        ("POST", "/admin/oauth/clients/{client_id}/regenerate_secret", _regenerate_secret),
        ("POST", "/admin/generate_link", _generate_link),
        ("POST", "/invite", _invite),
    )
)
