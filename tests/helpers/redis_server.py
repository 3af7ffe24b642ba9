"""One redis-server process on a loopback port of its own: a password, nothing on disk, and commands."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import attrs
from kept_ports import KeptPort
from starting import wait_for_start

PASSWORD = "hush/hush@redis"
ENCODED = "hush%2Fhush%40redis"
#: No start took a tenth of a second here; a loaded machine may be slower.
START_TIMEOUT = 30.0
#: A node of a cluster listens on the port so far above as well.
BUS = 10_000


def find_program():
    """Return where redis-server is: what `REDIS_SERVER` says, or on the path; None if nowhere."""
    return os.environ.get("REDIS_SERVER") or shutil.which("redis-server")


def keep_ports():
    """Return two ports for a server: a free one, and the one that a cluster's nodes talk on."""
    while True:
        kept = KeptPort()
        try:
            return kept, KeptPort(kept.number + BUS)
        except (OSError, OverflowError):  # somebody has that one, or there is none so high
            kept.close()


def whole_answer(answers):
    """Read one answer, in however many pieces it comes; what an end cuts off is missing."""
    line = answers.readline()
    kind, size = line[:1], line[1:].strip()
    if kind == b"$":
        # Where there is nothing the length is -1.
        return line + (b"" if size == b"-1" else answers.read(int(size) + 2))
    if kind == b"*":
        return line + b"".join(whole_answer(answers) for _ in range(int(size)))
    return line


@attrs.define(kw_only=True)
class RedisServer:
    """
    One redis-server process; blocking, so call it from a thread where that matters.

    Args:
        program: What to run.
        folder: Where its data and its log are; a restart finds them again.
        options: More words of its command line.
    """

    program: str
    folder: Path
    options: tuple[str, ...] = ()
    kept: tuple[KeptPort, KeptPort] = attrs.field(factory=keep_ports)
    process: subprocess.Popen[bytes] | None = None

    @property
    def port(self):
        """Where it listens, also after a restart."""
        return self.kept[0].number

    @property
    def url(self):
        """Where it is, with its password."""
        return f"redis://:{ENCODED}@127.0.0.1:{self.port}/0"

    def start(self):
        """Start it and wait until it answers."""
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.program,
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", PASSWORD),
                    *("--dir", str(self.folder), "--save", "", *self.options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            path = self.folder / "redis.log"
            wait_for_start(self.process, self._answers, log=path, patience=START_TIMEOUT)
        except RuntimeError:
            self.stop()
            raise

    def stop(self):
        """Kill the process, as a crash does, and wait for it."""
        if self.process is not None:
            # Nobody outlives it: a stopped process would not hear anything else.
            self.process.kill()
            self.process.wait()
            self.process = None

    def close(self):
        """Stop it for good."""
        self.stop()
        for one in self.kept:
            one.close()

    def freeze(self):
        """Let it answer nothing, and keep its connections."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)

    def command(self, *words):
        """Return the answer to one command, as Redis writes it."""
        address = ("127.0.0.1", self.port)
        with (
            socket.create_connection(address, START_TIMEOUT) as talk,
            talk.makefile("rb") as answers,
        ):
            for line in (("AUTH", PASSWORD), words):
                parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in line)
                talk.sendall(f"*{len(line)}\r\n{parts}".encode())
                answer = whole_answer(answers).decode()
        return answer

    def _answers(self):
        try:
            return self.command("PING").startswith("+PONG")
        except OSError:
            return False
