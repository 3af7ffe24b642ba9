"""Signing in with a wallet's signature: POST /token?grant_type=web3.

The signatures of both chains are really verified. A message is taken for ten minutes around its
time, from anybody who has it: GoTrue keeps no account of nonces, so neither is one kept here.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from async_auth.testing.gotrue.answers import Answer
from async_auth.testing.gotrue.linking import user_of
from async_auth.testing.gotrue.redirects import is_allowed
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.state import GoTrueState
from async_auth.testing.web3.message import ACCOUNTS, SignInMessage, read_message
from async_auth.testing.web3.signatures import is_signed_by, read_signature

#: For how long a message is taken, and how far its time may be ahead, in seconds.
MESSAGE_EXPIRY = 600.0
_LEAST_LENGTH, _MOST_LENGTH = 64, 20 * 1024


def sign_in_with_wallet(
    state: GoTrueState, *, chain: str, message: str, signature: str, now: float
) -> Answer:
    """Open a session for whoever has the key of the account that the message names."""
    if chain not in ACCOUNTS:
        raise Refusal(400, "web3_unsupported_chain", "Unsupported chain")
    if len(message) < _LEAST_LENGTH:
        raise invalid("message is too short")
    if len(message) > _MOST_LENGTH:
        raise invalid("message must not exceed 20KB")
    try:
        shown = read_signature(signature, chain)
        said = read_message(message, chain)
    except ValueError as error:
        raise invalid(str(error)) from None
    if not is_signed_by(said.address, message, shown, chain):
        raise _refused("Signature does not match address in message")
    _check_place(state, said, chain)
    _check_time(said, chain, now=now)
    data = {
        "custom_claims": {
            "address": said.address,
            "chain": chain,
            "domain": said.domain,
            "network": said.network,
            "statement": said.statement,
        },
        "email_verified": False,
        "phone_verified": False,
        "sub": f"web3:{chain}:{said.address}",
    }
    user = user_of(state, "web3", data, now=now)
    if user.is_banned(now):
        raise Refusal(403, "user_banned", "User is banned")
    return state.sessions.open(user, "web3", now=now)


def _check_place(state: GoTrueState, said: SignInMessage, chain: str) -> None:
    uri = urlsplit(said.uri)
    if uri.hostname == "localhost":
        return
    signed = f"Signed {ACCOUNTS[chain]} message is using"
    if uri.scheme != "https":
        raise _refused(f"{signed} URI which does not use HTTPS")
    if not is_allowed(said.uri, state.options):
        raise _refused(
            f"{signed} URI which is not allowed on this server, message was signed for another app"
        )
    if uri.netloc != said.domain:
        raise _refused(
            f"{signed} a Domain that does not match the one in URI which is not allowed on this "
            "server"
        )


def _check_time(said: SignInMessage, chain: str, *, now: float) -> None:
    name = ACCOUNTS[chain]
    if said.not_before is not None and now < said.not_before:
        raise _refused(f"Signed {name} message becomes valid in the future")
    if said.expires_at is not None and now > said.expires_at:
        raise _refused(f"Signed {name} message is expired")
    if now > said.issued_at + MESSAGE_EXPIRY:
        raise _refused(f"{name} message was issued too long ago")
    if now < said.issued_at - MESSAGE_EXPIRY:
        raise _refused(f"{name} message was issued too far in the future")


def _refused(why: str) -> Refusal:
    return Refusal(400, "invalid_grant", why, oauth=True)
