"""Authorization codes: what they are worth, once, to who has the verifier."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from async_auth.testing.gotrue.pkce import Flow
from async_auth.testing.gotrue.refusals import Refusal, invalid
from async_auth.testing.gotrue.rows import new_id

#: For how long a code can be exchanged, in seconds.
FLOW_EXPIRY = 300.0


@attrs.frozen(kw_only=True)
class Grant:
    """
    What an authorization code is worth.

    Args:
        method: How the user showed who they are, for `amr`.
        extra: Members of the session beside the usual ones: the provider's tokens.
    """

    flow: Flow
    user_id: str
    method: str
    made_at: float
    extra: Mapping[str, str] = attrs.field(factory=dict, repr=False)


@attrs.define
class Grants:
    """The authorization codes that are out."""

    _waiting: dict[str, Grant] = attrs.field(factory=dict, repr=False)

    def add(self, grant: Grant) -> str:
        """Return a new code for this."""
        code = new_id()
        self._waiting[code] = grant
        return code

    def spend(self, code: str, verifier: str, *, now: float) -> Grant:
        """Take a code back for what it is worth. One with a wrong verifier survives."""
        if not code or not verifier:
            raise invalid("invalid request: both auth code and code verifier should be non-empty")
        grant = self._waiting.get(code)
        if grant is None:
            raise Refusal(
                404,
                "flow_state_not_found",
                "invalid flow state, no valid flow state found",
            )
        if now >= grant.made_at + FLOW_EXPIRY:
            raise Refusal(422, "flow_state_expired", "invalid flow state, flow state has expired")
        if not grant.flow.is_met_by(verifier):
            raise Refusal(
                400,
                "bad_code_verifier",
                "code challenge does not match previously saved code verifier",
            )
        del self._waiting[code]
        return grant
