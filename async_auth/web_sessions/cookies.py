"""The two cookies of web sessions: the session's, and that of a sign-in under way. Pure.

Reading asks nobody: a cookie that was made up, tampered with, cut off, signed for something else
or is too old is found out by its signature and its times alone. The second cookie names the place
where a sign-in keeps what its second request needs; it is no session's, whatever stands there.
"""

from __future__ import annotations

import attrs

from async_auth.core.web.incoming import Incoming
from async_auth.core.web.outgoing import Outgoing
from async_auth.web_sessions.csrf import CSRF_HEADER
from async_auth.web_sessions.settings import Settings
from async_auth.web_sessions.signing import Signer
from async_auth.web_sessions.ticket import Lives, Ticket

_SESSION, _FLOW, _CSRF = "session", "sign-in", "csrf"
#: How many cookies of one name are looked at; a browser sends more than one only if somebody has
#: put another there, for another path or from another subdomain.
_MOST = 4


@attrs.frozen(kw_only=True)
class Found:
    """
    What the cookies of a request say.

    Args:
        ticket: The session's; `None` without a good one.
        outdated: Whether the cookie is to be written again with the newest secret.
        useless: Whether there was a session's cookie that is none.
        flow: That of a sign-in under way.
    """

    ticket: Ticket | None
    outdated: bool
    useless: bool
    flow: Ticket | None


@attrs.frozen(kw_only=True)
class Cookies:
    """
    Reads and writes them.

    Args:
        settings: How they are written.
        signer: Signs and reads.
    """

    settings: Settings
    signer: Signer

    def found_in(self, incoming: Incoming, now: float) -> Found:
        """Return what the cookies of a request say at this time, in unix seconds."""
        settings = self.settings
        values = incoming.cookie_values(settings.cookie.name)
        ticket, newest = self._read(_SESSION, values, settings.lives, now)
        flows = incoming.cookie_values(settings.flow.name)
        flow, _ = self._read(_FLOW, flows, settings.flow_lives, now)
        useless = bool(values) and ticket is None
        return Found(ticket=ticket, outdated=not newest, useless=useless, flow=flow)

    def write_session(self, outgoing: Outgoing, ticket: Ticket, now: float) -> None:
        """Give a session's cookie to the browser; the answer is nobody else's to keep."""
        value = self.signer.sign(_SESSION, ticket.payload())
        life = self.settings.life_left(ticket, now)
        outgoing.set_cookie(self.settings.cookie.written(value, life=life))
        outgoing.set_default("cache-control", "no-store")

    def write_flow(self, outgoing: Outgoing, ticket: Ticket, now: float) -> None:
        """Give the cookie of a sign-in under way to the browser."""
        value = self.signer.sign(_FLOW, ticket.payload())
        life = max(0.0, self.settings.flow_lives.ends_at(ticket) - now)
        outgoing.set_cookie(self.settings.flow.written(value, life=life))
        outgoing.set_default("cache-control", "no-store")

    def clear_session(self, outgoing: Outgoing) -> None:
        """Take a session's cookie away."""
        outgoing.set_cookie(self.settings.cookie.removed())
        outgoing.set_default("cache-control", "no-store")

    def clear_flow(self, outgoing: Outgoing) -> None:
        """Take the cookie of a sign-in away."""
        outgoing.set_cookie(self.settings.flow.removed())

    def csrf_token(self, ticket: Ticket, nonce: bytes) -> str:
        """
        Return a token of a session, for its own pages.

        Args:
            ticket: The session's.
            nonce: Random bytes: no two tokens look alike, so that none can be guessed from the
                length of compressed answers (BREACH).
        """
        return self.signer.sign(_CSRF, nonce, bound=ticket.id)

    def is_csrf_token(self, ticket: Ticket, text: str) -> bool:
        """Say whether *text* is a token of this very session."""
        return self.signer.read(_CSRF, text, bound=ticket.id) is not None

    def has_csrf_token(self, ticket: Ticket | None, incoming: Incoming) -> bool:
        """Say whether a request brings a token of its session in the header for it."""
        text = incoming.header(CSRF_HEADER)
        return ticket is not None and text is not None and self.is_csrf_token(ticket, text)

    def _read(
        self, purpose: str, values: tuple[str, ...], lives: Lives, now: float
    ) -> tuple[Ticket | None, bool]:
        """Return the one ticket among some cookies, and whether the newest secret signed it."""
        found: dict[bytes, tuple[Ticket, bool]] = {}
        for value in values[:_MOST]:
            opened = self.signer.read(purpose, value)
            ticket = None if opened is None else Ticket.from_payload(opened.payload)
            if opened is not None and ticket is not None and not lives.is_over(ticket, now):
                # Of one session's cookies the last written counts.
                known = found.get(ticket.id)
                if known is None or known[0].renewed_at < ticket.renewed_at:
                    found[ticket.id] = ticket, opened.newest
        if len(found) != 1:
            # Of two sessions one is somebody else's, and nobody knows which.
            return None, True
        return next(iter(found.values()))
