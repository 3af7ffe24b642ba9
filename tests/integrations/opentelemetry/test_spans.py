"""The span of a refresh, on real servers on loopback."""

from __future__ import annotations

import asyncio
import gc
from contextlib import asynccontextmanager

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor

from async_auth import NetworkError, RefreshRejected, Session, SessionPool, TemporaryError
from async_auth.errors import AuthSessionMissing
from async_auth.gotrue import GoTrueClient
from async_auth.integrations.opentelemetry.metrics import Meters
from async_auth.integrations.opentelemetry.spans import RefreshSpans
from async_auth.stores import MemoryStore


async def test_a_refresh_is_a_root_that_is_linked_to_its_caller(stage, telemetry):
    """The caller's trace is not charged with work for all; the link leads to it."""
    client = await stage.signed_in()
    telemetry.instrument(client)

    with telemetry.tracers.get_tracer("test").start_as_current_span("caller") as caller:
        await client.refresh_session()

    (span,) = telemetry.spans()
    assert span.parent is None
    assert span.context.trace_id != caller.get_span_context().trace_id
    assert [caller.get_span_context()] == [link.context for link in span.links]
    assert {
        "async_auth.refresh.trigger": "call",
        "async_auth.refresh.outcome": "refreshed",
    } == dict(span.attributes)
    assert trace.StatusCode.UNSET is span.status.status_code


async def test_a_refresh_is_a_root_in_whatever_context(telemetry):
    """Also where the work is done in a context that has a span of its own."""
    tracer = telemetry.tracers.get_tracer("test")
    spans = RefreshSpans(tracer, Meters(telemetry.meters), None, with_key=False)
    watch = spans.refreshing("ada", trigger="timer", failures=0)
    with tracer.start_as_current_span("work"), watch.running():
        watch.sending()
    watch.ended("refreshed", None)
    never = spans.refreshing("ada", trigger="timer", failures=0)
    never.sending()
    never.sending()
    never.ended("interrupted", None)

    (span,) = telemetry.spans()
    assert None is span.parent


async def test_the_timer_has_nobody_to_link_to(stage, telemetry):
    """A refresh ahead of expiry was asked for by nobody, whoever signed in."""
    with telemetry.tracers.get_tracer("test").start_as_current_span("caller"):
        client = await stage.signed_in()
        telemetry.instrument(client)
    stage.clock.advance(3595)
    await stage.until(telemetry.spans)

    (span,) = telemetry.spans()
    assert () == span.links
    assert "timer" == span.attributes["async_auth.refresh.trigger"]


async def test_what_is_sent_lies_within_the_span(stage, telemetry):
    """An instrumented HTTP client makes its spans the refresh's children."""
    wire, seen = stage.wire(), []
    wire.change = lambda response: (seen.append(trace.get_current_span()), response)[1]
    client = await stage.signed_in(transport=wire)
    telemetry.instrument(client)

    await client.refresh_session()

    (span,) = telemetry.spans()
    assert span.context == seen[-1].get_span_context()
    assert not trace.get_current_span().get_span_context().is_valid


async def test_an_outage_shows_class_and_status_and_counts_the_tries(stage, telemetry):
    """A span of each try; no text of the error, and the next one knows how many failed."""
    client = await stage.signed_in()
    telemetry.instrument(client)
    stage.server.faults.add(stage.REFRESH, status=503, body="<html>sorry", times=2)
    for _ in range(2):
        with pytest.raises(TemporaryError):
            await client.refresh_session()
    await client.refresh_session()

    first, second, third = telemetry.spans()
    assert ["failed", "failed", "refreshed"] == telemetry.outcomes()
    assert "ServerUnavailable" == first.attributes["error.type"]
    assert 503 == first.attributes["http.response.status_code"]
    assert trace.StatusCode.ERROR is first.status.status_code
    assert None is first.status.description
    assert () == first.events
    counts = [span.attributes.get("async_auth.refresh.failures") for span in (second, third)]
    assert [1, 2] == counts
    assert {("failure",): 2} == telemetry.points("async_auth.refresh.retries")
    assert {("refreshed",): 1, ("failed", "ServerUnavailable"): 2} == telemetry.points(
        "async_auth.refreshes"
    )


