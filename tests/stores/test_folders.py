"""The folder of a FileStore: made, checked, and named when it is wrong."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from async_auth.errors import ConfigurationError, StoreError
from async_auth.stores import FileStore, mounts
from async_auth.stores.folders import default_folder, prepare_folder


def mode_of(path):
    """Return the permission bits of a file or folder."""
    return stat.S_IMODE(path.stat().st_mode)


def test_missing_folders_are_made_private(tmp_path):
    """What is missing of the path is made with mode 0700."""
    folder = prepare_folder(tmp_path / "a" / "b")

    assert tmp_path / "a" / "b" == folder
    assert (0o700, 0o700) == (mode_of(folder), mode_of(folder.parent))


def test_a_folder_that_is_there_keeps_its_mode(tmp_path):
    """A folder of somebody else's making is not changed."""
    tmp_path.chmod(0o750)

    assert 0o750 == mode_of(prepare_folder(tmp_path))


def test_a_folder_that_others_can_write_is_told(tmp_path, caplog):
    """A folder in which others may replace files is used, with a warning in the log."""
    tmp_path.chmod(0o777)
    prepare_folder(tmp_path)

    assert "mode 777" in caplog.text


def test_symlinks_are_resolved(tmp_path):
    """Two names of one folder are one path."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert prepare_folder(tmp_path / "real") == prepare_folder(tmp_path / "link")


def test_a_home_is_expanded(tmp_path, monkeypatch):
    """`~` is the user's home, and a string is as good as a path."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert tmp_path / "sessions" == prepare_folder("~/sessions")


@pytest.mark.parametrize("state", ["", "a/b"])
def test_the_default_without_xdg(monkeypatch, state):
    """Without $XDG_STATE_HOME, or with a relative one, the default is in ~/.local/state."""
    monkeypatch.setenv("XDG_STATE_HOME", state)

    assert Path("~/.local/state/async_auth") == default_folder()


def test_the_default_with_xdg(tmp_path, monkeypatch):
    """The default is in $XDG_STATE_HOME, and FileStore() uses it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert tmp_path / "async_auth" == FileStore().folder
    assert 0o700 == mode_of(tmp_path / "async_auth")


@pytest.mark.parametrize("under", ["", "below", "below/further"])
def test_a_file_in_the_way(tmp_path, under):
    """A folder that is a file, or in one, is a ConfigurationError that names the argument."""
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match=r"folder: .*file"):
        FileStore(tmp_path / "file" / under)


@pytest.mark.parametrize("folder", ["", "nul\0", 7, b"bytes", "~no-such-user-at-all/x"])
def test_no_path(folder):
    """What is no usable path is a ConfigurationError that names the argument."""
    with pytest.raises(ConfigurationError, match="folder: "):
        FileStore(folder)


UNWRITABLE = """
import sys
from async_auth.errors import StoreError
from async_auth.stores import FileStore
give_up_root()
try:
    FileStore(sys.argv[1])
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("below", ["", "below"])
def test_a_folder_that_cannot_be_written(start, below):
    """A folder without permission is a StoreError at construction that names the argument."""
    # Not tmp_path, which other users cannot even look into.
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o555)
        code, said = start(UNWRITABLE, folder / below).ends()
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)

    assert 0 == code, said
    assert said.startswith("folder: ")
    assert str(folder) in said


def test_a_folder_that_is_mounted_read_only(tmp_path, monkeypatch):
    """As in a container without a volume for it: no mode and no owner would help."""
    mounted = SimpleNamespace(f_flag=os.ST_RDONLY | os.ST_NOSUID)
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "statvfs", lambda _: mounted)

    with pytest.raises(StoreError) as raised:
        FileStore(tmp_path)

    assert (
        f"folder: cannot write into {tmp_path}: Read-only file system; "
        "mount it read-write or name another folder. (code EROFS)"
    ) == str(raised.value)


def test_a_folder_that_cannot_be_made():
    """A path that the system refuses is a StoreError that names the argument and the reason."""
    with pytest.raises(StoreError, match=r"folder: cannot make .*: .* \(code ENAMETOOLONG\)"):
        prepare_folder(Path(tempfile.gettempdir()) / ("x" * 300))


def test_the_working_directory_may_change(tmp_path, monkeypatch):
    """A relative folder is the one it was when the store was made."""
    monkeypatch.chdir(tmp_path)
    store = FileStore("sessions")
    monkeypatch.chdir(os.sep)

    assert tmp_path / "sessions" == store.folder


@pytest.mark.parametrize(
    "mount, words",
    [
        ("nfs4 files:/x rw,vers=4.2,local_lock=none", "as safe as its server's locks"),
        ("nfs files:/x rw,vers=3,nolock", "do not leave this machine (nolock)"),
    ],
)
def test_a_network_folder_is_told(tmp_path, monkeypatch, caplog, mount, words):
    """A folder that other machines share works, and the log says what its locks are worth."""
    table = tmp_path / "mountinfo"
    point = str(tmp_path).replace(" ", r"\040")  # as the kernel writes it
    table.write_text(f"22 1 0:1 / {point} rw - {mount}\n")
    monkeypatch.setattr(mounts, "TABLE", table)
    prepare_folder(tmp_path / "sessions")

    assert words in caplog.text
    assert str(tmp_path / "sessions") in caplog.text
