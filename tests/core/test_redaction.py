"""core/redaction.py: secrets in other people's text."""

from __future__ import annotations

import gc
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.core.redaction import LONGEST_TEXT, redact, safe_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.u-siO_Kg86IQ"
SECRET = 'pa"ss\\w/örd <&> 1'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1]
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026"),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        html.escape(SECRET),
    ],
)
def test_every_form_of_a_secret_goes(form: str) -> None:
    """A secret is found as it was, JSON-escaped, percent-encoded and HTML-escaped."""
    assert "bad value [redacted] given" == redact(f"bad value {form} given", [SECRET])


def test_lower_case_percent_encoding_goes_too() -> None:
    """Percent-encoding may be written with small letters (RFC 3986 section 2.1)."""
    assert "[redacted]" == redact("%c3%b6%2fabc", ["ö/abc"])


@pytest.mark.parametrize(
    "text", [JWT, f"x={JWT};", f"Bearer {JWT}", JWT.rpartition(".")[0], "eyJhbGciOiJIUzI1NiJ9AAAA"]
)
def test_whatever_looks_like_a_jwt_goes(text: str) -> None:
    """A JWT goes even if nobody named it, and so does the beginning of one."""
    assert "eyJ" not in redact(text)
    assert "[redacted]" in redact(text)


@pytest.mark.parametrize("text", ["", "404 page not found", "eyJ", "www.example-of.something.com"])
def test_other_text_stays(text: str) -> None:
    """What is no secret is left as it is."""
    assert text == redact(text, ["", None, "hunter22"])


def test_every_occurrence_goes() -> None:
    """However many there are, and what stands between them stays."""
    assert "a [redacted] b [redacted] c" == redact("a hunter22 b hunter22 c", ["hunter22"])


def test_overlapping_secrets_go_whole() -> None:
    """Where one secret begins inside another, nothing of either is left."""
    assert "a [redacted] b" == redact("a hunter22password b", ["hunter22pass", "22password"])


def test_a_short_secret_goes_only_where_it_stands_alone() -> None:
    """A one-letter password does not take every such letter out of the text."""
    assert "the letter [redacted]" == redact("the letter e", ["e"])


def test_a_secret_that_no_url_can_hold_goes_too() -> None:
    """A lone surrogate has no percent-encoding; that hinders nobody from finding it."""
    assert "bad [redacted]" == redact("bad \ud800abcd", ["\ud800abcd"])


def test_a_secret_of_four_letters_goes_inside_a_word_too() -> None:
    """Four letters are rare enough to be no accident."""
    assert "x[redacted]y" == redact("xhushy", ["hush"])


def test_safe_text_is_one_printable_line() -> None:
    """Line breaks and terminal codes cannot reach a log."""
    assert "a b [31mc d" == safe_text("a\r\nb\x1b[31mc\ud800\t d")


def test_safe_text_is_bounded() -> None:
    """A long text is cut after redaction, a very long one left out, so no secret is cut in two."""
    assert "aaaaaaaaa…" == safe_text("a" * 100, limit=10)
    assert "[redacted]" == safe_text("hunter22", ["hunter22"], limit=10)
    assert 300 == len(safe_text("a" * LONGEST_TEXT))
    assert "(4097 characters left out)" == safe_text("a" * (LONGEST_TEXT + 1))


@given(st.text(), st.text(min_size=8), st.text(), st.sampled_from([str, json.dumps, html.escape]))
def test_a_secret_is_never_left(before: str, secret: str, after: str, write: object) -> None:
    """Whatever stands around it, a secret that was named is gone."""
    text = f"{before}{write(secret)}{after}"  # type: ignore[operator]  # all three take a str
    found = redact(text, [secret])
    assert all(secret not in piece for piece in found.split("[redacted]"))


def test_no_secret_stays_in_the_cache_of_patterns() -> None:
    """A text that is looked through keeps none of what it was looked through for."""
    # No other test has this one: what those keep, in a pattern of their own, is no business of ours.
    secret = "correct-horse-of-no-other-test"
    assert "say [redacted]" == redact(f"say {secret}", [secret])
    # By its type: `isinstance` asks each object for its class, and a proxy of what is gone raises.
    patterns = [one.pattern for one in gc.get_objects() if type(one) is re.Pattern]

    assert [] == [one for one in patterns if re.escape(secret) in str(one)]
