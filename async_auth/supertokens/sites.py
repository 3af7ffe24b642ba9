"""Which two hosts a browser takes for one site, so far as can be told without asking anybody.

Browsers look into the Public Suffix List, thousands of lines that change weekly. This module
knows the usual shapes (`co.uk` and its kind) and the hosters under whose names strangers live
side by side; what it does not know it takes for a domain of somebody's own. Whoever knows better
says so by `cookie_same_site`. Pure.
"""

from __future__ import annotations

from ipaddress import ip_address

from async_auth.core.hosts import is_loopback

#: Second levels that countries register names below: `example.co.uk`.
_SECOND_LEVELS = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "ltd", "me", "mil", "ne", "net", "or"}
    | {"org", "plc", "sch"}
)
#: A country's top-level domain has two letters (ISO 3166).
_COUNTRY = 2
#: Names below which each label belongs to another customer.
_SHARED = frozenset({
    "azurewebsites.net",
    "cloudfront.net",
    "deno.dev",
    "firebaseapp.com",
    "fly.dev",
    "github.io",
    "gitlab.io",
    "herokuapp.com",
    "netlify.app",
    "ngrok.app",
    "ngrok.io",
    "ngrok-free.app",
    "onrender.com",
    "pages.dev",
    "run.app",
    "vercel.app",
    "web.app",
    "workers.dev",
})  # fmt: skip
#: Here the number of labels varies by service and region, so a host is a site of its own.
_EACH_ITS_OWN = ".amazonaws.com"
#: What every host on this machine or network, by name or address, counts as.
_LOCAL = "localhost"


def is_local(host: str) -> bool:
    """Whether *host* is this machine, or an IP address: places where one develops."""
    if is_loopback(host):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def site_of(host: str) -> str:
    """
    Return the domain that *host* is registered under.

    Args:
        host: A name or an IP address, in lower case, without brackets. Everything local is one
            site, as it is for SuperTokens' own back ends.
    """
    if is_local(host):
        return _LOCAL
    name = host.removesuffix(".")
    if name.endswith(_EACH_ITS_OWN):
        return name
    labels = name.split(".")
    suffix = ".".join(labels[-2:])
    below_country = len(labels[-1]) == _COUNTRY and labels[-2:-1] and labels[-2] in _SECOND_LEVELS
    kept = 3 if suffix in _SHARED or below_country else 2
    return ".".join(labels[-kept:])
