"""Signing in with a company's identity provider: POST /sso.

There is no SAML here: the browser goes to the test identity provider and comes back, as to
GET /callback, with a code in the place of an assertion. What the client sees (the address, the
redirects, PKCE, the user) is as it would be.
"""

from __future__ import annotations

from http import HTTPStatus

from async_auth.testing.gotrue.answers import Answer, redirect
from async_auth.testing.gotrue.oauth import begin_trip
from async_auth.testing.gotrue.pkce import Flow
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.state import GoTrueState, is_uuid

#: Where the company's provider sends browsers back to.
ACS_PATH = "/sso/saml/acs"


def begin(
    state: GoTrueState,
    *,
    domain: str,
    provider_id: str,
    redirect_to: str,
    skip_http_redirect: bool,
    flow: Flow | None,
    now: float,
) -> Answer:
    """Say, or send the browser, where a company's people sign in."""
    if provider_id and domain:
        raise invalid("Only one of provider_id or domain supported")
    if not provider_id and not domain:
        raise invalid("A provider_id or domain needs to be provided")
    if provider_id and not is_uuid(provider_id):
        raise invalid("provider_id must be an UUID")
    found = provider_id if provider_id in state.sso_providers else ""
    for known in state.sso_providers.values():
        if domain.lower() in known.domains:
            found = known.id
    if not found:
        why = "No such SSO provider" if provider_id else "No SSO provider assigned for this domain"
        raise Refusal(404, "sso_provider_not_found", why)
    relay_state = begin_trip(
        state, f"sso:{found}", redirect_to=redirect_to, flow=flow, user_id=None, now=now
    )
    members = {"redirect_uri": f"{state.url}{ACS_PATH}", "state": relay_state}
    url = state.provider.address("saml", members)
    if skip_http_redirect:
        return Answer({"url": url})
    return redirect(url, HTTPStatus.SEE_OTHER)