async def test_a_lost_answer_is_one_refresh_with_a_second_request(stage, telemetry):
    """The convention's count of resends stands on the span."""
    wire = stage.wire()
    client = await stage.signed_in(transport=wire)
    telemetry.instrument(client)
    wire.failures.append(NetworkError("lost", sent=True))

    await client.refresh_session()

    (span,) = telemetry.spans()
    assert 1 == span.attributes["http.request.resend_count"]
    assert {("lost_response",): 1} == telemetry.points("async_auth.refresh.retries")


async def test_a_rejected_session(stage, telemetry):
    """The server's final word is an outcome of its own."""
    client = await stage.signed_in()
    telemetry.instrument(client)
    stage.server.faults.add(
        stage.REFRESH, status=400, body={"error_code": "refresh_token_not_found"}
    )
    with pytest.raises(RefreshRejected):
        await client.refresh_session()

    (span,) = telemetry.spans()
    assert "rejected" == span.attributes["async_auth.refresh.outcome"]
    assert "RefreshRejected" == span.attributes["error.type"]
    assert {("rejected",): 1} == telemetry.points("async_auth.session.count")


async def test_what_another_process_had_done_is_adopted(stage, telemetry):
    """No request was answered here, and nothing failed."""
    store = MemoryStore()
    other = await stage.signed_in(store=store, auto_refresh=False)
    client = await stage.client(store=store, auto_refresh=False)
    telemetry.instrument(client)
    stage.clock.advance(3600)
    await asyncio.gather(other.get_token(), client.get_token())

    assert ["adopted"] == telemetry.outcomes()


class Broken(SpanProcessor):
    """A part of an SDK that fails at one moment of each span."""

    def __init__(self, moment):
        self.moment = moment

    def on_start(self, span, parent_context=None):
        """Fail, if this is when."""
        if self.moment == "start":
            raise RuntimeError("start")

    def on_end(self, span):
        """Fail, if this is when."""
        if self.moment == "end":
            raise RuntimeError("end")


@pytest.mark.parametrize("moment", ["start", "end"])
async def test_a_broken_sdk_harms_no_refresh_and_no_count(stage, telemetry, our_log, moment):
    """Where no span can be made, the metrics still tell of the refresh."""
    telemetry.tracers.add_span_processor(Broken(moment))
    client = await stage.signed_in()
    telemetry.instrument(client)
    before = client.session.generation
    await client.refresh_session()

    assert before + 1 == client.session.generation
    assert {("refreshed",): 1} == telemetry.points("async_auth.refreshes")
    assert ["An observer of refreshes failed"] == [r.message for r in our_log() if r.exc_info]


async def test_a_token_from_outside_is_no_retry(stage, telemetry):
    """That the session's own refresh has failed says nothing of it."""
    client, other = await stage.signed_in(), await stage.signed_in()
    telemetry.instrument(client)
    stage.server.faults.add(stage.REFRESH, status=503, body="sorry")
    with pytest.raises(TemporaryError):
        await client.refresh_session()
    await client.refresh_session(other.session.refresh_token)

    assert {} == telemetry.points("async_auth.refresh.retries")
    assert "async_auth.refresh.failures" not in telemetry.spans()[-1].attributes


def test_a_loop_that_is_dropped_ends_the_span_and_says_nothing(telemetry, caplog):
    """The refresh was under way; its context is gone, and the end is told all the same."""

    class Silent:
        """A transport that never answers."""

        def __init__(self):
            self.asked = asyncio.Event()

        async def send(self, request, *, timeout):
            """Wait."""
            self.asked.set()
            await asyncio.Event().wait()

    async def leave_under_way():
        wire = Silent()
        client = GoTrueClient("http://127.0.0.1:1", transport=wire)
        telemetry.instrument(client)
        await client.manager.adopt(Session(access_token="a", refresh_token="r"))
        caller = asyncio.create_task(client.refresh_session())
        await wire.asked.wait()
        caller.cancel()
        await asyncio.gather(caller, return_exceptions=True)

    # What other tests have left behind has its last words now, and not among those looked at.
    for _ in range(5):
        gc.collect()
    caplog.clear()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_under_way())
    loop.close()
    del loop
    # What was dropped is found out in turns: the client, then its supervisor, then the loop.
    for _ in range(5):
        gc.collect()

    assert ["interrupted"] == telemetry.outcomes()
    assert [] == [record.message for record in caplog.records if record.levelname != "DEBUG"]


