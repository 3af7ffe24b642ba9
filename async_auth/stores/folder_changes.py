"""Which of any number of files in a folder have changed, as soon as they have: a `ChangeStream`.

Promises to tell of each change of a file that was added, whoever made it. Where the folder gives
notices they are told at once, with one descriptor for all, and all files are looked at once in a
long while for a notice that was never given. Elsewhere looking is all there is: twice a second for
a few, and for many at the pace at which a modest number of them is looked at each second. Owns no
task: it works while somebody waits for the next change.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs

from async_auth.ports import Change
from async_auth.stores.folder_notices import FolderNotices, notices_of
from async_auth.stores.threads import file_threads

#: Seconds between two looks where there are notices, and where there are none.
LOOK = 30.0
POLL = 0.5
#: Files that are looked at together, and the seconds from one such look to the next.
BATCH = 200
PACE = 0.1
#: So many are looked at without a thread, where there are notices and so a local file system.
FEW = 4
#: Seconds for which a file counts as young: one that replaces it may look the same, for a file
#: system's clock may stand still for as long. Without notices it is told again until then.
YOUNG = 2.0


@attrs.frozen
class Look:
    """
    What a file looked like.

    Args:
        identity: Tells it from what was or will be there; 0 for no file.
        written_at: When, in unix seconds of its file system.
    """

    identity: int = 0
    written_at: float = 0.0


class FolderChanges:
    """
    A stream of changes; `FileStore.changes()` and `KeyringStore.changes()` make it.

    Args:
        folder: Where the files are.
        name_of: Returns the name of a key's file.
    """

    def __init__(self, folder: Path, name_of: Callable[[str], str]):
        self._folder = folder
        self._name_of = name_of
        #: The keys by their files' names.
        self._keys: dict[str, str] = {}
        #: The names of those that have changed and are to be looked at, and of those to be told.
        self._due: dict[str, None] = {}
        self._ready: dict[str, None] = {}
        #: What files looked like when they were looked at last, in numbers.
        self._seen: dict[str, int] = {}
        #: Those that are still to be looked at in this round, and when, on the event loop's clock.
        self._round: list[str] = []
        self._look_at = 0.0
        self._begun = False
        self.bell = asyncio.Event()
        #: What rings it, if the folder gives notices.
        self.notices: FolderNotices | None = None
        self._closed = False

    def add(self, key: str) -> None:
        """Tell of *key* from now on; see `ChangeStream`."""
        name = self._name_of(key)
        if self._closed or name in self._keys:
            return
        self._keys[name] = key
        if self.notices is not None:
            self.notices.listen(name, self)
        self.heard(name)

    def discard(self, key: str) -> None:
        """Tell no more of *key*."""
        name = self._name_of(key)
        for place in (self._keys, self._due, self._ready, self._seen):
            place.pop(name, None)
        if self.notices is not None:
            self.notices.leave(name, self)

    def heard(self, name: str | None) -> None:
        """Take a notice about a file, or about all; what the notices call."""
        if name is None:
            self._seen.clear()
            self._round, self._look_at = [], 0.0
        elif name in self._keys:
            self._due[name] = None
        self.bell.set()

    def __aiter__(self) -> FolderChanges:
        return self

    async def __anext__(self) -> Change:
        """Wait for the next change; where the folder is gone, for its return."""
        loop = asyncio.get_running_loop()
        if not self._begun:
            self._begun = True
            # Before anything is told: what comes after that must be heard.
            self._listen()
            self._look_at = loop.time() + self._interval()
        while not self._closed:
            if self._ready:
                name = next(iter(self._ready))
                del self._ready[name]
                return Change(key=self._keys[name])
            if self._due:
                await self._look_at_due()
                continue
            self.bell.clear()
            self._listen()
            if (pause := self._look_at - loop.time()) <= 0:
                await self._look_around(loop)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.bell.wait()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration."""
        self._closed = True
        if self.notices is not None:
            for name in self._keys:
                self.notices.leave(name, self)
        self.notices = None
        self.bell.set()

    def _listen(self) -> None:
        notices = self.notices
        if notices is None or notices.lost:
            notices = self.notices = notices_of(self._folder)
            if notices is not None:
                for name in self._keys:
                    notices.listen(name, self)
                # Without them, or since they were lost, nothing was heard.
                self.heard(None)

    def _interval(self) -> float:
        seconds = POLL if self.notices is None else LOOK
        return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret

    async def _look_at_due(self) -> None:
        names = list(itertools.islice(self._due, BATCH))
        for name, look in zip(names, await self._looks(names), strict=True):
            self._due.pop(name, None)
            self._changed(name, look)

    async def _look_around(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at some files of all; what is not as it was has changed."""
        if not self._round:
            self._round = list(self._keys)
        names, batch = self._round, self._round[-BATCH:]
        found = await self._looks(batch)
        if self._round is not names:
            return
        # After the wait: one that is cancelled is begun again.
        del names[-BATCH:]
        self._look_at = loop.time() + (PACE if names else self._interval())
        for name, look in zip(batch, found, strict=True):
            if self._seen.get(name) != look.identity:
                self._changed(name, look)

    async def _looks(self, names: list[str]) -> list[Look]:
        if self.notices is not None and len(names) <= FEW:
            return look_at(self._folder, names)
        return await file_threads.run(partial(look_at, self._folder, names))

    def _changed(self, name: str, look: Look) -> None:
        if name not in self._keys:
            return
        self._ready[name] = None
        young = look.identity != 0 and abs(time.time() - look.written_at) < YOUNG
        if self.notices is None and young:
            self._seen.pop(name, None)
        else:
            self._seen[name] = look.identity

    def __repr__(self) -> str:
        return f"FolderChanges({str(self._folder)!r}, keys={len(self._keys)})"


def look_at(folder: Path, names: list[str]) -> list[Look]:
    """Return what each file looks like now; blocking."""
    return [look_at_one(f"{folder}{os.sep}{name}") for name in names]


def look_at_one(path: str) -> Look:
    """Return what the file at *path* looks like now; one that cannot be seen is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - there may be many, and a Path costs more than this
    except OSError:
        return Look()
    facts = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
    return Look(hash(facts) or 1, found.st_mtime)
