"""A client whose disk fails in mid-life: full, read-only, or no file left to open.

Each test is a program of its own, for limits and mounts hold for whole processes. Where the system
lets anybody have a mount namespace, the disk is a real one: a small tmpfs that is filled, or
mounted read-only. Elsewhere a limit on file sizes stands in for the full one, and the folder's
mode for the other; the code of the error says which it was.
"""

from __future__ import annotations

import pytest

PROGRAM = """
import asyncio, atexit, contextlib, ctypes, os, resource, shutil, sys, tempfile
from async_auth import AuthError, RefreshPolicy, StoreFailed
from async_auth.gotrue import GoTrueClient
from async_auth.stores import FileStore
from async_auth.testing import EventRecorder, GoTrueServer, ManualClock
from async_auth.transport import AiohttpTransport

folder, fault, moment = sys.argv[1:]
NEW_USER, NEW_MOUNTS, READ_ONLY, REMOUNT = 0x10000000, 0x00020000, 1, 32
libc = ctypes.CDLL(None, use_errno=True)

def mount(flags=0):
    options = None if flags else b"size=256k,mode=700"
    if libc.mount(b"none", folder.encode(), b"tmpfs", flags, options):
        raise OSError(ctypes.get_errno(), "mount")

def mounted():
    # As root of a namespace of its own; nobody else sees what is mounted there.
    user, group = os.getuid(), os.getgid()
    if not hasattr(libc, "unshare") or libc.unshare(NEW_USER | NEW_MOUNTS):
        return False
    try:
        for name, text in (
            ("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        mount()
    except OSError:
        return False
    return True

class Limit:
    def __init__(self, kind):
        self.kind, self.before = kind, resource.getrlimit(kind)

    def fail(self):
        resource.setrlimit(self.kind, (1, self.before[1]))

    def mend(self):
        resource.setrlimit(self.kind, self.before)

class Full:
    ballast = os.path.join(folder, "ballast")

    def fail(self):
        with contextlib.suppress(OSError), open(self.ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def mend(self):
        os.unlink(self.ballast)

class ReadOnly:
    def fail(self):
        mount(READ_ONLY | REMOUNT)

    def mend(self):
        mount(REMOUNT)

class Mode:
    def fail(self):
        os.chmod(folder, 0o500)

    def mend(self):
        os.chmod(folder, 0o700)

# What is open for writing, as a lock's file is in the midst of a refresh, keeps a mount writable.
real = (fault == "full" or (fault, moment) == ("read-only", "before")) and mounted()
if fault == "no files":
    disk = Limit(resource.RLIMIT_NOFILE)
elif fault == "full":
    disk = Full() if real else Limit(resource.RLIMIT_FSIZE)
else:
    disk = ReadOnly() if real else Mode()

class Transport(AiohttpTransport):
    fails = False

    async def send(self, request, *, timeout):
        response = await super().send(request, timeout=timeout)
        if self.fails:
            disk.fail()
            self.fails = False
        return response

async def main():
    clock, transport = ManualClock(), Transport()
    async with contextlib.AsyncExitStack() as exits:
        options = {"reuse_interval": 0, "parent_rule": False, "clock": clock}
        server = await exits.enter_async_context(GoTrueServer(**options))

        async def connect(**options):
            policy = RefreshPolicy(jitter=0)
            client = GoTrueClient(
                server.url, store=FileStore(folder), clock=clock, policy=policy, **options
            )
            return await exits.enter_async_context(client)

        auth = await connect(transport=transport, random=lambda: 0.0)
        events = await exits.enter_async_context(EventRecorder(auth))
        await auth.sign_up(email="ann@example.com", password="secret-enough")
        first = auth.session
        if moment == "before":
            disk.fail()
        else:
            transport.fails = True
        # The timer finds out.
        await clock.advance_to(first.expires_at - 10)
        while not any(event.name.endswith("FAILED") for event in events.events):
            await asyncio.sleep(0)
        failed = next(event for event in events.events if event.name.endswith("FAILED"))
        print(failed.name, failed.error.code, (await auth.get_token()).generation, server.issued)
        disk.mend()
        await clock.advance_to(failed.retry_at)
        await events.wait_for("TOKEN_REFRESHED")
        # Another process has it, as soon as it is saved, and goes on with it.
        store = FileStore(folder)
        while (await store.load("default")).generation != 2:
            await asyncio.sleep(0)
        again = await connect(auto_refresh=False)
        await again.refresh_session()
        print((await again.get_token()).generation, server.issued, len(events.of("SIGNED_OUT")))
        await transport.aclose()

async def warm_up():
    # Loads what is loaded late, from where perhaps only root may read.
    async with GoTrueServer() as server:
        async with GoTrueClient(server.url, store=FileStore(folder)) as auth:
            await auth.sign_up(email="ann@example.com", password="secret-enough")
            await auth.refresh_session()

if isinstance(disk, Mode):
    # Root may write everywhere, and nobody else may enter the folder that it was given.
    asyncio.run(warm_up())
    give_up_root()
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
asyncio.run(main())
"""

#: What is told first, by the code of the error: a lock that cannot be had is known before anything
#: is sent, a save that fails when all is done.
REFRESH_FAILED, STORE_FAILED = ("REFRESH_FAILED", "1", "0"), ("STORE_FAILED", "2", "1")
FULL = {"ENOSPC": STORE_FAILED, "EFBIG": STORE_FAILED}


@pytest.mark.parametrize(
    "fault, moment, expected",
    [
        ("full", "before", FULL),
        ("full", "after", FULL),
        ("read-only", "before", {"EROFS": REFRESH_FAILED, "EACCES": REFRESH_FAILED}),
        ("read-only", "after", {"EACCES": STORE_FAILED}),
        ("no files", "before", {"EMFILE": REFRESH_FAILED}),
        ("no files", "after", {"EMFILE": STORE_FAILED}),
    ],
)
def test_a_disk_that_fails_loses_no_token(start, tmp_path, fault, moment, expected):
    """What was received is kept in memory and saved when that works; what was not is not sent."""
    code, said = start(PROGRAM, tmp_path, fault, moment).ends()

    assert 0 == code, said
    told, then = (tuple(line.split()) for line in said.splitlines())
    assert expected[told[1]] == (told[0], *told[2:])
    # The token that another process found in the file was good for one refresh more.
    assert ("3", "2", "0") == then
