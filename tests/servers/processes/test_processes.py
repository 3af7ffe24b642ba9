"""Many processes, one session: one refresh a life, and what a crash, a sleep or an outage costs.

Each test is one run of the program in this folder (`python tests/servers/processes --help`). In
CI the runs are short; `nox -s processes` has them in full size, for most of an hour, and prints
their figures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import inf
from pathlib import Path

import pytest

FULL = os.environ.get("ASYNC_AUTH_FULL") == "1"
PROGRAM = Path(__file__).parent
#: Seconds that a run may take; it ends by itself when a process hangs.
LIMIT = 3600 if FULL else 240

STORES = ("files", "redis")
ANSWERED = ("done by the server", "answered")
#: Where a process can be frozen.
SLEEPS = ("before the lock", "not sent yet", "answered", "saved", "random")


@pytest.fixture
def run():
    """A function that makes a run, prints its figures, and returns them."""
    # Not measured: nothing in here is shown by coverage that the tests in process do not show.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}

    def run(**words):
        timers = ["--timers"] if words.pop("timers", False) else []
        arguments = [f"--{name}={value}" for name, value in words.items() if name != "moments"]
        arguments += timers
        if "moments" in words:
            arguments += ["--moments", *words["moments"]]
        with subprocess.Popen(
            [sys.executable, "-W", "error", str(PROGRAM), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        ) as process:
            try:
                out, errors = process.communicate(timeout=LIMIT)
            except BaseException:
                # It kills its processes, those too that have stopped themselves.
                process.terminate()
                process.communicate(timeout=60)
                raise
        assert 0 == process.returncode, errors
        print(out)
        return json.loads(out)

    return run


def size(*, lives, processes, tasks, full=200, **more):
    """Return the size of a run: as it is here, or in full, with so many lives."""
    if FULL:
        return {"lives": full, "processes": 8, "tasks": 50}
    return {"lives": lives, "processes": processes, "tasks": tasks, **more}


@pytest.mark.parametrize("tasks", [1, 50] if FULL else [25])
@pytest.mark.parametrize("store", STORES)
def test_they_share_every_life_of_a_token(run, store, tasks):
    """Whoever asks first refreshes, all others have what it got: one request a life, no error."""
    words = size(lives=10, processes=4, tasks=tasks) | {"tasks": tasks}
    figures = run(store=store, rules="strict", **words)

    lives = words["lives"]
    assert [lives] * 3 == [figures[name] for name in ("lives", "refreshes", "requests")]
    assert lives * words["processes"] * tasks == figures["tokens"]
    assert [{}, {}] == [figures["errors"], figures["sign_outs"]]


#: By the clock a token lives for two seconds: in that time a machine that looks away is too late.
@pytest.mark.parametrize("how", [{"timers": True}, {"timed": 2}] if FULL else [{"timers": True}])
@pytest.mark.parametrize("store", STORES if FULL else ["redis"])
def test_their_timers_share_every_life_too(run, store, how):
    """With every process's timer going off at the same moment: still one request, and in time."""
    words = size(lives=4, processes=3, tasks=10)
    figures = run(store=store, rules="strict", **how, **words)

    assert words["lives"] <= figures["lives"] <= (inf if "timed" in how else words["lives"])
    assert [figures["lives"]] * 2 == [figures["refreshes"], figures["requests"]]
    assert [{}, {}] == [figures["errors"], figures["sign_outs"]]


@pytest.mark.parametrize("store", STORES)
def test_a_death_in_every_life_signs_nobody_out(run, store):
    """By the real server's rules a killed process costs a lease at most, whatever it was doing."""
    words = size(lives=8, processes=2, tasks=10, lease=1)
    figures = run(store=store, rules="default", trouble="kill", **words)

    assert [words["lives"]] * 2 == [figures["lives"], figures["refreshes"]]
    assert words["lives"] == sum(figures["troubles"].values())
    assert [{}, {}] == [figures["errors"], figures["sign_outs"]]
    assert figures["slowest"] < figures["lease"] + 30


