"""The two refresh algorithms: the table of scenarios over HTTP, and the rules by themselves."""

from __future__ import annotations

import asyncio

import aiohttp
import attrs
import pytest

from async_auth.testing.supertokens.rotation import (
    Granted,
    Lineage,
    Reuse,
    SessionRow,
    Verified,
    digest,
    is_on_a_living_branch,
    promote,
    refresh_lazily,
    refresh_rotating,
    verify_lazily,
)

HOUR = 3600

#: What was done, word by word: `r0 > a` refreshes r0 and calls the new pair a, or the outcome if
#: there is none; `use a` sends its access token where the core would see it; `check a` has the
#: database asked; `wait 60`. Then what the last step gave, and whether the session is still there,
#: by CDI 5.4 and by 5.6.
SCENARIOS = {
    "1 answer lost, again at once": (
        ["r0 > lost", "r0 > a", "use a"],
        ("OK", True),
        ("OK", True),
    ),
    "2 answer lost, again after a minute": (
        ["r0 > lost", "wait 60", "r0 > a"],
        ("OK", True),
        ("TOKEN_THEFT_DETECTED RECENT_PREV", False),
    ),
    "3 child's access token used, again within 10 s": (
        ["r0 > a", "use a", "wait 10", "r0 > b"],
        ("TOKEN_THEFT_DETECTED", True),
        ("OK", True),
    ),
    "4 child's access token used, again after a minute": (
        ["r0 > a", "use a", "wait 60", "r0 > b"],
        ("TOKEN_THEFT_DETECTED", True),
        ("TOKEN_THEFT_DETECTED RECENT_PREV", False),
    ),
    "5 child's refresh token used, again within 10 s": (
        ["r0 > a", "a > b", "wait 10", "r0 > c"],
        ("TOKEN_THEFT_DETECTED", True),
        ("TOKEN_THEFT_DETECTED STALE_LINEAGE", False),
    ),
    "6 two processes, the first an hour later": (
        ["r0 > a", "r0 > b", "use a", "use b", f"wait {HOUR}", "a > c"],
        ("OK", True),
        ("TOKEN_THEFT_DETECTED ORPHANED_BRANCH", False),
    ),
    "6 two processes, the second an hour later": (
        ["r0 > a", "r0 > b", "use a", "use b", f"wait {HOUR}", "a > c", "b > d"],
        ("TOKEN_THEFT_DETECTED", True),
        ("UNAUTHORISED", False),
    ),
    "7 only the later branch lives on": (
        ["r0 > a", "r0 > b", "use b", f"wait {HOUR}", "b > c"],
        ("OK", True),
        ("OK", True),
    ),
    "8 only the earlier branch lives on": (
        ["r0 > a", "r0 > b", "use a", f"wait {HOUR}", "a > c"],
        ("OK", True),
        ("TOKEN_THEFT_DETECTED ORPHANED_BRANCH", False),
    ),
    "9 background refreshes, access tokens never used": (
        [
            *("r0 > a", f"wait {HOUR}", "a > b", f"wait {HOUR}"),
            *("b > c", f"wait {HOUR}", "c > d"),
        ],
        ("OK", True),
        ("OK", True),
    ),
    "10 access token of a displaced branch, database asked": (
        ["r0 > a", "r0 > b", "use b", "check a"],
        ("OK", True),
        ("UNAUTHORISED", True),
    ),
    "11 access token two generations old, database asked": (
        ["r0 > a", "use a", "a > b", "use b", "check r0"],
        ("OK", True),
        ("UNAUTHORISED", True),
    ),
}


def outcome(answer):
    """Return an answer's status, and the subtype if it has one."""
    return " ".join(filter(None, (answer["status"], answer.get("recentTokenReuseSubtype"))))


async def play(caller, steps):
    """Do the steps of a scenario on a new session and return the last outcome."""
    pairs = {"r0": await caller.create()}
    last = ""
    for step in steps:
        match step.split():
            case [parent, ">", child]:
                answer = await caller.refresh(pairs[parent])
                pairs[child], last = answer, outcome(answer)
            case ["use", name]:
                last = outcome(await caller.verify(pairs[name]))
            case ["check", name]:
                last = outcome(await caller.verify(pairs[name], checkDatabase=True))
            case ["wait", seconds]:
                await caller.clock.advance(float(seconds))
    return last


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("version", ["5.4", "5.6"])
async def test_a_refresh_token_that_comes_again(core_call, scenario, version):
    """Each scenario of the table ends as it does with real cores, by both algorithms."""
    steps, lazy, rotating = SCENARIOS[scenario]
    caller = await core_call(version, access_token_validity=10 * HOUR)

    last = await play(caller, steps)

    assert (lazy if version == "5.4" else rotating) == (last, bool(caller.core.sessions))


async def test_ten_at_once_lazily(core_call):
    """Ten refreshes of one token are ten pairs; the first that is used wins, nine are thefts."""
    caller = await core_call("5.4")
    first = await caller.create()

    children = await asyncio.gather(*(caller.refresh(first) for _ in range(10)))

    assert ["OK"] * 10 == [child["status"] for child in children]
    assert 10 == len({child["refreshToken"]["token"] for child in children})
    later = [(await caller.refresh(child))["status"] for child in children]
    assert ["OK"] + ["TOKEN_THEFT_DETECTED"] * 9 == later
    assert 1 == len(caller.core.sessions)


