"""`SyncBridge`: from the threads of an async program, and in scripts with a loop of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from async_auth.errors import (
    AuthSessionMissing,
    ConfigurationError,
    ManagerClosed,
    ServerUnavailable,
    TemporaryError,
)
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.blocking import SyncBridge, start_all_again
from async_auth.session import AccessToken
from async_auth.stores import FileStore


class Slow:
    """A manager that never answers."""

    def __init__(self):
        self.asked = threading.Event()

    async def get_token(self, *, min_ttl=None, rejected=None):
        """Wait for ever."""
        self.asked.set()
        await asyncio.Event().wait()


class Plain:
    """A manager without anything to close, that says which threads it was asked in."""

    def __init__(self):
        self.threads = []

    async def get_token(self, *, min_ttl=None, rejected=None):
        """Return a token."""
        self.threads.append(threading.current_thread())
        return AccessToken(value="t1", generation=1)


def get(url, headers):
    """Send one request without a loop."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:  # noqa: S310 - loopback
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.fixture
def bridge_to():
    """Return a function that makes a bridge into the running loop."""

    def make(manager, **options):
        return SyncBridge(manager, loop=asyncio.get_running_loop(), **options)

    return make


async def test_a_request_from_a_thread_carries_the_token(stage, api, bridge_to):
    """Any number of threads share the manager of the loop."""
    bridge = bridge_to(await stage.signed_in())

    def work():
        return get(api.url, bridge.headers()), bridge.get_token().generation

    assert {(200, 1)} == set(await asyncio.gather(*(asyncio.to_thread(work) for _ in range(5))))


async def test_an_expired_token_is_refreshed_once_for_all_threads(stage, api, bridge_to):
    """Threads that ask together wait for one refresh."""
    client = await stage.signed_in(auto_refresh=False)
    bridge = bridge_to(client)
    before = await asyncio.to_thread(bridge.headers)
    await stage.clock.advance(3600)
    assert 401 == await asyncio.to_thread(get, api.url, before)

    def work():
        return get(api.url, bridge.headers())

    assert {200} == set(await asyncio.gather(*(asyncio.to_thread(work) for _ in range(5))))
    assert 1 == stage.refreshes


async def test_refused_headers_are_refreshed(stage, api, bouncer, bridge_to):
    """A thread that got a 401 hands its headers back."""
    bridge = bridge_to(await stage.signed_in())
    await stage.clock.advance(100)

    def work():
        before = bridge.headers()
        bouncer.bar(before["Authorization"].partition(" ")[2])
        return get(api.url, before), get(api.url, bridge.headers(rejected=before))

    assert (401, 200) == await asyncio.to_thread(work)


async def test_an_outage_of_the_auth_server(stage, outage, bridge_to):
    """Errors are those of the manager."""
    bridge = bridge_to(await stage.signed_in())
    outage()
    await stage.clock.advance(3605)

    with pytest.raises(ServerUnavailable):
        await asyncio.to_thread(bridge.get_token)


async def test_anything_of_the_managers_can_be_run(stage, bridge_to):
    """`run` takes what a method returned."""
    client = await stage.signed_in()
    bridge = bridge_to(client)

    user = await asyncio.to_thread(lambda: bridge.run(client.get_user()))

    assert stage.user_id == user.id


async def test_what_is_no_coroutine_is_refused(bridge_to):
    """Whoever forgets to call the method is told so."""
    with pytest.raises(ConfigurationError, match=r"^work: "):
        bridge_to(Plain()).run(Plain().get_token)


async def test_the_loops_own_thread_is_refused(stage, bridge_to):
    """It would wait for itself; it is told so, and the coroutine leaves no warning."""
    bridge = bridge_to(await stage.client())

    for call in (bridge.get_token, bridge.headers, bridge.__enter__):
        with pytest.raises(ConfigurationError, match="own thread"):
            call()


async def test_a_call_ends_by_its_timeout(bridge_to):
    """What takes too long is a temporary failure, and is cancelled."""
    bridge = bridge_to(Slow(), timeout=0.01)
    before = asyncio.all_tasks()

    with pytest.raises(TemporaryError, match=r"within 0\.01 seconds"):
        await asyncio.to_thread(bridge.get_token)
    while asyncio.all_tasks() - before:  # noqa: ASYNC110 - a task sets no event when it is gone
        await asyncio.sleep(0)


