"""loopback.py: who is let in, how much is read, and that nothing stays open."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import socket
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth import ConfigurationError, loopback
from async_auth.loopback import (
    CONNECTIONS_MAX,
    REQUEST_MAX,
    Reply,
    open_door,
    read_request,
)

HELLO = Reply(status=HTTPStatus.OK, headers={"X-A": "b"}, body=b"hello")


class Guests:
    """Answers `/later` later, and everything else at once."""

    def __init__(self):
        self.targets = []
        self._news = asyncio.Event()

    async def have_asked(self, number):
        """Return when so many have asked."""
        while len(self.targets) < number:
            self._news.clear()
            await self._news.wait()

    def __call__(self, target):
        """Note the target."""
        self.targets.append(target)
        self._news.set()
        return None if target == "/later" else HELLO


@pytest.fixture
def guests():
    """Return what answers."""
    return Guests()


@pytest.fixture
async def door(guests, kept_port):
    """Return a door that is open, and whose port nobody else has."""
    opened = open_door([kept_port], guests)
    await opened.open()
    yield opened
    opened.close()


@pytest.fixture
async def connect(door):
    """Return a function that connects; what it has opened is closed in the end."""
    writers = []

    async def open_one():
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writers.append(writer)
        return reader, writer

    yield open_one
    for writer in writers:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
def ask(connect):
    """Return a function that sends a text and returns all that comes back until the end."""

    async def send(text):
        reader, writer = await connect()
        writer.write(text)
        return await reader.read()

    return send


def get(target="/", host="127.0.0.1", **headers):
    """Return a request."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in {"Host": host, **headers}.items())
    return f"GET {target} HTTP/1.1\r\n{fields}\r\n".encode()


