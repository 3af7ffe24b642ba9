"""A store that does not work, and what is done about it: told, and tried again later.

The session lives on in memory meanwhile. What the store would not take is offered to it again and
again, with growing pauses, under the refresh lock; what others have stored by then is taken
instead. It keeps nothing of its own: what is owed stands in the keeper's `Debts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from async_auth.core.reconcile import Newer, Proceed
from async_auth.engine.debts import Debts
from async_auth.engine.shelf import store_error
from async_auth.errors import Conflict, StoreError
from async_auth.events import StoreFailed
from async_auth.session import Session

if TYPE_CHECKING:  # it makes these
    from async_auth.engine.keeper import Keeper


@attrs.define(eq=False)
class Mender:
    """
    What brings a keeper's store up to date.

    Args:
        keeper: Whose.
    """

    keeper: Keeper

    @property
    def unsaved(self) -> bool:
        """Whether the current session is not stored as it is, for all that is known."""
        return self.keeper.debts is not None and self.keeper.debts.unsaved

    # Noting what is owed.

    def note(self, *, stored: bool) -> None:
        """Note whether the current session is stored as it is; of one that is not, tell nobody."""
        if not stored:
            self._debts().unsaved = True
        elif self.keeper.debts is not None:
            self.keeper.debts.unsaved = False
            self._forget()

    def works(self) -> None:
        """Note that the store has just worked: the pauses begin anew."""
        if self.keeper.debts is not None:
            self.keeper.debts.failures = 0
            self._forget()

    def saved(self, session: Session) -> None:
        """Note that *session* was saved, whatever has become of it meanwhile."""
        state = self.keeper.state
        if state.session is session:
            self.note(stored=True)
            state.stored = True
        elif not state.is_current(session):
            # Ended while it was written.
            self.failed(
                StoreError("The session ended while it was saved."), uncleared=session.sign_in_id
            )

    def not_saved(self, session: Session, error: StoreError) -> None:
        """Note that *session* was not saved; tell of it and plan another try."""
        if self.keeper.state.is_current(session):
            self.note(stored=False)
            self.failed(error)
        else:
            # Ended meanwhile: there is nothing left to save, but perhaps something to clear.
            self.failed(error, uncleared=session.sign_in_id)

    async def save(self, session: Session, *, expected: int | None) -> None:
        """Save what is no newer generation, and note whether that worked; the caller flushes."""
        try:
            await self.keeper.shelf.save(session, expected=expected)
        except Conflict:
            # Somebody else was faster: the store tells of it, or the next refresh finds it.
            pass
        except StoreError as error:
            self.not_saved(session, error)
        else:
            self.saved(session)

    def failed(
        self, error: StoreError, *, uncleared: str | None = None, up_to: int | None = None
    ) -> None:
        """Tell of it and plan another try; see `refresher.Desk.store_failed`."""
        keeper, debts = self.keeper, self._debts()
        if uncleared is not None:
            debts.uncleared_yet(uncleared, up_to)
        debts.failures += 1
        retry_at = self.plan() if debts.outstanding else None
        keeper.later(keeper.event(StoreFailed, error=error, retry_at=retry_at))

    def _debts(self) -> Debts:
        if self.keeper.debts is None:
            self.keeper.debts = Debts()
        return self.keeper.debts

    def _forget(self) -> None:
        # Most sessions owe nothing, nearly always: after an outage of the store neither do they.
        if self.keeper.debts is not None and self.keeper.debts.settled:
            self.keeper.debts = None

    # Trying again.

    def plan(self) -> float:
        """Set the timer of the next try, and return when that is."""
        ground = self.keeper.ground
        # As for the back-off of a refresh: on a clock that was set back, and is not followed yet,
        # it would be moved with the rest.
        ground.scheduler.look()
        debts = self._debts()
        pause = ground.policy.backoff(max(debts.failures, 1), ground.random())
        retry_at = self.keeper.state.clock.now() + pause
        debts.cancel()
        debts.timer = ground.scheduler.call_at(retry_at, self._start)
        return retry_at

    def unbind(self) -> None:
        """Take the timer away."""
        if self.keeper.debts is not None:
            self.keeper.debts.cancel()
            self._forget()

    def _start(self) -> None:
        if self.keeper.debts is not None:
            self.keeper.debts.timer = None
            self._forget()
        if not self.keeper.state.closed and self.keeper.damaged:
            self.keeper.run(self.mend(), name="async_auth store retry")

    async def mend(self) -> None:
        """Offer the store once more what it would not take."""
        try:
            async with self.keeper.refresher.holding():
                await self._clear_ended()
                await self._save_again()
        except Exception as error:  # noqa: BLE001
            # The lock or the store is a stranger's code; whatever it was, try again later.
            self.failed(store_error("written", error))
        else:
            self.works()
        finally:
            self.keeper.flush()

    async def _clear_ended(self) -> None:
        debts = self.keeper.debts
        ended = {} if debts is None else debts.uncleared or {}
        for sign_in_id, up_to in list(ended.items()):
            await self.keeper.shelf.clear(sign_in_id, up_to=up_to)
            # What is owed may have changed meanwhile.
            if self.keeper.debts is not None:
                self.keeper.debts.cleared(sign_in_id)
                self._forget()

    async def _save_again(self) -> None:
        keeper, state, shelf = self.keeper, self.keeper.state, self.keeper.shelf
        async with shelf.writing:
            session = state.session
            if session is None or not self.unsaved:
                return
            # From the generation before, so that one that is as new as ours is seen as well.
            before = attrs.evolve(session, generation=session.generation - 1)
            verdict, found = await shelf.look(before, stored=state.stored)
            if state.session is not session:
                return
            match verdict:
                case Proceed(expected):
                    await shelf.save(session, expected=expected)
                    self.saved(session)
                case Newer() if found is not None and found.generation == session.generation:
                    if found.refresh_token == session.refresh_token:
                        await shelf.save(session, expected=found.generation)
                        self.saved(session)
                    else:
                        # A forgiving server has given this generation to two. Who has stored it
                        # got it later than we, for it found only what we had spent.
                        keeper.amended(found)
                        self.saved(found)
                case Newer() if found is not None:
                    keeper.refreshed(found, stored=True)
                    keeper.arm()
                case _:
                    keeper.end("elsewhere")
