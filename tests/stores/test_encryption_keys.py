"""Encryption keys: where they come from, what is refused, and that none is ever shown."""

from __future__ import annotations

import base64
import threading

import pytest

from async_auth.errors import ConfigurationError, StoreError
from async_auth.stores import EncryptionKeys
from async_auth.testing import MemoryKeyring

RAW = bytes(range(224, 256))
KEY = base64.urlsafe_b64encode(RAW).decode()
OTHER = EncryptionKeys.generate()


def test_a_generated_key_is_one():
    """Each is 256 bits, and unlike the others."""
    first, second = EncryptionKeys.generate(), EncryptionKeys.generate()

    assert first != second
    assert 32 == len(EncryptionKeys(first).first.value)


@pytest.mark.parametrize(
    "text",
    [KEY, KEY.rstrip("="), base64.b64encode(RAW).decode(), f" {KEY}\n"],
)
def test_every_writing_of_a_key_is_the_same_key(text):
    """Standard or URL-safe alphabet, with padding or without it."""
    assert RAW == EncryptionKeys(text).first.value


@pytest.mark.parametrize(
    "text", ["", "correct horse battery staple", KEY[:-8], KEY + "AAAA", "\u20ac" * 43, None, RAW]
)
def test_what_is_no_key_is_refused(text):
    """A password or a broken key is a ConfigurationError that names its place and not its text."""
    with pytest.raises(ConfigurationError, match=r"keys: number 2 .*generate") as caught:
        EncryptionKeys(KEY, text)

    assert None is caught.value.__cause__
    assert not text or str(text) not in str(caught.value)


def test_there_is_at_least_one():
    """No key at all is refused: nothing would be encrypted."""
    with pytest.raises(ConfigurationError, match="keys: there is none"):
        EncryptionKeys()


def test_they_are_found_by_their_ids():
    """The first encrypts, each is found by its id, and an unknown id finds none."""
    keys = EncryptionKeys(KEY, OTHER)

    assert [RAW, keys.ids] == [keys.first.value, (keys.first.id, keys.find(keys.ids[1]).id)]
    assert None is keys.find("00000000")


def test_their_words_show_no_key():
    """What is shown are ids, of the keys and of each alone."""
    keys = EncryptionKeys(KEY)
    shown = f"{keys!r} {keys} {keys.first!r} {keys.first}"

    assert f"EncryptionKeys({keys.first.id})" == repr(keys)
    assert KEY[:8] not in shown
    assert repr(RAW)[2:10] not in shown


def test_keys_from_the_environment(monkeypatch):
    """A variable holds one or more, between white space or commas."""
    monkeypatch.setenv("ASYNC_AUTH_KEYS", f"{KEY}, {OTHER}")

    assert EncryptionKeys(KEY, OTHER).ids == EncryptionKeys.from_environment().ids


@pytest.mark.parametrize("value", [None, "", " , "])
def test_an_empty_environment_is_told(monkeypatch, value):
    """A variable that is not set, or empty, is a ConfigurationError that names it."""
    if value is None:
        monkeypatch.delenv("MY_KEYS", raising=False)
    else:
        monkeypatch.setenv("MY_KEYS", value)

    with pytest.raises(ConfigurationError, match="MY_KEYS is not set"):
        EncryptionKeys.from_environment("MY_KEYS")


def test_keys_from_a_file(tmp_path):
    """A private file holds one key to a line."""
    path = tmp_path / "keys"
    path.write_text(f"{KEY}\n{OTHER}\n")
    path.chmod(0o600)

    assert EncryptionKeys(KEY, OTHER).ids == EncryptionKeys.from_file(path).ids


def test_a_file_that_others_may_read_is_refused(tmp_path):
    """A key file with open permissions is a ConfigurationError that says what to do."""
    path = tmp_path / "keys"
    path.write_text(KEY)
    path.chmod(0o640)

    with pytest.raises(ConfigurationError, match=r"mode 640.*chmod it to 600"):
        EncryptionKeys.from_file(path)


def test_a_wrong_file_is_told(tmp_path):
    """A file that is missing is a StoreError, one without a key a ConfigurationError."""
    with pytest.raises(StoreError, match=r"no key file .*/nothing; put a key in it"):
        EncryptionKeys.from_file(tmp_path / "nothing")
    with pytest.raises(StoreError, match=r"cannot read .*: Is a directory"):
        EncryptionKeys.from_file(tmp_path)
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    with pytest.raises(ConfigurationError, match=r"The key file .*: keys: there is none"):
        EncryptionKeys.from_file(path)


def test_keys_from_the_keyring(tmp_path):
    """The first call makes a key there, the next one finds it; the user may put another before."""
    backend = MemoryKeyring()

    def get():
        return EncryptionKeys.from_keyring("tests", folder=tmp_path, backend=backend)

    made = get()
    assert made.ids == get().ids
    (place,) = backend.entries
    assert ("tests", "encryption-keys") == place
    backend.entries[place] = f"{KEY} {backend.entries[place]}"
    assert (EncryptionKeys(KEY).first.id, made.first.id) == get().ids


def test_processes_that_start_at_once_make_one_key(tmp_path):
    """Of several that find none, one makes it and the others take it."""
    backend = MemoryKeyring()
    start = threading.Barrier(4)
    found = []

    def get():
        start.wait()
        found.append(EncryptionKeys.from_keyring("t", folder=tmp_path, backend=backend).ids)

    threads = [threading.Thread(target=get) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (4, 1) == (len(found), len(set(found)))
