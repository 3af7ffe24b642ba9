"""The metrics: what is counted, summed up, and asked at collection."""

from __future__ import annotations

import gc
import io
import json
import math
import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from async_auth import ConfigurationError, SessionManager, SessionPool
from async_auth.engine.facade import Facade
from async_auth.engine.pool import PooledSession
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.opentelemetry import instrument, uninstrument
from async_auth.session import Session
from async_auth.supertokens import SuperTokensClient

HANDOUTS = "async_auth.token.handouts"
COUNT = "async_auth.session.count"
LEFT = "async_auth.session.time_to_expiry"


async def test_tokens_and_sessions_of_a_client(stage, telemetry):
    """Tokens by get_token(), the status, and the time that the token has left."""
    client = await stage.signed_in(auto_refresh=False)
    telemetry.instrument(client)
    for _ in range(3):
        await client.get_token()
    await client.manager.get_token()

    assert {(): 4} == telemetry.points(HANDOUTS)
    assert {("fresh",): 1} == telemetry.points(COUNT)
    assert {(): 3600.0} == telemetry.points(LEFT)
    stage.clock.advance(3601)
    assert {("expired",): 1} == telemetry.points(COUNT)
    assert {(): -1.0} == telemetry.points(LEFT)
    await client.sign_out()
    assert {("signed_out",): 1} == telemetry.points(COUNT)
    assert {} == telemetry.points(LEFT)
    await client.aclose()
    assert {} == telemetry.points(COUNT)


async def test_what_has_one_name_is_added_up(stage, telemetry):
    """Managers are told apart by the names that they were given, and by nothing else."""
    for name, times in (("crawler", 1), ("crawler", 2), (None, 4)):
        client = await stage.signed_in()
        telemetry.instrument(client, name=name)
        for _ in range(times):
            await client.get_token()

    stage.clock.advance(100)
    await client.refresh_session()
    client = await stage.signed_in()
    telemetry.instrument(client)

    assert {("crawler",): 3, (): 4} == telemetry.points(HANDOUTS)
    assert {("crawler",): 3500.0, (): 3600.0} == telemetry.points(LEFT)
    assert {("crawler", "fresh"): 2, ("fresh",): 2} == telemetry.points(COUNT)


@pytest.fixture
async def pool(stage):
    """Return a pool with three sessions on the stage's server."""
    provider = (await stage.client()).manager.provider
    options = {"clock": stage.clock, "idle_after": math.inf, "auto_refresh": False}
    async with SessionPool(provider, **options) as pool:
        for key in "abc":
            client = GoTrueClient(stage.server.url, pool=pool, key=key)
            await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
        yield pool


async def test_a_pool_counts_each_token_once(pool, stage, telemetry):
    """By key, by handle, and by a client on a handle, on the fast path and on the slow one."""
    telemetry.instrument(pool)
    await pool.get_token("a")
    await pool.session("a").get_token()
    await GoTrueClient(stage.server.url, pool=pool, key="b").get_token()
    stage.clock.advance(3600)
    await pool.get_token("c")

    assert {(): 4} == telemetry.points(HANDOUTS)
    assert {("expired",): 2, ("fresh",): 1} == telemetry.points(COUNT)
    assert {("refreshed",): 1} == telemetry.points("async_auth.refresh.duration")


async def test_idle_sessions_of_a_pool_do_not_pull_the_time_down(pool, stage, telemetry):
    """What nobody has used for so long is let expire, and that is no alarm."""
    telemetry.instrument(pool)
    stage.clock.advance(1000)
    await pool.session("a").refresh_session()

    assert {(): 3600.0} == telemetry.points(LEFT)
    await pool.get_token("b")
    assert {(): 2600.0} == telemetry.points(LEFT)
    assert {("fresh",): 3} == telemetry.points(COUNT)


async def test_uninstrument_leaves_everything_as_it_was(pool, stage, telemetry):
    """Classes, bound methods, the observer: nothing of it stays, and handles count no more."""
    client = await stage.signed_in()
    handle = pool.session("a")
    for subject in (client, pool):
        before = repr(subject)
        telemetry.instrument(subject)
        assert before == repr(subject)
        counting = pool.session("a")
        assert repr(handle) == repr(counting)
        uninstrument(subject)
        uninstrument(subject)
        assert before == repr(subject)
    await counting.get_token()
    await client.get_token()
    await pool.get_token("a")
    await client.refresh_session()

    assert SessionManager is type(client.manager)
    assert client.manager.get_token == client.get_token
    assert SessionPool is type(pool)
    assert [] == telemetry.spans()
    assert {(): 0} == telemetry.points(HANDOUTS)
    assert {} == telemetry.points(COUNT)
    telemetry.instrument(pool)
    await counting.get_token()
    assert {(): 1} == telemetry.points(HANDOUTS)


