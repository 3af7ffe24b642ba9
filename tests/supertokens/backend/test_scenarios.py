"""Refresh tokens that come again, through the back end, by both algorithms of the core."""

from __future__ import annotations

import asyncio

import pytest

HOUR = 3600

#: What was done, word by word: `r0 > a` refreshes r0 and calls the new pair a; `use a` asks a
#: route that wants a session; `check a` one that looks into the database too; `wait 60`. Then
#: what the last step was answered and whether the session is there after, by CDI 5.4 and by 5.6.
OK, GONE = ("ok", True), ("unauthorised", False)
THEFT, REFRESH = ("token theft detected", False), ("try refresh token", True)
SCENARIOS = {
    "1 answer lost, again at once": (["r0 > lost", "r0 > a", "use a"], OK, OK),
    "2 answer lost, again after a minute": (["r0 > lost", "wait 60", "r0 > a"], OK, THEFT),
    "3 child's access token used, again within 10 s": (
        ["r0 > a", "use a", "wait 10", "r0 > b"],
        THEFT,
        OK,
    ),
    "4 child's access token used, again after a minute": (
        ["r0 > a", "use a", "wait 60", "r0 > b"],
        THEFT,
        THEFT,
    ),
    "5 child's refresh token used, again within 10 s": (
        ["r0 > a", "a > b", "wait 10", "r0 > c"],
        THEFT,
        THEFT,
    ),
    "6 two processes, the first an hour later": (
        ["r0 > a", "r0 > b", "use a", "use b", f"wait {HOUR}", "a > c"],
        OK,
        THEFT,
    ),
    "6 two processes, the second an hour later": (
        ["r0 > a", "r0 > b", "use a", "use b", f"wait {HOUR}", "a > c", "b > d"],
        THEFT,
        GONE,
    ),
    "7 only the later branch lives on": (
        ["r0 > a", "r0 > b", "use b", f"wait {HOUR}", "b > c"],
        OK,
        OK,
    ),
    "8 only the earlier branch lives on": (
        ["r0 > a", "r0 > b", "use a", f"wait {HOUR}", "a > c"],
        OK,
        THEFT,
    ),
    "9 background refreshes, access tokens never used": (
        ["r0 > a", f"wait {HOUR}", "a > b", f"wait {HOUR}", "b > c", f"wait {HOUR}", "c > d"],
        OK,
        OK,
    ),
    "10 access token of a displaced branch, database asked": (
        ["r0 > a", "r0 > b", "use b", "check a"],
        OK,
        REFRESH,
    ),
    "11 access token two generations old, database asked": (
        ["r0 > a", "use a", "a > b", "use b", "check r0"],
        OK,
        REFRESH,
    ),
}


@pytest.mark.parametrize("method", ["header", "cookie"])
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("version", ["5.4", "5.6"])
async def test_a_refresh_token_that_comes_again(
    core, manual_clock, make_front_end, scenario, version, method
):
    """Each scenario ends as the table says; a theft ends the session, whoever finds it out."""
    steps, lazy, rotating = SCENARIOS[scenario]
    first = make_front_end(method, cdi_version=version)
    await first.sign_in()
    pairs = {"r0": first}
    last = first
    for step in steps:
        match step.split():
            case [parent, ">", child]:
                last = pairs[child] = pairs[parent].copy()
                await last.refresh()
            case ["use", name]:
                last = pairs[name]
                await last.use()
            case ["check", name]:
                last = pairs[name]
                await last.use(check_database=True)
            case ["wait", seconds]:
                await manual_clock.advance(float(seconds))

    outcome = last.body.get("message", "ok")

    assert (lazy if version == "5.4" else rotating) == (outcome, bool(core.sessions))
    assert (outcome in ("unauthorised", "token theft detected")) == last.clears


async def test_ten_refreshes_at_once_lazily(core, make_front_end):
    """Ten refreshes of one token are ten pairs; the second that is used ends them all."""
    first = make_front_end(cdi_version="5.4")
    await first.sign_in()
    children = [first.copy() for _ in range(10)]

    assert [200] * 10 == await asyncio.gather(*(child.refresh() for child in children))

    assert 10 == len({child.headers["st-refresh-token"] for child in children})
    assert 200 == await children[0].refresh()
    assert 401 == await children[1].refresh()
    assert "token theft detected" == children[1].body["message"]
    assert {} == core.sessions
    assert 401 == await children[0].refresh()
    assert "unauthorised" == children[0].body["message"]


async def test_ten_refreshes_at_once_rotating(core, make_front_end):
    """Ten refreshes of one token are ten pairs, of which one lives; a dead one ends them all."""
    first = make_front_end(cdi_version="5.6")
    await first.sign_in()
    children = [first.copy() for _ in range(10)]

    assert [200] * 10 == await asyncio.gather(*(child.refresh() for child in children))

    checked = [await child.use(check_database=True) for child in children]
    assert [200] + [401] * 9 == sorted(checked)
    dead = children[checked.index(401)]
    assert not dead.clears
    assert 401 == await dead.refresh()
    assert dead.clears
    assert {} == core.sessions


async def test_a_swapped_token_costs_the_core_nothing_more(core, make_front_end):
    """The first use after a refresh asks the core and brings another token; the next asks nobody."""
    front_end = make_front_end(cdi_version="5.4")
    await front_end.sign_in()
    await front_end.refresh()
    before = front_end.headers["st-access-token"]

    assert 200 == await front_end.use()

    assert before != front_end.headers["st-access-token"]
    assert 1 == core.counts["/recipe/session/verify"]
    assert 200 == await front_end.use()
    assert [] == front_end.said
    assert 1 == core.counts["/recipe/session/verify"]


async def test_an_answer_of_the_core_that_was_lost_is_asked_for_again(core, make_front_end):
    """A refresh whose answer was lost between core and back end still succeeds, in both."""
    for version in ("5.4", "5.6"):
        front_end = make_front_end(cdi_version=version)
        await front_end.sign_in()
        core.faults.add("/recipe/session/refresh", drop="after")

        assert 200 == await front_end.refresh()
        assert 200 == await front_end.use(check_database=True)
