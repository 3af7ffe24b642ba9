"""Signing in with the identity provider or a company's, linking, and the provider's pages."""

from __future__ import annotations

from http import HTTPStatus

from async_auth.testing.gotrue import bodies, linking, oauth, sso
from async_auth.testing.gotrue.answers import Answer, redirect
from async_auth.testing.gotrue.calls import Call, Route
from async_auth.testing.gotrue.identity_provider import Account
from async_auth.testing.gotrue.pkce import read_flow

#: Where the identity provider is, under the server's address.
PROVIDER_PATH = "/provider"


def _authorize(call: Call) -> Answer:
    return oauth.authorize(call.state, call.query, now=call.now)


def _callback(call: Call) -> Answer:
    return oauth.finish(call.state, call.query, now=call.now)


def _authorize_link(call: Call) -> Answer:
    return oauth.authorize_link(call.state, call.caller(), call.query, now=call.now)


def _unlink(call: Call) -> Answer:
    return linking.unlink(call.state, call.caller(), call.names["identity_id"])


def _sso(call: Call) -> Answer:
    form = call.form()
    return sso.begin(
        call.state,
        domain=bodies.text(form, "domain"),
        provider_id=bodies.text(form, "provider_id"),
        redirect_to=bodies.text(form, "redirect_to"),
        skip_http_redirect=bodies.flag(form, "skip_http_redirect"),
        flow=read_flow(
            bodies.text(form, "code_challenge"), bodies.text(form, "code_challenge_method")
        ),
        now=call.now,
    )


def _visit(call: Call) -> Answer:
    provider, query = call.state.provider, call.query
    redirect_uri, state = query.get("redirect_uri", ""), query.get("state", "")
    onward = provider.visit(redirect_uri=redirect_uri, state=state)
    if onward is not None:
        return redirect(onward, HTTPStatus.FOUND)
    page = provider.page(
        call.names["name"],
        redirect_uri=redirect_uri,
        state=state,
        login_hint=query.get("login_hint", ""),
    )
    return Answer(None, page=page)


def _decide(call: Call) -> Answer:
    email = call.query.get("email", "")
    onward = call.state.provider.decide(
        call.query.get("decision", ""),
        redirect_uri=call.query.get("redirect_uri", ""),
        state=call.query.get("state", ""),
        account=Account(email=email) if email else None,
    )
    return redirect(onward, HTTPStatus.FOUND)


ROUTES = (
    Route("GET", "/authorize", _authorize),
    Route("GET", "/callback", _callback),
    Route("GET", "/user/identities/authorize", _authorize_link),
    Route("DELETE", "/user/identities/{identity_id}", _unlink),
    Route("POST", "/sso", _sso),
    Route("GET", sso.ACS_PATH, _callback),
    Route("GET", f"{PROVIDER_PATH}/{{name}}/authorize", _visit),
    Route("GET", f"{PROVIDER_PATH}/{{name}}/decision", _decide),
)
