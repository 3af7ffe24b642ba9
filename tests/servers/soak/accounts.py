"""Who there is: the accounts of each guest, and the two that all of them share."""

from __future__ import annotations

PASSWORD = "secret-enough"
#: Their sessions are shared: through a folder, and through a Redis.
FILES, REDIS = "files@example.com", "redis@example.com"


def own_of(guest: str) -> str:
    """Return whose session only this guest has."""
    return f"own.{guest}@example.com"


def visitor_of(guest: str) -> str:
    """Return who comes and goes there."""
    return f"visitor.{guest}@example.com"


def tenants_of(guest: str, number: int) -> list[str]:
    """Return those in the pool of this guest."""
    return [f"{index}.{guest}@example.com" for index in range(number)]


def everybody(guests: list[str], tenants: int) -> list[str]:
    """Return all accounts of a run."""
    found = [FILES, REDIS]
    for guest in guests:
        found += [own_of(guest), visitor_of(guest), *tenants_of(guest, tenants)]
    return found
