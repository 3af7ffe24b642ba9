"""Which hosts can only be this machine: pure, asks no resolver."""

from __future__ import annotations


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an IP address without brackets, is this machine alone."""
    from ipaddress import ip_address

    name = host.removesuffix(".").lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 section 6.3
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    # Python 3.11 does not look through an IPv4 address that is written as IPv6.
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
