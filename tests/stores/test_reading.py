"""Files of unknown size: how much is read, and what is read without a wait."""

from __future__ import annotations

import errno
import os

import pytest

from async_auth.stores import reading
from async_auth.stores.reading import read_at_once, read_bounded


@pytest.fixture
def file(tmp_path):
    """Give a file of ten bytes."""
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    return file


@pytest.fixture
def cached(monkeypatch):
    """Let every file be in memory, whatever file system the tests are on can say."""
    monkeypatch.setattr(reading, "NOWAIT", 0)


@pytest.mark.parametrize("limit, length", [(9, 10), (10, 10), (3, 4), (100, 10)])
def test_no_more_is_read_than_wanted(file, limit, length):
    """One byte beyond the limit says that it is too large."""
    assert length == len(read_bounded(file, limit))


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("content", [b"", b"x", b"x" * 5000])
def test_what_is_in_memory_is_read_at_once(file, content):
    """All of it."""
    file.write_bytes(content)

    assert content == read_at_once(file, 5000)


@pytest.mark.usefixtures("cached")
def test_what_cannot_be_read_at_once_is_left_to_a_thread(file, tmp_path):
    """A file that is too large, or missing, a folder, and a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "pipe")

    assert None is read_at_once(file, 9)
    assert None is read_at_once(tmp_path / "missing", 100)
    assert None is read_at_once(tmp_path, 100_000)
    assert None is read_at_once(tmp_path / "pipe", 100)


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EOPNOTSUPP])
@pytest.mark.usefixtures("cached")
def test_nobody_waits_for_the_disk(file, monkeypatch, code):
    """Nor on a file system that cannot say whether it would."""

    def refuse(*_):
        raise OSError(code, "not now")

    monkeypatch.setattr(os, "preadv", refuse)

    assert None is read_at_once(file, 100)


@pytest.mark.parametrize("found", [0, 9, 11])
@pytest.mark.usefixtures("cached")
def test_a_part_is_nothing(file, monkeypatch, found):
    """Of a file that is in memory in part, or has grown or shrunk meanwhile."""
    monkeypatch.setattr(os, "preadv", lambda *_: found)

    assert None is read_at_once(file, 100)


def test_a_system_that_cannot_say_is_not_asked(file, monkeypatch):
    """Where there is no RWF_NOWAIT everything is read in a thread."""
    monkeypatch.setattr(reading, "NOWAIT", None)

    assert None is read_at_once(file, 100)