async def test_what_was_made_meanwhile_outlives_the_instrumentation(pool, stage, telemetry):
    """Adapters keep a bound method: it works on, and counts only while there is somebody to ask."""
    client = await stage.signed_in()
    telemetry.instrument(client)
    telemetry.instrument(pool)
    by_key, handle = pool.get_token, pool.session("a")
    kept = [client.get_token, client.manager.get_token, handle.get_token, lambda: by_key("a")]
    uninstrument(client)
    uninstrument(pool)
    for get_token in kept:
        await get_token()
    assert {(): 0} == telemetry.points(HANDOUTS)

    telemetry.instrument(client, name="again")
    telemetry.instrument(pool, name="again")
    for get_token in kept:
        await get_token()
    assert {("again",): 4, (): 0} == telemetry.points(HANDOUTS)


class OwnHandle(PooledSession):
    """A handle of somebody's own."""

    __slots__ = ("owner",)

    def greet(self):
        """Have a method more."""
        return f"hello {self.owner}"


class OwnPool(SessionPool):
    """A pool of somebody's own, which keeps its handles."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.kept = {}

    def session(self, key):
        """Give out the one handle of a key."""
        if key not in self.kept:
            plain = super().session(key)
            handle = OwnHandle(self, plain._home, plain._tenants, key)  # noqa: SLF001 - theirs
            handle.owner = key
            self.kept[key] = handle
        return self.kept[key]


async def test_classes_of_somebodys_own_stay_what_they_are(stage, telemetry):
    """What they add is there while they are counted, and a handle that is kept counts once."""
    client = await stage.signed_in()
    async with OwnPool(client.manager.provider, clock=stage.clock) as pool:
        telemetry.instrument(pool)
        for _ in range(3):
            handle = pool.session("ada")
            assert "hello ada" == handle.greet()
        await handle.adopt(client.session)
        await handle.get_token()

        assert {(): 1} == telemetry.points(HANDOUTS)
        assert isinstance(pool, OwnPool)
        uninstrument(pool)
        assert OwnPool is type(pool)


class OwnManager(SessionManager):
    """A manager that counts for itself."""

    asked = 0

    async def get_token(self, **options):
        """Note it."""
        self.asked += 1
        return await super().get_token(**options)


async def test_a_manager_of_somebodys_own_is_asked_as_before(stage, telemetry):
    """Its method is inside of what counts."""
    client = await stage.signed_in()
    async with OwnManager(client.manager.provider, clock=stage.clock) as manager:
        telemetry.instrument(manager)
        await manager.adopt(client.session)
        await manager.get_token()

        assert {(): 1} == telemetry.points(HANDOUTS)
        assert 1 == manager.asked


class Registered(SessionManager):
    """A class that wants to know something of each that is derived from it."""

    def __init_subclass__(cls, *, tag):
        cls.tag = tag


async def test_what_cannot_be_derived_from_is_refused_and_left_alone(stage, telemetry):
    """The same for a name that is none: nothing is half instrumented."""
    client = await stage.signed_in()
    manager = Registered(client.manager.provider)
    with pytest.raises(ConfigurationError, match=r"Registered cannot be instrumented.*'tag'"):
        telemetry.instrument(manager)
    for options in ({"name": ["crawler"]}, {"record_keys": "yes"}):
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            telemetry.instrument(client, **options)

    assert {} == telemetry.points(COUNT)
    telemetry.instrument(client)
    manager.observe(None)
    assert {("fresh",): 1} == telemetry.points(COUNT)


async def test_the_time_is_that_of_the_first_to_expire(stage, telemetry):
    """Whichever of those that have one name was instrumented first."""
    for _ in range(2):
        telemetry.instrument(await stage.signed_in())
        stage.clock.advance(100)
    await stage.signed_in()

    assert {(): 3400.0} == telemetry.points(LEFT)


async def test_what_is_forgotten_is_collected_and_counts_no_more(stage, telemetry):
    """Telemetry keeps no manager alive."""
    client = await stage.signed_in()
    kept = SessionManager(client.manager.provider)
    telemetry.instrument(kept)
    assert {("signed_out",): 1} == telemetry.points(COUNT)
    del kept
    gc.collect()

    assert {} == telemetry.points(COUNT)


async def test_what_cannot_be_instrumented_is_said(pool, telemetry):
    """One session of a pool, a stranger, and what is instrumented already."""
    with pytest.raises(ConfigurationError, match="instrument the pool"):
        telemetry.instrument(Facade(pool.session("a")))
    with pytest.raises(ConfigurationError, match="no str"):
        telemetry.instrument("client")
    telemetry.instrument(pool)
    with pytest.raises(ConfigurationError, match="observer already"):
        telemetry.instrument(pool)
    assert {("fresh",): 3} == telemetry.points(COUNT)


async def test_every_client_can_be_instrumented(telemetry):
    """The one for SuperTokens as well, whose tokens come by other ways."""
    async with SuperTokensClient("https://api.example.com") as client:
        telemetry.instrument(client)
        assert {("signed_out",): 1} == telemetry.points(COUNT)


async def test_a_hundred_thousand_sessions_make_one_series_for_each_status(stage, telemetry):
    """Nothing is kept for a session, and no attribute tells sessions apart."""
    provider = (await stage.client()).manager.provider
    async with SessionPool(provider, clock=stage.clock, auto_refresh=False) as pool:
        telemetry.instrument(pool)
        now = stage.clock.now()
        for number in range(100_000):
            # The place in memory only: a sign-in each would be another test.
            state = pool._tenants.admit(f"user-{number}").state  # noqa: SLF001
            session = Session(access_token="a", expires_at=now + 60 + number, issued_at=now)
            state.sign_in(session, order=0, stored=True)

        assert {("fresh",): 100_000} == telemetry.points(COUNT)
        assert {(): 60.0} == telemetry.points(LEFT)
        assert "user-" not in telemetry.shown()


async def test_who_is_not_instrumented_pays_nothing(stage, telemetry):
    """The hot path is the manager's own method, and no refresh is told of, whoever else is."""
    telemetry.instrument(await stage.signed_in())
    client = await stage.signed_in()

    assert SessionManager.get_token is client.get_token.__func__
    await client.refresh_session()
    assert [] == telemetry.spans()
    assert {(): 0} == telemetry.points(HANDOUTS)


