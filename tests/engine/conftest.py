"""A tiny auth system for the engine's tests: a provider, and a server that is a transport."""

from __future__ import annotations

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import attrs
import pytest

from async_auth import (
    ApiError,
    Event,
    InitialSession,
    NetworkError,
    PooledSession,
    RefreshPolicy,
    RefreshRejected,
    Request,
    Response,
    ServerUnavailable,
    Session,
    SessionManager,
    SessionPool,
    StoreError,
)
from async_auth.ports import Record
from async_auth.stores import MemoryStore
from async_auth.testing import ManualClock

LIFE = 3600.0


class TinyProvider:
    """Speaks JSON with `TinyServer`."""

    def refresh_request(
        self,
        session: Session,
        *,
        now: float,
    ) -> Request:
        """Send the refresh token as it is."""
        return Request("POST", "https://tiny.test/refresh", {}, str(session.refresh_token).encode())

    def parse_refresh(
        self,
        response: Response,
        session: Session,
        *,
        sent_at: float,
        now: float,
    ) -> Session:
        """Read tokens, or one of three refusals."""
        body = json.loads(response.body)
        if response.status == 400:
            raise RefreshRejected("refused", code=body["code"], status=400)
        if response.status >= 500:
            raise ServerUnavailable("down", status=response.status)
        if response.status != 200:
            raise ApiError("odd", status=response.status)
        return Session(
            access_token=body["access"],
            refresh_token=body["refresh"],
            expires_at=sent_at + body["life"] if body["life"] is not None else None,
            issued_at=sent_at,
            user=body.get("user", session.user),
        )

    def dump(self, session: Session) -> dict[str, Any]:
        """Keep every value but those that the engine keeps."""
        return attrs.asdict(session)

    def load(self, record: dict[str, Any]) -> Session:
        """Return the session."""
        return Session(**record)


