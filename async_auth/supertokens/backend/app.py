"""What an application is called and where it lives: the values that cookies and issuers follow.

Pure: checked and brought to one form when it is made; nothing is looked up.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit

import attrs

from async_auth.errors import ConfigurationError
from async_auth.supertokens.addresses import checked_domain, checked_path
from async_auth.supertokens.sites import is_local, site_of


def _checked_name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError("app_name must be text, and not empty.")
    return value.strip()


def _api_domain(value: Any) -> str:
    return checked_domain("api_domain", value)


def _website_domain(value: Any) -> str:
    return checked_domain("website_domain", value)


def _api_base_path(value: Any) -> str:
    return checked_path("api_base_path", value)


@attrs.frozen
class AppInfo:
    """
    An application: its name, and where its two halves live.

    Args:
        app_name: What people call it.
        api_domain: Scheme, host and port of the back end as browsers reach it. Without a scheme
            it is https, but for this machine and IP addresses.
        website_domain: The same of the pages that call it.
        api_base_path: The path below which the routes of the session are. `"/"` puts them at
            the root.

    Raises:
        ConfigurationError: An argument cannot be used; it is named.
    """

    app_name: str = attrs.field(converter=_checked_name)
    api_domain: str = attrs.field(converter=_api_domain)
    website_domain: str = attrs.field(converter=_website_domain)
    api_base_path: str = attrs.field(default="/auth", converter=_api_base_path)

    @property
    def issuer(self) -> str:
        """The `iss` of the access tokens that are made here."""
        return f"{self.api_domain}{self.api_base_path}"

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach the back end by https."""
        return _split(self.api_domain).scheme == "https"

    @property
    def is_same_site(self) -> bool:
        """
        Whether browsers take the pages and the back end for one site, scheme included.

        Sites are told apart as `sites.site_of()` can. Everything local is one, as it is for
        SuperTokens' own back ends, though browsers tell localhost from 127.0.0.1.
        """
        api, website = _split(self.api_domain), _split(self.website_domain)
        return api.scheme == website.scheme and _site(api) == _site(website)

    @property
    def is_local(self) -> bool:
        """Whether both halves are on this machine, or on IP addresses."""
        return all(is_local(_host(_split(url))) for url in (self.api_domain, self.website_domain))


def _split(url: str) -> SplitResult:
    return urlsplit(url)


def _host(parts: SplitResult) -> str:
    return parts.hostname or ""


def _site(parts: SplitResult) -> str:
    return site_of(_host(parts))
