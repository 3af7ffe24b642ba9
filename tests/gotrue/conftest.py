"""The recorded exchanges of a real GoTrue, as values, for every test here that names them.

A test with an argument `error_recording`, `session_recording` or `recording` runs once for each
recorded error, session or exchange.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from async_auth.http_messages import Response

RECORDINGS = Path(__file__).parent.parent / "recordings" / "gotrue.json"


@attrs.frozen(kw_only=True)
class Recording:
    """One exchange: what was asked, and what a real server answered."""

    name: str
    request: dict[str, Any]
    response: Response
    answer: Any


def read_recordings() -> list[Recording]:
    """Return all exchanges."""
    return [
        Recording(
            name=entry["name"],
            request=entry["request"],
            response=_response(entry["response"]),
            answer=entry["response"].get("json"),
        )
        for entry in json.loads(RECORDINGS.read_text())
    ]


def _response(recorded: dict[str, Any]) -> Response:
    text = recorded.get("body_text") or ""
    if recorded.get("json") is not None:
        text = json.dumps(recorded["json"])
    return Response(recorded["status"], recorded["headers"], text.encode())


def _is_session(recording: Recording) -> bool:
    return isinstance(recording.answer, dict) and "access_token" in recording.answer


KINDS = {
    "recording": lambda _: True,
    "error_recording": lambda recording: recording.response.status >= 400,
    "session_recording": _is_session,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each recording of the kind that it asks for."""
    for argument, wanted in KINDS.items():
        if argument in metafunc.fixturenames:
            chosen = [recording for recording in read_recordings() if wanted(recording)]
            metafunc.parametrize(argument, chosen, ids=[recording.name for recording in chosen])


@pytest.fixture(scope="session")
def recordings() -> dict[str, Recording]:
    """All exchanges by name."""
    return {recording.name: recording for recording in read_recordings()}
