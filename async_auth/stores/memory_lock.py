"""A keyed lock inside one process: fair, and the same lock for every event loop and thread of it.

Promises: whoever asks first gets the key first; a waiter that is cancelled passes its turn on; a
waiter or an owner whose event loop was closed does not block the others; a forked child starts
with every key free. It does not reach other processes, and it has no timeout of its own (wrap it
in `asyncio.timeout()`).

Nothing in here waits for a mutex. Changes are posted to an inbox, and whoever gets the mutex
without waiting applies them all. So a release that happens while the garbage collector destroys a
coroutine, in the midst of another change in the same thread, cannot deadlock.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from async_auth.stores.forks import reset_in_child


class Hold:
    """One holder's place in the line for one key: `MemoryLock.hold()`; entered once at a time."""

    __slots__ = ("future", "granted", "key", "lock", "loop")

    def __init__(self, lock: MemoryLock, key: str):
        self.lock = lock
        self.key = key
        self.granted = False
        self.future: asyncio.Future[None] | None = None
        self.loop: asyncio.AbstractEventLoop

    async def __aenter__(self) -> None:
        if self.granted:
            raise RuntimeError("This hold was entered already; call hold() for another one.")
        self.loop = asyncio.get_running_loop()
        self.future = None
        self.lock.post(self.lock.join, self)
        if self.has_turn():
            return
        future = self.loop.create_future()
        # grant() writes `granted` and then reads `future`; this writes `future` and then reads
        # `granted`. So at least one of the two sees the other, whatever thread grants.
        self.future = future
        try:
            if not self.has_turn():
                await future
        except BaseException:
            self._let_go()
            raise

    async def __aexit__(self, *_: object) -> None:
        # No await in here: it also runs, whole, when a destroyed coroutine is closed.
        self._let_go()

    def _let_go(self) -> None:
        self.lock.post(self.lock.leave, self)
        self.granted = False

    def has_turn(self) -> bool:
        """Whether the key was given to this holder, by whatever thread."""
        return self.granted

    def grant(self) -> bool:
        """Give the key to this holder; false if its event loop is gone."""
        self.granted = True
        future = self.future
        if future is None:
            return True  # it has not begun to wait, and will not
        if self.loop is running_loop():
            wake(future)
            return True
        try:
            self.loop.call_soon_threadsafe(wake, future)
        except RuntimeError:  # the loop was closed
            return False
        return True


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that this thread is running just now, if any."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def wake(future: asyncio.Future[None]) -> None:
    """Let the waiter go on, unless it was cancelled meanwhile."""
    if not future.done():
        future.set_result(None)


class MemoryLock:
    """
    A lock per key for the tasks of one process, in whatever event loops and threads they run.

    First come, first served. Safe to use from several threads and loops at once. The lock is not
    reentrant: a task that holds a key and asks for it again waits for itself.
    """

    def __init__(self) -> None:
        self.after_fork()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Forget every holder; the holders of the parent are not in this process."""
        self._mutex = threading.Lock()
        self._inbox: deque[tuple[Callable[[Hold], None], Hold]] = deque()
        # The first of each line owns the key. Ordered, for cancelling one of ten thousand
        # waiters must not mean a search among them.
        self._lines: dict[str, OrderedDict[Hold, None]] = {}

    def hold(self, key: str) -> Hold:
        """
        Hold *key* for the length of an `async with`.

        Waits without limit. Cancelling the wait gives up the place in the line; an exception in
        the body frees the key.

        Args:
            key: What to lock. Different keys do not affect each other.

        Returns:
            An async context manager.
        """
        return Hold(self, key)

    def post(self, change: Callable[[Hold], None], hold: Hold) -> None:
        """Have *change* applied: now, or by the thread that is applying changes already."""
        self._inbox.append((change, hold))
        # Looking again after the release: a change that came in between found the mutex taken.
        while self._inbox and self._mutex.acquire(blocking=False):
            try:
                while self._inbox:
                    change, hold = self._inbox.popleft()
                    change(hold)
            finally:
                self._mutex.release()

    def join(self, hold: Hold) -> None:
        """Put *hold* at the end of its line; only for `post()`."""
        line = self._lines.get(hold.key)
        if line is None:
            self._lines[hold.key] = OrderedDict({hold: None})
            hold.grant()
            return
        line[hold] = None
        owner = next(iter(line))
        if owner.loop.is_closed():  # it can never leave by itself
            self.leave(owner)

    def leave(self, hold: Hold) -> None:
        """Take *hold* out of its line, and let the next one have its turn; only for `post()`."""
        line = self._lines.get(hold.key)
        if line is None or hold not in line:
            return  # a hold of the parent process, or one whose loop was closed
        owned = next(iter(line)) is hold
        del line[hold]
        while owned and line and not next(iter(line)).grant():
            line.popitem(last=False)
        if not line:
            del self._lines[hold.key]

    def __repr__(self) -> str:
        lines = list(self._lines.values())
        return f"MemoryLock(held={len(lines)}, waiting={sum(map(len, lines)) - len(lines)})"
