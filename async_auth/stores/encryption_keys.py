"""The keys that sessions are encrypted with, from the environment, a file or the OS keyring.

Promises to take 256 random bits only, in base64, and to show no key: what is shown is its id, eight
hexadecimal digits of a hash. Passwords are refused: they would need a slow hash, and a salt to keep.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from async_auth.errors import ConfigurationError, StoreError
from async_auth.stores.os_errors import store_error
from async_auth.stores.reading import read_bounded

if TYPE_CHECKING:
    from async_auth.stores.keyring_entry import KeyringBackend

KEY_BYTES = 32
#: Bytes of a key file: more than a thousand keys.
KEY_FILE_MAX = 64 * 1024
#: What to do about a key that is none.
HINT = "EncryptionKeys.generate() makes one"


@attrs.frozen(kw_only=True)
class EncryptionKey:
    """
    One key.

    Args:
        value: 32 random bytes.
        id: What tells it from others, and is stored with what it has encrypted.
    """

    value: bytes = attrs.field(repr=False)
    id: str


class EncryptionKeys:
    """
    The keys of an `EncryptedStore`: the first encrypts, every one decrypts.

    To change the key put the new one first and keep the old one behind it. What is saved from then
    on, and every session is at its next refresh, is encrypted with the new one; when all have been
    the old one can go.

    Where several processes share a store, give the new key to all of them as the second before it
    becomes the first of any: a process cannot read what was encrypted with a key it does not have.

    Args:
        keys: Each 32 random bytes in base64 (standard or URL-safe, padded or not), as `generate()`
            makes them.

    Raises:
        ConfigurationError: There is none, or one is no such key.
    """

    def __init__(self, *keys: str):
        if not keys:
            raise ConfigurationError(f"keys: there is none; {HINT}.")
        self._keys = tuple(parse_key(text, number) for number, text in enumerate(keys, 1))

    @staticmethod
    def generate() -> str:
        """Return a new random key, to be kept where the sessions are not."""
        return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()

    @classmethod
    def from_environment(cls, variable: str = "ASYNC_AUTH_KEYS") -> EncryptionKeys:
        """
        Return the keys in an environment variable, between white space or commas.

        Raises:
            ConfigurationError: It is not set, or holds no such keys.
        """
        text = os.environ.get(variable, "")
        if not split_keys(text):
            raise ConfigurationError(
                f"The environment variable {variable} is not set; put a key in it ({HINT})."
            )
        return cls._named(f"The environment variable {variable}", text)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> EncryptionKeys:
        """
        Return the keys in a file, one to a line. Blocks for a moment.

        Args:
            path: A file that nobody but its owner may read.

        Raises:
            ConfigurationError: Others may read it, or it holds no such keys.
            StoreError: It is not there, or cannot be read.
        """
        file = Path(path).expanduser()
        try:
            mode = file.stat().st_mode
            content = read_bounded(file, KEY_FILE_MAX)
        except FileNotFoundError as error:
            raise StoreError(
                f"There is no key file {file}; put a key in it ({HINT}), with mode 600.",
                code="ENOENT",
            ) from error
        except OSError as error:
            raise store_error("cannot read", file, error) from error
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigurationError(
                f"The key file {file} can be used by others (mode {stat.S_IMODE(mode):o}); "
                "chmod it to 600, and change the key if anybody may have read it."
            )
        if len(content) > KEY_FILE_MAX:
            raise ConfigurationError(f"The key file {file} is over {KEY_FILE_MAX} bytes.")
        return cls._named(f"The key file {file}", content.decode("ascii", "replace"))

    @classmethod
    def from_keyring(
        cls,
        service: str = "async_auth",
        name: str = "encryption-keys",
        *,
        folder: str | os.PathLike[str] | None = None,
        backend: KeyringBackend | None = None,
    ) -> EncryptionKeys:
        """
        Return the keys in the OS keyring, where one is made if there is none yet.

        Blocks, and for as long as the user takes to unlock the keyring. Several keys are between
        white space.

        Args:
            service: As of `KeyringStore`.
            name: What they are stored under in it.
            folder: As of `KeyringStore`: processes that start at once make one key there.
            backend: As of `KeyringStore`.

        Raises:
            ConfigurationError: There is no usable keyring, or it holds no such keys.
            StoreError: The keyring does not work now.
        """
        from async_auth.stores.keyring import keyring_secret

        text = keyring_secret(service, name, cls.generate, folder=folder, backend=backend)
        return cls._named(f"The keyring's entry {name!r} of {service!r}", text)

    @classmethod
    def _named(cls, place: str, text: str) -> EncryptionKeys:
        try:
            return cls(*split_keys(text))
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error.message}") from None

    @property
    def first(self) -> EncryptionKey:
        """The one that encrypts."""
        return self._keys[0]

    @property
    def ids(self) -> tuple[str, ...]:
        """What tells them apart, in their order."""
        return tuple(key.id for key in self._keys)

    def find(self, key_id: str) -> EncryptionKey | None:
        """Return the key with this id, or `None`."""
        return next((key for key in self._keys if key.id == key_id), None)

    def __repr__(self) -> str:
        return f"EncryptionKeys({', '.join(self.ids)})"


def split_keys(text: str) -> list[str]:
    """Return the keys that stand in *text* between white space or commas. Pure."""
    return text.replace(",", " ").split()


def parse_key(text: str, number: int) -> EncryptionKey:
    """Return the key that *text* is, or raise ConfigurationError; *number* is its place. Pure."""
    # `from None`, and no word of the text: it is a secret, or was meant as one.
    try:
        folded = text.strip().rstrip("=").translate({ord("+"): "-", ord("/"): "_"})
        value = base64.b64decode(folded + "=" * (-len(folded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        raise ConfigurationError(f"keys: number {number} is not base64; {HINT}.") from None
    if len(value) != KEY_BYTES:
        raise ConfigurationError(
            f"keys: number {number} has {len(value)} bytes and not {KEY_BYTES}; {HINT}."
        )
    # The id is public: a hash under a name of its own, of which no key is ever made.
    return EncryptionKey(
        value=value, id=hashlib.sha256(b"async_auth key id\0" + value).hexdigest()[:8]
    )
