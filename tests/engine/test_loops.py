"""Event loops as programs really have them: replaced, paused, forked, interrupted, dropped."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import textwrap
import threading

import pytest

from async_auth import (
    AuthError,
    ConfigurationError,
    LockTimeout,
    ManagerClosed,
    RefreshPolicy,
    SessionManager,
    Status,
    StoreError,
    TokenRefreshed,
)
from async_auth.stores import FileStore, MemoryStore
from async_auth.testing import GoTrueServer

EMAIL, PASSWORD = "ada@example.com", "correct-horse-1"
REFRESH = "/token?grant_type=refresh_token"

#: What every script begins with; `cell()` runs a coroutine as a notebook does.
PROLOGUE = f"""
import asyncio, gc, logging, os, signal, sys
from async_auth import *
from async_auth.gotrue import GoTrueClient
from async_auth.stores import FileStore, MemoryStore

url, folder = sys.argv[1:]
account = dict(email={EMAIL!r}, password={PASSWORD!r})
# In debug mode asyncio warns of slow steps: that is this machine's business. Errors are ours.
logging.getLogger("asyncio").setLevel(logging.ERROR)

def notebook():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete
"""


@pytest.fixture
async def gotrue():
    """Run a server with one user."""
    async with GoTrueServer() as server:
        server.create_user(email=EMAIL, password=PASSWORD)
        yield server


@pytest.fixture
def run_script(gotrue, tmp_path):
    """Return a function that runs a script in a new interpreter and returns its lines."""

    async def run(script, *, status=0, options=()):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-X", "dev", "-W", "error", *options, "-c"),
            PROLOGUE + textwrap.dedent(script),
            *(gotrue.url, str(tmp_path / "store")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert "" == err.decode()
        assert status == process.returncode
        return out.decode().splitlines()

    return run


@pytest.fixture
def make(clock, server, tiny_provider):
    """Return a function that makes a manager outside of any loop; nobody closes it."""

    def make(**options):
        options = {
            "transport": server,
            "clock": clock,
            "policy": RefreshPolicy(jitter=0),
            "random": lambda: 0.0,
            **options,
        }
        return SessionManager(tiny_provider(), **options)

    return make


def tasks_of_ours():
    """Return the names of our tasks that have not ended."""
    return sorted(t.get_name() for t in asyncio.all_tasks() if "async_auth" in t.get_name())


async def settle():
    """Let everything that is ready run."""
    for _ in range(10):
        await asyncio.sleep(0)


# Notebooks.


async def test_a_notebook_that_is_never_closed_ends_without_a_word(run_script, gotrue):
    """One loop, run cell by cell and paused in between, is dropped at exit with all that it has."""
    lines = await run_script("""
        cell = notebook()
        client = GoTrueClient(url, store=FileStore(folder))

        async def read():
            async for event in client.events():
                print(event.name, flush=True)

        async def watch():
            global task
            task = asyncio.create_task(read())
            await asyncio.sleep(0)

        cell(client.start())
        cell(watch())
        cell(client.sign_in_with_password(**account))
        first = cell(client.get_token())
        second = cell(client.get_token(rejected=first))
        print(second.generation - first.generation, client.status.name)
        cell(asyncio.sleep(0))
        task.cancel()
        cell(asyncio.sleep(0))
    """)

    assert ["1 FRESH", "INITIAL_SESSION", "SIGNED_IN", "TOKEN_REFRESHED"] == sorted(lines)
    assert 1 == gotrue.counts[REFRESH]


async def test_a_notebook_that_ends_in_the_midst_of_a_refresh_ends_without_a_word(
    run_script, gotrue, tmp_path
):
    """The connection is open and the lock is held; nothing is printed, nothing hangs."""
    gotrue.faults.add(REFRESH, delay=600)

    async def tell_that_it_was_sent():
        while not gotrue.counts[REFRESH]:  # noqa: ASYNC110 - a count sets no event
            await asyncio.sleep(0.01)
        (tmp_path / "sent").touch()

    telling = asyncio.create_task(tell_that_it_was_sent())
    lines = await run_script("""
        cell = notebook()
        client = GoTrueClient(url, store=FileStore(folder))

        async def leave():
            global task
            task = asyncio.create_task(client.refresh_session())
            task._log_destroy_pending = False  # the user's own task, and not the matter
            while not os.path.exists(os.path.join(folder, os.pardir, "sent")):
                await asyncio.sleep(0.01)

        cell(client.sign_in_with_password(**account))
        cell(leave())
        print("left")
    """)
    await telling

    assert ["left"] == lines
    assert 1 == gotrue.counts[REFRESH]


async def test_a_notebook_whose_manager_is_dropped_and_collected(run_script):
    """Running a cell twice makes a second client; the first one goes without a word."""
    lines = await run_script("""
        cell = notebook()
        for _ in range(3):
            client = GoTrueClient(url)
            cell(client.sign_in_with_password(**account))
        gc.collect()

        async def ours():
            return [t.get_name() for t in asyncio.all_tasks() if "async_auth" in t.get_name()]

        # Their loop runs only in cells, and they end in it.
        while len(found := cell(ours())) > 2:
            cell(asyncio.sleep(0.01))
        print(sorted(found))
    """)

    assert ["['async_auth scheduler', 'async_auth supervisor']"] == lines


async def test_a_cell_that_is_interrupted_leaves_a_usable_client(run_script, gotrue):
    """Ctrl-C ends a cell wherever it strikes; the next cell goes on."""
    gotrue.faults.add(REFRESH, delay=600)
    lines = await run_script("""
        cell = notebook()
        client = GoTrueClient(url, store=FileStore(folder))
        cell(client.sign_in_with_password(**account))
        cell(client.aclose())
        # Closing waits for the request that nobody answers.
        policy = RefreshPolicy(request_timeout=0.5)
        client = GoTrueClient(url, store=FileStore(folder), policy=policy)

        async def wait():
            loop = asyncio.get_running_loop()
            loop.call_later(0.1, signal.raise_signal, signal.SIGINT)
            await client.refresh_session()

        task = cell.__self__.create_task(wait())
        task._log_destroy_pending = False
        try:
            cell(task)
        except KeyboardInterrupt:
            print("interrupted")
        task.cancel()
        token = cell(client.get_token())
        print(token.generation, client.status.name)
        cell(client.aclose())
    """)

    assert ["interrupted", "1 FRESH"] == lines


def test_started_used_and_closed_in_three_runs_of_one_loop(make, server):
    """`await start()` in one cell, use in another, `await aclose()` in a third."""
    loop = asyncio.new_event_loop()
    manager = make()
    loop.run_until_complete(manager.start())
    loop.run_until_complete(manager.adopt(server.sign_in()))
    token = loop.run_until_complete(manager.get_token())
    loop.run_until_complete(manager.aclose())

    assert 1 == token.generation
    assert set() == asyncio.all_tasks(loop)
    loop.close()


def test_a_ctrl_c_that_strikes_the_first_load(make, server):
    """The next cell loads again in place of waiting for a load that is dead."""

    class Struck(MemoryStore):
        """Is interrupted once."""

        struck = False

        async def load(self, key):
            """Strike, or load."""
            if not self.struck:
                self.struck = True
                raise KeyboardInterrupt
            return await super().load(key)

    manager = make(store=Struck())
    loop = asyncio.new_event_loop()
    task = loop.create_task(manager.start())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)

    assert None is loop.run_until_complete(manager.get_session())
    with pytest.raises(ManagerClosed):
        loop.run_until_complete(task)
    loop.run_until_complete(manager.aclose())
    loop.close()


def test_a_ctrl_c_that_strikes_a_refresh(make, server):
    """Whoever waited for it gets an error in the next cell, not `None`; then all is as before."""

    class Struck:
        """Is interrupted once, before anything is sent."""

        struck = False

        async def send(self, request, *, timeout):
            """Strike, or send."""
            if not self.struck:
                self.struck = True
                await asyncio.sleep(0)
                raise KeyboardInterrupt
            return await server.send(request, timeout=timeout)

    manager = make(transport=Struck())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(manager.adopt(server.sign_in()))
    task = loop.create_task(manager.refresh_session())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    [outcome] = loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    refreshed = loop.run_until_complete(manager.refresh_session())
    loop.run_until_complete(manager.aclose())
    loop.close()

    assert isinstance(outcome, AuthError | KeyboardInterrupt)
    assert 2 == refreshed.generation


# One loop after the other.


def test_asyncio_run_twice_with_one_manager(make, server, clock):
    """The second run finds session, timer and refreshes at work, though nobody closed it."""
    manager = make()

    async def first():
        await manager.adopt(server.sign_in())

    async def second():
        token = await manager.get_token()
        refreshed = await manager.get_token(rejected=token)
        await clock.run(3590)
        return token.generation, refreshed.generation, manager.session.generation

    asyncio.run(first())
    clock.advance(5)

    assert (1, 2, 3) == asyncio.run(second())
    asyncio.run(manager.aclose())
    assert Status.CLOSED is manager.status


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_asyncio_run_twice_with_one_store(make, server, tmp_path, kind):
    """A new manager in a new loop goes on with what the last one left."""
    store = MemoryStore() if kind == "memory" else FileStore(tmp_path)

    async def first():
        async with make(store=store) as manager:
            await manager.adopt(server.sign_in())
            await manager.refresh_session()

    async def second():
        async with make(store=store) as manager:
            return (await manager.refresh_session()).generation

    asyncio.run(first())

    assert 3 == asyncio.run(second())


async def test_asyncio_run_twice_without_closing_prints_nothing(run_script, gotrue):
    """Real connections, with the same client and with a new one on the same store."""
    lines = await run_script("""
        store = FileStore(folder)
        client = GoTrueClient(url, store=store)

        async def first():
            await client.sign_in_with_password(**account)

        async def again(client):
            token = await client.get_token()
            print((await client.get_token(rejected=token)).generation)

        asyncio.run(first())
        asyncio.run(again(client))
        asyncio.run(again(GoTrueClient(url, store=store)))
        asyncio.run(client.aclose())
    """)

    assert ["2", "3"] == lines
    assert 2 == gotrue.counts[REFRESH]


def test_many_runs_leave_nothing_behind(make, server):
    """A program that is not async calls `asyncio.run` each time it needs a token."""
    manager = make()
    asyncio.run(manager.adopt(server.sign_in()))

    async def ask():
        await manager.start()
        return asyncio.get_running_loop()

    loops = [id(asyncio.run(ask())) for _ in range(20)]
    gc.collect()
    # By their type: to ask for its class fails for a weak proxy whose object is gone.
    loop_type = asyncio.BaseEventLoop
    alive = [each for each in gc.get_objects() if issubclass(type(each), loop_type)]

    # The last one is the manager's; more of them may belong to the runner of these tests.
    assert 1 >= sum(id(loop) in loops and loop.is_closed() for loop in alive)


@pytest.mark.parametrize("ending", ["cancelled", "closed"])
def test_a_loop_that_is_replaced_in_the_midst_of_a_flight(make, server, ending):
    """The answer went down with its loop; the next loop asks again, and nobody hangs."""
    server.forgiving = True
    manager = make()

    async def begin():
        await manager.adopt(server.sign_in())
        server.gate = asyncio.Event()
        task = asyncio.create_task(manager.refresh_session())
        task._log_destroy_pending = False  # noqa: SLF001 - the user's task, and not the matter
        while not server.requests:  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0)
        return task

    async def go_on():
        server.gate = None
        session = await manager.refresh_session()
        token = await manager.get_token()
        await manager.aclose()
        return session.generation, token.generation

    if ending == "cancelled":
        task = asyncio.run(begin())
    else:
        loop = asyncio.new_event_loop()
        task = loop.run_until_complete(begin())
        loop.close()

    generation, handed_out = asyncio.run(go_on())

    assert generation == handed_out
    assert 2 <= generation
    assert 2 == len(server.requests)
    assert 1 == len(set(server.requests))
    del task
    gc.collect()


def test_a_loop_that_stands_still_in_the_midst_of_a_flight(make, server, clock):
    """It holds the session's lock, so the other loop gets a LockTimeout in place of hanging."""
    server.forgiving = True
    manager = make()

    async def begin():
        await manager.adopt(server.sign_in())
        server.gate = asyncio.Event()
        task = asyncio.create_task(manager.refresh_session())
        while not server.requests:  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0)
        return task

    async def elsewhere():
        refreshing = asyncio.create_task(manager.refresh_session())
        await clock.run(61)
        with pytest.raises(LockTimeout):
            await refreshing

    async def finish(task):
        server.gate.set()
        return (await task).generation

    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    task = first.run_until_complete(begin())
    second.run_until_complete(elsewhere())

    assert 2 == first.run_until_complete(finish(task))
    assert 2 == manager.session.generation
    second.run_until_complete(manager.aclose())
    first.run_until_complete(settle())
    first.close()
    second.close()


