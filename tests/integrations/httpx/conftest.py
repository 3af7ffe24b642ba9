"""Both HTTP libraries, and clients of them that are closed after the test."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack

import httpx
import httpx2
import pytest

#: Nobody speaks TLS here, and to load its certificates takes longer than many a test.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request):
    """Give each of the two."""
    return request.param


@pytest.fixture
async def open_client(library):
    """Return a function that opens an `AsyncClient` with an `auth`."""
    async with AsyncExitStack() as exits:

        async def start(auth, **options):
            # By themselves both give up after five seconds, which a busy machine may take.
            options = {"trust_env": False, "verify": NO_TLS, "timeout": None, **options}
            return await exits.enter_async_context(library.AsyncClient(auth=auth, **options))

        yield start
