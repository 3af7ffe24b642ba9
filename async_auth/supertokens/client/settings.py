"""Where an API is and how its sessions behave: what a client was told when it was made. Pure.

Everything is checked here, at once; a wrong argument is a `ConfigurationError` that names it.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from async_auth.core.hosts import is_loopback
from async_auth.errors import ConfigurationError
from async_auth.http_messages import Request, Response
from async_auth.supertokens.addresses import checked_domain, checked_path
from async_auth.supertokens.client.interception import Interception
from async_auth.supertokens.wire import TransferMethod

#: What a hook is called about.
ApiAction = Literal["REFRESH_SESSION", "SIGN_OUT"]
#: Returns the request to send in place of the one it gets.
PreApiHook = Callable[[ApiAction, Request], Request]
#: Sees a request of ours that succeeded, and its answer.
PostApiHook = Callable[[ApiAction, Request, Response], None]

_EXPIRED, _EXPIRED_V1 = 401, 440
_REFRESH_PATH_V1 = "/api/refresh"
_STATUSES = range(400, 600)


@attrs.frozen(kw_only=True)
class Settings:
    """
    An API that has SuperTokens sessions.

    Args:
        api_domain: Scheme, host and port of the API.
        api_base_path: The path below which its session routes are.
        refresh_path: Where it refreshes.
        transfer: How tokens are asked for.
        expired: The status that says that a token will not do.
        invalid_claim: The status that says that a claim is not as it must be.
        refreshes_max: How often one request may be sent again.
        interception: Which requests carry the session.
        pre_api_hook: Changes our own requests.
        post_api_hook: Sees the answers to them.
    """

    api_domain: str
    api_base_path: str
    refresh_path: str
    transfer: TransferMethod
    expired: int
    invalid_claim: int
    refreshes_max: int
    interception: Interception
    pre_api_hook: PreApiHook | None = None
    post_api_hook: PostApiHook | None = None

    @classmethod
    def of(
        cls,
        api_domain: Any,
        api_base_path: Any,
        *,
        token_transfer_method: Any,
        session_expired_status_code: Any,
        invalid_claim_status_code: Any,
        max_refresh_attempts: Any,
        session_token_backend_domain: Any,
        by_hostname: Any,
        preset: Any,
        pre_api_hook: Any,
        post_api_hook: Any,
        allow_insecure: Any,
    ) -> Settings:
        """
        Check a client's arguments; see `SuperTokensClient`.

        Raises:
            ConfigurationError: One is wrong, or two contradict each other; they are named.
        """
        domain = checked_domain("api_domain", api_domain)
        if not allow_insecure and domain.startswith("http://"):
            host = urlsplit(domain).hostname or ""
            if not is_loopback(host):
                raise ConfigurationError(
                    f"api_domain: {domain} would receive the tokens unencrypted; use https, or "
                    "say allow_insecure=True."
                )
        if token_transfer_method not in ("header", "cookie"):
            raise ConfigurationError("token_transfer_method must be 'header' or 'cookie'.")
        if preset not in (None, "v1"):
            raise ConfigurationError("preset must be 'v1' or None.")
        if session_expired_status_code is None:
            session_expired_status_code = _EXPIRED_V1 if preset == "v1" else _EXPIRED
        _check_status("session_expired_status_code", session_expired_status_code)
        _check_status("invalid_claim_status_code", invalid_claim_status_code)
        if session_expired_status_code == invalid_claim_status_code:
            raise ConfigurationError(
                "session_expired_status_code and invalid_claim_status_code must differ."
            )
        if not _is_int(max_refresh_attempts) or max_refresh_attempts < 0:
            raise ConfigurationError("max_refresh_attempts must be a whole number, 0 or more.")
        if not isinstance(session_token_backend_domain, str | None):
            raise ConfigurationError("session_token_backend_domain must be text or None.")
        _check_hook("pre_api_hook", pre_api_hook)
        _check_hook("post_api_hook", post_api_hook)
        base = checked_path("api_base_path", api_base_path)
        refresh_path = _REFRESH_PATH_V1 if preset == "v1" else f"{base}/session/refresh"
        return cls(
            api_domain=domain,
            api_base_path=base,
            refresh_path=refresh_path,
            transfer=token_transfer_method,
            expired=session_expired_status_code,
            invalid_claim=invalid_claim_status_code,
            refreshes_max=max_refresh_attempts,
            interception=Interception(
                api_domain=domain,
                refresh_path=refresh_path,
                by_hostname=bool(by_hostname),
                session_token_backend_domain=session_token_backend_domain,
                allow_insecure=bool(allow_insecure),
            ),
            pre_api_hook=pre_api_hook,
            post_api_hook=post_api_hook,
        )

    @property
    def refresh_url(self) -> str:
        """Where a session is refreshed."""
        return f"{self.api_domain}{self.refresh_path}"

    @property
    def sign_out_url(self) -> str:
        """Where a session is ended."""
        return f"{self.api_domain}{self.api_base_path}/signout"


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_status(name: str, value: Any) -> None:
    if not _is_int(value) or value not in _STATUSES:
        raise ConfigurationError(f"{name} must be an HTTP status from 400 to 599.")


def _check_hook(name: str, value: Any) -> None:
    if value is not None and (not callable(value) or iscoroutinefunction(value)):
        # It stands between a rotated token and the store: nothing may wait there.
        raise ConfigurationError(f"{name} must be a plain function; it cannot be async.")