def test_a_paused_loop_that_runs_again_ends_what_it_had(make, server, clock):
    """Two loops in turn: the manager follows, and the old timer does not fire in the wrong one."""
    manager = make()
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    first.run_until_complete(manager.adopt(server.sign_in()))
    second.run_until_complete(manager.start())

    first.run_until_complete(settle())
    assert set() == asyncio.all_tasks(first)
    second.run_until_complete(clock.run(3590))
    assert 2 == manager.session.generation
    first.run_until_complete(manager.refresh_session())

    assert 3 == manager.session.generation
    first.run_until_complete(manager.aclose())
    second.run_until_complete(settle())
    assert set() == asyncio.all_tasks(second)
    first.close()
    second.close()


def test_closing_in_another_loop(make, server):
    """A manager that was used in a loop that is gone is closed in the next one."""
    manager = make()
    asyncio.run(manager.adopt(server.sign_in()))
    stream = manager.events()

    async def close():
        await manager.aclose()
        return [event.name async for event in stream]

    assert ["INITIAL_SESSION"] == asyncio.run(close())
    with pytest.raises(ManagerClosed):
        asyncio.run(manager.get_token())


# Two loops at once.


async def test_another_threads_loop_gets_a_clear_error(make, server, clock):
    """Whatever needs the loop is refused at once; the manager goes on in its own."""
    manager = make()
    await manager.adopt(server.sign_in())
    stream = manager.events()
    await anext(stream)

    async def use():
        errors = []
        token = await manager.get_token()
        for call in (
            manager.start,
            manager.refresh_session,
            manager.sign_out,
            lambda: manager.get_token(rejected=token),
            lambda: anext(stream),
        ):
            with pytest.raises(ConfigurationError, match="another thread's event loop") as caught:
                await call()
            errors.append(caught.value)
        return errors

    assert 5 == len(await asyncio.to_thread(asyncio.run, use()))
    assert 2 == (await manager.refresh_session()).generation
    await manager.aclose()


