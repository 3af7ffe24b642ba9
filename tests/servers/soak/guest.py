"""A process that uses the library in every way at once, and comes to no harm by faults.

A script of its own, in the frame of resident.py. Its sessions are its own, or shared with the
other guests through a folder and a Redis. What may happen is counted; what may not is told.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import attrs
from accounts import FILES, PASSWORD, REDIS, own_of, tenants_of, visitor_of
from resident import Account, main

from async_auth import (
    AuthSessionMissing,
    Lagged,
    ProtocolError,
    SessionPool,
    SignedOut,
    StoreError,
    TemporaryError,
    TokenRefreshed,
)
from async_auth.gotrue import Endpoint, GoTrueClient, GoTrueProvider
from async_auth.integrations.aiohttp import bearer, supertokens_middleware
from async_auth.integrations.blocking import SyncBridge
from async_auth.integrations.opentelemetry import instrument, uninstrument
from async_auth.stores import FileStore, RedisStore
from async_auth.supertokens import SuperTokensClient

#: Ends that nobody has to be ashamed of.
WANTED = {"user", "elsewhere"}
#: What a caller may meet while there are faults.
PASSING = (TemporaryError, StoreError, ProtocolError)


@attrs.define(eq=False, kw_only=True)
class Guest:
    """
    Everything that one process does.

    Args:
        options: Where the servers are, and how much there is to do.
        account: Where it is counted.
        draw: What it decides by.
        tasks: What goes on.
    """

    options: dict
    account: Account
    draw: random.Random
    tasks: list[asyncio.Task[None]] = attrs.field(factory=list)

    def go(self, work):
        """Go on with *work* until the end."""
        self.tasks.append(asyncio.create_task(work))

    def pause(self, mean):
        """Wait for about *mean* seconds."""
        return asyncio.sleep(self.draw.uniform(0.5, 1.5) * mean)

    async def end(self):
        """Let nothing go on; what has failed is told."""
        for task in self.tasks:
            if task.done():
                self.account.wrong(f"{task.get_coro().__qualname__} has ended", task.exception())
            task.cancel()
        await asyncio.wait(self.tasks)

    async def attempt(self, work, what):
        """Do something that may meet a fault; return what came of it, or `None`."""
        try:
            return await work
        except PASSING as error:
            self.account.counts[f"{what}: {type(error).__name__}"] += 1
        except AuthSessionMissing:
            self.account.counts[f"{what}: signed out"] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is to be told
            self.account.wrong(what, error)
        return None

    # Sessions.

    def sign_in(self, client, email):
        """Return what signs in, unless somebody is."""
        return client.sign_in_once(
            lambda: client.sign_in_with_password(email=email, password=PASSWORD)
        )

    async def ask(self, get_token):
        """Ask for a token, as a caller does who is sometimes in a hurry."""
        hurry = self.draw.uniform(0, 0.02) if self.draw.random() < 0.1 else None
        asked = time.time()
        try:
            async with asyncio.timeout(hurry):
                token = await get_token()
        except TimeoutError:
            self.account.counts["gave up"] += 1
            return
        self.account.counts["tokens"] += 1
        # By now it may be over: the machine is busy, and a life is short.
        if token.expires_at is not None and token.expires_at < asked:
            self.account.wrong("A token was handed out that had expired before.")

    async def call(self, client, email, *, every):
        """Use one session for ever; sign in where nobody is."""
        while True:
            if client.session is None:
                await self.attempt(self.sign_in(client, email), "sign in")
            await self.attempt(self.ask(client.get_token), "get_token")
            await self.pause(every)

    async def refresh(self, client):
        """Refresh by hand now and then, and mostly do not wait for it."""
        while True:
            await self.pause(2.0)
            task = asyncio.create_task(self.attempt(client.refresh_session(), "refresh_session"))
            try:
                await asyncio.sleep(self.draw.choice((0, 0.001, 0.01, 0.1, 2)))
            finally:
                # At the end of all, too: left alone it would meet a client that is closed.
                task.cancel()
                await asyncio.wait({task})

    async def leave_and_come_back(self, client):
        """
        Sign out every few lives; who calls signs in again.

        Here only: a sign-out everywhere may reach the server after the next sign-in, and end it.
        """
        while True:
            await self.pause(20.0)
            await self.attempt(client.sign_out(scope="local"), "sign out")

    # Events.

    async def listen(self, stream, *, slowness=0.0):
        """Read events: all of them, or too slowly."""
        async for event in stream:
            if isinstance(event, Lagged):
                self.account.counts["lagged"] += 1
            elif isinstance(event, SignedOut) and event.reason not in WANTED:
                self.account.wrong(f"A session has ended: {event.reason}")
            if slowness:
                await asyncio.sleep(slowness)
            elif isinstance(event, TokenRefreshed):
                self.account.lives += 1

    async def look_in(self, subject):
        """Subscribe, read one or two events, and leave: in order, by a break, or cancelled."""
        while True:
            await self.pause(0.5)
            reader = asyncio.create_task(self.read_some(subject.events(), self.draw.randint(1, 2)))
            try:
                await asyncio.wait({reader}, timeout=self.draw.uniform(0, 2))
            finally:
                reader.cancel()
                await asyncio.wait({reader})
            self.account.counts["readers who left"] += 1

    async def read_some(self, stream, number):
        """Read as many events, and leave the stream as it is."""
        async for _ in stream:
            number -= 1
            if not number:
                break

    # Those who come and go.

    async def pass_by(self, email):
        """Make a client, use it, and close it, or forget it."""
        while True:
            await self.pause(1.0)
            client = GoTrueClient(self.options["gotrue"])
            instrument(client, name="passer-by")
            await self.attempt(self.visit(client, email), "a visit")
            if self.draw.random() < 0.5:
                uninstrument(client)
            if self.draw.random() < 0.5:
                await client.aclose()
            self.account.counts["visits"] += 1

    async def visit(self, client, email):
        """Sign in, send a request with the token, and sign out."""
        began = time.monotonic()
        await client.sign_in_with_password(email=email, password=PASSWORD)
        origin = self.options["gotrue"]
        async with (
            aiohttp.ClientSession(middlewares=[bearer(client, origins=[origin])]) as http,
            http.get(f"{origin}/user") as response,
        ):
            self.account.counts[f"answers {response.status}"] += 1
            # The server rounds its times to seconds: the token of a busy machine may be over.
            if response.status != 200 and time.monotonic() - began < self.options["life"] / 2:
                self.account.wrong(f"A good token was refused: {response.status}")
        await client.sign_out(scope="local")

    async def use_pool(self, pool, emails):
        """Use the sessions of a pool in turn, so that each is idle for a while."""
        first = 0.0
        while True:
            first += 0.02
            key = emails[int(first + self.draw.uniform(0, len(emails) / 2)) % len(emails)]
            client = GoTrueClient(self.options["gotrue"], pool=pool, key=key)
            await self.attempt(client.start(), "load")
            if client.session is None:
                await self.attempt(self.sign_in(client, key), "sign in")
            await self.attempt(self.ask(client.get_token), "get_token of a pool")
            if self.draw.random() < 0.01:
                await self.attempt(client.sign_out(scope="local"), "sign out")
            await self.pause(0.05)

    async def use_bridge(self, bridge):
        """Ask from threads that have no loop."""
        while True:
            await self.pause(1.0)
            await self.attempt(asyncio.to_thread(bridge.get_token), "a thread's get_token")

    async def use_supertokens(self, client):
        """Send requests as the front end of a SuperTokens application; sign in where needed."""
        api = self.options["api"]
        async with aiohttp.ClientSession(middlewares=[supertokens_middleware(client)]) as http:
            while True:
                if client.session is None:
                    body = {"user": self.options["name"]}
                    login = http.post(f"{api}/login", json=body)
                    await self.attempt(self.answered(login), "login")
                await self.attempt(self.answered(http.get(f"{api}/me")), "me")
                await self.pause(0.3)

    async def answered(self, request):
        """Read an answer."""
        async with request as response:
            await response.read()
            self.account.counts[f"answers {response.status}"] += 1


@asynccontextmanager
async def guest(options, account):
    """Begin with everything."""
    self = Guest(
        options=options,
        account=account,
        draw=random.Random(options["seed"]),  # noqa: S311 - no secret
    )
    name, url = options["name"], options["gotrue"]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        # On a machine under load Redis answers late; a warning of that would be too much said.
        patient = {"timeout": 60.0, "lease": 60.0}
        stores = [
            await enter(RedisStore(options["redis"], prefix=prefix, **patient))
            for prefix in ("shared", name)
        ]
        own = await enter(GoTrueClient(url))
        files = await enter(GoTrueClient(url, store=FileStore(options["folder"])))
        redis = await enter(GoTrueClient(url, store=stores[0]))
        front = await enter(SuperTokensClient(options["api"]))
        provider = GoTrueProvider(Endpoint(url))
        idle = {"active_for": 5.0, "idle_after": 10.0}
        pool = await enter(SessionPool(provider, store=stores[1], **idle))
        instrument(pool, name="pool")
        stack.push_async_callback(self.end)
        for client, email in ((own, own_of(name)), (files, FILES), (redis, REDIS)):
            for _ in range(2):
                self.go(self.call(client, email, every=0.3))
            self.go(self.refresh(client))
            self.go(self.listen(client.events()))
            self.go(self.look_in(client))
        self.go(self.listen(own.events(buffer=2), slowness=5.0))
        self.go(self.leave_and_come_back(own))
        self.go(self.listen(front.events()))
        self.go(self.use_supertokens(front))
        self.go(self.listen(pool.events()))
        self.go(self.listen(pool.events(buffer=4), slowness=1.0))
        self.go(self.look_in(pool))
        self.go(self.use_pool(pool, tenants_of(name, options["sessions"])))
        self.go(self.pass_by(visitor_of(name)))
        self.go(self.use_bridge(SyncBridge(own, loop=asyncio.get_running_loop())))
        yield {}


if __name__ == "__main__":
    main(guest)
