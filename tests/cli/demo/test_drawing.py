"""The drawing beside a view: what it writes, and that the view is shown all the same."""

from __future__ import annotations

import attrs
import pytest
from click.testing import CliRunner

from async_auth.cli.commands import commands
from async_auth.cli.demo.drawing import Drawing
from async_auth.cli.demo.places import Embedded
from async_auth.cli.demo.plan import Plan


@attrs.define
class Told:
    """A view that remembers what it was told."""

    names: list[str] = attrs.field(factory=list)

    def begin(self, plan, place):
        """See `View.begin`."""
        self.names.append("begin")

    def note(self, note):
        """See `View.note`."""
        self.names.append("note")

    def tick(self, now):
        """See `View.tick`."""
        self.names.append("tick")

    def end(self, summary):
        """See `View.end`."""
        self.names.append("end")

    def __enter__(self):
        self.names.append("enter")
        return self

    def __exit__(self, *exc):
        self.names.append("exit")


def test_a_demo_that_did_not_end_draws_nothing(tmp_path):
    """The view beside it is left in any case."""
    told, path = Told(), tmp_path / "demo.svg"

    with pytest.raises(KeyError), Drawing(told, path):
        raise KeyError

    assert ["enter", "exit"] == told.names
    assert not path.exists()


async def test_the_demo_draws_itself(play, tmp_path):
    """The drawing says what the view beside it was told, and fetches nothing."""
    told, path = Told(), tmp_path / "demo.svg"

    with Drawing(told, path) as view:
        summary = await play(Plan(workers=3, pause=0.5), Embedded(), view)

    drawn = path.read_text(encoding="utf-8")
    assert summary.ok, summary.problems
    assert {"enter", "begin", "note", "tick", "end", "exit"} == set(told.names)
    assert drawn.startswith("<svg")
    for word in ("SignedIn", "RefreshFailed", "TokenRefreshed", "server", "requests"):
        assert word in drawn
    assert "@font-face" not in drawn
    assert "eyJ" not in drawn


def test_the_command_draws(tmp_path):
    """With --svg the usual lines are told all the same."""
    path = tmp_path / "demo.svg"
    options = ["--seconds=1", "--workers=3", "--token-life=3600", f"--svg={path}"]

    done = CliRunner().invoke(commands, ["demo", *options])

    assert "SignedIn" in done.stdout
    assert "SignedIn" in path.read_text(encoding="utf-8")