@pytest.mark.parametrize("timeout", [0, -1, True, float("nan"), float("inf")])
def test_a_timeout_is_a_positive_number(timeout):
    """Nobody waits for ever by mistake."""
    with pytest.raises(ConfigurationError, match=r"^timeout: "):
        SyncBridge(Plain(), timeout=timeout)


def test_a_loop_that_does_not_run_is_refused():
    """Nothing would ever answer; a loop that is over says so."""
    loop = asyncio.new_event_loop()
    bridge = SyncBridge(Plain(), loop=loop)

    with pytest.raises(ConfigurationError, match="does not run"):
        bridge.get_token()
    loop.close()
    with pytest.raises(ManagerClosed, match="has ended"):
        bridge.get_token()


@pytest.mark.parametrize("how", ["cancelled", "stopped"])
def test_a_loop_that_ends_under_a_call_ends_the_call(how):
    """Whoever waits is told, long before the timeout."""
    manager, loop = Slow(), asyncio.new_event_loop()

    def end():
        manager.asked.wait()
        if how == "cancelled":
            for task in asyncio.all_tasks(loop):
                loop.call_soon_threadsafe(task.cancel)
        else:
            loop.call_soon_threadsafe(loop.stop)

    bridge = SyncBridge(manager, loop=loop)
    runs = threading.Event()
    loop.call_soon(runs.set)
    running = threading.Thread(target=loop.run_forever)
    running.start()
    runs.wait()
    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(ManagerClosed, match="has ended"):
        bridge.get_token()
    ending.join()
    if how == "cancelled":
        loop.call_soon_threadsafe(loop.stop)
    running.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


async def test_a_closed_bridge_leaves_the_managers_loop_alone(bridge_to):
    """Only what it owns ends with it."""
    bridge = bridge_to(Plain())
    bridge.close()

    with pytest.raises(ManagerClosed, match="is closed"):
        await asyncio.to_thread(bridge.get_token)


def test_a_loop_of_its_own():
    """Without one it starts one in a daemon thread, once, and ends it when it is closed."""
    manager = Plain()
    bridge = SyncBridge(manager)
    assert "its own loop" in repr(bridge)

    with bridge:
        found = [bridge.get_token().value for _ in range(2)]

    (thread,) = set(manager.threads)
    assert (["t1", "t1"], True, False) == (found, thread.daemon, thread.is_alive())
    bridge.close()
    assert "closed" in repr(bridge)
    for call in (bridge.get_token, bridge.__enter__):
        with pytest.raises(ManagerClosed, match="is closed"):
            call()


async def test_a_script_signs_in_and_asks(stage, api):
    """The manager is the bridge's own: closing the one closes the other."""
    client = GoTrueClient(stage.server.url)

    def script():
        with SyncBridge(client) as bridge:
            with pytest.raises(AuthSessionMissing):
                bridge.get_token()
            bridge.run(client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD))
            return get(api.url, bridge.headers())

    assert 200 == await asyncio.to_thread(script)
    with pytest.raises(ManagerClosed):
        await client.get_token()


def test_it_is_closed_from_its_own_thread():
    """What runs in the loop may close the bridge; nobody waits for himself."""
    bridge = SyncBridge(Plain())

    async def close():
        bridge.close()

    bridge.run(close())
    with pytest.raises(ManagerClosed):
        bridge.get_token()


def test_a_thread_ends_with_its_bridge():
    """Whoever forgets to close it leaves no thread behind."""
    manager = Plain()
    SyncBridge(manager).get_token()
    gc.collect()
    (thread,) = manager.threads

    thread.join()


def test_a_manager_that_cannot_be_closed(our_log):
    """The end of a thread is told to the log, by the name of the error."""

    class Stuck(Plain):
        async def aclose(self):
            raise OSError("secret")

    with SyncBridge(Stuck()) as bridge:
        bridge.get_token()

    assert ["The loop of a SyncBridge ended with OSError"] == [one.message for one in our_log()]


