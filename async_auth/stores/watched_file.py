"""One session's file as a watch sees it: a file that was set aside is told from one that was removed.

No file means that somebody signed out, and whoever hears that signs out as well. A file that some
process could not read and renamed is gone too, and says nothing of the kind. Promises to tell them
apart, whichever process did it; only if the file before it was put there in the same tick of the
file system's clock may another process's setting aside look like a removal. Blocking, and for one
caller at a time.
"""

from __future__ import annotations

import os

import attrs

from async_auth.stores.session_file import SessionFile, aside_names

#: Stands for the content of a file that was set aside; it is no record, and not empty by chance.
SET_ASIDE = b"set aside"


@attrs.define
class WatchedFile:
    """
    What has been seen of a session's file.

    Args:
        file: The file.
    """

    file: SessionFile
    _last: os.stat_result | None = attrs.field(init=False, default=None)
    #: How often this process had set it aside by then.
    _count: int = attrs.field(init=False, default=0)
    _set_aside: bool = attrs.field(init=False)

    @_set_aside.default
    def _absent(self) -> bool:
        return self.file.path in self.file.losses.absent

    def content(self) -> bytes | None:
        """
        Return the bytes of the file; `None` if it was removed, `SET_ASIDE` if it was that.

        Raises:
            StoreError: It cannot be read, or its folder is gone.
        """
        while True:
            # Before the file is read: what becomes of it after that must look new.
            count = self._own_count()
            try:
                there = self.file.path.stat()
            except OSError:
                there = None
            content = self.file.content()
            if content is None:
                self._set_aside = self._set_aside or self._was_set_aside()
                return SET_ASIDE if self._set_aside else None
            if there is not None:
                self._last, self._count, self._set_aside = there, count, False
                return content

    def _own_count(self) -> int:
        prefix = aside_names(self.file.path.name)
        return sum(path.name.startswith(prefix) for path in list(self.file.losses.set_aside))

    def _was_set_aside(self) -> bool:
        last = self._last
        if last is None:
            return False
        if self._own_count() != self._count:
            return True
        # Another process may have done it. A rename keeps the file and sets its ctime.
        prefix = aside_names(self.file.path.name)
        with os.scandir(self.file.path.parent) as entries:
            found = [entry.stat() for entry in entries if entry.name.startswith(prefix)]
        return any(
            (aside.st_dev, aside.st_ino) == (last.st_dev, last.st_ino)
            or aside.st_ctime_ns > last.st_ctime_ns
            for aside in found
        )
