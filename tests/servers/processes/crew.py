"""The processes of a run, as their parent sees them: started, told, heard, killed, replaced.

It promises that no wait for one of them is without end: one that has died, or says nothing, ends
the run with what it wrote to stderr. It ends processes that it started, by their handles.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Self

import attrs

#: Seconds in which a process answers; it takes milliseconds, or a lease. A loaded machine is slower.
PATIENCE = 90.0


class CrewFailure(Exception):
    """A process has died, or hangs."""


@attrs.define(eq=False, kw_only=True)
class Member:
    """
    One process of the crew.

    Args:
        process: It.
        stderr: What it has to say when it fails: a file, for a pipe that nobody reads blocks.
    """

    process: asyncio.subprocess.Process
    stderr: Path

    def say(self, **command: object) -> None:
        """Tell it what to do."""
        if self.process.stdin is not None:
            self.process.stdin.write(f"{json.dumps(command)}\n".encode())

    async def hear(self) -> dict:
        """
        Return what it says next.

        Raises:
            CrewFailure: It says nothing in time, or has died.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                line = await self.process.stdout.readline()
        except TimeoutError:
            self.process.send_signal(signal.SIGUSR1)
            await asyncio.sleep(1)
            raise CrewFailure(f"It has said nothing for {PATIENCE:g} s.\n{self.last}") from None
        if not line:
            raise CrewFailure(f"It has died ({await self.process.wait()}).\n{self.last}")
        return json.loads(line)

    @property
    def last(self) -> str:
        """The end of what it wrote to stderr."""
        return self.stderr.read_text(errors="replace")[-8000:]

    async def kill(self) -> None:
        """Kill it, wherever it is, and wait until it is gone."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def stopped(self) -> None:
        """
        Wait until it has stopped itself, as it has said it would: to be woken before is no use.

        Raises:
            CrewFailure: It does not.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                while not has_stopped(self.process.pid):  # noqa: ASYNC110 - it rings no bell
                    await asyncio.sleep(0.002)
        except TimeoutError:
            raise CrewFailure(f"It does not stop.\n{self.last}") from None

    def wake(self) -> None:
        """Let it go on after it was stopped."""
        self.process.send_signal(signal.SIGCONT)


def has_stopped(pid: int) -> bool:
    """Say whether a process of ours stands still by a signal."""
    return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None


@attrs.define(eq=False, kw_only=True)
class Crew:
    """
    All processes of a run; `async with` it.

    Args:
        options: What each process is told at its start, as worker.py takes it.
        size: How many there are.
    """

    options: dict
    size: int
    members: list[Member] = attrs.field(factory=list)
    _folder: tempfile.TemporaryDirectory = attrs.field(factory=tempfile.TemporaryDirectory)
    _started: int = 0

    async def __aenter__(self) -> Self:
        try:
            await self.fill(ahead=0.0)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self.members:
            await member.kill()
        self._folder.cleanup()

    async def fill(self, *, ahead: float) -> None:
        """Start as many as are missing, at once, and wait until each is ready."""
        missing = range(self.size - len(self.members))
        new = await asyncio.gather(*(self._start(ahead) for _ in missing))
        self.members += new
        for member in new:
            if "ready" not in await member.hear():
                raise CrewFailure("It is not ready.")

    async def _start(self, ahead: float) -> Member:
        self._started += 1
        path = Path(self._folder.name) / f"{self._started}.err"
        with path.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-W", "error", str(Path(__file__).with_name("worker.py"))),
                json.dumps({**self.options, "ahead": ahead}),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        return Member(process=process, stderr=path)

    async def remove(self, member: Member) -> None:
        """Kill one; `fill()` starts another in its place."""
        await member.kill()
        self.members.remove(member)

    async def end(self, *, quiet: bool) -> None:
        """
        Let all close in good order.

        Args:
            quiet: Whether none of them may have had anything to say to stderr.

        Raises:
            CrewFailure: One did not, or was not quiet.
        """
        for member in self.members:
            member.say(do="end")
        for member in self.members:
            try:
                async with asyncio.timeout(PATIENCE):
                    code = await member.process.wait()
            except TimeoutError:
                member.process.send_signal(signal.SIGUSR1)
                await asyncio.sleep(1)
                raise CrewFailure(f"It does not end.\n{member.last}") from None
            if code or (quiet and member.last):
                raise CrewFailure(f"It ended with {code}.\n{member.last}")
        self.members.clear()
