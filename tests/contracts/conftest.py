"""The stores under contract. A new backend adds a row to STORES, and nothing else."""

from __future__ import annotations

import pytest

from async_auth.ports import Record
from async_auth.stores import (
    EncryptedStore,
    EncryptionKeys,
    FileStore,
    KeyringStore,
    MemoryStore,
)
from async_auth.testing import MemoryKeyring

KEY = EncryptionKeys.generate()


def memory(_):
    """Open handles of a store in this process: there is but one."""
    store = MemoryStore()
    return lambda: store


def file(folder):
    """Open handles of a store on disk: each an object of its own, as another process has it."""
    return lambda: FileStore(folder / "sessions")


def keyring(folder):
    """Open handles of a store in a keyring."""
    backend = MemoryKeyring()
    return lambda: KeyringStore("tests", folder=folder, backend=backend)


def encrypted(place):
    """Return a function like those above: the same store, with every record encrypted."""

    def open_in(folder):
        open_inner = place(folder)
        first = EncryptedStore(open_inner(), EncryptionKeys(KEY))
        if first.process_local:
            return lambda: first
        return lambda: EncryptedStore(open_inner(), EncryptionKeys(KEY))

    return open_in


#: A name, and a function that takes an empty folder and returns a function that opens the store.
STORES = {
    "memory": memory,
    "file": file,
    "keyring": keyring,
    "encrypted-memory": encrypted(memory),
    "encrypted-file": encrypted(file),
    "encrypted-keyring": encrypted(keyring),
}


#: The rows of STORES that can be watched.
WATCHABLE = ("file", "keyring", "encrypted-file", "encrypted-keyring")


@pytest.fixture(params=STORES)
def open_store(request, tmp_path):
    """Give a function that opens the same store again each time it is called."""
    return STORES[request.param](tmp_path)


@pytest.fixture(params=WATCHABLE)
def open_watchable(request, tmp_path):
    """Give a function that opens the same store again, one that can be watched."""
    return STORES[request.param](tmp_path)


@pytest.fixture
def store(open_store):
    """Give a store with nothing in it."""
    return open_store()


@pytest.fixture
def make_record():
    """Give a function that makes a record of a generation, with more members if wanted."""

    def make(generation, **session):
        return Record(
            generation=generation,
            sign_in_id="sign-in",
            session={"access_token": f"access-{generation}", **session},
        )

    return make
