"""What others have stored, and what that means for the session in memory.

The store tells of it, or somebody heard that it has changed. `core.reconcile` says what is to be
done, the keeper changes the session; this looks, under the lock of the shelf's writers, until both
speak of the same moment. It keeps nothing, and asks no server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from async_auth.core.reconcile import Gone, Newer, Proceed, Verdict
from async_auth.errors import AuthSessionMissing
from async_auth.ports import Record
from async_auth.session import Session

if TYPE_CHECKING:  # it makes these
    from async_auth.engine.keeper import Keeper


@attrs.define(eq=False)
class Reconciler:
    """
    What brings the session in memory into line with the store.

    Args:
        keeper: Whose session.
    """

    keeper: Keeper

    async def noticed(self, record: Record | None) -> None:
        """See `Keeper.noticed`."""
        keeper = self.keeper
        session = keeper.state.session
        if session is None or not self._follows() or _as_stored(session, record):
            return
        async with keeper.shelf.writing:
            # By now it may hold something else, and so may the memory.
            verdict, found, session = await self._look_again(record)
            if session is None:
                return
            match verdict:
                case Newer() if found is not None:
                    # One that has expired is the business of the next refresh, which begins
                    # with it: taken over here, it would look like a server that repeats itself.
                    if found.expires_at is None or found.expires_at > keeper.state.clock.now():
                        keeper.refreshed(found, stored=True)
                        keeper.arm()
                        keeper.look_again()
                case Gone():
                    keeper.end("elsewhere")
                    keeper.dismiss(AuthSessionMissing(), own_only=True)
                case Proceed(expected) if expected != session.generation:
                    # It has lost what was written last, or all.
                    await keeper.mender.save(session, expected=expected or 0)
        keeper.flush()

    async def _look_again(
        self, record: Record | None
    ) -> tuple[Verdict | None, Session | None, Session | None]:
        """
        Return what the store means, what it has that is newer, and for which session.

        Args:
            record: What it has told. If that is newer it is enough: of what may have come after
                it the store tells as well.
        """
        state, shelf = self.keeper.state, self.keeper.shelf
        while (session := state.session) is not None and self._follows():
            verdict, found = await shelf.look(session, stored=True, told=record)
            failure = shelf.take_damage()
            if failure is not None:
                self.keeper.mender.failed(failure)
            if state.session is session:
                return verdict, found, session
        return None, None, None

    def _follows(self) -> bool:
        # What was never in the store is not ended by its absence.
        return self.keeper.state.stored and not self.keeper.state.closed


def _as_stored(session: Session, record: Record | None) -> bool:
    # Most often it is our own write that we hear of.
    return (
        record is not None
        and record.generation == session.generation
        and record.sign_in_id == session.sign_in_id
    )
