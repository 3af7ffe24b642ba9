"""A transport that answers from a script."""

from __future__ import annotations

import asyncio
import json

import pytest

from async_auth.errors import NetworkError
from async_auth.http_messages import Request, Response
from async_auth.ports import Transport
from async_auth.testing import ScriptedTransport

REQUEST = Request("POST", "http://auth.test/token?x=s3cr3t", {"apikey": "s3cr3t"}, b"s3cr3t")


async def test_answers_come_in_order():
    """Each answer is given once; requests and timeouts are kept."""
    scripted = ScriptedTransport(Response(200, (), b"1"), Response(200, (), b"2"))
    transport: Transport = scripted

    answers = [await transport.send(REQUEST, timeout=seconds) for seconds in (5, 6)]

    assert [b"1", b"2"] == [answer.body for answer in answers]
    assert [REQUEST, REQUEST] == scripted.requests
    assert [5, 6] == scripted.timeouts


async def later(request: Request) -> tuple[int, str]:
    """Answer after a while, by the request."""
    await asyncio.sleep(0)
    return (200, request.method)


@pytest.mark.parametrize(
    "answer,status,body",
    [
        (204, 204, b""),
        ((200, {"a": 1}), 200, b'{"a": 1}'),
        ((429, [], {"Retry-After": "3"}), 429, b"[]"),
        (lambda request: Response(200, (), request.body), 200, b"s3cr3t"),
        (lambda _: 500, 500, b""),
        (later, 200, b'"POST"'),
    ],
)
async def test_an_answer_has_many_forms(answer, status, body):
    """A status, a pair, a triple, a function, a coroutine function."""
    response = await ScriptedTransport(answer).send(REQUEST, timeout=5)

    assert status == response.status
    assert body == response.body


async def test_json_says_what_it_is():
    """The pair comes as JSON, unless the script says something else."""
    transport = ScriptedTransport(
        (200, {}, {"Retry-After": "3"}), (200, {}, [("content-type", "text/html")])
    )

    first = await transport.send(REQUEST, timeout=5)
    second = await transport.send(REQUEST, timeout=5)

    assert "application/json" == first.headers["Content-Type"]
    assert "3" == first.headers["Retry-After"]
    assert ["text/html"] == second.headers.getall("Content-Type")
    assert {} == json.loads(second.body)


def fail(request: Request) -> Response:
    """Raise as a function of the script may."""
    raise NetworkError("lost", sent=True)


@pytest.mark.parametrize(
    "answer", [NetworkError("lost", sent=True), NetworkError, fail, lambda _: NetworkError("lost")]
)
async def test_exceptions_are_raised(answer):
    """An exception, its class, or a function that gives or raises one."""
    with pytest.raises(NetworkError):
        await ScriptedTransport(answer).send(REQUEST, timeout=5)


async def test_the_end_of_the_script_is_loud():
    """One request too many says which one it was, and shows no secret."""
    transport = ScriptedTransport(200)
    await transport.send(REQUEST, timeout=5)

    with pytest.raises(AssertionError, match="no answer is left for request 2") as caught:
        await transport.send(REQUEST, timeout=5)

    assert "auth.test/token" in str(caught.value)
    assert "s3cr3t" not in str(caught.value)
    assert [REQUEST] == transport.unanswered


async def test_what_is_no_answer_is_named():
    """A mistake in the script is a mistake of the test."""
    with pytest.raises(TypeError, match="a dict is no answer"):
        await ScriptedTransport({"a": 1}).send(REQUEST, timeout=5)


async def test_the_script_can_go_on(scripted_transport):
    """Answers may be added at any time, several times over."""
    scripted_transport.add(200, 503, times=2)

    statuses = [(await scripted_transport.send(REQUEST, timeout=5)).status for _ in range(4)]

    assert [200, 503, 200, 503] == statuses
    assert 0 == scripted_transport.left
    assert "ScriptedTransport(requests=4, answers_left=0)" == repr(scripted_transport)


async def test_answers_can_be_held_back(scripted_transport):
    """Requests arrive, and get their answers in that order when the test says so."""
    scripted_transport.add((200, 1), (200, 2))
    scripted_transport.hold()
    tasks = [asyncio.create_task(scripted_transport.send(REQUEST, timeout=5)) for _ in range(2)]

    assert [REQUEST, REQUEST] == await scripted_transport.wait_for_requests(2)
    assert not any(task.done() for task in tasks)
    scripted_transport.release()

    assert [b"1", b"2"] == [response.body for response in await asyncio.gather(*tasks)]
    assert [REQUEST, REQUEST] == await scripted_transport.wait_for_requests(1)


async def test_waiting_for_requests_can_be_cancelled(scripted_transport):
    """Whoever no longer waits is forgotten."""
    waiter = asyncio.create_task(scripted_transport.wait_for_requests(1))
    patient = asyncio.create_task(scripted_transport.wait_for_requests(2))
    await asyncio.sleep(0)
    waiter.cancel()
    scripted_transport.add(200, 200)

    await scripted_transport.send(REQUEST, timeout=5)
    assert not patient.done()
    await scripted_transport.send(REQUEST, timeout=5)

    assert [REQUEST, REQUEST] == await patient


async def test_it_can_be_closed(scripted_transport):
    """Closing is noted."""
    await scripted_transport.aclose()

    assert scripted_transport.closed
