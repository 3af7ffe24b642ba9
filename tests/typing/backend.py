"""The types of the back end of SuperTokens as its users see them. Checked by mypy, never run."""

from __future__ import annotations

from typing import Any, Literal, assert_type

from async_auth import TokenTheftDetected
from async_auth.supertokens import (
    Answer,
    AppInfo,
    ErrorHandlers,
    Incoming,
    PrimitiveClaim,
    ServerSession,
    SessionInformation,
    SessionTokens,
    SuperTokensBackend,
)


def which(incoming: Incoming) -> Literal["header", "cookie"]:
    """Take headers from an app, cookies from a browser."""
    return "header" if incoming.header("x-app") else "cookie"


async def on_theft(request: Any, error: TokenTheftDetected) -> Answer | None:
    """Answer a theft, or leave it."""
    return Answer(status=401, body={"user": error.user_id}) if request else None


async def sessions_have_types(request: Any, response: Any) -> None:
    """A session is there unless it was said that it need not be."""
    app = AppInfo("app", "https://api.example.com", "https://example.com")
    async with SuperTokensBackend(
        "https://core",
        app=app,
        token_transfer_method=which,
        anti_csrf="VIA_TOKEN",
        preset="v1",
        error_handlers=ErrorHandlers(token_theft=on_theft, unauthorised=lambda *_: None),
    ) as backend:
        assert_type(await backend.create_new_session(request, response, "ada"), ServerSession)
        assert_type(await backend.get_session(request), ServerSession)
        assert_type(await backend.get_session(request, session_required=True), ServerSession)
        maybe = await backend.get_session(request, session_required=False)
        assert_type(maybe, ServerSession | None)
        session = await backend.refresh_session(request, response)
        assert_type(session, ServerSession)
        get = backend.get_session_without_request_response
        assert_type(await get("token"), ServerSession)
        assert_type(await get("token", session_required=False), ServerSession | None)
        assert_type(await backend.get_session_information("h"), SessionInformation | None)
        assert_type(await backend.revoke_session("h"), bool)
        assert_type(await backend.revoke_all_sessions_for_user("ada"), tuple[str, ...])
        role: PrimitiveClaim[str] = PrimitiveClaim("role", lambda *_: "admin")
        assert_type(await backend.get_claim_value("h", role), str | None)
        assert_type(await session.get_claim_value(role), str | None)
        assert_type(session.access_token_payload, dict[str, Any])
        assert_type(session.tokens(), SessionTokens)
        await session.set_claim_value(role, "admin")
        await session.assert_claims([role.validators.has_value("admin")])
        session.attach(response)
        await session.revoke_session()