async def test_closing_from_another_threads_loop(make, server):
    """It is closed in its own loop, whose waiters are woken as they must be."""
    # Debug mode notices whoever touches a loop from the wrong thread.
    asyncio.get_running_loop().set_debug(enabled=True)
    manager = make()
    await manager.adopt(server.sign_in())
    stream = manager.events()
    await anext(stream)
    reading = asyncio.create_task(names_of(stream))
    server.gate = asyncio.Event()
    waiting = asyncio.create_task(manager.refresh_session())
    while not server.requests:  # noqa: ASYNC110 - the server sets no event
        await asyncio.sleep(0)

    closing = asyncio.create_task(asyncio.to_thread(asyncio.run, manager.aclose()))
    with pytest.raises(ManagerClosed):
        await waiting
    server.gate.set()
    await closing

    assert ["TOKEN_REFRESHED"] == await reading
    assert Status.CLOSED is manager.status
    assert [] == tasks_of_ours()


async def names_of(stream):
    """Return the names of all events until the stream ends."""
    return [event.name async for event in stream]


async def test_two_managers_in_two_threads_share_one_store(make, server):
    """The way it is meant: a manager for each loop, and one store."""
    store = MemoryStore()
    first = make(store=store)
    await first.adopt(server.sign_in())
    generations = []

    async def other():
        async with make(store=store) as second:
            token = await second.get_token()
            generations.append((await second.get_token(rejected=token)).generation)

    token = await first.get_token()
    thread = threading.Thread(target=asyncio.run, args=[other()])
    thread.start()
    await asyncio.to_thread(thread.join)
    generations.append((await first.get_token(rejected=token)).generation)
    await first.aclose()

    assert [2, 2] == generations
    assert 1 == len(server.requests)


