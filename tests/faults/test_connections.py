"""Connections that do not come about, or were there and are gone; answers that have no end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from async_auth import (
    NetworkError,
    ProtocolError,
    RefreshFailed,
    SignedOut,
    Status,
    TemporaryError,
    TokenRefreshed,
)
from async_auth.transport import RESPONSE_MAX

NAME = "auth.example.com"
#: What the kernel and the two event loops may hold beside what was read.
BUFFERS = 16 * 1024 * 1024


@pytest.fixture
def stranger(tmp_path, authority):
    """Make an authority of the same name that nobody has been told of."""
    return type(authority)(tmp_path)


@pytest.fixture
async def scene(behind, authority, resolver):
    """Sign in at a server that has a name and a certificate for it, as servers have."""
    http = await behind.http(
        resolver=resolver, use_dns_cache=False, force_close=True, ssl=authority.trusted()
    )
    return await behind.gotrue(
        url=f"https://{NAME}:{{port}}", http=http, tls=authority.server(NAME)
    )


def no_name(scene, resolver, **_):
    """Let the resolver fail."""
    resolver.fails = True


def nobody_there(scene, **_):
    """Let nobody listen."""
    scene.proxy.refuse()


def of_an_unknown_authority(scene, stranger, **_):
    """Let the certificate be one that anybody can make."""
    scene.proxy.tls = stranger.server(NAME)


def for_another_name(scene, authority, **_):
    """Let the certificate be somebody else's."""
    scene.proxy.tls = authority.server("evil.example.com")


def expired(scene, authority, **_):
    """Let nobody have renewed the certificate."""
    scene.proxy.tls = authority.server(NAME, ends=timedelta(days=-1))


def no_tls(scene, **_):
    """Let something else listen there."""
    scene.proxy.reply(b"HTTP/1.1 400 Bad Request\r\n\r\n", "connect", times=None)


def reset_in_the_handshake(scene, **_):
    """Let a firewall stand between."""
    scene.proxy.reset("connect", times=None)


def cut_in_the_handshake(scene, **_):
    """Let a load balancer have nobody behind it."""
    scene.proxy.cut("connect", times=None)


WAYS = (
    *(no_name, nobody_there, of_an_unknown_authority, for_another_name, expired, no_tls),
    *(reset_in_the_handshake, cut_in_the_handshake),
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_no_connection_comes_about(scene, way, resolver, authority, stranger):
    """Nothing is sent; the token serves while it is good; the session outlives all of it."""
    client, before = scene.client, scene.client.session
    signed_up = scene.proxy.counts.copy()
    way(scene, resolver=resolver, authority=authority, stranger=stranger)

    await scene.come_due()
    failed = await scene.events.wait_for(RefreshFailed)
    assert (NetworkError, False) == (type(failed.error), failed.error.sent)
    assert scene.clock.now() < failed.retry_at < before.expires_at
    assert 1 == (await client.get_token()).generation

    await scene.clock.advance_to(before.expires_at)
    failed = await scene.events.wait_for(RefreshFailed, 2)
    with pytest.raises(TemporaryError):
        await client.get_token()
    assert (Status.EXPIRED, signed_up) == (client.status, scene.proxy.counts)

    resolver.fails = False
    scene.proxy.tls = authority.server(NAME)
    scene.proxy.clear()
    scene.proxy.accept()
    await scene.clock.advance_to(failed.retry_at)
    await scene.events.wait_for(TokenRefreshed)
    assert (1, Status.FRESH) == (scene.rotations(), client.status)
    assert [] == scene.events.of(SignedOut)
    assert await scene.lives()


async def test_a_handshake_that_never_ends(scene):
    """It is given up after the time of a request, on the session's clock."""
    mishap = scene.proxy.hang("connect", times=None)

    await scene.come_due()
    await scene.time_out(mishap)
    failed = await scene.events.wait_for(RefreshFailed)
    assert isinstance(failed.error, NetworkError)
    assert 1 == (await scene.client.get_token()).generation

    scene.proxy.clear()
    await scene.clock.advance_to(failed.retry_at)
    await scene.events.wait_for(TokenRefreshed)
    assert (1, Status.FRESH) == (scene.rotations(), scene.client.status)


@pytest.fixture(params=["gotrue", "supertokens"])
async def keeping(request, behind):
    """Sign in, and leave the connection open for the next request, as usual."""
    found = await (behind.gotrue() if request.param == "gotrue" else behind.supertokens("5.6"))
    await found.client.refresh_session()
    assert found.proxy.open
    return found


@pytest.mark.parametrize("returns", ["at once", "later"])
async def test_an_idle_connection_is_gone_when_it_is_wanted(keeping, returns):
    """The server was restarted, or a router has forgotten: nobody notices."""
    rotations = keeping.rotations()
    if returns == "at once":
        keeping.proxy.disconnect()
    else:
        keeping.proxy.refuse()
        keeping.proxy.accept()

    await keeping.come_due()
    refreshed = await keeping.events.wait_for(TokenRefreshed, 2)

    assert 3 == refreshed.session.generation
    assert [] == keeping.events.of(RefreshFailed)
    assert rotations is None or rotations + 1 == keeping.rotations()
    assert await keeping.lives()


@pytest.mark.parametrize("head", [False, True], ids=["body", "head"])
async def test_an_answer_without_end_is_left(keeping, head):
    """After 4 MiB of a body, and much less of a head: memory is bounded, and the session kept."""
    flood = keeping.proxy.flood(head=head, path=keeping.path, times=None)

    with pytest.raises(NetworkError if head else ProtocolError):
        await keeping.client.refresh_session()

    # What is no HTTP is a lost answer, and asked for once more.
    assert 1 + head == flood.count
    assert flood.sent < flood.count * (RESPONSE_MAX + BUFFERS)
    keeping.proxy.clear()
    await keeping.client.refresh_session()
    assert await keeping.lives()
