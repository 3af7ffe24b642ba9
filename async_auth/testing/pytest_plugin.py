"""Fixtures for those who test with pytest; installed with the library, active by itself.

    async def test_the_bot_survives_an_expired_token(gotrue_server, manual_clock): ...

| fixture                   | is                                                               |
|---------------------------|------------------------------------------------------------------|
| `manual_clock`            | a `ManualClock`                                                  |
| `scripted_transport`      | a `ScriptedTransport` with an empty script                       |
| `gotrue_server`           | a running `GoTrueServer` on loopback                             |
| `supertokens_core_server` | a running `SuperTokensCoreServer` on loopback                    |
| `record_events`           | a function: `recorder = await record_events(client)`; it starts  |
|                           | an `EventRecorder`, which is stopped after the test              |

The last three are async fixtures: they need pytest-asyncio, or anyio's plugin in its place.
This module is imported by every pytest run on a machine that has the library, so it imports
nothing of ours before a fixture is used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from async_auth.testing import (
        EventRecorder,
        GoTrueServer,
        ManualClock,
        ScriptedTransport,
        SuperTokensCoreServer,
    )


def async_fixture(function: Callable[..., AsyncIterator[Any]]) -> Any:
    """Make a fixture of an async generator *function*, for whichever plugin runs those."""
    if find_spec("pytest_asyncio") is None:
        return pytest.fixture(function)  # anyio's plugin takes care of plain ones
    import pytest_asyncio

    return pytest_asyncio.fixture(function)


@pytest.fixture
def manual_clock() -> ManualClock:
    """Return a clock that moves only when the test says so."""
    from async_auth.testing import ManualClock

    return ManualClock()


@pytest.fixture
def scripted_transport() -> ScriptedTransport:
    """Return a transport with an empty script; `add()` the answers."""
    from async_auth.testing import ScriptedTransport

    return ScriptedTransport()


@async_fixture
async def gotrue_server() -> AsyncIterator[GoTrueServer]:
    """Run a GoTrue-compatible server on loopback for the length of the test."""
    from async_auth.testing import GoTrueServer

    async with GoTrueServer() as server:
        yield server


@async_fixture
async def supertokens_core_server() -> AsyncIterator[SuperTokensCoreServer]:
    """Run a SuperTokens core on loopback for the length of the test."""
    from async_auth.testing import SuperTokensCoreServer

    async with SuperTokensCoreServer() as server:
        yield server


@async_fixture
async def record_events() -> AsyncIterator[Callable[[Any], Awaitable[EventRecorder]]]:
    """Return a function that starts recording a manager's events until the test is over."""
    from async_auth.testing import EventRecorder

    recorders: list[EventRecorder] = []

    async def record(manager: Any) -> EventRecorder:
        recorder = EventRecorder(manager)
        await recorder.start()
        recorders.append(recorder)
        return recorder

    yield record
    for recorder in recorders:
        await recorder.stop()