def test_a_loop_that_cannot_be_made(monkeypatch, caplog):
    """Whoever asked is told why."""

    def fail(work):
        work.close()
        raise OSError("too many open files")

    monkeypatch.setattr(asyncio, "run", fail)

    with pytest.raises(OSError, match="too many"):
        SyncBridge(Plain()).get_token()


SCRIPT = """
import asyncio, os, sys
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.blocking import SyncBridge, start_all_again

# By name, so that the loop has used its executor when it ends.
client = GoTrueClient(sys.argv[1].replace("127.0.0.1", "localhost"))
bridge = SyncBridge(client)
bridge.run(client.sign_in_with_password(email=sys.argv[2], password=sys.argv[3]))
# Written before a fork, or the child would write it again.
print(bridge.get_token().header[:9], flush=True)
{more}
"""
AT_EXIT = """
from async_auth.integrations.blocking import SyncBridge
from async_auth.session import AccessToken

class Manager:
    async def get_token(self, **options):
        return AccessToken(value="t1")

    async def aclose(self):
        print("closed")

bridge = SyncBridge(Manager())
print(bridge.get_token().value)
"""
#: A refresh is written when the main thread has ended, and with it every executor.
LAST_REFRESH = """
import asyncio, atexit, sys, threading
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.blocking import SyncBridge
from async_auth.stores import FileStore

url, email, password, folder = sys.argv[1:]
saving, exiting = threading.Event(), asyncio.Event()

class LateStore(FileStore):
    async def save(self, key, record, *, expected):
        if record.generation == 2:
            saving.set()
            await exiting.wait()
        await super().save(key, record, expected=expected)

async def refresh():
    atexit.register(asyncio.get_running_loop().call_soon_threadsafe, exiting.set)
    return asyncio.create_task(client.refresh_session())

client = GoTrueClient(url, store=LateStore(folder))
bridge = SyncBridge(client)
bridge.run(client.sign_in_with_password(email=email, password=password))
task = bridge.run(refresh())
saving.wait()
"""
#: That threads and fork do not mix is what the test is about; Python says so where it sees them.
FORKING = ("-W", "ignore:This process:DeprecationWarning")
FORK = """
pid = os.fork()
if not pid:
    print("child", bridge.get_token().header[:9], flush=True)
    bridge.close()
    os._exit(0)
os.waitpid(pid, 0)
"""


async def run_script(stage, *options, more=""):
    """Run a script on the stage's server and return its output; warnings are errors."""
    return await asyncio.to_thread(
        subprocess.run,
        [
            *(sys.executable, "-W", "error", *options, "-c", SCRIPT.format(more=more)),
            *(stage.server.url, stage.EMAIL, stage.PASSWORD),
        ],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


async def test_a_script_that_closes_nothing_ends_cleanly(stage):
    """It exits at once, without a word."""
    done = await run_script(stage)

    assert (0, "Bearer ey\n", "") == (done.returncode, done.stdout, done.stderr)


def test_the_manager_is_closed_at_exit():
    """A refresh that is under way then is let finish, in the loop."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", AT_EXIT],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    assert (0, "t1\nclosed\n", "") == (done.returncode, done.stdout, done.stderr)


async def test_a_refresh_that_was_sent_is_stored_at_exit(stage, tmp_path):
    """The token that a server has issued while the process ends is in the store."""
    done = await asyncio.to_thread(
        subprocess.run,
        [
            *(sys.executable, "-W", "error", "-c", LAST_REFRESH),
            *(stage.server.url, stage.EMAIL, stage.PASSWORD, tmp_path),
        ],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert 2 == (await FileStore(tmp_path).load("default")).generation


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_a_forked_child_starts_again(stage):
    """The thread stays behind in the parent; the child has one of its own at its first call."""
    done = await run_script(stage, *FORKING, more=FORK)

    assert (0, "Bearer ey\nchild Bearer ey\n", "") == (done.returncode, done.stdout, done.stderr)


def test_a_forked_child_has_no_loop_of_the_parents():
    """A bridge into a loop is of no use where that loop is not."""
    loop = asyncio.new_event_loop()
    bridge = SyncBridge(Plain(), loop=loop)
    start_all_again()

    with pytest.raises(ConfigurationError, match="parent process"):
        bridge.get_token()
    loop.close()
