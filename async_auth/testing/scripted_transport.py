"""A transport that answers from a script and remembers what it was asked.

It promises to give each answer once, in order, and to fail loudly when the script is over. It
reaches no network and prints no header, query or body.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from async_auth.http_messages import Request, Response

#: A response; an exception to raise; a status; a status and a JSON value, perhaps with headers;
#: or a function of the request that returns (or awaits) any of these.
Answer = (
    Response
    | BaseException
    | type[BaseException]
    | int
    | tuple[int, Any]
    | tuple[int, Any, Any]
    | Callable[[Request], Any]
)


class ScriptedTransport:
    """
    A fake transport; satisfies `async_auth.ports.Transport`.

    Safe to use concurrently: requests take their answers in the order in which they are sent.

    Args:
        answers: What the first requests get, in order.
    """

    def __init__(self, *answers: Answer) -> None:
        #: Every request that was sent, in order.
        self.requests: list[Request] = []
        #: The timeout that each came with, in seconds.
        self.timeouts: list[float] = []
        #: Requests that found the script at its end.
        self.unanswered: list[Request] = []
        self.closed = False
        self._answers: deque[Answer] = deque(answers)
        self._gate = asyncio.Event()
        self._gate.set()
        self._arrivals: list[tuple[int, asyncio.Future[None]]] = []

    def __repr__(self) -> str:
        return f"ScriptedTransport(requests={len(self.requests)}, answers_left={self.left})"

    @property
    def left(self) -> int:
        """How many answers the script still has."""
        return len(self._answers)

    def add(self, *answers: Answer, times: int = 1) -> None:
        """Append *answers* to the script, all of them *times* over."""
        self._answers.extend(answers * times)

    def hold(self) -> None:
        """Let requests arrive but keep their answers back until `release()`."""
        self._gate.clear()

    def release(self) -> None:
        """Give the answers that were held back, and hold none from now on."""
        self._gate.set()

    async def wait_for_requests(self, count: int) -> list[Request]:
        """Wait until *count* requests have arrived in all, and return those that have."""
        if len(self.requests) < count:
            arrival: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._arrivals.append((count, arrival))
            await arrival
        return self.requests

    async def send(self, request: Request, *, timeout: float) -> Response:
        """
        Give the next answer; *timeout* is only noted.

        Raises:
            AssertionError: The script is over.
            TypeError: What the script says is no answer.
            BaseException: Whatever the script says.
        """
        self.requests.append(request)
        self.timeouts.append(timeout)
        self._tell_arrivals()
        if not self._answers:
            self.unanswered.append(request)
            raise AssertionError(
                f"ScriptedTransport: no answer is left for request {len(self.requests)}, "
                f"{request!r}; add() one, or find out who sends it."
            )
        answer = self._answers.popleft()
        await self._gate.wait()
        return await self._play(answer, request)

    async def aclose(self) -> None:
        """Note that it was closed."""
        self.closed = True

    async def _play(self, answer: Any, request: Request) -> Response:
        if isinstance(answer, BaseException) or (
            isinstance(answer, type) and issubclass(answer, BaseException)
        ):
            raise answer
        if isinstance(answer, Response):
            return answer
        if isinstance(answer, int):
            return Response(answer)
        if isinstance(answer, tuple):
            return json_response(*answer)
        if not callable(answer):
            raise TypeError(f"ScriptedTransport: a {type(answer).__name__} is no answer.")
        answer = answer(request)
        if inspect.isawaitable(answer):
            awaited: Awaitable[Any] = answer
            answer = await awaited
        return await self._play(answer, request)

    def _tell_arrivals(self) -> None:
        for count, arrival in self._arrivals:
            if count <= len(self.requests) and not arrival.done():
                arrival.set_result(None)
        self._arrivals = [entry for entry in self._arrivals if not entry[1].done()]


def json_response(status: int, value: Any, headers: Any = ()) -> Response:
    """Return a response whose body is *value* as JSON."""
    pairs = list(headers.items() if hasattr(headers, "items") else headers)
    if not any(name.lower() == "content-type" for name, _ in pairs):
        pairs.append(("Content-Type", "application/json"))
    return Response(status, pairs, json.dumps(value).encode())
