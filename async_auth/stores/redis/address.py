"""The URL of a Redis: what it may say, and what of it may be shown. Pure.

No message and no repr in here quotes a part of the URL that could be, or could by a slip of the
writer's be, a piece of the password.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from async_auth.errors import ConfigurationError

#: Valkey's schemes are Redis's under another name, which redis-py does not know.
SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
}
TLS_OPTIONS = frozenset(
    {
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_keyfile",
    }
)
OPTIONS = TLS_OPTIONS | {"client_name", "db", "protocol"}
DEFAULT_PORT = 6379


@attrs.frozen
class Address:
    """
    Where a Redis is.

    Args:
        url: What redis-py is given; it may hold a password.
        place: The same without user, password and options, to be shown.
    """

    url: str = attrs.field(repr=False)
    place: str


def parse_address(url: object) -> Address:
    """
    Return the address that *url* names.

    Args:
        url: `redis://user:password@host:port/database`, `rediss://…` for TLS, or
            `unix://user:password@/path?db=0`; `valkey://` and `valkeys://` mean the same as the
            first two.

    Raises:
        ConfigurationError: It is something else: a Sentinel or a Cluster, several hosts, or not
            well-formed. The message quotes nothing that may be secret.
    """
    if not isinstance(url, str) or "://" not in url:
        raise ConfigurationError("url: must be a text such as redis://localhost:6379/0.")
    scheme, _, rest = url.partition("://")
    refuse_other_kinds(scheme.lower(), rest)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigurationError(f"url: host or port cannot be read. {ENCODE}") from None
    options = check_options(parts.query, tls=SCHEMES[scheme.lower()] == "rediss")
    if parts.fragment:
        raise ConfigurationError(f"url: there is something behind a '#'. {ENCODE}")
    known = SCHEMES[scheme.lower()]
    normal = f"{known}://{rest}"
    if known == "unix":
        if parts.hostname or len(parts.path) < 2:  # noqa: PLR2004 - a slash and a name
            raise ConfigurationError("url: write unix:///path/of/the/socket.")
        return Address(normal, f"unix://{unquote(parts.path)}?db={options.get('db', '0')}")
    if not parts.hostname:
        raise ConfigurationError(f"url: it names no host. {ENCODE}")
    database = parts.path.removeprefix("/")
    if database and not (database.isascii() and database.isdigit()):
        raise ConfigurationError(f"url: the path must be a database's number. {ENCODE}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    number = options.get("db") or database or "0"
    return Address(normal, f"{known}://{host}:{port or DEFAULT_PORT}/{number}")


ENCODE = "Characters such as / ? # @ : in a user's name or password must be percent-encoded."


def refuse_other_kinds(scheme: str, rest: str) -> None:
    """Raise ConfigurationError for what is no single Redis."""
    if "sentinel" in scheme:
        raise ConfigurationError(
            "url: Sentinels are not asked by RedisStore itself. Make the client with "
            "redis.asyncio.sentinel.Sentinel(…).master_for(…) and give it as client=."
        )
    if "cluster" in scheme:
        raise ConfigurationError(
            "url: the nodes of a Cluster are not looked for by RedisStore itself. Make the client "
            "with redis.asyncio.RedisCluster.from_url(…) and give it as client=."
        )
    if scheme not in SCHEMES:
        raise ConfigurationError(
            "url: must begin with redis://, rediss:// (TLS), valkey://, valkeys:// (TLS) or unix://."
        )
    if "," in rest.partition("/")[0].rpartition("@")[2]:
        raise ConfigurationError(
            "url: must name one server; several hosts mean a Sentinel or a Cluster. Make "
            "the client with redis.asyncio, and give it as client=."
        )


def check_options(query: str, *, tls: bool) -> dict[str, str]:
    """
    Return the options behind the `?`.

    Raises:
        ConfigurationError: One is unknown, said twice, about TLS where there is none, or not
            of its kind.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) < len(pairs) or not options.keys() <= OPTIONS:
        names = ", ".join(sorted(OPTIONS))
        raise ConfigurationError(
            f"url: behind the '?' each of these may stand once: {names}. {ENCODE}"
        )
    for name in ("db", "protocol"):
        if name in options and not (options[name].isascii() and options[name].isdigit()):
            raise ConfigurationError(f"url: {name} must be a number.")
    if not tls and options.keys() & TLS_OPTIONS:
        raise ConfigurationError("url: options of TLS need rediss://, which is Redis over TLS.")
    return options
