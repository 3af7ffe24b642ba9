"""Both HTTP libraries, and clients of them that are closed after the test."""

from __future__ import annotations

from contextlib import AsyncExitStack

import httpx
import httpx2
import pytest


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request):
    """Give each of the two."""
    return request.param


@pytest.fixture
async def open_client(library):
    """Return a function that opens an `AsyncClient` with an `auth`."""
    async with AsyncExitStack() as exits:

        async def start(auth, **options):
            client = library.AsyncClient(auth=auth, trust_env=False, **options)
            return await exits.enter_async_context(client)

        yield start