async def test_without_providers_the_programs_own_are_taken(stage):
    """A program that has set none has nothing of it, and nothing breaks."""
    client = await stage.signed_in()
    instrument(client)
    await client.get_token()
    await client.refresh_session()
    uninstrument(client)


PROGRAM = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.opentelemetry import instrument

reader = InMemoryMetricReader()
clients = [GoTrueClient("http://127.0.0.1:1") for _ in range(3)]
instrument(clients[0])
metrics.set_meter_provider(own := MeterProvider([reader]))
instrument(clients[1])
instrument(clients[2], meter_provider=own)
(resource,) = reader.get_metrics_data().resource_metrics
(scope,) = resource.scope_metrics
print([
    point.value
    for metric in scope.metrics if metric.name == "async_auth.session.count"
    for point in metric.data.data_points
])
"""


def test_the_programs_own_provider_may_be_given_too():
    """By name or by default, before it was set or after: what is counted there is added up."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True
    )

    assert ("[3]\n", "") == (done.stdout, done.stderr)


async def test_the_console_shows_it_all_and_no_secret(stage):
    """The SDK's exporters for the console, as a reader would try it first."""
    spans, metrics = io.StringIO(), io.StringIO()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=spans)))
    meters = MeterProvider([PeriodicExportingMetricReader(ConsoleMetricExporter(out=metrics))])
    client = await stage.signed_in()
    instrument(client, tracer_provider=tracers, meter_provider=meters)
    secrets = {client.session.access_token, client.session.refresh_token}
    session = (await client.refresh_session()).session
    secrets |= {(await client.get_token()).value, session.refresh_token}
    meters.shutdown()
    tracers.shutdown()

    assert "refresh session" == json.loads(spans.getvalue())["name"]
    for name in (HANDOUTS, COUNT, LEFT, "async_auth.refreshes", "async_auth.refresh.duration"):
        assert f'"{name}"' in metrics.getvalue()
    assert [] == [one for one in secrets if one in spans.getvalue() + metrics.getvalue()]