async def hangs_up(reader):
    """Say whether a connection is closed without an answer."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_request_is_answered_and_the_connection_closed(door, guests, ask):
    """Also if the browser would have kept it."""
    answer = await ask(get("/a?b=%20", Connection="keep-alive"))

    assert (
        b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    ) == answer
    assert ["/a?b=%20"] == guests.targets


async def test_a_request_may_come_in_pieces(door, guests, connect):
    """As networks please."""
    reader, writer = await connect()
    for byte in get("/piecewise"):
        writer.write(bytes([byte]))
        await writer.drain()

    assert (await reader.read()).endswith(b"hello")
    assert ["/piecewise"] == guests.targets


async def test_one_request_is_read_of_each_connection(door, guests, connect, ask):
    """What comes after it is passed over."""
    await ask(get("/one") + get("/two"))

    reader, writer = await connect()
    writer.write(get("/later"))
    await guests.have_asked(2)
    writer.write(get("/three"))
    await writer.drain()
    await ask(get("/four"))
    assert ["/one", "/later", "/four"] == guests.targets
    door.release(HELLO)
    assert (await reader.read()).endswith(b"hello")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:80", "127.1.2.3"],
)
def test_this_machine_has_many_names(host):
    """Whichever the browser was sent to."""
    assert "/" == read_request(get(host=host).rstrip())


@pytest.mark.parametrize(
    "status, head",
    [
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1"),
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1\r\nHost: "),
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1\r\nHost: evil.example"),
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1\r\nHost: localhost.evil.example"),
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example:80"),
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1\r\nHost: evil@127.0.0.1"),
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1\r\nHost: 192.168.0.1"),
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1\r\nHost: 2130706433"),
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1\r\nHost: [::2]"),
        (HTTPStatus.FORBIDDEN, b"GET / HTTP/1.1\r\nHost: localhost\r\nhost: localhost"),
        (HTTPStatus.METHOD_NOT_ALLOWED, b"POST / HTTP/1.1\r\nHost: localhost"),
        (HTTPStatus.METHOD_NOT_ALLOWED, b"HEAD / HTTP/1.1\r\nHost: localhost"),
        (HTTPStatus.BAD_REQUEST, b""),
        (HTTPStatus.BAD_REQUEST, b"GET /"),
        (HTTPStatus.BAD_REQUEST, b"GET / HTTP/2\r\nHost: localhost"),
        (HTTPStatus.BAD_REQUEST, b"GET  / HTTP/1.1\r\nHost: localhost"),
        (HTTPStatus.BAD_REQUEST, b"GET /a b HTTP/1.1\r\nHost: localhost"),
        (HTTPStatus.BAD_REQUEST, b"GET /\xff HTTP/1.1\r\nHost: localhost"),
        (HTTPStatus.BAD_REQUEST, b"GET http://localhost/ HTTP/1.1\r\nHost: localhost"),
        (HTTPStatus.BAD_REQUEST, b"GET / HTTP/1.1\r\nHost : localhost"),
        (HTTPStatus.BAD_REQUEST, b"GET / HTTP/1.1\r\nHost: localhost\r\n folded"),
        (HTTPStatus.BAD_REQUEST, b"GET / HTTP/1.1\nHost: localhost"),
        (HTTPStatus.BAD_REQUEST, b"\x16\x03\x01\x02\x00"),
        pytest.param(
            HTTPStatus.BAD_REQUEST,
            b"GET / HTTP/1.1\r\nHost: localhost\r\nA:" + b" " * 15_000 + b"\n",
            id="what-a-careless-pattern-reads-for-hours",
        ),
    ],
)
def test_others_are_not_let_in(status, head):
    """Other names (a rebound one is a stranger's), other methods, and what is no HTTP."""
    reply = read_request(head)

    assert status == reply.status
    assert b"\r\nCache-Control: no-store\r\n" in reply.wire_form()


async def test_a_refusal_goes_out(door, guests, ask):
    """And nobody is asked for an answer."""
    answer = await ask(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"\r\nAllow: GET\r\n" in answer
    assert [] == guests.targets


async def test_a_request_without_end_is_not_read(door, guests, ask):
    """16 KiB, and no more."""
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "

    answer = await ask(head + b"x" * (REQUEST_MAX - len(head)))

    assert answer.startswith(b"HTTP/1.1 431 ")
    assert [] == guests.targets


async def test_who_waits_is_answered_when_it_is_known(door, guests, ask):
    """All of them, and only once."""
    waiting = [asyncio.create_task(ask(get("/later"))) for _ in range(3)]
    await guests.have_asked(3)

    door.release(HELLO)
    door.release(Reply(status=HTTPStatus.OK, body=b"twice"))

    assert [True] * 3 == [one.endswith(b"hello") for one in await asyncio.gather(*waiting)]


async def test_closing_hangs_up(door, guests, connect):
    """On who has asked and on who has not; the port is free at once. Twice is fine."""
    idle, _ = await connect()
    waiting, writer = await connect()
    writer.write(get("/later"))
    await guests.have_asked(1)

    door.close()
    door.close()

    with pytest.raises(ConnectionRefusedError):
        await connect()
    assert await hangs_up(idle)
    assert await hangs_up(waiting)
    assert "<Door closed visitors=0>" == repr(door)
    again = open_door([door.port], guests)
    assert door.port == again.port
    again.close()


async def test_an_answer_outlives_the_door(door, guests, connect):
    """What was written still goes out."""
    reader, writer = await connect()
    writer.write(get("/later"))
    await guests.have_asked(1)

    door.release(HELLO)
    door.close()

    assert (await reader.read()).endswith(b"hello")


async def test_a_browser_may_leave(door, guests, connect, ask):
    """Nobody is answered then."""
    _, writer = await connect()
    writer.write(get("/later"))
    await guests.have_asked(1)
    writer.transport.abort()
    # In the time of a whole request this one is noticed.
    await ask(get())

    door.release(HELLO)

    assert f"<Door 127.0.0.1:{door.port} visitors=0>" == repr(door)


async def test_idle_connections_keep_nobody_out(door, guests, connect, ask):
    """The oldest that has asked nothing makes room."""
    idle = [await connect() for _ in range(CONNECTIONS_MAX + 3)]

    assert (await ask(get())).endswith(b"hello")
    assert [True] * 3 == [await hangs_up(reader) for reader, _ in idle[:3]]


async def test_waiting_ones_are_kept(door, guests, connect):
    """When all have asked and wait, a new one is turned away."""
    waiting = [await connect() for _ in range(CONNECTIONS_MAX)]
    for _, writer in waiting:
        writer.write(get("/later"))
    await guests.have_asked(CONNECTIONS_MAX)

    reader, _ = await connect()

    assert await hangs_up(reader)
    door.release(HELLO)
    assert (await waiting[0][0].read()).endswith(b"hello")


async def test_the_door_may_be_closed_before_it_is_open(guests, kept_port):
    """Then the port is free as well."""
    door = open_door([kept_port], guests)
    door.close()

    again = open_door([kept_port], guests)

    assert kept_port == door.port == again.port
    again.close()


async def test_a_late_connection_is_closed(door, guests):
    """One that was accepted in the moment of closing."""
    door.close()

    assert not door.admit(object())


async def test_the_first_free_port_is_taken(guests):
    """A busy one is passed over; if all are, they are named."""
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        taken = busy.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port: {taken} on 127.0.0.1 cannot"):
            open_door([taken], guests)

        door = open_door([taken, 0], guests)

    assert taken != door.port
    door.close()


@pytest.mark.parametrize("reuse", [True, False])
def test_no_port_is_shared_where_an_option_would(guests, monkeypatch, reuse):
    """SO_REUSEADDR is asked for only where it is harmless."""
    asked = []

    class Recording(socket.socket):
        def setsockopt(self, level, name, value):
            asked.append(name)

    monkeypatch.setattr(socket, "socket", Recording)
    monkeypatch.setattr(loopback, "REUSE", reuse)
    open_door([0], guests).close()
    assert reuse == (socket.SO_REUSEADDR in asked)


async def test_other_failures_are_not_about_the_port(guests, monkeypatch):
    """A process without file handles, for one."""

    class Broken(socket.socket):
        def bind(self, address):
            raise OSError(errno.ENOBUFS, "no buffers")

    monkeypatch.setattr(socket, "socket", Broken)
    with pytest.raises(OSError, match="no buffers"):
        open_door([0], guests)


async def test_two_doors_do_not_share_a_port(guests):
    """Not even before they are open."""
    door = open_door([0], guests)
    with pytest.raises(ConfigurationError):
        open_door([door.port], guests)
    door.close()


@given(st.one_of(st.binary(), st.binary().map(lambda tail: b"GET / HTTP/1.1\r\nHost: " + tail)))
def test_no_bytes_do_harm(head):
    """Whatever comes is a target or an answer, and an answer can be sent."""
    found = read_request(head)
    if isinstance(found, Reply):
        assert found.wire_form().startswith(b"HTTP/1.1 4")
    else:
        assert found.startswith("/")


async def test_who_comes_in_the_moment_of_closing_is_hung_up_on(guests):
    """A connection that the event loop has accepted and not yet shown us is closed as well."""
    door = open_door([0], lambda _: door.close())
    await door.open()
    with socket.socket() as asking, socket.socket() as late:
        asking.connect(("127.0.0.1", door.port))
        # It is let in in the time of this.
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        # Both in one turn of the loop: it accepts, then reads, and only then goes on accepting.
        late.connect(("127.0.0.1", door.port))
        asking.sendall(get())
        # What was sent may come a while later; what the loop has accepted is shown without more.
        while not door.closed:  # noqa: ASYNC110 - the door sets no event
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        gc.collect()
        late.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert b"" == late.recv(1)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def test_a_door_outlives_its_loop(guests, kept_port):
    """A loop that was closed under it does not keep the port."""
    loop = asyncio.new_event_loop()
    door = open_door([kept_port], guests)
    loop.run_until_complete(door.open())
    loop.close()

    door.close()

    again = open_door([door.port], guests)
    assert door.port == again.port
    again.close()
