"""Takes secrets out of text that somebody else wrote, before it gets into an error or a log.

A secret that we sent is found as it was, JSON-escaped, percent-encoded or HTML-escaped; besides,
whatever looks like a JWT goes. It cannot find a secret that was cut in pieces or encoded in
some other way.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
#: Longer than this is no message. It is left out rather than cut, for a cut may leave the
#: beginning of a secret standing.
LONGEST_TEXT = 4096
#: A shorter secret is redacted only where it stands alone: a password "e" would take every e.
SHORT_SECRET = 4

# A JOSE header is base64url of `{"`, `{ "`, `{\n` or `{\t`.
_JWT = re.compile(
    r"(?=((?:eyJ|eyA|ewo|ewk)[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_=-]*)+|eyJ[A-Za-z0-9_-]{16,}))"
)


def redact(text: str, secrets: Iterable[str | None] = ()) -> str:
    """
    Return *text* with every secret in it replaced by `[redacted]`.

    Args:
        text: What somebody else wrote.
        secrets: What must not be shown; `None` and empty ones are skipped.
    """
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    # Every place where anything matches, overlaps too: one secret may begin inside another.
    spans = [found.span(1) for found in _JWT.finditer(text)]
    for form in forms:
        spans += _places(form, text)
    spans.sort()
    pieces: list[str] = []
    shown = 0
    for start, end in spans:
        if start >= shown:
            pieces += (text[shown:start], REDACTED)
        shown = max(shown, end)
    return "".join((*pieces, text[shown:]))


def safe_text(text: str, secrets: Iterable[str | None] = (), *, limit: int = 300) -> str:
    """
    Return *text* redacted, on one line, printable, and at most *limit* characters long.

    Args:
        text: What somebody else wrote. More than `LONGEST_TEXT` characters are left out whole.
        secrets: What must not be shown.
        limit: The longest result.
    """
    if len(text) > LONGEST_TEXT:
        return f"({len(text)} characters left out)"
    clean = "".join(c if c.isprintable() else " " for c in redact(text, secrets))
    line = " ".join(clean.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _forms(secret: str) -> set[str]:
    as_json = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    as_url = {
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
    }
    lower_case = {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), url) for url in as_url}
    return {
        secret,
        html.escape(secret),
        # Go's encoder writes these three so that JSON can stand inside HTML.
        *(_like_go(form) for form in as_json),
        *as_json,
        *as_url,
        *lower_case,
    }


def _like_go(text: str) -> str:
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _places(form: str, text: str) -> Iterator[tuple[int, int]]:
    # By hand: the patterns of `re` stay in its cache, and with them hundreds of secrets.
    start = text.find(form)
    while start >= 0:
        end = start + len(form)
        if len(form) >= SHORT_SECRET or not (
            _is_word(text[start - 1 : start]) or _is_word(text[end : end + 1])
        ):
            yield start, end
        start = text.find(form, start + 1)


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"
