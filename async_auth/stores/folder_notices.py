"""Notices of the files that are renamed or removed in a folder: inotify(7), without a thread.

Promises that whoever listens to a file's name is woken by its event loop as soon as another
process has put a new file there, or taken it away; that one descriptor per event loop and folder
serves any number of listeners, and goes when the last of them does. Where the system has no
inotify, or has no more of it to give, there are no notices, and whoever wants to know has to look.

Writing into a file is not told: our files are replaced, never written into, and each try for a
lock opens a lock file to write.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import struct
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from async_auth.stores.forks import reset_in_child
from async_auth.stores.mounts import mount_of

MOVED_FROM, MOVED_TO, DELETED = 0x40, 0x80, 0x200
FOLDER_DELETED, FOLDER_MOVED = 0x400, 0x800
OVERFLOW, ENDED = 0x4000, 0x8000
ONLY_FOLDERS = 0x0100_0000

WANTED = MOVED_FROM | MOVED_TO | DELETED | FOLDER_DELETED | FOLDER_MOVED | ONLY_FOLDERS
#: After these no more notices come, or they are about a folder that is somewhere else now.
LOST = FOLDER_DELETED | FOLDER_MOVED | ENDED

#: `struct inotify_event`: descriptor, mask, cookie, length of the name that follows.
HEAD = struct.Struct("iIII")
#: Bytes in one read; the kernel gives whole events only.
CHUNK = 65_536


class Listener(Protocol):
    """Somebody who waits for notices; held weakly."""

    def heard(self, name: str | None) -> None:
        """Take a notice about the file *name*; `None` when any may have changed unheard."""
        ...


class FolderNotices:
    """
    The notices of one folder in one event loop; made by `notices_of()`.

    Not for other threads than its loop's.
    """

    def __init__(self, descriptor: int, loop: asyncio.AbstractEventLoop):
        self._descriptor = descriptor
        #: Who listens to what name, and everybody. Tuples, for there may be a hundred thousand
        #: names of one listener each.
        self.listeners: dict[str, tuple[weakref.ref[Listener], ...]] = {}
        self._everybody: weakref.WeakSet[Listener] = weakref.WeakSet()
        #: Whether no more notices will come.
        self.lost = False
        self._ending = weakref.finalize(self, close, loop, descriptor)
        self._ending.atexit = False
        read = weakref.WeakMethod(self._read)
        loop.add_reader(descriptor, lambda: (call := read()) and call())
        reset_in_child(self)

    def after_fork(self) -> None:
        """Close the child's copy: reading it would take the notices away from the parent."""
        if self._ending.detach() is not None:
            os.close(self._descriptor)
        self.lost = True

    def listen(self, name: str, listener: Listener) -> None:
        """Tell *listener* of every notice about the file *name*, for as long as it lives."""
        others = self.listeners.get(name, ())
        reference = weakref.ref(listener)
        if reference not in others:
            self.listeners[name] = (*others, reference)
        self._everybody.add(listener)

    def leave(self, name: str, listener: Listener) -> None:
        """Tell *listener* no more of the file *name*."""
        self._forget(name, weakref.ref(listener))

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:  # pragma: no cover - a wake-up without cause
            return
        for mask, name in parse_notices(data):
            if mask & LOST:
                self.lost = True
            if mask & (LOST | OVERFLOW):
                for listener in list(self._everybody):
                    listener.heard(None)
            else:
                self._tell(name)

    def _tell(self, name: str) -> None:
        for reference in self.listeners.get(name, ()):
            listener = reference()
            if listener is None:
                self._forget(name, reference)
            else:
                listener.heard(name)

    def _forget(self, name: str, reference: weakref.ref[Listener]) -> None:
        others = tuple(one for one in self.listeners.get(name, ()) if one is not reference)
        if others:
            self.listeners[name] = others
        else:
            self.listeners.pop(name, None)


def parse_notices(data: bytes) -> list[tuple[int, str]]:
    """Return the mask and the file's name of each event in *data*. Pure."""
    found, at = [], 0
    while at < len(data):
        _, mask, _, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        found.append((mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))))
        at += length
    return found


def close(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    """Close the descriptor in its loop's own thread, or here if the loop is closed."""

    def in_loop() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)

    try:
        loop.call_soon_threadsafe(in_loop)
    except RuntimeError:
        os.close(descriptor)


Shared = weakref.WeakValueDictionary[Path, FolderNotices]
shared: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Shared] = weakref.WeakKeyDictionary()


def notices_of(folder: Path) -> FolderNotices | None:
    """
    Return the notices of *folder* in the running event loop; `None` if there can be none.

    There are none where the system has no inotify, where its limits are reached, where the event
    loop cannot wait for a descriptor, and on file systems that others write to as well.
    """
    loop = asyncio.get_running_loop()
    # No mutex, which a fork could leave locked: no two threads come with the same loop.
    folders = shared.setdefault(loop, weakref.WeakValueDictionary())
    notices = folders.get(folder)
    if notices is None or notices.lost:
        mount = mount_of(folder)
        descriptor = None if mount is not None and mount.silent else watch_folder(folder)
        if descriptor is None:
            return None
        try:
            notices = folders[folder] = FolderNotices(descriptor, loop)
        except NotImplementedError:  # an event loop without add_reader
            return None
    return notices


def watch_folder(folder: Path) -> int | None:
    """Return a descriptor to read notices of *folder* from; `None` if the system gives none."""
    calls = inotify()
    if calls is None:
        return None
    start, add = calls
    descriptor: int = start(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:  # as many as this user may have
        return None
    if add(descriptor, os.fsencode(folder), WANTED) < 0:
        os.close(descriptor)
        return None
    return descriptor


@functools.cache
def inotify() -> tuple[Callable[..., Any], Callable[..., Any]] | None:
    """Return the system's `inotify_init1` and `inotify_add_watch`; `None` where it has none."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        library = ctypes.CDLL(None)
        return library.inotify_init1, library.inotify_add_watch
    return None
