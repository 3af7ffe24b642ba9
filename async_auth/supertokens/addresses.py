"""The addresses that both halves are told: a domain and a path, each checked and in one form.

Pure: nothing is looked up.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from async_auth.errors import ConfigurationError
from async_auth.supertokens.sites import is_local

#: What a path may consist of so that it can stand in a cookie's `Path` and in a URL.
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@%-]+)*")


def checked_path(name: str, value: Any) -> str:
    """
    Return a path with a slash before it and none behind; `""` for the root.

    Raises:
        ConfigurationError: It cannot be a path; *name* is the argument.
    """
    path = f"/{value.strip().strip('/')}".rstrip("/") if isinstance(value, str) else None
    if path is None or not _PATH.fullmatch(path):
        raise ConfigurationError(f"{name} must be a path such as '/auth'.")
    return path


def checked_domain(name: str, value: Any) -> str:
    """
    Return scheme, host and perhaps port in one form, such as `https://example.com`.

    Raises:
        ConfigurationError: It names something else; *name* is the argument.
    """
    if not isinstance(value, str) or not (text := value.strip()).isprintable() or " " in text:
        raise ConfigurationError(f"{name} must be text such as 'https://example.com'.")
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigurationError(f"{name} has a host or a port that cannot be read.") from None
    # As SuperTokens' own back ends read it: without a scheme only what is local is plain.
    scheme = parts.scheme or ("http" if is_local(host or "") else "https")
    if scheme not in ("http", "https") or not host:
        raise ConfigurationError(f"{name} must be a scheme, a host and perhaps a port.")
    if "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{name} must end after the host or port; the path goes into api_base_path."
        )
    return f"{scheme}://{parts.netloc.lower()}"
