"""The verdict: what is flat, what grows, and what is too little to tell."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path

import pytest


@pytest.fixture
def verdict(monkeypatch):
    """The module beside this one, which is no package's."""
    place = Path(__file__).with_name("verdict.py")
    spec = importlib.util.spec_from_file_location("verdict", place)
    module = importlib.util.module_from_spec(spec)
    # attrs looks its classes' module up.
    monkeypatch.setitem(sys.modules, "verdict", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def judged(verdict):
    """A function that judges one value, given by a function of the second, over 300 seconds."""

    def judged(value, *, floor=100, per_life=0.0, warm_up=60):
        samples = [
            verdict.Sample(at=at, lives=10 * at, values={"objects": value(at)}) for at in range(301)
        ]
        limits = {"objects": verdict.Limit(floor=floor, per_life=per_life)}
        (finding,) = verdict.judge(samples, limits, warm_up=warm_up)
        return finding

    return judged


def noise(amount):
    """Return a function that draws the same noise in every run."""
    draw = random.Random(5)  # noqa: S311 - no secret
    return lambda: draw.uniform(-amount, amount)


@pytest.mark.parametrize("amount", [0, 1000])
def test_what_stays_is_flat(judged, amount):
    """However much it goes up and down."""
    around = noise(amount)
    finding = judged(lambda _: 70_000 + around(), floor=500)

    assert finding.flat
    assert 70_000 == pytest.approx(finding.middle, abs=300)


@pytest.mark.parametrize("amount", [0, 1000])
def test_what_leaks_grows(judged, amount):
    """An object for two lives, in the midst of noise that is nearly as large as the leak."""
    around = noise(amount)
    finding = judged(lambda at: 70_000 + 5 * at + around(), floor=500, per_life=0.1)

    assert not finding.flat
    assert 1200 == pytest.approx(finding.growth, rel=0.4)


def test_the_warm_up_does_not_count(judged):
    """What a process needs to begin with is no leak."""
    assert judged(lambda at: 1000 * min(at, 200), warm_up=200).flat
    assert not judged(lambda at: 1000 * min(at, 200), warm_up=0).flat


def test_a_peak_is_no_leak(judged):
    """A few samples that are far off, wherever they are, move nothing."""
    for first in (60, 180, 270):
        assert judged(lambda at, first=first: 9e9 if first <= at < first + 30 else 1).flat


def test_what_shrinks_is_flat(judged):
    """Less and less is no leak either."""
    finding = judged(lambda at: 70_000 - 100 * at)

    assert finding.flat
    assert -24_000 == finding.growth


def test_a_leak_that_is_less_than_its_limit_for_each_life_is_none(judged):
    """A server keeps a row for each: that is allowed by the life, not by the hour."""
    assert judged(lambda at: 10 * at, floor=0, per_life=1.01).flat
    assert not judged(lambda at: 10 * at, floor=0, per_life=0.99).flat


def test_few_samples_are_no_verdict(verdict):
    """Rather than that all is well."""
    samples = [verdict.Sample(at=at, lives=0, values={}) for at in range(9)]

    assert [5, 6, 7, 8] == [one.at for one in samples if one.at >= 5]
    with pytest.raises(ValueError, match="4 samples after the warm-up are too few"):
        verdict.judge(samples, {}, warm_up=5)
    assert [] == verdict.judge(samples, {}, warm_up=4)


def test_many_samples_are_thinned_to_the_last(verdict):
    """So that an hour is judged as fast as five minutes."""
    samples = [verdict.Sample(at=at, lives=0, values={}) for at in range(10_000)]
    used = verdict.settled(samples, warm_up=100)

    assert len(used) <= verdict.ENOUGH
    assert (samples[-1], True) == (used[-1], used[0].at < 150)
