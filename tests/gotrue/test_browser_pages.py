"""gotrue/browser_pages.py: what the user reads, and that no page does more than it should."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser

import attrs
import pytest

from async_auth import ApiError, ManagerClosed, NetworkError, ProtocolError, SignInRequired
from async_auth.gotrue import browser_pages as pages

EVERY = {
    "done": pages.DONE,
    "stopped": pages.STOPPED,
    "stranger": pages.STRANGER,
    "nowhere": pages.NOWHERE,
    "looking": pages.LOOKING,
    "failed": pages.failed(ApiError("Refused by <script>alert('x')</script> & co", code="a<b")),
}


@attrs.define(init=False)
class Reader(HTMLParser):
    """Reads a page: its tags with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self.title = [], "", ""
        self.feed(page.reply("n0nce").body.decode())
        self.close()

    def handle_starttag(self, tag, attributes):
        """Note a tag."""
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        """Note a text that is seen."""
        if self.tags and self.tags[-1][0] == "title" and not self.title:
            self.title = data
        elif not self.tags or self.tags[-1][0] not in {"style", "script"}:
            self.text += data


@pytest.mark.parametrize("page", EVERY.values(), ids=EVERY)
def test_a_page_stands_alone(page):
    """No other resource, no handler, no form, no link; its own script and style have the nonce."""
    read = Reader(page)
    names = [tag for tag, _ in read.tags]
    assert [] == [tag for tag in names if tag in {"a", "form", "iframe", "img", "input", "object"}]
    assert ["n0nce"] * 2 == [a["nonce"] for tag, a in read.tags if tag in {"script", "style"}]
    held = [(name, value) for _, a in read.tags for name, value in a.items()]
    assert [("href", "data:,")] == [one for one in held if one[0] in {"href", "src", "action"}]
    assert [] == [name for name, _ in held if name.startswith("on") or name == "style"]
    assert "url(" not in page.reply("n").body.decode()


@pytest.mark.parametrize("page", EVERY.values(), ids=EVERY)
def test_a_page_can_be_read_by_everybody(page):
    """It has a language, a title that is its heading, and a picture that is not read out."""
    read = Reader(page)
    tags = dict(read.tags)
    assert "en" == tags["html"]["lang"]
    assert page.title == read.title
    assert page.title in read.text
    assert "true" == tags["svg"]["aria-hidden"]
    assert "light dark" in [a.get("content") for tag, a in read.tags if tag == "meta"]
    assert "prefers-color-scheme: dark" in page.reply("n").body.decode()


@pytest.mark.parametrize("page", EVERY.values(), ids=EVERY)
def test_a_page_goes_nowhere(page):
    """No cache, no referrer, no frame, nothing but its own script and style."""
    headers = page.reply("n0nce").headers
    policy = dict(
        one.split(" ", 1) for one in headers["Content-Security-Policy"].split("; ") if one
    )
    assert {
        "default-src": "'none'",
        "style-src": "'nonce-n0nce'",
        "script-src": "'nonce-n0nce'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    } == policy
    assert ("no-store", "no-referrer", "nosniff", "text/html; charset=utf-8") == tuple(
        headers[name]
        for name in ("Cache-Control", "Referrer-Policy", "X-Content-Type-Options", "Content-Type")
    )


def test_foreign_text_is_only_text():
    """It is shown as it was written."""
    read = Reader(EVERY["failed"])
    assert "Refused by <script>alert('x')</script> & co" in read.text
    assert "a<b" in read.text
    assert 1 == len([tag for tag, _ in read.tags if tag == "script"])


def test_a_lone_surrogate_is_shown_somehow():
    """Text that cannot be encoded is no reason to show nothing."""
    assert b"odd ?" in pages.failed(ApiError("odd \ud800")).reply("n").body


@pytest.mark.parametrize(
    "words, error",
    [
        ("Access was not granted.*User denied", ApiError("User denied", code="access_denied")),
        ("was refused.*No such flow", ApiError("No such flow", code="flow_state_not_found")),
        ("could not be done for now.*No answer", NetworkError("No answer")),
        ("took too long", SignInRequired("Nobody", code="sign_in_timeout")),
        ("could not be finished.*Begin anew", SignInRequired("Begin anew")),
        ("could not be finished.*neither", ProtocolError("neither")),
        ("stopped waiting", ManagerClosed()),
        ("stopped waiting", asyncio.CancelledError()),
        ("Something went wrong in your program", ValueError("s3cret")),
    ],
)
def test_a_failure_says_what_to_do(words, error):
    """By its kind; what a stranger raised is not shown."""
    page = pages.failed(error)
    text = Reader(page).text
    assert re.search(words, text, re.DOTALL)
    assert "Not signed in" == page.title
    assert "s3cret" not in text
