"""A keyring backend in memory: for tests of what keeps secrets in `KeyringStore`.

Promises what the most careless real keyring does, and no more: one secret per service and name.
"""

from __future__ import annotations


class MemoryKeyring:
    """
    Keeps secrets in a dict; for `KeyringStore(backend=…)`.

    Safe to call from several threads.

    Args:
        room: Characters in one secret at most; more is refused, as the Windows store does.
    """

    #: As that of a real keyring.
    priority = 5.0

    def __init__(self, room: int | None = None):
        self._room = room
        #: What is kept, by service and name. Holds secrets.
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        """Return the secret, or `None`."""
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """
        Keep the secret, in place of another.

        Raises:
            ValueError: It is longer than there is room for.
        """
        if self._room is not None and len(password) > self._room:
            raise ValueError("The secret is too long.")
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        """
        Remove the secret.

        Raises:
            KeyError: There is none.
        """
        del self.entries[service, username]

    def __repr__(self) -> str:
        return f"MemoryKeyring(entries={len(self.entries)})"
