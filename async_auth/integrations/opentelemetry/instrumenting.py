"""`instrument()` and `uninstrument()`: what is put around a manager, a client or a pool.

It promises that whoever is not instrumented pays nothing, that nobody else's objects are touched,
that a call which raises changes nothing, and that `uninstrument()` leaves everything as it was. The
hot path has one more coroutine and one addition while it is instrumented; everything else happens
at refreshes and at collection.
"""

from __future__ import annotations

import weakref

from opentelemetry import metrics, trace

from async_auth.engine import arguments
from async_auth.engine.facade import Facade
from async_auth.engine.manager import SessionManager
from async_auth.engine.pool import PooledSession, SessionPool
from async_auth.errors import ConfigurationError
from async_auth.integrations.opentelemetry.counting import Counter
from async_auth.integrations.opentelemetry.metrics import SCOPE, Meters, Tally
from async_auth.integrations.opentelemetry.spans import RefreshSpans

#: By meter provider, `None` for the program's own: two sets of instruments would have one name.
_meters: weakref.WeakKeyDictionary[metrics.MeterProvider, Meters] = weakref.WeakKeyDictionary()
_program_meters: list[Meters] = []
#: What is instrumented, and by whose meters.
_done: weakref.WeakKeyDictionary[SessionManager | SessionPool, Meters] = weakref.WeakKeyDictionary()
#: Of all that ever was: handles and bound methods go on with the counter that they were made with.
_counters: weakref.WeakKeyDictionary[SessionManager | SessionPool, Counter] = (
    weakref.WeakKeyDictionary()
)


def instrument(
    subject: SessionManager | SessionPool | Facade,
    *,
    name: str | None = None,
    record_keys: bool = False,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> None:
    """
    Trace and measure a manager, a client of any auth system, or a pool, from now on.

    Give it the client rather than its manager, and call it first of all: adapters that were made
    before, and handles that a pool gave out before, hand out tokens that are not counted. It holds
    nothing of what it instruments.

    Args:
        subject: What to instrument. A client that works on a pool is instrumented with its pool.
        name: The attribute `async_auth.name` of all that comes of it, to tell a few managers of
            one program apart; without it they are added up. Never a user's: each is a new series.
        record_keys: Whether spans (never metrics) have the session's key, which is what your
            program chose: often a user's id.
        tracer_provider: Where spans go; by default to the program's own.
        meter_provider: Where metrics go; by default to the program's own.

    Raises:
        ConfigurationError: *subject* is none of these, or has an observer already; or *name* is
            no text.
    """
    core = _core_of(subject)
    if name is not None:
        arguments.check_text("name", name)
    arguments.check_flag("record_keys", record_keys)
    counter = _counters.get(core)
    if counter is None:
        counter = Counter(type(core))
    tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
    meters = _meters_of(meter_provider)
    core.observe(RefreshSpans(tracer, meters, name, record_keys))
    counter.tally = meters.tally(name)
    _become(core, counter.counting, subject)
    meters.add(core, name)
    _counters[core], _done[core] = counter, meters


def uninstrument(subject: SessionManager | SessionPool | Facade) -> None:
    """
    Take back what `instrument()` did; does nothing to what is not instrumented.

    A refresh that is under way ends its span. Adapters and handles that were made meanwhile work
    on, and are not counted any more.

    Raises:
        ConfigurationError: *subject* is no manager, client or pool.
    """
    core = _core_of(subject)
    meters = _done.pop(core, None)
    if meters is None:
        return
    counter = _counters[core]
    core.observe(None)
    counter.tally = Tally()
    _become(core, counter.plain, subject)
    meters.discard(core)


def _core_of(subject: object) -> SessionManager | SessionPool:
    core = subject.manager if isinstance(subject, Facade) else subject
    if isinstance(core, PooledSession):
        raise ConfigurationError("This is one session of a pool: instrument the pool.")
    if not isinstance(core, SessionManager | SessionPool):
        raise ConfigurationError(
            f"Only managers, clients and pools can be instrumented, no {type(subject).__name__}."
        )
    return core


def _meters_of(provider: metrics.MeterProvider | None) -> Meters:
    # The program's own may be given by name as well: of two sets, only one would be seen.
    if provider is not None and provider is not metrics.get_meter_provider():
        meters = _meters.get(provider)
        if meters is None:
            meters = _meters[provider] = Meters(provider)
        return meters
    if not _program_meters:
        _program_meters.append(Meters(None))
    return _program_meters[0]


def _become(core: SessionManager | SessionPool, kind: type, subject: object) -> None:
    # Another class rather than an attribute of the object's own, which would hold the object.
    core.__class__ = kind
    if isinstance(subject, Facade) and isinstance(core, SessionManager):
        # A client has bound the manager's own method.
        subject.get_token = core.get_token
