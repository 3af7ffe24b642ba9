"""An identity provider that signs in whomever the test wants: the other end of GET /authorize.

It has a consent page for browsers, codes, provider tokens and signed ID tokens. It knows nothing
of GoTrue's users, and asks nobody for a password.
"""

from __future__ import annotations

import hashlib
import html
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import attrs

from async_auth.core import jwt
from async_auth.errors import ConfigurationError, InvalidToken

CLIENT_ID = "testclientid"

_ID_TOKEN_LIFETIME = 300

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Test identity provider</title></head>
<body style="font-family: sans-serif; max-width: 24rem; margin: 4rem auto">
<h1>Test identity provider</h1>
<form method="get" action="{action}">
<input type="hidden" name="redirect_uri" value="{redirect_uri}">
<input type="hidden" name="state" value="{state}">
<p><label>Sign in as <input id="email" name="email" type="email" value="{email}"></label></p>
<p><button id="allow" name="decision" value="allow">Continue</button>
<button id="deny" name="decision" value="deny">Deny</button></p>
</form></body></html>
"""


@attrs.frozen(kw_only=True)
class Account:
    """Somebody at the provider."""

    email: str
    name: str = "Idp User"
    email_verified: bool = True

    @property
    def subject(self) -> str:
        """What the provider calls them."""
        return f"sub-{self.email}"


@attrs.define
class IdentityProvider:
    """
    The provider, under whatever name it was asked by.

    A browser that comes is shown a page with a form (ids `email`, `allow`, `deny`), unless
    `sign_in_as()` or `deny()` has answered for its user.

    Args:
        url: Its address.
        client_id: What GoTrue is called there; the audience of ID tokens.
    """

    url: str = ""
    client_id: str = CLIENT_ID
    _standing: Account | None = None
    _denies: bool = False
    _codes: dict[str, Account] = attrs.field(factory=dict, repr=False)
    _secret: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), repr=False)

    # ── what a test says ───────────────────────────────────────────────────────────────────────

    def sign_in_as(
        self, email: str, *, name: str = "Idp User", email_verified: bool = True
    ) -> None:
        """Sign every browser in as this account from now on, without a page."""
        if "@" not in email:
            raise ConfigurationError("provider.sign_in_as: email must be an e-mail address.")
        self._standing = Account(email=email, name=name, email_verified=email_verified)
        self._denies = False

    def deny(self) -> None:
        """Send every browser back with `access_denied` from now on."""
        self._standing, self._denies = None, True

    def ask(self) -> None:
        """Show the page again."""
        self._standing, self._denies = None, False

    def id_token(
        self, email: str, *, nonce: str | None = None, now: float, **claims: object
    ) -> str:
        """
        Return an ID token for `/token?grant_type=id_token`.

        Args:
            email: Whose.
            nonce: The plain text; its SHA-256 goes into the token, as GoTrue wants it.
            now: When it is issued, unix seconds.
            claims: Members to add or replace.
        """
        stated: dict[str, object] = {
            "iss": self.url,
            "aud": self.client_id,
            "sub": Account(email=email).subject,
            "email": email,
            "email_verified": True,
            "iat": int(now),
            "exp": int(now) + _ID_TOKEN_LIFETIME,
        }
        if nonce is not None:
            stated["nonce"] = hashlib.sha256(nonce.encode()).hexdigest()
        return jwt.sign({**stated, **claims}, self._secret, algorithm="HS256")

    # ── what GoTrue asks ───────────────────────────────────────────────────────────────────────

    def verify(self, id_token: str, *, now: float) -> dict[str, Any] | None:
        """Return the claims of an ID token of this provider's, or `None`."""
        try:
            claims = jwt.verify(id_token, [self._secret], algorithms=["HS256"], now=now)
        except InvalidToken:
            return None
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        return claims if self.client_id in named else None

    def redeem(self, code: str) -> Account | None:
        """Return whom a code stands for, once."""
        return self._codes.pop(code, None)

    def address(self, name: str, members: Mapping[str, str]) -> str:
        """Return where a browser goes to sign in under this name."""
        return f"{self.url}/{name}/authorize?{urlencode(sorted(members.items()))}"

    # ── what a browser does ────────────────────────────────────────────────────────────────────

    def visit(self, *, redirect_uri: str, state: str) -> str | None:
        """Return where a browser that comes is sent at once, or `None`: it is shown the page."""
        if self._denies:
            return self.decide("deny", redirect_uri=redirect_uri, state=state, account=None)
        if self._standing is not None:
            return self.decide(
                "allow", redirect_uri=redirect_uri, state=state, account=self._standing
            )
        return None

    def page(self, name: str, *, redirect_uri: str, state: str, login_hint: str) -> str:
        """Return the page: whom to sign in as, and whether."""
        return _PAGE.format(
            action=html.escape(f"{self.url}/{name}/decision"),
            redirect_uri=html.escape(redirect_uri),
            state=html.escape(state),
            email=html.escape(login_hint or "somebody@example.com"),
        )

    def decide(
        self, decision: str, *, redirect_uri: str, state: str, account: Account | None
    ) -> str:
        """Return where the browser goes with its user's decision."""
        if decision != "allow" or account is None:
            answer = {
                "error": "access_denied",
                "error_description": "User denied",
                "state": state,
            }
        else:
            code = secrets.token_urlsafe(16)
            self._codes[code] = account
            answer = {"code": code, "state": state}
        return f"{redirect_uri}?{urlencode(answer)}"
