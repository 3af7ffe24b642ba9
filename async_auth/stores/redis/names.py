"""What sessions, locks and channels are called in Redis, and what a message on a channel says. Pure.

Everything of one session has the same hash tag, so in a Redis Cluster it lies on one node: the tag
is the part between the braces, which is all of the name but the prefix and the kind. What is
stored outlives releases, so these names must not change.
"""

from __future__ import annotations

from typing import overload

import attrs

from async_auth.errors import ConfigurationError
from async_auth.ports import Change

#: Digits of the largest generation that is believed; Lua and JSON keep none this long.
DIGITS = 18
#: Bytes of the longest sign-in id that is believed. Ours have 32; each is kept in memory.
SIGN_IN_ID_MAX = 1024


@attrs.frozen
class Names:
    """
    The names under one prefix: `<prefix>{:<key>}:<kind>`.

    No two keys or prefixes share one. The colon is inside of the braces because an empty tag, as
    that of an empty key would be, is no tag.

    Args:
        prefix: What they all begin with.

    Raises:
        ConfigurationError: *prefix* is no text, is empty, or has braces in it.
    """

    prefix: str

    def __attrs_post_init__(self) -> None:
        prefix: object = self.prefix
        if not isinstance(prefix, str) or not prefix or set(prefix) & set("{}"):
            raise ConfigurationError(
                f"prefix: must be a text that is not empty and has no braces; got {prefix!r}."
            )

    def session(self, key: str) -> bytes:
        """Return the name of the hash with the record."""
        return self._name(key, "session")

    def lock(self, key: str) -> bytes:
        """Return the name of the refresh lock."""
        return self._name(key, "lock")

    def changed(self, key: str) -> bytes:
        """Return the channel on which changes are told."""
        return self._name(key, "changed")

    def key_of(self, channel: bytes) -> str:
        """Return the key whose changes are told on *channel*, which `changed()` has returned."""
        empty = len(self.changed(""))
        head = len(self.prefix.encode("utf-8", "surrogatepass")) + len("{:")
        return channel[head : head + len(channel) - empty].decode("utf-8", "surrogatepass")

    def _name(self, key: str, kind: str) -> bytes:
        return f"{self.prefix}{{:{key}}}:{kind}".encode("utf-8", "surrogatepass")


def parse_message(key: str, message: bytes) -> Change:
    """
    Return what a message about *key* says: `<generation> <sign-in id>`.

    Any other message, such as `0` after a removal, says only that something may have changed.
    """
    generation, separator, sign_in_id = message.partition(b" ")
    return parse_facts(key, generation, sign_in_id if separator else None)


def parse_facts(key: str, generation: bytes | None, sign_in_id: bytes | None) -> Change:
    """Return the change to this generation and sign-in; to what must be looked at, if it is none."""
    if generation is None or sign_in_id is None or len(sign_in_id) > SIGN_IN_ID_MAX:
        return Change(key=key)
    if not (generation.isdigit() and len(generation) <= DIGITS and int(generation)):
        return Change(key=key)
    try:
        text = sign_in_id.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return Change(key=key)
    return Change(key=key, generation=int(generation), sign_in_id=text)


@overload
def as_bytes(text: bytes | str) -> bytes: ...
@overload
def as_bytes(text: bytes | str | None) -> bytes | None: ...
def as_bytes(text: bytes | str | None) -> bytes | None:
    """Return as Redis keeps it what a client of the user's may have decoded."""
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