# Forks.

FORKING = ("-W", "ignore:This process:DeprecationWarning")

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")

FORK = """
    def say(*words):
        # In one piece: print() writes several, and the other process between them.
        os.write(1, (" ".join(map(str, words)) + "\\n").encode())

    def forked(coroutine):
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(coroutine())
            except BaseException as error:
                say("child:", repr(error))
            finally:
                gc.collect()
                sys.stdout.flush()
                os._exit(0)
        return pid

    async def ended(pid):
        await asyncio.to_thread(os.waitpid, pid, 0)
"""


@needs_fork
async def test_a_forked_child_with_a_file_store_shares_the_refresh(run_script, gotrue):
    """Parent and child refuse the same token at the same time: one request, one new token."""
    lines = await run_script(
        FORK
        + """
    client = GoTrueClient(url, store=FileStore(folder))

    async def child():
        say("child:", (await client.get_token(rejected=token)).generation)
        await client.aclose()

    async def main():
        global token
        await client.sign_in_with_password(**account)
        token = await client.get_token()
        pid = forked(child)
        say("parent:", (await client.get_token(rejected=token)).generation)
        await ended(pid)
        say("parent:", (await client.refresh_session()).session.generation)
        await client.aclose()

    asyncio.run(main())
    """,
        options=FORKING,
    )

    assert ["child: 2", "parent: 2", "parent: 3"] == sorted(lines)
    assert 2 == gotrue.counts[REFRESH]


