"""Losses: what was set aside, by whomever, is told from what was removed."""

from __future__ import annotations

import pytest

from async_auth.errors import StoreError
from async_auth.stores.losses import Losses
from async_auth.stores.session_file import LOST, SessionFile


@pytest.fixture
def file(tmp_path, make_record):
    """Give a session's file with something in it."""
    file = SessionFile(tmp_path / "a.json", Losses(tmp_path))
    file.replace(make_record(1), expected=0)
    return file


@pytest.fixture
def other(file):
    """Give the same file as another process has it."""
    return SessionFile(file.path, Losses(file.path.parent))


def test_what_is_there_and_what_was_removed(file):
    """A file is its bytes, and a removed one is None."""
    assert file.path.read_bytes() == file.watched()
    file.remove(expected=1)

    assert (None, False) == (file.watched(), file.lost())


def test_what_anybody_set_aside_is_lost(file, other, make_record):
    """All see it, whoever did it, until something is stored there; its removal is one again."""
    file.path.write_text("{")
    other.read()
    (aside,) = other.losses.set_aside
    aside.unlink()
    assert [LOST, LOST] == [file.watched(), other.watched()]

    file.replace(make_record(2), expected=1)
    assert file.path.read_bytes() == other.watched()
    other.remove(expected=2)
    assert [None, None] == [file.watched(), other.watched()]


def test_a_sign_out_of_what_is_lost_is_one(file, other):
    """Whoever removes what was set aside has signed out for all."""
    file.path.write_text("{")
    file.remove(expected=1)

    assert [None, None] == [file.watched(), other.watched()]


def test_what_comes_back_while_it_is_judged(file, make_record, monkeypatch):
    """The file is found missing, and saved again before anybody asks why: its bytes are told."""
    file.path.write_text("{")
    file.read()
    content = SessionFile.content

    def late(self):
        found = content(self)
        monkeypatch.undo()
        file.replace(make_record(2), expected=1)
        return found

    monkeypatch.setattr(SessionFile, "content", late)

    found = file.watched()
    assert file.path.read_bytes() == found != LOST


def test_what_cannot_be_set_aside_is_not_noted(file, monkeypatch):
    """A rename that fails leaves the file where it is, and no note of it."""
    file.path.write_text("{")

    def rename(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(type(file.path), "rename", rename)
    with pytest.raises(StoreError, match="Read-only"):
        file.read()

    assert ([], False, b"{") == (file.losses.set_aside, file.lost(), file.watched())


def test_a_mark_that_stays_does_no_harm(file, monkeypatch, make_record):
    """Where it cannot be cleared the next save or removal does it."""
    file.path.write_text("{")
    file.read()

    def unlink(*_, **__):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(type(file.path), "unlink", unlink)
        file.losses.clear("a.json")
    assert file.lost()
    file.replace(make_record(2), expected=0)

    assert not file.lost()
