"""Where a session goes: the keyring if it works, else a file, and never in silence."""

from __future__ import annotations

from pathlib import Path

import keyring
import pytest

from async_auth.cli.keeping import choose, first_sentence, open_store, place_of, short, state_folder
from async_auth.errors import StoreError
from async_auth.stores import FileStore, KeyringStore
from async_auth.testing import MemoryKeyring


@pytest.fixture
def vault(home, monkeypatch):
    """Give this process a keyring."""
    vault = MemoryKeyring()
    monkeypatch.setattr(keyring, "get_keyring", lambda: vault)
    return vault


async def test_a_keyring(vault):
    """Nobody has to be told why."""
    choice = await choose(None, "work")

    assert ("keyring", "") == (choice.keep, choice.because)
    assert isinstance(choice.store, KeyringStore)
    assert "the keyring, as 'async-auth'" == place_of(choice.store)


async def test_no_keyring(home):
    """The file, and why."""
    choice = await choose(None, "work")

    assert "file" == choice.keep
    assert choice.because.startswith("There is no keyring that keeps secrets here")
    assert "KeyringStore" not in choice.because
    assert "a file in ~/state/async_auth/cli" == place_of(choice.store)


async def test_a_keyring_that_is_locked(vault, monkeypatch):
    """It does not say so before it is asked."""

    def refuse(*_):
        raise RuntimeError("locked")

    monkeypatch.setattr(vault, "get_password", refuse)
    choice = await choose(None, "work")

    assert "file" == choice.keep
    assert "cannot be read: RuntimeError." in choice.because


@pytest.mark.parametrize("keep, store", [("file", FileStore), ("keyring", KeyringStore)])
async def test_what_somebody_wishes(vault, keep, store):
    """Is done."""
    choice = await choose(keep, "work")

    assert (keep, store, "") == (choice.keep, type(choice.store), choice.because)


def test_a_keyring_that_is_gone(home):
    """A profile's session is looked for in its place, and nowhere else."""
    with pytest.raises(StoreError, match="The session is in the keyring, which cannot be used"):
        open_store("keyring")


def test_places(home):
    """From the user's home, if they are there."""
    assert home / "state" / "async_auth" / "cli" == state_folder()
    assert ("~/a", "/etc/a") == (short(home / "a"), short(Path("/etc/a")))


@pytest.mark.parametrize(
    "text, first", [("One. Two.", "One."), ("One", "One."), ("a.b is c. Do d", "a.b is c.")]
)
def test_first_sentences(text, first):
    """What is wrong; the rest is for programmers."""
    assert first == first_sentence(text)