@needs_fork
async def test_a_child_that_is_forked_in_the_midst_of_a_refresh(run_script, gotrue):
    """The parent's flight is not the child's; the lock tells the child to wait for it."""
    gotrue.faults.add(REFRESH, delay=0.2)
    lines = await run_script(
        FORK
        + """
    client = GoTrueClient(url, store=FileStore(folder))

    async def child():
        say("child:", (await client.get_token(rejected=token)).generation)
        await client.aclose()

    async def main():
        global token
        await client.sign_in_with_password(**account)
        token = await client.get_token()
        flight = asyncio.create_task(client.get_token(rejected=token))
        await asyncio.sleep(0.1)
        pid = forked(child)
        say("parent:", (await flight).generation)
        await ended(pid)
        await client.aclose()

    asyncio.run(main())
    """,
        options=FORKING,
    )

    assert ["child: 2", "parent: 2"] == sorted(lines)
    assert 1 == gotrue.counts[REFRESH]


@needs_fork
async def test_a_forked_child_with_a_memory_store_is_told_so(run_script, gotrue):
    """It would spend its parent's refresh token: a clear error, and the parent goes on."""
    lines = await run_script(
        FORK
        + """
    client = GoTrueClient(url)

    async def child():
        for call in (client.start, client.refresh_session):
            try:
                await call()
            except ConfigurationError as error:
                say("child:", str(error).partition(":")[0])
        await client.aclose()

    async def main():
        await client.sign_in_with_password(**account)
        token = await client.get_token()
        pid = forked(child)
        await ended(pid)
        say("parent:", (await client.get_token(rejected=token)).generation)
        await client.aclose()

    asyncio.run(main())
    """,
        options=FORKING,
    )

    told = "child: This process was forked and shares a session with its parent, but not the store"
    assert [told, told, "parent: 2"] == lines
    assert 1 == gotrue.counts[REFRESH]


@needs_fork
async def test_a_child_that_drops_or_closes_the_manager_does_not_disturb_its_parent(run_script):
    """The parent's open connection is still good after the child is gone."""
    lines = await run_script(
        FORK
        + """
    client = GoTrueClient(url)

    async def close():
        await client.aclose()

    async def drop():
        global client
        del client
        gc.collect()

    async def main():
        parent = client
        await parent.sign_in_with_password(**account)
        await ended(forked(close))
        print((await parent.health())["name"], flush=True)
        await ended(forked(drop))
        print((await parent.health())["name"], flush=True)
        await parent.aclose()

    asyncio.run(main())
    """,
        options=FORKING,
    )

    assert ["GoTrue", "GoTrue"] == lines


@needs_fork
async def test_a_program_that_forks_before_it_runs_a_loop(run_script, gotrue):
    """A pre-forking server: made in the parent, used in each child."""
    lines = await run_script(
        FORK
        + """
    client = GoTrueClient(url, store=FileStore(folder))

    async def child():
        async with client:
            # By a sign-in of its own each would end the other's, sooner or later.
            await client.sign_in_once(lambda: client.sign_in_with_password(**account))
            say((await client.get_token()).generation)

    for pid in [forked(child), forked(child)]:
        os.waitpid(pid, 0)
    """,
        options=FORKING,
    )

    assert ["1", "1"] == lines
    assert 1 == gotrue.counts["/token?grant_type=password"]