async def test_ten_at_once_rotating(core_call):
    """Ten refreshes of one token are ten pairs; the last lives until a dead one is used."""
    caller = await core_call("5.6")
    first = await caller.create()

    children = await asyncio.gather(*(caller.refresh(first) for _ in range(10)))

    assert ["OK"] * 10 == [child["status"] for child in children]
    assert 10 == len({child["refreshToken"]["token"] for child in children})
    stored = next(iter(caller.core.sessions.values())).current
    living = [
        child for child in children if stored == digest(digest(child["refreshToken"]["token"]))
    ]
    assert 1 == len(living)
    dead = next(child for child in children if child not in living)
    assert "TOKEN_THEFT_DETECTED ORPHANED_BRANCH" == outcome(await caller.refresh(dead))
    assert "UNAUTHORISED" == outcome(await caller.refresh(living[0]))


@pytest.mark.parametrize(
    "version, wait, expected",
    [
        ("5.4", 0, "OK"),
        ("5.6", 0, "OK"),
        ("5.4", 60, "OK"),
        ("5.6", 60, "TOKEN_THEFT_DETECTED RECENT_PREV"),
    ],
)
async def test_an_answer_that_was_lost_after_the_work(core_call, version, wait, expected):
    """A refresh whose answer is dropped was done; the same token again is rows 1 and 2."""
    caller = await core_call(version)
    first = await caller.create()
    caller.core.faults.add("/recipe/session/refresh", drop="after")

    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.refresh(first)
    await caller.clock.advance(wait)

    assert expected == outcome(await caller.refresh(first))


async def test_a_session_crosses_the_versions(core_call):
    """What the lazy algorithm promoted the rotating one forgives, and the other way round."""
    caller = await core_call("5.4")
    first = await caller.create()
    second = await caller.refresh(first)
    caller.version = "5.6"
    # Never promoted: a child of the stored one rotates too.
    third = await caller.refresh(second)
    assert "OK" == outcome(await caller.verify(second, checkDatabase=True))
    assert "OK" == outcome(await caller.refresh(second))

    caller.version = "5.4"

    assert "TOKEN_THEFT_DETECTED" == outcome(await caller.refresh(third))
    assert 1 == len(caller.core.sessions)


async def test_a_promotion_by_use_is_forgiven_under_the_newer_version(core_call):
    """The lazy promotion writes the token before, so the grace period can apply to it."""
    caller = await core_call("5.4")
    first = await caller.create()
    await caller.verify(await caller.refresh(first))
    caller.version = "5.6"

    await caller.clock.advance(30)
    assert "OK" == outcome(await caller.refresh(first))
    await caller.clock.advance(0.001)
    assert "TOKEN_THEFT_DETECTED RECENT_PREV" == outcome(await caller.refresh(first))


R0, R1 = Lineage("r0"), Lineage("r1", "r0")
ROW = SessionRow(handle="h", user_id="ann", current=digest("r0"), created_at=0.0, expires_at=100.0)


def test_a_refresh_writes_nothing_lazily():
    """Up to CDI 5.5 the stored token is good for any number of children."""
    assert Granted(row=ROW, parent="r0") == refresh_lazily(ROW, R0, now=5.0, validity=100.0)


def test_a_child_is_promoted_and_the_session_slides():
    """Using the child's refresh token stores it, and the token before with it."""
    promoted = attrs.evolve(
        ROW, current=digest("r1"), previous=digest("r0"), rotated_at=5.0, expires_at=105.0
    )

    assert promoted == promote(ROW, R1, now=5.0, validity=100.0)
    assert Granted(row=promoted, parent="r1") == refresh_lazily(ROW, R1, now=5.0, validity=100.0)
    assert Verified(row=promoted, replace=True) == verify_lazily(
        ROW, R1, payload_changed=False, now=5.0, validity=100.0
    )


@pytest.mark.parametrize(
    "token, changed, replaced",
    [
        (Lineage("r0"), False, False),
        (Lineage("r0"), True, True),
        (Lineage("r0", "older"), False, True),
        (Lineage("sibling", "older"), False, False),
    ],
    ids=["no parent", "other payload", "promoted already", "sibling"],
)
def test_which_access_tokens_are_replaced(token, changed, replaced):
    """A token is replaced when its branch is the stored one, or its payload is not the stored."""
    verdict = verify_lazily(ROW, token, payload_changed=changed, now=5.0, validity=100.0)

    assert Verified(row=ROW, replace=replaced) == verdict


def test_the_grace_period_does_not_slide():
    """A further child inside the period displaces the first and leaves the period as it was."""
    rotated = refresh_rotating(ROW, R0, R1, now=5.0, validity=100.0, grace=30.0).row
    other = Lineage("other", "r0")

    again = refresh_rotating(rotated, R0, other, now=35.0, validity=100.0, grace=30.0)

    assert Granted(row=attrs.evolve(rotated, current=digest("other"))) == again
    assert Reuse(subtype="RECENT_PREV", ends_session=True) == refresh_rotating(
        again.row, R0, other, now=35.001, validity=100.0, grace=30.0
    )
    assert is_on_a_living_branch(again.row, R0)
    assert not is_on_a_living_branch(again.row, Lineage("r1"))


def test_a_grace_of_nothing_forgives_nothing():
    """With 0 even the same instant is reuse."""
    rotated = refresh_rotating(ROW, R0, R1, now=5.0, validity=100.0, grace=0.0).row

    assert Reuse(subtype="RECENT_PREV", ends_session=True) == refresh_rotating(
        rotated, R0, R1, now=5.0, validity=100.0, grace=0.0
    )


def test_nothing_shows_a_hash():
    """Rows and lineages are told apart without what tokens are told by."""
    assert digest("r0") not in repr(ROW)
    assert "r0" not in repr(R1)
