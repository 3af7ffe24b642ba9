"""`instrument()` and `uninstrument()`: what is put around a manager, a client or a pool.

It promises that whoever is not instrumented pays nothing, that nobody else's objects are touched,
and that `uninstrument()` leaves everything as it was. The hot path has one more coroutine and one
addition while it is instrumented; everything else happens at refreshes and at collection.
"""

from __future__ import annotations

import weakref

import attrs
from opentelemetry import metrics, trace

from async_auth.engine.facade import Facade
from async_auth.engine.manager import SessionManager
from async_auth.engine.pool import PooledSession, SessionPool
from async_auth.errors import ConfigurationError
from async_auth.integrations.opentelemetry.metrics import SCOPE, Meters, Tally
from async_auth.integrations.opentelemetry.spans import RefreshSpans
from async_auth.session import AccessToken


@attrs.frozen(eq=False)
class Instrumentation:
    """What there is to take back."""

    meters: Meters
    kind: type[SessionManager | SessionPool]


#: By meter provider, `None` for the program's own: two sets of instruments would have one name.
_meters: weakref.WeakKeyDictionary[metrics.MeterProvider, Meters] = weakref.WeakKeyDictionary()
_program_meters: list[Meters] = []
_done: weakref.WeakKeyDictionary[SessionManager | SessionPool, Instrumentation] = (
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

    Call it before tokens are asked for: adapters that were made before, and handles that a pool
    gave out before, hand out tokens that are not counted. It holds nothing of what it instruments.

    Args:
        subject: What to instrument. A client that works on a pool is instrumented with its pool.
        name: The attribute `async_auth.name` of all that comes of it, to tell a few managers of
            one program apart; without it they are added up. Never a user's: each is a new series.
        record_keys: Whether spans (never metrics) have the session's key, which is what your
            program chose: often a user's id.
        tracer_provider: Where spans go; by default to the program's own.
        meter_provider: Where metrics go; by default to the program's own.

    Raises:
        ConfigurationError: *subject* is none of these, or has an observer already.
    """
    core = _core_of(subject)
    tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
    meters = _meters_of(meter_provider)
    core.observe(RefreshSpans(tracer, meters, name, record_keys))
    kind = type(core)
    counting = _CountingPool if isinstance(core, SessionPool) else _CountingManager
    _become(core, type(kind.__name__, (counting, kind), {"_tally": meters.tally(name)}), subject)
    meters.add(core, name)
    _done[core] = Instrumentation(meters, kind)


def uninstrument(subject: SessionManager | SessionPool | Facade) -> None:
    """
    Take back what `instrument()` did; does nothing to what is not instrumented.

    A refresh that is under way ends its span.

    Raises:
        ConfigurationError: *subject* is no manager, client or pool.
    """
    core = _core_of(subject)
    done = _done.pop(core, None)
    if done is None:
        return
    core.observe(None)
    _become(core, done.kind, subject)
    done.meters.discard(core)


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
    if provider is not None:
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


class _CountingManager(SessionManager):
    """A manager that counts the tokens it hands out."""

    _tally: Tally

    async def get_token(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        token = await super().get_token(min_ttl=min_ttl, rejected=rejected)
        self._tally.tokens += 1
        return token


class _CountingPool(SessionPool):
    """A pool that does, by key and by handle."""

    _tally: Tally

    def session(self, key: str) -> PooledSession:
        session = super().session(key)
        session.__class__ = _CountingSession
        return session

    async def get_token(
        self,
        key: str,
        *,
        min_ttl: float | None = None,
        rejected: AccessToken | str | None = None,
    ) -> AccessToken:
        token = await super().get_token(key, min_ttl=min_ttl, rejected=rejected)
        self._tally.tokens += 1
        return token


class _CountingSession(PooledSession):
    """One session of such a pool."""

    __slots__ = ()

    async def get_token(
        self, *, min_ttl: float | None = None, rejected: AccessToken | str | None = None
    ) -> AccessToken:
        token = await super().get_token(min_ttl=min_ttl, rejected=rejected)
        # Only while the pool is instrumented: this handle may outlive that.
        tally: Tally | None = getattr(self._pool, "_tally", None)
        if tally is not None:
            tally.tokens += 1
        return token


# What prints itself says what it is, instrumented or not.
_CountingSession.__name__ = PooledSession.__name__