@pytest.mark.parametrize("store", STORES if FULL else ["files"])
def test_what_a_death_costs_where_the_server_forgives_nothing(run, store):
    """The session is lost with an answer that nobody else has seen; everywhere else nothing is."""
    safe = ("idle", "before the lock", "not sent yet", "lost on the way", "saved")
    # Each session that is lost costs the start of a whole crew.
    words = size(lives=7, full=70, processes=2, tasks=10, lease=2)
    figures = run(store=store, rules="strict", trouble="kill", moments=(*safe, *ANSWERED), **words)

    lost = {moment: figures["troubles"][moment] for moment in ANSWERED}
    assert lost == figures["sign_outs"]
    assert words["lives"] == figures["refreshes"]
    assert {*safe, *ANSWERED} == set(figures["troubles"])


@pytest.mark.parametrize("rules", ["parent", "interval", "v2"] if FULL else ["interval"])
def test_either_rule_of_the_server_saves_an_answer(run, rules):
    """The parent rule alone does, and the reuse interval does if the lease is shorter than it."""
    words = size(lives=2, full=20, processes=2, tasks=10, lease=1)
    figures = run(store="redis", rules=rules, trouble="kill", moments=ANSWERED, **words)

    assert [{}, {}] == [figures["errors"], figures["sign_outs"]]
    assert 2 * words["lives"] == figures["requests"]


def test_a_sleeper_never_overwrites_what_came_after_it(run):
    """A process frozen past its lease, and woken, ends up with the token of the others."""
    words = size(lives=5, full=50, processes=2, tasks=10, lease=1)
    figures = run(store="redis", rules="default", trouble="freeze", moments=SLEEPS, **words)

    assert 2 * words["lives"] == figures["lives"] == figures["refreshes"]
    assert [{}, {}] == [figures["errors"], figures["sign_outs"]]


def test_what_a_sleep_costs_where_the_server_forgives_nothing(run):
    """With an answer it sleeps over, or a token that it sends too late, the session is lost."""
    moments = ("not sent yet", "answered", "before the lock", "saved")
    words = size(lives=2, full=12, processes=2, tasks=10, lease=1)
    figures = run(store="redis", rules="strict", trouble="freeze", moments=moments, **words)

    lost = {moment: figures["troubles"][moment] for moment in moments[:2]}
    assert lost == figures["sign_outs"]


def test_what_a_sleep_of_two_lives_costs(run):
    """A token that is sent two refreshes late ends the session, by the real server's rules too."""
    moments = ("not sent yet", "answered")
    words = size(lives=1, full=8, processes=2, tasks=10, lease=1)
    figures = run(
        store="redis", rules="default", trouble="freeze", sleep=2, moments=moments, **words
    )

    assert {"not sent yet": figures["troubles"]["not sent yet"]} == figures["sign_outs"]


def test_an_empty_redis_in_every_life_signs_nobody_out(run):
    """Killed, and back with nothing: locks and records are gone, the session is not."""
    words = size(lives=5, processes=3, tasks=10)
    figures = run(store="redis", rules="default", trouble="restart", moments=SLEEPS, **words)

    assert words["lives"] == figures["lives"]
    assert {} == figures["sign_outs"]
    assert words["lives"] <= figures["refreshes"]


def test_a_redis_that_answers_nobody_signs_nobody_out(run):
    """`CLIENT PAUSE` in the midst of a refresh: for a while there is no new token, then there is."""
    words = size(lives=3, full=6, processes=2, tasks=10)
    pause = 30 if FULL else 1.5
    # Nor are the others patient: there is an error, or it takes longer.
    words |= {"pause": pause, "lease": 1, "patience": 5}
    words["moments"] = ("answered", "not sent yet", "random")
    figures = run(store="redis", rules="default", trouble="pause", **words)

    assert words["lives"] == figures["lives"]
    assert {} == figures["sign_outs"]
    assert figures["slowest"] < pause + 30
