"""Draw assets/lifecycle.svg: the life of a session, from the states and moves of the code.

The states are those of `Status`, and the arrows are found by playing every move of `Lifecycle` in
every state; only where things stand on the page is written here. An arrow without a place, or a
state without one, is an error, so the drawing cannot fall behind the code. A test compares the
file with what this program draws: `python docs/lifecycle.py` writes it.
"""

from __future__ import annotations

from pathlib import Path

from async_auth.core.lifecycle import Lifecycle
from async_auth.errors import NetworkError, RefreshRejected
from async_auth.session import Session, Status

PLACE = Path(__file__).parent / "assets" / "lifecycle.svg"
LIFE, MARGIN = 3600.0, 10.0
WIDTH, HEIGHT = 860, 430

#: The middle of each state's box, and what it means.
STATES = {
    Status.SIGNED_OUT: (110, 120, "no session"),
    Status.FRESH: (390, 120, "get_token() returns at once"),
    Status.DUE: (700, 120, "the timer refreshes"),
    Status.EXPIRED: (700, 320, "refreshes are tried on"),
    Status.REJECTED: (390, 320, "the server said no for good"),
    Status.CLOSED: (110, 320, "aclose(), from anywhere"),
}
BOX = (200, 62)

#: The arrows that are drawn: from, to, move; their line, and where the words stand.
ARROWS = {
    (Status.SIGNED_OUT, Status.FRESH, "signed in"): ("M210 120 H288", 249, 110),
    (Status.FRESH, Status.DUE, "time"): ("M490 108 H598", 545, 98),
    (Status.DUE, Status.FRESH, "refreshed"): ("M600 132 H492", 545, 150),
    (Status.DUE, Status.EXPIRED, "time"): ("M700 151 V287", 722, 222),
    (Status.EXPIRED, Status.FRESH, "refreshed"): ("M640 289 L462 153", 510, 240),
    (Status.EXPIRED, Status.REJECTED, "rejected"): ("M600 320 H492", 545, 312),
    (Status.FRESH, Status.REJECTED, "rejected"): ("M390 151 V287", 420, 215),
    (Status.REJECTED, Status.FRESH, "signed in"): ("M340 289 V153", 304, 225),
    (Status.FRESH, Status.SIGNED_OUT, "signed out"): ("M290 138 H212", 250, 157),
}
#: Found in the code as well, and said in words below the drawing: they hold from every state.
FROM_EVERYWHERE = {"signed in", "signed out"}
#: A refused refresh ends the session, however much of its token is left.
FROM_EVERY_SESSION = {"rejected", "refreshed"}

STYLE = """
  .paper { fill: #f7f9f9; stroke: #b8c4c4 }
  .box { fill: #ffffff; stroke: #00695c; stroke-width: 2 }
  .bad { stroke: #b71c1c } .off { stroke: #607d8b }
  .name { font: 600 16px ui-monospace, monospace; fill: #10302c }
  .note { font: 13px system-ui, sans-serif; fill: #37474f }
  .move { font: italic 13px system-ui, sans-serif; fill: #263238 }
  .line { stroke: #455a64; stroke-width: 1.8; fill: none } .tip { fill: #455a64 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #1c2426; stroke: #3c4a4d } .box { fill: #263033; stroke: #4db6ac }
    .bad { stroke: #ef9a9a } .off { stroke: #90a4ae }
    .name { fill: #e0f2f1 } .note { fill: #b0bec5 } .move { fill: #cfd8dc }
    .line { stroke: #b0bec5 } .tip { fill: #b0bec5 }
  }
"""


def session(issued_at: float) -> Session:
    """Return a session that began at that moment."""
    return Session(
        access_token="access",
        refresh_token="refresh",
        issued_at=issued_at,
        expires_at=issued_at + LIFE,
    )


def found() -> set[tuple[Status, Status, str]]:
    """Play every move in every state of the code; return what leads where."""
    living = Lifecycle().signed_in(session(0.0), u=0.0)
    refused = RefreshRejected("refused")
    states = {
        Status.SIGNED_OUT: (Lifecycle(), 0.0),
        Status.FRESH: (living, 1.0),
        Status.DUE: (living, LIFE - MARGIN),
        Status.EXPIRED: (living, LIFE),
        Status.REJECTED: (living.rejected(refused), 0.0),
    }
    arrows = set()
    for status, (lifecycle, now) in states.items():
        moved = {
            "signed in": (lifecycle.signed_in(session(now), u=0.0), now),
            "signed out": (lifecycle.signed_out(), now),
            "time": (lifecycle, {Status.FRESH: LIFE - MARGIN, Status.DUE: LIFE}.get(status, now)),
        }
        if lifecycle.session is not None:
            new = session(now)
            moved |= {
                "refreshed": (lifecycle.refreshed(new, now=now, u=0.0, u_backoff=0.0), now),
                "failed": (lifecycle.failed(NetworkError("away"), now=now, u=0.0), now),
                "rejected": (lifecycle.rejected(refused), now),
            }
        assert lifecycle.status(now) is status
        for move, (after, then) in moved.items():
            if after.status(then) is not status:
                arrows.add((status, after.status(then), move))
    return arrows


def check(arrows: set[tuple[Status, Status, str]]) -> None:
    """
    Compare the drawing with the code.

    Raises:
        ValueError: A state or an arrow is drawn that is not there, or is there and not drawn.
    """
    if set(STATES) != set(Status):
        raise ValueError(f"not drawn, or not there: {set(STATES) ^ set(Status)}")
    wrong = set(ARROWS) - arrows
    everywhere = FROM_EVERYWHERE | FROM_EVERY_SESSION
    missing = {arrow for arrow in arrows - set(ARROWS) if arrow[2] not in everywhere}
    if wrong or missing:
        raise ValueError(f"drawn and not in the code: {wrong}; not drawn: {missing}")


def draw() -> str:
    """Return the SVG."""
    check(found())
    width, height = BOX
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        ' aria-label="The states of a session and what leads from one to the next">',
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8"'
        ' markerHeight="8" orient="auto"><path class="tip" d="M0 0 L10 5 L0 10 z"/></marker></defs>',
        f'<rect class="paper" x="1" y="1" width="{WIDTH - 2}" height="{HEIGHT - 2}" rx="12"/>',
        '<g transform="translate(24 0)">',
        '<text class="note" x="10" y="36">A temporary failure changes no state: the session is'
        " kept, and the refresh is tried again.</text>",
    ]
    for (_, _, move), (path, x, y) in ARROWS.items():
        lines += [
            f'<path class="line" d="{path}" marker-end="url(#tip)"/>',
            f'<text class="move" x="{x}" y="{y}" text-anchor="middle">{move}</text>',
        ]
    kinds = {Status.REJECTED: " bad", Status.SIGNED_OUT: " off", Status.CLOSED: " off"}
    for status, (x, y, note) in STATES.items():
        box = f'x="{x - width // 2}" y="{y - height // 2}" width="{width}" height="{height}"'
        lines += [
            f'<rect class="box{kinds.get(status, "")}" {box} rx="8"/>',
            f'<text class="name" x="{x}" y="{y - 5}" text-anchor="middle">{status.name}</text>',
            f'<text class="note" x="{x}" y="{y + 17}" text-anchor="middle">{note}</text>',
        ]
    lines += [
        '<text class="note" x="10" y="396">A sign-in, a sign-out and a refusal lead to the same'
        " places from every state that has a session;</text>",
        '<text class="note" x="10" y="414">the arrows show the usual ways. One SignedOut event is'
        " told for each end of a session.</text>",
        "</g></svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PLACE.write_text(draw(), encoding="utf-8")
