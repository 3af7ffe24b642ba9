"""The chart of the page: for each line of it, what the peers cost beside us, as an SVG.

Bars are on a logarithmic scale, for some peers cost a twentieth more and others fifty times as
much. Nothing is fetched by it, and it reads in light and in dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from page import Line

WIDTH, LEFT, RIGHT = 900, 290, 60
BAR, GAP, TITLE = 15, 12, 20
#: Where the axis begins: those who cost a fifth of what we do are on it.
LOWEST = 0.2
STYLE = """\
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 }
  .axis { stroke: #8b949e; stroke-width: 0.5 }
  .one { stroke: #00796b; stroke-width: 1; stroke-dasharray: 3 3 }
  .peer { fill: #9aa4af }
  .us { fill: #00897b }
  @media (prefers-color-scheme: dark) { text { fill: #d0d7de } .peer { fill: #6e7781 } }
"""


def to_svg(lines: Sequence[Line]) -> str:
    """Return the chart of those lines that have peers."""
    shown = [line for line in lines if line.peers]
    highest = max((times for line in shown for times in line.peers.values()), default=1.0)
    top = 10.0 ** math.ceil(math.log10(max(highest, 10.0)))
    body, y = [], 34
    for line in shown:
        body += list(group(line, y, top))
        y += TITLE + BAR * (len(line.peers) + 1) + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" '
        f'aria-label="What each costs, as a multiple of async_auth">'
    )
    return "\n".join([head, f"<style>\n{STYLE}</style>", *axis(y, top), *body, "</svg>", ""])


def place(times: float, top: float) -> float:
    """Return where on the axis this multiple of ours is."""
    share = math.log(max(times, LOWEST) / LOWEST) / math.log(top / LOWEST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def axis(height: float, top: float) -> Iterator[str]:
    """Draw the scale, and the line that we are at."""
    yield f'<text x="{LEFT}" y="14">cost, times async_auth (less is better)</text>'
    mark = 1.0
    while mark <= top:
        x = place(mark, top)
        kind = "one" if mark == 1 else "axis"
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="32" y2="{height - GAP}"/>'
        yield f'<text x="{x:.1f}" y="28" text-anchor="middle">{mark:g}</text>'
        mark *= 10


def group(line: Line, y: float, top: float) -> Iterator[str]:
    """Draw one line of the page."""
    title = line.row.title.replace("`", "")
    yield f'<text class="title" x="8" y="{y + 14}">{escape(title)}</text>'
    y += TITLE
    for name, times in [("async_auth", 1.0), *line.peers.items()]:
        end = place(times, top)
        kind = "us" if name == "async_auth" else "peer"
        middle = y + BAR - 4
        yield f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect class="{kind}" x="{LEFT}" y="{y + 2}" width="{end - LEFT:.1f}" height="{BAR - 4}"/>'
        if kind == "peer":
            yield f'<text x="{end + 5:.1f}" y="{middle}">{times:.3g}</text>'
        y += BAR