@needs_fork
async def test_a_stream_that_is_read_on_in_a_fork_of_its_loop(run_script, gotrue):
    """The loop stands still while the program forks; the manager begins anew in the child's."""
    lines = await run_script(
        FORK
        + """
    loop = asyncio.new_event_loop()
    client = GoTrueClient(url, store=FileStore(folder))

    async def parent():
        global stream
        stream = client.events()
        await anext(stream)

    async def child():
        reading = asyncio.create_task(anext(stream))
        for _ in range(3):
            await asyncio.sleep(0)
        say("at work:", sum("scheduler" in task.get_name() for task in asyncio.all_tasks()))
        reading.cancel()
        await asyncio.wait([reading])

    loop.run_until_complete(parent())
    pid = os.fork()
    if pid == 0:
        try:
            loop.run_until_complete(child())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    loop.run_until_complete(client.aclose())
    loop.close()
    """,
        options=FORKING,
    )

    # The parent's, which stands still in this copy of its loop, and the child's.
    assert ["at work: 2"] == lines


# Other ways to run tasks, and to end.


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs Python 3.12, where eager tasks came")
async def test_eager_tasks(make, server, clock):
    """Tasks that run at once when they are made change nothing that one can see."""

    class Broken(MemoryStore):
        broken = True

        async def load(self, key):
            if self.broken:
                raise StoreError("no")
            return await super().load(key)

    store = Broken()
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    manager = make(store=store)
    with pytest.raises(StoreError):
        await manager.start()
    store.broken = False
    stream = manager.events()
    await manager.adopt(server.sign_in())
    token = await manager.get_token()

    refreshed = await asyncio.gather(*(manager.get_token(rejected=token) for _ in range(10)))
    await clock.run(3590)
    await manager.sign_out()
    await manager.aclose()

    assert {2} == {each.generation for each in refreshed}
    assert 2 == len(server.requests)
    assert [
        "INITIAL_SESSION",
        "SIGNED_IN",
        "TOKEN_REFRESHED",
        "TOKEN_REFRESHED",
        "SIGNED_OUT",
    ] == [event.name async for event in stream]


async def test_ctrl_c_closes_and_prints_nothing(run_script):
    """`async with` inside `asyncio.run`, a reader, a refresh loop, and a Ctrl-C."""
    lines = await run_script("""
        async def main():
            async with GoTrueClient(url, store=FileStore(folder)) as client:
                await client.sign_in_with_password(**account)
                async with client.events() as stream:
                    async for event in stream:
                        await client.refresh_session()
                        if event.name == "TOKEN_REFRESHED":
                            signal.raise_signal(signal.SIGINT)

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")
    """)

    assert ["interrupted"] == lines


async def test_leaving_by_system_exit_prints_nothing(run_script):
    """Whether the client is closed on the way out or not."""
    lines = await run_script(
        """
        async def main():
            open = GoTrueClient(url)
            await open.sign_in_with_password(**account)
            async with GoTrueClient(url) as client:
                await client.sign_in_with_password(**account)
                print("leaving", flush=True)
                sys.exit(3)

        asyncio.run(main())
        """,
        status=3,
    )

    assert ["leaving"] == lines


async def test_a_program_that_ends_without_closing_prints_nothing(run_script):
    """Readers, timers and connections are open as `asyncio.run` ends."""
    lines = await run_script("""
        async def main():
            client = GoTrueClient(url, store=FileStore(folder))
            await client.sign_in_with_password(**account)

            async def read():
                async for event in client.events():
                    print(event.name)

            asyncio.create_task(read())
            await asyncio.sleep(0.01)
            asyncio.create_task(client.refresh_session())
            await asyncio.sleep(0)

        asyncio.run(main())
    """)

    assert "INITIAL_SESSION" == lines[0]


def test_a_refresh_that_the_program_did_not_wait_for_is_stored_or_asked_again(make, server):
    """`asyncio.run` cancels our tasks too; the next run loses nothing."""
    server.forgiving = True
    store = MemoryStore()

    async def first():
        manager = make(store=store)
        await manager.adopt(server.sign_in())
        server.gate = asyncio.Event()
        task = asyncio.create_task(manager.refresh_session())
        while not server.requests:  # noqa: ASYNC110 - the server sets no event
            await asyncio.sleep(0)
        return task

    async def second():
        server.gate = None
        async with make(store=store) as manager, manager.events() as stream:
            await manager.refresh_session()
            return [await anext(stream), await anext(stream)]

    asyncio.run(first())
    events = asyncio.run(second())

    assert isinstance(events[1], TokenRefreshed)
    assert 1 == len(set(server.requests))