class TinyServer:
    """
    A strict server as a transport: each refresh token may be spent once.

    A spent token revokes the account, unless `forgiving` is set: then the last one spent gives
    the current pair once more.
    """

    def __init__(self, clock: ManualClock, *, life: float | None = LIFE, forgiving: bool = False):
        self.clock = clock
        self.life = life
        self.forgiving = forgiving
        self.requests: list[str] = []
        self.issued = 0
        self.active: dict[str, str] = {}
        self.parents: dict[str, str] = {}
        self.down = False
        self.latency: float | None = None
        self.lose_next = 0
        self.gate: asyncio.Event | None = None
        self.before: list[Callable[[], Any]] = []
        self.answers: list[Response | Exception] = []

    def sign_in(self, account: str = "ann") -> Session:
        """Return a new session of *account*."""
        return self._issue(account)

    async def send(
        self,
        request: Request,
        *,
        timeout: float,
    ) -> Response:
        """Answer, perhaps late, perhaps never."""
        token = request.body.decode()
        self.requests.append(token)
        if self.latency is not None:
            await self.clock.sleep(self.latency)
        if self.down:
            raise NetworkError("down", sent=False)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        response = self._answer(token)
        if self.gate is not None:
            await self.gate.wait()
        if self.lose_next > 0:
            self.lose_next -= 1
            raise NetworkError("lost", sent=True)
        return response

    def revoke(self, account: str = "ann") -> None:
        """Forget every token of *account*."""
        self.active = {token: who for token, who in self.active.items() if who != account}

    def _answer(self, token: str) -> Response:
        if token in self.active:
            account = self.active.pop(token)
            session = self._issue(account)
            self.parents[token] = str(session.refresh_token)
        elif self.forgiving and self.parents.get(token) in self.active:
            refresh = self.parents[token]
            session = self._session(self.active[refresh], refresh)
        else:
            return Response(400, {}, json.dumps({"code": "refresh_token_already_used"}).encode())
        body = {
            "access": session.access_token,
            "refresh": session.refresh_token,
            "life": self.life,
            "user": session.user,
        }
        return Response(200, {}, json.dumps(body).encode())

    def _issue(self, account: str) -> Session:
        self.issued += 1
        refresh = f"refresh-{account}-{self.issued}"
        self.active[refresh] = account
        return self._session(account, refresh)

    def _session(self, account: str, refresh: str) -> Session:
        now = self.clock.now()
        return Session(
            access_token=f"access-{account}-{len(self.requests)}-{self.issued}",
            refresh_token=refresh,
            expires_at=None if self.life is None else now + self.life,
            issued_at=now,
            user={"id": account},
        )


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that only the test moves."""
    return ManualClock(1_700_000_000.0)


@pytest.fixture
def server(clock: ManualClock) -> TinyServer:
    """Return a strict server."""
    return TinyServer(clock)


class Lodger(PooledSession):
    """A pool with one session, which looks like a manager: closing it closes the pool."""

    @classmethod
    def alone(cls, provider: TinyProvider, *, key: str = "default", **options: Any) -> Lodger:
        """Return a session in a pool of its own, which lets it refresh whenever it wants."""
        options["policy"] = attrs.evolve(options["policy"], spread=0)
        always = {"active_for": math.inf, "idle_after": math.inf, "max_refresh_rate": math.inf}
        pool = SessionPool(provider, **always, **options)
        handle = pool.session(key)
        return cls(pool, handle._home, handle._tenants, key)  # noqa: SLF001 - as the pool does

    @property
    def _store(self) -> Any:
        return self.store

    async def aclose(self) -> None:
        """Close the pool, and with it the handle."""
        await self._pool.aclose()
        await super().aclose()


#: Whatever a manager does, a pool's handle does: these are run with either. (Not `test_damage`: a pool
#: that runs repairs the file before the next one reads it.)
ALIKE = {
    "test_events",
    "test_handout",
    "test_keeper",
    "test_lost_responses",
    "test_refresher",
    "test_sign_ins",
    "test_store_faults",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of what a manager and a pool's handle have in common with both."""
    if (
        "make_manager" in metafunc.fixturenames
        and metafunc.module.__name__.rpartition(".")[2] in ALIKE
    ):
        metafunc.parametrize("make_manager", ["manager", "pooled"], indirect=True)


@pytest.fixture
async def make_manager(
    request: pytest.FixtureRequest, clock: ManualClock, server: TinyServer
) -> AsyncIterator[Callable[..., SessionManager | Lodger]]:
    """Return a function that makes managers with exact times; they are closed at the end."""
    managers: list[SessionManager | Lodger] = []
    pooled = getattr(request, "param", "manager") == "pooled"

    def make(**options: Any) -> SessionManager | Lodger:
        options.setdefault("transport", server)
        options.setdefault("clock", clock)
        options.setdefault("policy", RefreshPolicy(jitter=0))
        options.setdefault("random", lambda: 0.0)
        kind = Lodger.alone if pooled else SessionManager
        manager: SessionManager | Lodger = kind(options.pop("provider", TinyProvider()), **options)
        managers.append(manager)
        return manager

    yield make
    for manager in managers:
        await manager.aclose()


@pytest.fixture
async def make_pool(
    clock: ManualClock, server: TinyServer
) -> AsyncIterator[Callable[..., SessionPool]]:
    """Return a function that makes pools with exact times; they are closed at the end."""
    pools: list[SessionPool] = []

    def make(**options: Any) -> SessionPool:
        options.setdefault("transport", server)
        options.setdefault("clock", clock)
        options.setdefault("policy", RefreshPolicy(jitter=0, spread=0))
        options.setdefault("random", lambda: 0.0)
        pool = SessionPool(options.pop("provider", TinyProvider()), **options)
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        await pool.aclose()


@pytest.fixture
def tiny_server() -> type[TinyServer]:
    """Return the class, for servers with other rules."""
    return TinyServer


