"""WatchedFile: a file that was set aside, by whomever, is told from one that was removed."""

from __future__ import annotations

import pytest

from async_auth.errors import StoreError
from async_auth.stores.session_file import Losses, SessionFile
from async_auth.stores.watched_file import SET_ASIDE, WatchedFile


@pytest.fixture
def file(tmp_path, make_record):
    """Give a session's file with something in it."""
    file = SessionFile(tmp_path / "a.json", Losses())
    file.replace(make_record(1), expected=0)
    return file


@pytest.fixture
def other(file):
    """Give the same file as another process has it."""
    return SessionFile(file.path, Losses())


def damage(file):
    """Put something into the place of the file that is no record."""
    broken = file.path.with_name("broken")
    broken.write_text("{")
    broken.replace(file.path)


def test_what_is_there_and_what_was_removed(file):
    """A file is its bytes, and a removed one is None."""
    watched = WatchedFile(file)
    assert file.path.read_bytes() == watched.content()
    file.remove(expected=1)

    assert None is watched.content()
    assert None is WatchedFile(file).content()


def test_own_loss(file, make_record):
    """What this process set aside was not removed, until something is there again."""
    watched = WatchedFile(file)
    watched.content()
    damage(file)
    file.read()
    assert [SET_ASIDE] * 3 == [w.content() for w in (watched, watched, WatchedFile(file))]

    file.replace(make_record(2), expected=1)
    assert file.path.read_bytes() == watched.content()
    file.remove(expected=2)
    assert None is watched.content()


def test_a_loss_that_is_replaced_while_it_is_judged(file, make_record, monkeypatch):
    """The file is found missing, and saved again before anybody asks why."""
    watched = WatchedFile(file)
    watched.content()
    damage(file)
    file.read()
    content = SessionFile.content

    def late(self):
        found = content(self)
        monkeypatch.undo()
        file.replace(make_record(2), expected=1)
        return found

    monkeypatch.setattr(SessionFile, "content", late)

    assert SET_ASIDE == watched.content()
    assert file.path.read_bytes() == watched.content()


def test_a_file_that_comes_between_two_looks_at_it(file, make_record, monkeypatch):
    """Its bytes are read with its number, or read again."""
    file.remove(expected=1)
    watched = WatchedFile(file)
    content = SessionFile.content

    def early(self):
        monkeypatch.undo()
        file.replace(make_record(2), expected=0)
        return content(self)

    monkeypatch.setattr(SessionFile, "content", early)
    found = watched.content()
    assert file.path.read_bytes() == found
    file.path.rename(f"{file.path}.corrupt-1")

    assert SET_ASIDE == watched.content()


def test_anothers_loss(file, other):
    """What another process set aside was not removed, even after somebody removed that file."""
    watched = WatchedFile(file)
    watched.content()
    file.path.write_text("{")
    other.read()
    assert SET_ASIDE == watched.content()
    for aside in other.losses.set_aside:
        aside.unlink()

    assert SET_ASIDE == watched.content()


def test_an_old_loss(file, other, make_record):
    """What was set aside before the file was written says nothing of its removal."""
    damage(file)
    other.read()
    (aside,) = other.losses.set_aside
    watched = WatchedFile(file)
    # The clock of a file system goes in ticks.
    generation = 1
    while generation == 1 or file.path.stat().st_ctime_ns <= aside.stat().st_ctime_ns:
        generation += 1
        other.replace(make_record(generation), expected=None)
    watched.content()
    other.remove(expected=None)

    assert None is watched.content()


def test_what_cannot_be_set_aside_is_not_noted(file, monkeypatch):
    """A rename that fails leaves the file where it is, and no note of it."""
    damage(file)

    def rename(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(type(file.path), "rename", rename)
    with pytest.raises(StoreError, match="Read-only"):
        file.read()

    assert Losses() == file.losses
    assert b"{" == WatchedFile(file).content()