@pytest.mark.parametrize("verb", ["refresh_session", "get_token", "adopt", "sign_out"])
async def test_nobody_hangs_when_all_our_tasks_are_cancelled(make, server, clock, verb):
    """A stranger that cancels every task strikes ours before their first step: waiters are told."""
    manager = make(auto_refresh=False)
    await manager.adopt(server.sign_in())
    if verb == "get_token":
        await clock.run(3600)
    arguments = [server.sign_in()] if verb == "adopt" else []
    calling = asyncio.create_task(getattr(manager, verb)(*arguments))
    await asyncio.sleep(0)

    ours = [task for task in asyncio.all_tasks() if "async_auth" in task.get_name()]
    for task in ours:
        task.cancel()
    await asyncio.wait(ours)
    await settle()
    told = calling.done()
    calling.cancel()
    await asyncio.wait([calling])

    assert told
    await manager.start()
    await manager.aclose()


# Stores that tell.

WATCHING = """
    async def heard(stream, kind):
        async with asyncio.timeout(30):
            async for event in stream:
                if isinstance(event, kind):
                    return event

    async def rotate():
        async with GoTrueClient(url, store=FileStore(folder)) as other:
            await other.refresh_session()
"""


@pytest.mark.parametrize("end", ["", "loop.close()", "del client, stream; gc.collect()"])
async def test_a_notebook_that_watches_a_folder_ends_without_a_word(run_script, gotrue, end):
    """Never closed, closed as a loop only, or dropped: its watch keeps nothing alive."""
    lines = await run_script(
        WATCHING
        + f"""
    cell = notebook()
    loop = cell.__self__
    client = GoTrueClient(url, store=FileStore(folder))
    cell(client.sign_in_with_password(**account))
    stream = client.events()
    cell(asyncio.sleep(0.05))
    cell(rotate())
    print(cell(heard(stream, TokenRefreshed)).session.generation)
    {end}
    """
    )

    assert ["2"] == lines
    assert 1 == gotrue.counts[REFRESH]


async def test_the_next_loop_hears_what_was_written_between_two(run_script, gotrue):
    """What another process writes while no loop runs is taken over when the next one does."""
    lines = await run_script(
        WATCHING
        + """
    async def begin():
        await client.sign_in_with_password(**account)

    async def go_on():
        stream = client.events()
        await client.get_token()
        print((await heard(stream, TokenRefreshed)).session.generation)
        await client.aclose()

    client = GoTrueClient(url, store=FileStore(folder))
    asyncio.run(begin())
    asyncio.run(rotate())
    asyncio.run(go_on())
    """
    )

    assert ["2"] == lines
    assert 1 == gotrue.counts[REFRESH]


@needs_fork
@pytest.mark.parametrize("end", ["await client.aclose()", "pass"])
async def test_parent_and_forked_child_hear_of_each_other(run_script, gotrue, end):
    """Each has a watch of its own, and the child's end takes nothing from the parent's."""
    lines = await run_script(
        WATCHING
        + FORK
        + f"""
    client = GoTrueClient(url, store=FileStore(folder))
    go_in, go_out = os.pipe()

    async def child():
        stream = client.events()
        await client.get_token()
        os.write(go_out, b".")
        say("child:", (await heard(stream, TokenRefreshed)).session.generation)
        {end}

    async def main():
        await client.sign_in_with_password(**account)
        stream = client.events()
        await asyncio.sleep(0.05)
        pid = forked(child)
        await asyncio.to_thread(os.read, go_in, 1)
        await rotate()
        say("parent:", (await heard(stream, TokenRefreshed)).session.generation)
        await ended(pid)
        await rotate()
        say("parent:", (await heard(stream, TokenRefreshed)).session.generation)
        await client.aclose()

    asyncio.run(main())
    """,
        options=FORKING,
    )

    assert ["child: 2", "parent: 2", "parent: 3"] == sorted(lines)
    assert 2 == gotrue.counts[REFRESH]
