"""What a session's cookie says: a random id, and how long the session may live. Pure.

The id is in the cookie and nowhere else: a session is kept under a hash of it (`key_of`), so a
list of the store's keys, a backup or a log of them gives nobody a cookie. The times are in the
cookie too, signed with the id, so that an old cookie is refused without asking anybody and a
session's use costs the store no write.
"""

from __future__ import annotations

import hashlib
import math
import struct
from typing import Self

import attrs

#: Bytes of an id, drawn at random: 192 bits, where OWASP asks for 64 bits of entropy at least.
ID_BYTES = 24
#: A cookie is written again when this share of the idle life has passed since it last was.
RENEWAL_SHARE = 0.1

_FORM = struct.Struct(f">{ID_BYTES}sQQ")


@attrs.frozen(kw_only=True)
class Ticket:
    """
    What a cookie says of a session. Its repr shows no id.

    Args:
        id: Names the session. Whoever has it, and a signature, is the session's user.
        began_at: When the user signed in, in whole unix seconds.
        renewed_at: When the cookie was last written.
    """

    id: bytes = attrs.field(repr=False)
    began_at: int
    renewed_at: int

    @classmethod
    def new(cls, id: bytes, *, now: float, began_at: float | None = None) -> Self:  # noqa: A002 - the field
        """
        Return a ticket that is written now.

        Args:
            id: Random bytes, never used before.
            now: Unix seconds.
            began_at: When the user signed in, if that was before.
        """
        began = now if began_at is None else began_at
        return cls(id=id, began_at=_whole(began), renewed_at=_whole(now))

    @classmethod
    def from_payload(cls, payload: bytes) -> Self | None:
        """Return the ticket that `payload()` wrote; `None` for anything else."""
        if len(payload) != _FORM.size:
            return None
        found, began_at, renewed_at = _FORM.unpack(payload)
        return cls(id=found, began_at=began_at, renewed_at=renewed_at)

    def payload(self) -> bytes:
        """Return it as bytes, to be signed."""
        return _FORM.pack(self.id, self.began_at, self.renewed_at)

    def renewed(self, now: float) -> Ticket:
        """Return it as it is written now."""
        return attrs.evolve(self, renewed_at=_whole(now))


@attrs.frozen(kw_only=True)
class Lives:
    """
    How long sessions live, in seconds, whatever the auth server thinks of them.

    Args:
        max_age: From the sign-in, however often they are used.
        idle: From their last use; `None`: that does not count. It is counted in steps of a tenth,
            so a session may end by so much sooner.
    """

    max_age: float
    idle: float | None

    def ends_at(self, ticket: Ticket) -> float:
        """Return when a cookie that says this is worth nothing any more, in unix seconds."""
        ends_at = ticket.began_at + self.max_age
        return ends_at if self.idle is None else min(ends_at, ticket.renewed_at + self.idle)

    def is_over(self, ticket: Ticket, now: float) -> bool:
        """Say whether a cookie that says this is worth nothing any more."""
        return now >= self.ends_at(ticket)

    def wants_renewal(self, ticket: Ticket, now: float) -> bool:
        """Say whether the use of a session is to be written into its cookie."""
        return self.idle is not None and now - ticket.renewed_at >= self.idle * RENEWAL_SHARE


def key_of(ticket: Ticket, *, namespace: str) -> str:
    """
    Return the key under which the pool has the session of a ticket.

    Args:
        ticket: What the cookie says.
        namespace: What the keys begin with.
    """
    digest = hashlib.sha256(b"async_auth web session\x00" + ticket.id).hexdigest()
    return f"{namespace}.{digest}"


def _whole(at: float) -> int:
    return max(0, math.floor(at))