@pytest.fixture
def tiny_provider() -> type[TinyProvider]:
    """Return the class, for providers with other habits."""
    return TinyProvider


class FaultyStore:
    """
    A memory store with a temper: what is named in `broken` raises, what is in `gates` waits.

    Each call gives the loop a turn first, as a store with real input and output does.
    """

    def __init__(self) -> None:
        self.inner = MemoryStore()
        #: `load`, `save`, `delete`: what they raise; `saved` does so when it is done.
        self.broken: dict[str, Exception] = {}
        #: The same: what they wait for before they do it.
        self.gates: dict[str, asyncio.Event] = {}
        self.calls: list[str] = []
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.lock: Any = self.inner.lock

    def breaks(self, *names: str, error: Exception | None = None) -> None:
        """Let these calls fail from now on."""
        self.broken.update(dict.fromkeys(names, error or StoreError("disk full")))

    def works(self) -> None:
        """Let nothing fail any more."""
        self.broken.clear()

    async def load(self, key: str) -> Record | None:
        """See `SessionStore.load`."""
        await self._meet("load")
        return await self.inner.load(key)

    async def save(self, key: str, record: Record, *, expected: int | None) -> None:
        """See `SessionStore.save`."""
        await self._meet("save")
        await self.inner.save(key, record, expected=expected)
        await self._meet("saved")

    async def delete(self, key: str, *, expected: int | None) -> None:
        """See `SessionStore.delete`."""
        await self._meet("delete")
        await self.inner.delete(key, expected=expected)

    async def reached(self, name: str) -> None:
        """Wait until this call has come to its gate."""
        await self._reached[name].wait()

    async def generation(self, key: str = "default") -> int | None:
        """Return the generation that is there, whatever is broken."""
        record = await self.inner.load(key)
        return None if record is None else record.generation

    async def advance(self, generation: int, **changes: Any) -> None:
        """Store what is there with another *generation*, as another process does."""
        record = await self.inner.load("default")
        assert record is not None
        newer = attrs.evolve(record, generation=generation, **changes)
        await self.inner.save("default", newer, expected=record.generation)

    async def _meet(self, name: str) -> None:
        if name != "saved":
            self.calls.append(name)
            await asyncio.sleep(0)
        if name in self.gates:
            self._reached[name].set()
            await self.gates[name].wait()
        if name in self.broken:
            raise self.broken[name]


@pytest.fixture
def faulty_store() -> FaultyStore:
    """Return a store that works until it is told not to."""
    return FaultyStore()


@pytest.fixture
def settle() -> Callable[[], Awaitable[None]]:
    """Return a function that lets every task run until all of them wait."""

    async def settle() -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    return settle


Seen = list[Event]


@pytest.fixture
def watch() -> Callable[[SessionManager], Callable[[], Seen]]:
    """Return a function that subscribes, and returns one that gives the events since then."""

    def watch(manager: SessionManager) -> Callable[[], Seen]:
        stream = manager.events(buffer=10_000)
        seen: Seen = []

        def so_far() -> Seen:
            # What is buffered can be read without waiting, so a coroutine needs no loop for it.
            while ", 0 of" not in repr(stream):
                try:
                    anext(stream).send(None)
                except StopIteration as stop:
                    seen.append(stop.value)
            return [event for event in seen if not isinstance(event, InitialSession)]

        return so_far

    return watch


@pytest.fixture
def interrupt() -> Callable[[Coroutine[Any, Any, Any], int], Awaitable[bool]]:
    """Return a function that cancels a call after some rounds of the loop."""

    async def interrupt(call: Coroutine[Any, Any, Any], rounds: int) -> bool:
        """Say whether it had ended by itself before; whatever it raised is forgotten."""
        task = asyncio.ensure_future(call)
        for _ in range(rounds):
            await asyncio.sleep(0)
        ended = task.done()
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        return ended

    return interrupt
