"""The drawing beside a view: what it writes, and that the view is shown all the same."""

from __future__ import annotations

import attrs
import pytest
from click.testing import CliRunner

from async_auth.cli.commands import commands
from async_auth.cli.demo.drawing import Drawing


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


def test_the_demo_draws_itself(tmp_path):
    """With --svg the usual lines are told, and the drawing says the same and fetches nothing."""
    path = tmp_path / "demo.svg"
    times = ["--seconds=4", "--token-life=2", "--spell=0.2", "--retry-after=0.1"]

    done = CliRunner().invoke(commands, ["demo", "--workers=3", *times, f"--svg={path}"])

    drawn = path.read_text(encoding="utf-8")
    assert "SignedIn" in done.stdout
    assert drawn.startswith("<svg")
    for word in ("SignedIn", "TokenRefreshed", "server", "requests"):
        assert word in drawn
    assert "@font-face" not in drawn
    assert "eyJ" not in drawn
