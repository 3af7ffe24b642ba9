"""The network between clients and the server: slow, lossy, and now and then quite gone.

A request that has left goes on without its sender: the server acts on it whether or not anybody
waits for the answer any more.
"""

from __future__ import annotations

import asyncio
import json

from simulated import invariants

from async_auth.errors import NetworkError
from async_auth.http_messages import Response

#: What the server may be like for a while; the last three do what was asked for all the same.
MOODS = (
    "unreachable",
    "429",
    "429 with Retry-After",
    "503",
    "503 with Retry-After",
    "500 as HTML",
    "409",
    "502 after the commit",
    "silence after the commit",
    "truncated answer",
)


class Network:
    """
    A unit's way to the server; an `async_auth.ports.Transport`.

    Args:
        world: Where.
        unit: Whose.
    """

    def __init__(self, world, unit):
        self._world = world
        self._unit = unit
        self._process = unit.process

    async def send(self, request, *, timeout):
        """Send a request into the world and wait for what comes back."""
        world, process = self._world, self._process
        draw = world.random
        refresh = world.server.spent_by(request)
        spend = self._depart(refresh) if refresh is not None else None
        answer = world.loop.create_future()
        fate = world.fate()
        delay = world.delay()
        if fate == "lost before":
            world.loop.at(delay, self._fail, answer, draw.random() < 0.5)
        else:
            world.loop.at(delay, self._arrive, request, spend, answer, fate)
        sent_at = process.clock.monotonic()
        try:
            response = await answer
        except asyncio.CancelledError:
            if spend is not None:
                broken = invariants.let_finish(
                    waited=max(process.clock.monotonic() - sent_at, world.loop.now - spend.sent_at),
                    timeout=timeout,
                )
                world.hold("let_finish", broken)
                spend.given_up = True
            raise
        except BaseException:
            if spend is not None:
                spend.given_up = True
            raise
        finally:
            if spend is not None:
                world.ledger.land(spend)
        if spend is not None:
            spend.delivered = True
            if spend.answered and not (spend.by_hand or spend.left):
                self._unit.owed[spend.key] = spend
        return response

    def _depart(self, refresh):
        """Judge what is spent, and whether it may be now."""
        world, process, unit = self._world, self._process, self._unit
        ledger = world.ledger
        ledger.count("requests")
        spend, before = ledger.depart(refresh, process, asyncio.current_task())
        if spend is None:
            return None
        since = ledger.held_since.get(spend.task, float("inf"))
        suspended = process.frozen_at >= since and not process.stopped
        broken = {
            "one_refresh_in_flight": invariants.one_refresh_in_flight(spend, ledger.flights),
            "spent_once": invariants.spent_once(spend, before, ledger.excuse),
            "spent_under_lease": invariants.spent_under_lease(spend, before, suspended=suspended),
        }
        if not (spend.by_hand or spend.left):
            known = unit.handle(spend.key).session
            memory = known and ledger.refresh_tokens.get(known.refresh_token)
            record = unit.world.backing.record_of(spend.key)
            broken["spends_the_newest"] = invariants.spends_the_newest(
                spend,
                ledger.place_of(refresh),
                memory and ledger.place_of(known.refresh_token),
                outdone=unit.world.plan.forgiving
                and None not in (known, record)
                and record.generation > known.generation,
            )
            broken["backs_off"] = invariants.backs_off(unit.must_wait(spend.key))
        for law, what in broken.items():
            world.hold(law, what)
        world.note(f"{process.index} spends {spend.label}")
        world.sent_refresh(process)
        return spend

    def _fail(self, answer, sent):
        if not answer.done() and self._process.alive:
            answer.set_exception(NetworkError("The connection was lost.", sent=bool(sent)))

    def _arrive(self, request, spend, answer, fate):  # noqa: C901 - one case after the other
        world = self._world
        mood = world.mood
        if mood == "unreachable":
            world.count("unreachable")
            world.loop.at(world.delay(), self._fail, answer, "")
            return
        if mood is not None and MOODS.index(mood) < MOODS.index("502 after the commit"):
            world.count(mood)
            world.loop.at(world.delay(), self._give, answer, _refusing(mood, world), spend, None)
            return
        served = world.server.serve(request, world.loop.now)
        if spend is not None:
            spend.answered = served.granted
            if served.granted:
                world.ledger.count("refreshes")
                world.ledger.taken(self._unit.number)
            if served.refused:
                world.server.forget_ended("the server")
            world.note(f"{spend.label} {'granted' if served.granted else served.response.status}")
        if mood is not None:
            world.count(mood)
            fate = "lost after" if mood.startswith("silence") else fate
        if fate == "lost after":
            world.loop.at(world.delay(), self._fail, answer, "lost")
            return
        response = served.response
        if mood == "502 after the commit":
            response = Response(502, {"Content-Type": "text/html"}, b"<html>Bad Gateway</html>")
        elif mood == "truncated answer" and not served.refused:
            response = Response(response.status, {}, response.body[: len(response.body) // 2])
        intact = response is served.response
        refused = spend if served.refused and intact else None
        if spend is not None and not intact:
            # What came is no answer to it: it counts as lost.
            spend.answered = False
        world.loop.at(world.delay(), self._give, answer, response, spend, refused)

    def _give(self, answer, response, spend, refused):
        if answer.done() or not self._process.alive:
            return
        if refused is not None:
            session = self._world.ledger.sessions[refused.sid]
            session.refused_at[self._unit.number] = self._world.loop.now
        answer.set_result(response)


def _refusing(mood, world):
    status = int(mood[:3])
    headers = {"Content-Type": "application/json"}
    if "Retry-After" in mood:
        headers["Retry-After"] = str(world.random.choice((1, 2, 5, 10)))
    if "HTML" in mood:
        return Response(status, {"Content-Type": "text/html"}, b"<html>It went wrong.</html>")
    return Response(status, headers, json.dumps({"message": "not now"}).encode())