class Held:
    """A transport that keeps refreshes until it is told to let them go."""

    def __init__(self, wire):
        self.wire, self.arrived, self.gate = wire, asyncio.Event(), asyncio.Event()

    async def send(self, request, *, timeout):
        """Send it, in its time."""
        if "grant_type=refresh_token" in request.url:
            self.arrived.set()
            await self.gate.wait()
        return await self.wire.send(request, timeout=timeout)


async def test_what_comes_too_late_is_no_failure_of_the_server(stage, telemetry):
    """Another sign-in has replaced the session while its refresh was under way."""
    held = Held(stage.wire())
    client = await stage.signed_in(transport=held)
    telemetry.instrument(client)
    refresh = asyncio.create_task(client.refresh_session())
    await held.arrived.wait()
    await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
    held.gate.set()
    with pytest.raises(AuthSessionMissing):
        await refresh
    await stage.until(telemetry.spans)

    assert ["missing"] == telemetry.outcomes()


async def test_who_waits_for_a_turn_is_linked_all_the_same(stage, telemetry):
    """A pool begins a refresh in another's wake; the link is its own caller's."""
    client = await stage.client()
    async with SessionPool(client.manager.provider, clock=stage.clock, max_refreshes=1) as pool:
        telemetry.instrument(pool, record_keys=True)
        callers = {}

        async def refresh(key):
            with telemetry.tracers.get_tracer("test").start_as_current_span(key) as caller:
                callers[key] = caller.get_span_context()
                await pool.session(key).refresh_session()

        for key in "ab":
            client = GoTrueClient(stage.server.url, pool=pool, key=key)
            await client.sign_in_with_password(email=stage.EMAIL, password=stage.PASSWORD)
        await asyncio.gather(refresh("a"), refresh("b"))

    first, second = telemetry.spans()
    for span in (first, second):
        key = span.attributes["async_auth.session.key"]
        assert [callers[key]] == [link.context for link in span.links]
    assert first.end_time <= second.start_time


class Occupied:
    """A lock that nobody gets, and that says when somebody waits for it."""

    def __init__(self):
        self.waiting = asyncio.Event()

    @asynccontextmanager
    async def hold(self, key):
        """Wait until whoever asks is cancelled."""
        self.waiting.set()
        await asyncio.Event().wait()
        yield


async def test_a_close_before_anything_was_sent_interrupts(stage, telemetry):
    """The span ends with the task, which was waiting for the lock."""
    lock = Occupied()
    client = await stage.client(lock=lock)
    telemetry.instrument(client)
    await client.manager.adopt(Session(access_token="a", refresh_token="r"))
    refresh = asyncio.create_task(client.refresh_session())
    await lock.waiting.wait()
    await client.aclose()
    await asyncio.gather(refresh, return_exceptions=True)

    assert ["interrupted"] == telemetry.outcomes()


async def test_a_caller_who_is_cancelled_ends_no_span(stage, telemetry):
    """The refresh goes on, and so does its span, to its own end."""
    client = await stage.signed_in()
    telemetry.instrument(client)
    caller = asyncio.create_task(client.refresh_session())
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await stage.until(telemetry.spans)

    assert ["refreshed"] == telemetry.outcomes()


async def test_a_thousand_callers_share_one_span(stage, telemetry):
    """One refresh, one span, however many wait for it."""
    client = await stage.signed_in(auto_refresh=False)
    telemetry.instrument(client)
    stage.clock.advance(3600)
    await asyncio.gather(*(client.get_token() for _ in range(1000)))

    assert ["refreshed"] == telemetry.outcomes()
    assert {(): 1000} == telemetry.points("async_auth.token.handouts")


async def test_a_key_is_in_spans_only_if_that_is_asked_for(stage, telemetry):
    """Not by default, and never in a metric."""
    plain = await stage.signed_in(key="ada@example.com")
    telemetry.instrument(plain)
    await plain.refresh_session()
    assert "ada@example.com" not in telemetry.shown()

    asked = await stage.signed_in(key="bob@example.com")
    telemetry.instrument(asked, record_keys=True, name="bots")
    await asked.refresh_session()

    span = telemetry.spans()[-1]
    assert "bob@example.com" == span.attributes["async_auth.session.key"]
    assert "bots" == span.attributes["async_auth.name"]
    assert "bob@example.com" not in telemetry.reader.get_metrics_data().to_json()
