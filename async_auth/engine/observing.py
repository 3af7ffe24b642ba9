"""One refresh under somebody's eyes: what is told to a `RefreshObserver`, and when.

It promises that an observer who fails changes nothing but the log, and that each refresh which
began running ends once.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Literal

import attrs

from async_auth.errors import AuthSessionMissing, RefreshRejected
from async_auth.ports import RefreshObserver, RefreshOutcome, RefreshWatch

logger = logging.getLogger("async_auth.engine")

FAILED = "An observer of refreshes failed"


def outcome_of(error: Exception | None, *, answered: bool) -> RefreshOutcome:
    """Return the word for how a refresh ended that was not torn."""
    match error:
        case None:
            return "refreshed" if answered else "adopted"
        case RefreshRejected():
            return "rejected"
        case AuthSessionMissing():
            return "missing"
        case _:
            return "failed"


@attrs.define(eq=False)
class Observation:
    """
    A `RefreshWatch` that cannot harm.

    Args:
        watch: Who is told.
    """

    watch: RefreshWatch
    _ended: bool = attrs.field(init=False, default=False)

    @classmethod
    def of(
        cls,
        observer: RefreshObserver | None,
        key: str,
        *,
        trigger: Literal["call", "timer"],
        failures: int,
    ) -> Observation | None:
        """Return the observation of a refresh that is asked for now; `None` if nobody wants it."""
        if observer is None:
            return None
        try:
            return cls(observer.refreshing(key, trigger=trigger, failures=failures))
        except Exception:
            logger.exception(FAILED)
            return None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Have the refresh done inside what the observer makes around it."""
        stack = ExitStack()
        with _harmless():
            around: AbstractContextManager[object] = self.watch.running()
            stack.enter_context(around)
        try:
            yield
        except GeneratorExit:
            # The loop was dropped, with the context in which the observer's was entered: there is
            # nothing to leave in order, and no callback will tell the end.
            stack.pop_all()
            self.ended("interrupted")
            raise
        finally:
            with _harmless():
                stack.close()

    def sending(self) -> None:
        """Tell that a request leaves."""
        with _harmless():
            self.watch.sending()

    def ended(self, outcome: RefreshOutcome, error: Exception | None = None) -> None:
        """Tell how it ended; the first word counts."""
        if not self._ended:
            self._ended = True
            with _harmless():
                self.watch.ended(outcome, error)


@contextlib.contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception:
        # A stranger's code: for a measurement's sake no token is held back.
        logger.exception(FAILED)
