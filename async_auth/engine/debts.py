"""What memory owes the store: what that would not take, until it does.

It is a note and nothing more: it plans nothing, writes nothing and tells nobody.
"""

from __future__ import annotations

import attrs

from async_auth.engine.scheduler import Timer


@attrs.define(eq=False, weakref_slot=False)
class Debts:
    """What the store has not taken of one session, and the plan to offer it once more."""

    #: Whether the current session is not stored as it is.
    unsaved: bool = attrs.field(init=False, default=False)
    #: Ended sign-ins whose record is still in the store, each with its last generation, if only
    #: that has ended.
    uncleared: dict[str, int | None] | None = attrs.field(init=False, default=None)
    #: How often in a row the store did not work.
    failures: int = attrs.field(init=False, default=0)
    #: Offers it all once more.
    timer: Timer | None = attrs.field(init=False, default=None)

    @property
    def outstanding(self) -> bool:
        """Whether anything is owed."""
        return bool(self.unsaved or self.uncleared)

    @property
    def settled(self) -> bool:
        """Whether nothing is owed, counted or planned: then this may be forgotten."""
        return not (self.outstanding or self.failures or self.timer is not None)

    def uncleared_yet(self, sign_in_id: str, up_to: int | None) -> None:
        """Note that a sign-in has ended and is still in the store; see `refresher.Desk.store_failed`."""
        if self.uncleared is None:
            self.uncleared = {}
        self.uncleared[sign_in_id] = up_to

    def cleared(self, sign_in_id: str) -> None:
        """Note that a sign-in that has ended is in the store no more."""
        if self.uncleared is not None:
            self.uncleared.pop(sign_in_id, None)
            if not self.uncleared:
                self.uncleared = None

    def cancel(self) -> None:
        """Take the timer away."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
