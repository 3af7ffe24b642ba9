"""OpenTelemetry: a span for each refresh, and metrics of sessions, refreshes and tokens.

    from async_auth.gotrue import GoTrueClient
    from async_auth.integrations.opentelemetry import instrument

    client = GoTrueClient("https://x.supabase.co/auth/v1", api_key)
    instrument(client)

A manager, a client or a pool is instrumented once; `uninstrument(client)` takes it back. Spans and
metrics go to the providers of the program, or to those that are given. Nothing of a session is in
them: no token, no user, and its key only in spans, and only if that is asked for.

The names that OpenTelemetry's conventions have are theirs (`error.type`,
`http.response.status_code`, `http.request.resend_count`); there are none for sessions and
refreshes, so the others lie in the namespace `async_auth`.
"""

from __future__ import annotations

try:
    from async_auth.integrations.opentelemetry.instrumenting import instrument, uninstrument
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise ImportError(
        "async_auth.integrations.opentelemetry needs OpenTelemetry: "
        "pip install 'async_auth[opentelemetry]'."
    ) from None

__all__ = ["instrument", "uninstrument"]
