"""The mails and text messages that the server would send, and the codes in them.

Nothing leaves the machine: a message lands in `Post.outbox`, where tests read it, and its code
waits as a `Ticket` until somebody shows it, asks for a newer one, or it is too old.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Collection
from urllib.parse import quote

import attrs

from async_auth.testing.gotrue.options import Options
from async_auth.testing.gotrue.pkce import Flow
from async_auth.testing.gotrue.refusals import Refusal
from async_auth.testing.gotrue.rows import User

_HOUR = 3600.0

#: What each kind of message is noted under in the user's row, and so limited by.
_SENT_AT = {
    "signup": "confirmation_sent_at",
    "invite": "confirmation_sent_at",
    "sms": "confirmation_sent_at",
    "magiclink": "recovery_sent_at",
    "recovery": "recovery_sent_at",
    "email_change": "email_change_sent_at",
    "phone_change": "phone_change_sent_at",
    "reauthentication": "reauthentication_sent_at",
}

#: Kinds that have one code among them: a newer one replaces the older.
_SLOTS = {
    "signup": "confirmation",
    "invite": "confirmation",
    "magiclink": "recovery",
    "recovery": "recovery",
}


@attrs.frozen(kw_only=True)
class Message:
    """
    A mail or text message.

    Args:
        kind: `signup`, `invite`, `magiclink`, `recovery`, `email_change`, `reauthentication`,
            `sms`, `phone_change` or `mfa`.
        address: The e-mail address, or the phone number without its plus.
        code: The six digits in it.
        token_hash: What the link in it carries; a text message has none.
        redirect_to: Where the link leads in the end.
        link: The link itself: GET it as a browser would.
        sent_at: When it was sent, unix seconds.
    """

    kind: str
    address: str
    code: str = attrs.field(repr=False)
    token_hash: str = attrs.field(default="", repr=False)
    redirect_to: str = ""
    link: str = attrs.field(default="", repr=False)
    sent_at: float


@attrs.frozen(kw_only=True)
class Ticket:
    """
    A code that waits to be shown.

    Args:
        slot: What it is good for; a user has one ticket in each.
        flow: The PKCE flow that it belongs to, if any.
    """

    slot: str
    user_id: str
    address: str
    made_at: float
    code: str = attrs.field(repr=False)
    token_hash: str = attrs.field(repr=False)
    flow: Flow | None = None


@attrs.frozen(kw_only=True)
class Target:
    """
    Where the link of a mail leads.

    Args:
        redirect_to: The address that the browser is sent to in the end.
        flow: The PKCE flow that it continues; `None`: the session goes into the fragment.
    """

    redirect_to: str = ""
    flow: Flow | None = None


@attrs.define
class Post:
    """
    All messages and tickets of the server.

    Args:
        options: The limits.
        root: The server's address, for links.
        outbox: What was sent, the oldest first.
    """

    options: Options
    root: str = ""
    outbox: list[Message] = attrs.field(factory=list)
    _tickets: list[Ticket] = attrs.field(factory=list, repr=False)

    def check_rate(self, user: User, kind: str, *, now: float) -> None:
        """Refuse a message that would be the second of its kind too soon."""
        what = "sms" if kind in ("sms", "phone_change") else "email"
        sent_at = getattr(user, _SENT_AT[kind])
        wait = (-math.inf if sent_at is None else sent_at) + self.options.email_max_frequency - now
        if wait > 0:
            raise Refusal(
                429,
                f"over_{what}_send_rate_limit",
                "For security purposes, you can only request this after "
                f"{math.floor(wait)} seconds.",
            )
        self.check_hour(what, now=now)

    def check_hour(self, what: str, *, now: float) -> None:
        """Refuse an `email` that would be one too many in an hour; an `sms` is never that."""
        limit = self.options.emails_per_hour
        recent = [one for one in self.outbox if "@" in one.address and one.sent_at > now - _HOUR]
        if what == "email" and limit is not None and len(recent) >= limit:
            raise Refusal(429, "over_email_send_rate_limit", "email rate limit exceeded")

    def send(
        self,
        kind: str,
        user: User,
        address: str,
        *,
        target: Target,
        slot: str = "",
        now: float,
    ) -> None:
        """
        Put a message into the outbox and let its code wait.

        *slot* is what the code is good for, if the kind does not say.
        """
        ticket = self.write_ticket(kind, user, address, slot=slot, flow=target.flow, now=now)
        redirect_to = target.redirect_to or self.options.site_url
        has_link = "@" in address and kind != "reauthentication"
        self.outbox.append(
            Message(
                kind=kind,
                address=address,
                code=ticket.code,
                token_hash=ticket.token_hash if has_link else "",
                redirect_to=redirect_to if has_link else "",
                link=self.link(ticket, kind, redirect_to) if has_link else "",
                sent_at=now,
            )
        )

    def write_ticket(
        self,
        kind: str,
        user: User,
        address: str,
        *,
        slot: str = "",
        flow: Flow | None = None,
        now: float,
    ) -> Ticket:
        """Make a code that nobody is told, in place of the user's older one for the same."""
        if kind in _SENT_AT:
            setattr(user, _SENT_AT[kind], now)
        slot = slot or _SLOTS.get(kind, kind)
        self.drop(user.id, slot)
        code = f"{secrets.randbelow(10**6):06d}"
        digest = hashlib.sha224(f"{address}{code}".encode()).hexdigest()
        ticket = Ticket(
            slot=slot,
            user_id=user.id,
            address=address,
            made_at=now,
            code=code,
            token_hash=digest if flow is None else f"pkce_{digest}",
            flow=flow,
        )
        self._tickets.append(ticket)
        return ticket

    def find(
        self,
        slots: Collection[str],
        *,
        address: str = "",
        code: str = "",
        token_hash: str = "",
        now: float,
    ) -> Ticket | None:
        """Return the ticket that was shown, by its hash or by address and code, if it is good."""
        for ticket in self._tickets:
            if ticket.slot not in slots or now >= ticket.made_at + self.options.otp_expiry:
                continue
            by_hash = bool(token_hash) and ticket.token_hash == token_hash
            if by_hash or (bool(code) and (ticket.address, ticket.code) == (address, code)):
                return ticket
        return None

    def drop(self, user_id: str, *slots: str) -> None:
        """Forget the user's tickets: those in *slots*, or all."""
        self._tickets = [
            ticket
            for ticket in self._tickets
            if ticket.user_id != user_id or (slots and ticket.slot not in slots)
        ]

    def link(self, ticket: Ticket, kind: str, redirect_to: str) -> str:
        """Return the link that shows the ticket."""
        where = quote(redirect_to, safe=":/?=")
        return f"{self.root}/verify?token={ticket.token_hash}&type={kind}&redirect_to={where}"
