"""The names that a back end of SuperTokens and its front ends share: cookies, headers, words.

Constants only. Names of headers are in lower case, as the servers write them.
"""

from __future__ import annotations

from typing import Literal

#: How tokens travel between a front end and its back end.
TransferMethod = Literal["header", "cookie"]

ACCESS_COOKIE = "sAccessToken"
REFRESH_COOKIE = "sRefreshToken"
#: Set by releases before 2023. A browser that still has it has tokens of a form long gone.
LEGACY_COOKIE = "sIdRefreshToken"

#: In a response: the new token, or empty text where there is none any more.
ST_ACCESS = "st-access-token"
ST_REFRESH = "st-refresh-token"
#: In a response, in both methods: who is signed in and until when, for the front end to read.
FRONT_TOKEN = "front-token"
#: The value of `front-token` that says that the session is gone.
REMOVE = "remove"
#: In a request and in a response, in cookie mode: the token of anti-CSRF by token.
ANTI_CSRF = "anti-csrf"

#: In a request that signs in: how the front end wants its tokens.
ST_AUTH_MODE = "st-auth-mode"
#: In a request: once the recipe's name; today only its presence counts (anti-CSRF by header).
RID = "rid"

SET_COOKIE = "set-cookie"
