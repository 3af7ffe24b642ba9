"""The live picture, drawn on consoles that keep what they show."""

from __future__ import annotations

import io

import attrs
import pytest
from rich.console import Console

from async_auth.cli.demo.picture import Picture, draw, styled
from async_auth.cli.demo.plan import Plan
from async_auth.cli.demo.tally import Tally
from async_auth.cli.demo.view import EventNote, FaultNote, Snapshot
from async_auth.core.policy import RefreshPolicy
from async_auth.events import Event, SignedIn, SignedOut
from async_auth.session import Status

NOW = Snapshot(
    elapsed=23.14,
    requests=14433,
    rate=321.4,
    refused=0,
    unwanted=0,
    exceptions=0,
    status=Status.FRESH,
    generation=3,
    left=9.0,
    life=12.0,
    margin=2.4,
    refreshed=2,
    failed=1,
    issued=2,
    fault="",
)


def console(width=80, encoding="utf-8", **options):
    """Return a console on a terminal of that width."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    options = {"force_terminal": True, "color_system": "standard", **options}
    return Console(file=file, width=width, highlight=False, _environ={"TERM": "xterm"}, **options)


def shown(on):
    """Return everything that was written to the console."""
    on.file.flush()
    return on.file.buffer.getvalue().decode(on.file.encoding)


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize(
    "now",
    [
        NOW,
        attrs.evolve(NOW, left=1.5, status=Status.DUE, fault="503 to every refresh"),
        attrs.evolve(NOW, left=-3.0, status=Status.EXPIRED, exceptions=12, refused=3),
        attrs.evolve(NOW, left=None, life=None, issued=None),
        attrs.evolve(NOW, left=3598.0, life=3600.0, requests=10**7),
        attrs.evolve(NOW, left=None, generation=0, status=Status.SIGNED_OUT),
    ],
)
def test_the_picture_fits(width, now):
    """Seven lines of the terminal's width, whatever is in them."""
    lines = console(width).render_lines(draw(now, 45.0), pad=False)
    texts = ["".join(segment.text for segment in line) for line in lines]

    assert 7 == len(texts)
    assert {width} == {len(text) for text in texts}


def test_what_the_picture_says():
    """The token's life, the workers, the client and the server."""
    on = console(no_color=True, color_system=None)
    on.print(draw(attrs.evolve(NOW, fault="503 to every refresh"), 45.0))
    text = shown(on)

    for words in (
        "token 3  ██",
        "9.0 s left, fresh",
        "14,433 requests, 321 a second",
        "401: 0   other answers: 0   exceptions: 0",
        "refreshed: 2   failed tries: 1   refresh tokens issued: 2",
        "server   503 to every refresh",
        "00:23.1 of 00:45.0",
    ):
        assert words in text


def test_a_terminal_that_knows_only_ascii():
    """The same in plain letters; nothing is written that it cannot show."""
    on = console(encoding="ascii")
    on.print(draw(NOW, 45.0))

    assert "##|####" in shown(on)


@pytest.mark.parametrize(
    "note, code",
    [
        (EventNote(elapsed=1.0, event=SignedIn()), "\x1b[32mSignedIn"),
        (EventNote(elapsed=1.0, event=SignedOut(reason="rejected")), "\x1b[31mSignedOut"),
        (EventNote(elapsed=1.0, event=Event()), "Event"),
        (FaultNote(elapsed=1.0, fault="f", phase="begin", text="t"), "\x1b[35m-- server"),
    ],
)
def test_names_are_coloured(note, code):
    """By what they mean; the rest of the line is not."""
    on = console()
    on.print(styled(note))

    assert f"00:01.0  {code}" in shown(on)


def test_a_run_from_begin_to_end():
    """It draws, not more often than ten times a second, and gives the cursor back."""
    on = console()
    tally = Tally(policy=RefreshPolicy())
    with Picture(on) as picture:
        picture.begin(Plan(), "a test")
        for elapsed in (0.0, 0.01, 0.02, 0.2):
            picture.tick(attrs.evolve(NOW, elapsed=elapsed, requests=int(elapsed * 100)))
        picture.note(EventNote(elapsed=0.3, event=SignedIn()))
        picture.end(tally.summary(seconds=1.0, workers=1))
    text = shown(on)

    assert "50 workers, one session, a test, for 45 s" in text
    assert "20 requests" in text
    assert "1 requests" not in text
    assert text.index("\x1b[?25l") < text.index("\x1b[?25h") < text.index("NOT OK")


def test_the_cursor_comes_back_whatever_happens():
    """Also when what is shown ends by an error."""
    on = console()

    def interrupted():
        with Picture(on) as picture:
            picture.begin(Plan(), "a test")
            picture.tick(NOW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert shown(on).rindex("\x1b[?25l") < shown(on).rindex("\x1b[?25h")
