"""The table of mounts: which file system a folder is on, and what that says of its locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from async_auth.stores import mounts
from async_auth.stores.mounts import find_mount, mount_of, parse_mount

TABLE = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home/ann rw,relatime shared:9 master:2 - nfs4 files:/ann rw,vers=4.2,local_lock=none
31 22 0:41 / /old rw - nfs files:/old rw,vers=3,nolock
32 22 0:42 / /with\040space rw - cifs //files/x rw,nobrl
33 22 0:43 / /host rw - 9p share rw
34 22 0:44 / /crypt rw - fuse.gocryptfs gocryptfs rw
35 30 0:45 / /home/ann/scratch rw - tmpfs tmpfs rw
36 22 0:46 / /old rw - ext4 /dev/vdb rw
37 22 0:47 / /mnt rw - fuse.sshfs ann@files:/ rw
38 22 0:48 / /plain rw - fuse portal rw
39 22 0:49 / /disk rw - fuseblk /dev/sdb1 rw
not a line
1 2 3 - short
"""


@pytest.mark.parametrize(
    "path, kind, remote, silent, local_locks",
    [
        ("/var/lib", "ext4", False, False, None),
        ("/home/ann/sessions", "nfs4", True, True, None),
        ("/home/annie", "ext4", False, False, None),
        ("/home/ann/scratch/a", "tmpfs", False, False, None),
        ("/with space/a", "cifs", True, True, "nobrl"),
        ("/host", "9p", True, True, "9p"),
        ("/crypt/a", "fuse.gocryptfs", False, True, None),
        ("/mnt/a", "fuse.sshfs", True, True, None),
        ("/plain/a", "fuse", False, True, None),
        ("/disk/a", "fuseblk", False, True, None),
        # Mounted over: the later one is what is seen.
        ("/old/a", "ext4", False, False, None),
    ],
)
def test_the_deepest_and_last_mount_counts(path, kind, remote, silent, local_locks):
    """A path is on the deepest mount above it, and that says what is known of its locks."""
    mount = find_mount(Path(path), TABLE)

    assert (kind, remote, silent, local_locks) == (
        mount.kind,
        mount.remote,
        mount.silent,
        mount.local_locks,
    )


def test_a_mount_without_a_lock_server_says_so():
    """NFS 3 that is mounted with `nolock` has locks on this machine only."""
    (line,) = [line for line in TABLE.splitlines() if " nfs " in line]

    assert "nolock" == parse_mount(line).local_locks


def test_an_empty_table_knows_nothing():
    """Without a mount there is no answer, and no error."""
    assert None is find_mount(Path("/a"), "")


def test_without_a_table_nothing_is_known(tmp_path, monkeypatch):
    """Where the system has no such table, nothing is said of any folder."""
    monkeypatch.setattr(mounts, "TABLE", tmp_path / "nothing")

    assert None is mount_of(tmp_path)
