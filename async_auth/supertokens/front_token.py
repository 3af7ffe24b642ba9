"""The front token: what a front end may know of a session, in one header of every answer.

Standard base64 of JSON: the user's id, the access token's expiry, its claims. It is signed by
nobody and opens nothing. Written as SuperTokens' Python back end writes it (sorted keys, ASCII);
read in the form of any back end.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import attrs

from async_auth.core.plain_json import number, read_json
from async_auth.errors import ProtocolError

#: A longer one is refused unread; servers stop at 8 to 64 KiB of headers anyway.
MAX_FRONT_TOKEN_LENGTH = 64 * 1024

_MILLISECONDS = 1000


@attrs.frozen(kw_only=True)
class FrontToken:
    """
    What a front end is told of a session.

    Args:
        user_id: Whose session it is (`uid`).
        expires_at: When the access token expires, in unix seconds (`ate`, on the wire in
            milliseconds).
        payload: The access token's claims (`up`).
    """

    user_id: str
    expires_at: float
    payload: Mapping[str, Any] = attrs.field(repr=False)

    def encode(self) -> str:
        """
        Return the header's value.

        Raises:
            ValueError: The payload holds a number that JSON does not have.
            TypeError: The payload holds something that JSON cannot say.
        """
        value = {
            "uid": self.user_id,
            "ate": round(self.expires_at * _MILLISECONDS),
            "up": dict(self.payload),
        }
        text = json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)
        return base64.b64encode(text.encode()).decode()

    @classmethod
    def decode(cls, text: str) -> FrontToken:
        """
        Read a header's value; `remove` is no front token and the caller's to know.

        Args:
            text: Base64 with or without its padding, of JSON in UTF-8.

        Raises:
            ProtocolError: It is nothing that a back end writes.
        """
        if len(text) > MAX_FRONT_TOKEN_LENGTH:
            raise ProtocolError(f"The front token is over {MAX_FRONT_TOKEN_LENGTH} characters.")
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            value = read_json(data)
        except ValueError:
            # `from None`: the error below would show the text.
            raise ProtocolError("The front token is not base64 of JSON.") from None
        members = value if isinstance(value, dict) else {}
        user_id, expiry, payload = members.get("uid"), number(members.get("ate")), members.get("up")
        if not isinstance(user_id, str) or expiry is None or not isinstance(payload, dict):
            raise ProtocolError("The front token lacks its user id, its expiry or its payload.")
        return cls(user_id=user_id, expires_at=expiry / _MILLISECONDS, payload=payload)
