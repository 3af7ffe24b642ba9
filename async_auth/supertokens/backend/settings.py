"""How a back end treats sessions: every option, checked, with nothing left open.

What is not said follows from where the application lives. Pure; `Settings.of()` is the one
place where options are checked, so that every other module can believe them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal, cast

import attrs

from async_auth.core.web.cookies import SameSite
from async_auth.core.web.incoming import Incoming
from async_auth.errors import ConfigurationError
from async_auth.supertokens.addresses import checked_path
from async_auth.supertokens.backend.app import AppInfo
from async_auth.supertokens.cdi.calls import checked_tenant
from async_auth.supertokens.sites import is_local

#: Which transfer methods are taken; `any` leaves it to each front end.
Accepted = Literal["any", "header", "cookie"]
#: How requests with cookies prove that a page of ours made them.
AntiCsrf = Literal["VIA_TOKEN", "VIA_CUSTOM_HEADER", "NONE"]
#: Habits of an older release.
Preset = Literal["v1"]

_ACCEPTED = ("any", "header", "cookie")
_ANTI_CSRF = ("VIA_TOKEN", "VIA_CUSTOM_HEADER", "NONE")
_SAME_SITE = ("lax", "strict", "none")
_STATUSES = range(400, 600)
_EXPIRED, _EXPIRED_V1, _INVALID_CLAIM = 401, 440, 403
_REFRESH_PATH_V1 = "/api/refresh"
_DOMAIN = re.compile(r"\.?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


@attrs.frozen(kw_only=True)
class Settings:
    """
    Every option, resolved. Make it by `of()`, which checks.

    Args:
        app: Where the application lives.
        token_transfer_method: Which methods are taken, or what says so of a request.
        anti_csrf: How requests with cookies prove that a page of ours made them. Header mode
            needs none, for no page of others can add headers.
        cookie_domain: To which domain cookies are sent; `None` for the back end's host alone.
        older_cookie_domain: What `cookie_domain` was before, `""` for the host alone. `None` if
            it never changed.
        cookie_secure: Whether cookies are sent by https only.
        cookie_same_site: Whether pages of other sites send them.
        tenant_id: In which tenant sessions are created.
        session_expired_status_code: The status of everything that wants a refresh or a sign-in.
        invalid_claim_status_code: The status where a claim is not as it was asked for.
        use_dynamic_access_token_signing_key: Whether new access tokens are signed by keys that
            rotate.
        expose_access_token_to_frontend_in_cookie_based_auth: Whether a front end in cookie mode
            is told the access token as well, by header.
        refresh_path: The route of the refresh, and the path of its cookie.
        signout_path: The route that signs out.
        jwks_path: The route of the public keys.
        theft_revokes: Whether a detected theft ends that session if nobody decides otherwise.
    """

    app: AppInfo
    token_transfer_method: Accepted | Callable[[Incoming], Accepted]
    anti_csrf: AntiCsrf
    cookie_domain: str | None
    older_cookie_domain: str | None
    cookie_secure: bool
    cookie_same_site: SameSite
    tenant_id: str
    session_expired_status_code: int
    invalid_claim_status_code: int
    use_dynamic_access_token_signing_key: bool
    expose_access_token_to_frontend_in_cookie_based_auth: bool
    refresh_path: str
    signout_path: str
    jwks_path: str
    theft_revokes: bool

    @classmethod
    def of(
        cls,
        app: AppInfo,
        *,
        token_transfer_method: Accepted | Callable[[Incoming], Accepted] = "any",
        anti_csrf: AntiCsrf | None = None,
        cookie_domain: str | None = None,
        older_cookie_domain: str | None = None,
        cookie_secure: bool | None = None,
        cookie_same_site: SameSite | None = None,
        tenant_id: str = "public",
        session_expired_status_code: int | None = None,
        invalid_claim_status_code: int | None = None,
        use_dynamic_access_token_signing_key: bool = True,
        expose_access_token_to_frontend_in_cookie_based_auth: bool = False,
        preset: Preset | None = None,
        refresh_path: str | None = None,
        signout_path: str | None = None,
        jwks_path: str | None = None,
    ) -> Settings:
        """
        Check the options and fill in what was not said.

        Args:
            app: Where the application lives.
            token_transfer_method: `any`, `header`, `cookie`, or a callable that says one of
                these of a request.
            anti_csrf: By default VIA_CUSTOM_HEADER where cookies cross sites
                (`cookie_same_site` is `none`), else NONE.
            cookie_domain: A host, with or without a dot before it.
            older_cookie_domain: The same, or `""`.
            cookie_secure: By default whether `app.api_domain` is https.
            cookie_same_site: By default `none` if pages and back end are of different sites or
                schemes, else `lax`.
            tenant_id: Letters, digits, `-` and `_`.
            session_expired_status_code: By default 401, with preset v1 440.
            invalid_claim_status_code: By default 403. Must not be the one before.
            use_dynamic_access_token_signing_key: As in the class.
            expose_access_token_to_frontend_in_cookie_based_auth: As in the class.
            preset: `v1` has the habits of release 1.0: status 440, the refresh at
                `/api/refresh`, and a theft that is reported and ends nothing.
            refresh_path: By default `{api_base_path}/session/refresh`.
            signout_path: By default `{api_base_path}/signout`.
            jwks_path: By default `{api_base_path}/jwt/jwks.json`.

        Raises:
            ConfigurationError: An option cannot be used, or two contradict each other; they
                are named.
        """
        if not isinstance(app, AppInfo):
            raise ConfigurationError(
                "app must be an AppInfo(app_name, api_domain, website_domain)."
            )
        if preset not in (None, "v1"):
            raise ConfigurationError("preset must be 'v1' or None.")
        if not callable(token_transfer_method):
            _check_choice("token_transfer_method", token_transfer_method, _ACCEPTED)
        same_site = _same_site(cookie_same_site, app)
        secure = _flag("cookie_secure", app.is_secure if cookie_secure is None else cookie_secure)
        if anti_csrf is None:
            anti_csrf = "VIA_CUSTOM_HEADER" if same_site == "none" else "NONE"
        _check_choice("anti_csrf", anti_csrf, _ANTI_CSRF)
        base = app.api_base_path
        settings = cls(
            app=app,
            token_transfer_method=token_transfer_method,
            anti_csrf=anti_csrf,
            cookie_domain=_domain("cookie_domain", cookie_domain),
            older_cookie_domain=_older_domain(older_cookie_domain),
            cookie_secure=secure,
            cookie_same_site=same_site,
            tenant_id=checked_tenant(tenant_id),
            session_expired_status_code=_status(
                "session_expired_status_code",
                session_expired_status_code,
                _EXPIRED_V1 if preset == "v1" else _EXPIRED,
            ),
            invalid_claim_status_code=_status(
                "invalid_claim_status_code", invalid_claim_status_code, _INVALID_CLAIM
            ),
            use_dynamic_access_token_signing_key=_flag(
                "use_dynamic_access_token_signing_key", use_dynamic_access_token_signing_key
            ),
            expose_access_token_to_frontend_in_cookie_based_auth=_flag(
                "expose_access_token_to_frontend_in_cookie_based_auth",
                expose_access_token_to_frontend_in_cookie_based_auth,
            ),
            refresh_path=_route(
                "refresh_path",
                refresh_path,
                _REFRESH_PATH_V1 if preset == "v1" else f"{base}/session/refresh",
            ),
            signout_path=_route("signout_path", signout_path, f"{base}/signout"),
            jwks_path=_route("jwks_path", jwks_path, f"{base}/jwt/jwks.json"),
            theft_revokes=preset != "v1",
        )
        settings._check_together(said_none=cookie_same_site is not None)
        return settings

    def accepted(self, incoming: Incoming) -> Accepted:
        """
        Return which methods are taken from this request.

        Raises:
            ConfigurationError: *token_transfer_method* is a callable and said something else.
        """
        method = self.token_transfer_method
        if callable(method):
            method = method(incoming)
            _check_choice("token_transfer_method's answer", method, _ACCEPTED)
        return method

    def check_cookies(self) -> None:
        """
        Refuse to begin a session in cookies that no browser would keep.

        Raises:
            ConfigurationError: Cookies are `SameSite=none` and not `Secure`, and this is not a
                place where one develops.
        """
        if self.cookie_same_site == "none" and not self.cookie_secure and not self.app.is_local:
            raise ConfigurationError(
                "cookie_same_site is 'none', because it was given or because api_domain and "
                "website_domain are of different sites, and cookie_secure is False: browsers drop "
                "such cookies. Use https for api_domain, or token_transfer_method='header'."
            )

    def _check_together(self, *, said_none: bool) -> None:
        if self.session_expired_status_code == self.invalid_claim_status_code:
            raise ConfigurationError(
                "session_expired_status_code and invalid_claim_status_code must differ, for a "
                "front end refreshes on the first only."
            )
        # A dot before it changes nothing (RFC 6265 section 5.2.3).
        today, older = self.cookie_domain or "", self.older_cookie_domain
        if older is not None and older.removeprefix(".") == today.removeprefix("."):
            raise ConfigurationError(
                "older_cookie_domain is the cookie_domain of today; give the one before, or none."
            )
        paths = (self.refresh_path, self.signout_path, self.jwks_path)
        if len(set(paths)) != len(paths):
            raise ConfigurationError("refresh_path, signout_path and jwks_path must differ.")
        # Where cookies may never be asked for, it is early enough when they are.
        if self.token_transfer_method == "cookie" or (
            said_none and self.token_transfer_method != "header"
        ):
            self.check_cookies()


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}.")


def _same_site(value: Any, app: AppInfo) -> SameSite:
    if value is None:
        return "lax" if app.is_same_site else "none"
    found = value.strip().lower() if isinstance(value, str) else value
    _check_choice("cookie_same_site", found, _SAME_SITE)
    return cast("SameSite", found)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False.")
    return value


def _status(name: str, value: Any, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value not in _STATUSES:
        raise ConfigurationError(f"{name} must be a status from 400 to 599.")
    return value


def _domain(name: str, value: Any) -> str | None:
    if value is None:
        return None
    domain = value.strip().lower() if isinstance(value, str) else ""
    if not _DOMAIN.fullmatch(domain):
        raise ConfigurationError(f"{name} must be a host such as 'example.com', without a scheme.")
    bare = domain.removeprefix(".")
    return bare if is_local(bare) else domain


def _older_domain(value: Any) -> str | None:
    return value if value == "" else _domain("older_cookie_domain", value)


def _route(name: str, value: Any, default: str) -> str:
    path = checked_path(name, default if value is None else value)
    if not path:
        raise ConfigurationError(f"{name} must be more than the root.")
    return path
