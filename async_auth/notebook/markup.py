"""A card as HTML: plain elements with their style beside them, no script, all text escaped.

Colours are the page's own, so that it looks right on light and on dark ones; the three of the
status can be read on both, and say nothing that is not also there in words.
"""

from __future__ import annotations

from html import escape

from async_auth.notebook.cards import Bar, Card, clock, words_of
from async_auth.notebook.told import Told
from async_auth.session import Status

_GREY, _GREEN, _AMBER, _RED = "#808080", "#2a9d5c", "#b7791f", "#d64545"
_COLOURS = {
    Status.FRESH: _GREEN,
    Status.DUE: _AMBER,
    Status.EXPIRED: _RED,
    Status.REJECTED: _RED,
}
_CARD = (
    f"max-width:44em;border:1px solid {_GREY};border-radius:6px;padding:.6em 1em;line-height:1.5"
)
_TRACK = (
    f"position:relative;height:.8em;margin:.4em 0 .2em;border:1px solid {_GREY};"
    "border-radius:4px;overflow:hidden"
)
_LEFT = "text-align:left;vertical-align:top;padding:0 1.2em 0 0;font-weight:normal"
_LABEL = f"{_LEFT};white-space:nowrap;opacity:.75"
_TABLE = "border-collapse:collapse;margin:.3em 0 0"


def html_of(card: Card) -> str:
    """Return a card as an HTML fragment."""
    parts = [
        _head(card),
        "" if card.bar is None else _bar(card.bar, _COLOURS.get(card.status or Status.FRESH)),
        _rows(card.rows),
        _recent(card),
        f'<div style="opacity:.75">As of {escape(clock(card.now, card.now))}.</div>',
    ]
    label = escape(" ".join(filter(None, [card.kind, card.name])))
    inside = "".join(parts)
    return f'<div role="group" aria-label="{label}" style="{_CARD}">{inside}</div>'


def _head(card: Card) -> str:
    name = f" <code>{escape(card.name)}</code>" if card.name else ""
    status = ""
    if card.status is not None:
        colour = _COLOURS.get(card.status, _GREY)
        dot = f'<span aria-hidden="true" style="color:{colour}">●</span>'
        status = f" {dot} {escape(words_of(card.status))}"
    return f"<div><strong>{escape(card.kind)}</strong>{name}{status}</div>"


def _bar(bar: Bar, colour: str | None) -> str:
    filled = f"height:100%;width:{bar.left:.1%};background:{colour or _GREY}"
    mark = ""
    if bar.due is not None:
        place = f"position:absolute;top:0;height:100%;left:{bar.due:.1%}"
        mark = f'<div style="{place};border-left:2px solid currentColor"></div>'
    text = escape(bar.text)
    return (
        f'<div role="img" aria-label="{text}" style="{_TRACK}">'
        f'<div style="{filled}"></div>{mark}</div><div aria-hidden="true">{text}</div>'
    )


def _rows(rows: tuple[tuple[str, str], ...]) -> str:
    lines = "".join(
        f'<tr><th scope="row" style="{_LABEL}">{escape(label)}</th>'
        f'<td style="{_LEFT}">{escape(text)}</td></tr>'
        for label, text in rows
    )
    return f'<table style="{_TABLE}"><tbody>{lines}</tbody></table>' if lines else ""


def _recent(card: Card) -> str:
    if not card.recent:
        return ""
    said = any(event.text for event in card.recent)
    heads = ["when", "event", *(["session"] if card.keys else []), *(["what"] if said else [])]
    head = "".join(f'<th scope="col" style="{_LABEL}">{text}</th>' for text in heads)
    body = "".join(_line(event, card, said=said) for event in card.recent)
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _line(event: Told, card: Card, *, said: bool) -> str:
    cells = [clock(event.at, card.now), event.name]
    cells += [event.key] if card.keys else []
    cells += [event.text] if said else []
    row = "".join(f'<td style="{_LEFT}">{escape(text)}</td>' for text in cells)
    return f"<tr>{row}</tr>"
