"""Which file system a folder is on, as Linux tells it; elsewhere nothing is known.

Promises to read the table of mounts and nothing on the file system itself, so a server that does
not answer keeps nobody waiting here. It knows network file systems by name: one that it does not
know counts as local.
"""

from __future__ import annotations

import re
from pathlib import Path

import attrs

#: The mounts that this process sees: proc_pid_mountinfo(5).
TABLE = Path("/proc/self/mountinfo")

#: File systems that other machines, or the host of this one, may write to as well.
REMOTE = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs",
    "fuse.goofys", "fuse.juicefs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "glusterfs", "lustre",
    "ncpfs", "nfs", "nfs4", "orangefs", "smb3", "smbfs", "virtiofs",
})  # fmt: skip

#: What the type of a file system begins with that a program of this machine keeps.
PROGRAMS = frozenset({"fuse", "fuseblk"})

#: Options of a mount by which flock reaches no further than this machine: nfs(5), mount.cifs(8).
LOCAL_LOCKS = frozenset({"nolock", "local_lock=all", "local_lock=flock", "nobrl"})

#: File systems that never send a lock to the other side: it is the kernel of this machine's alone.
NEVER_SENT = frozenset({"9p", "fuse.gcsfuse", "fuse.goofys", "fuse.rclone", "fuse.s3fs"})


@attrs.frozen(kw_only=True)
class Mount:
    """
    A file system at its place.

    Args:
        point: Where it is mounted.
        kind: Its type, such as `ext4`.
        options: Its own options and those of this mount.
    """

    point: Path
    kind: str
    options: frozenset[str]

    @property
    def remote(self) -> bool:
        """Whether other machines may write to it, unseen by this kernel."""
        return self.kind in REMOTE

    @property
    def silent(self) -> bool:
        """Whether the kernel may not see every change: it is not the only one to make them."""
        return self.remote or self.kind.partition(".")[0] in PROGRAMS

    @property
    def local_locks(self) -> str | None:
        """What keeps its locks on this machine, if anything is known to."""
        if self.kind in NEVER_SENT:
            return self.kind
        return ", ".join(sorted(self.options & LOCAL_LOCKS)) or None


def mount_of(path: Path) -> Mount | None:
    """Return what *path*, absolute and without symlinks, is on; `None` if that is not known."""
    try:
        table = TABLE.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # not Linux, or no /proc
        return None
    return find_mount(path, table)


def find_mount(path: Path, table: str) -> Mount | None:
    """Return the deepest mount of *table* that *path* is in, the last of those at one place. Pure."""
    found: Mount | None = None
    for line in table.splitlines():
        mount = parse_mount(line)
        if mount is None or not path.is_relative_to(mount.point):
            continue
        if found is None or len(mount.point.parts) >= len(found.point.parts):
            found = mount
    return found


def parse_mount(line: str) -> Mount | None:
    """Return the mount of one line of the table; `None` if it is not one. Pure."""
    place, hyphen, system = line.partition(" - ")
    fields, facts = place.split(), system.split()
    if not hyphen or len(fields) < 6 or len(facts) < 3:  # noqa: PLR2004 - the manual's fields
        return None
    return Mount(
        point=Path(unescape(fields[4])),
        kind=facts[0],
        options=frozenset(fields[5].split(",")) | frozenset(facts[2].split(",")),
    )


def unescape(name: str) -> str:
    r"""Return a name of the table as it is: space, tab, newline and backslash are `\040` there."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name)
