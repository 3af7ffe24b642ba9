"""The HTML of a card: well-formed, escaped, accessible, without scripts or colours of its own."""

from __future__ import annotations

from html.parser import HTMLParser

from async_auth.notebook.cards import Bar, Card
from async_auth.notebook.markup import html_of
from async_auth.notebook.told import Told
from async_auth.session import Status

NASTY = "<script>alert('x')</script>\"&"
FULL = Card(
    kind=NASTY,
    name=NASTY,
    status=Status.DUE,
    bar=Bar(left=0.25, due=0.2, text=f"a quarter {NASTY}"),
    rows=((NASTY, NASTY),),
    recent=(Told(60.0, NASTY, NASTY, NASTY),),
    keys=True,
    now=60.0,
)


class Reader(HTMLParser):
    """Reads a page: its tags in balance, its text, its attributes."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text, self.attributes = [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Note a tag and what it says."""
        self.open.append(tag)
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        """Check that it closes the last one."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Note text."""
        self.text.append(data)


def test_text_is_text():
    """Whatever a server, a key or an error says, it is shown and not obeyed."""
    page = Reader(html_of(FULL))

    assert [] == page.open
    assert {"div", "strong", "code", "span", "table", "tbody", "thead", "tr", "th", "td"} == set(
        page.tags
    )
    assert 7 == page.text.count(NASTY)


def test_there_is_nothing_active_in_it():
    """No script, no handler, no link, nothing that is fetched."""
    names = {name for _, name, _ in Reader(html_of(FULL)).attributes}

    assert {"role", "aria-label", "aria-hidden", "scope", "style"} == names
    assert "url(" not in html_of(FULL)


def test_the_bar_can_be_heard():
    """Who cannot see the bar is told what it shows, once; and the group has a name."""
    attributes = Reader(html_of(FULL)).attributes

    assert [f"{NASTY} {NASTY}", f"a quarter {NASTY}"] == [
        value for _, name, value in attributes if name == "aria-label"
    ]
    assert ["group", "img"] == [value for _, name, value in attributes if name == "role"]


def test_the_bar_is_as_long_as_the_life():
    """A quarter of a life fills a quarter of the bar, and the mark stands where it is due."""
    assert "width:25.0%" in html_of(FULL)
    assert "left:20.0%" in html_of(FULL)


def test_the_page_has_the_colours():
    """Neither text nor background has a colour of ours, so that light and dark pages both work."""
    styles = [value for _, name, value in Reader(html_of(FULL)).attributes if name == "style"]
    declarations = [part.split(":") for style in styles for part in style.split(";")]

    assert {"#b7791f"} == {value for name, value in declarations if name == "background"}
    assert {"#b7791f"} == {value for name, value in declarations if name == "color"}


def test_what_there_is_not_takes_no_place():
    """A card without facts is its head and its moment."""
    assert ["div", "div", "strong", "div"] == Reader(html_of(Card(kind="X", now=0.0))).tags
    assert "As of 00:00:00 UTC." in html_of(Card(kind="X", now=0.0))


def test_a_column_that_would_be_empty_is_left_out():
    """Events that say nothing more, of one session, are moments and names."""
    card = Card(kind="X", recent=(Told(60.0, "SIGNED_IN", "bot"),), now=0.0)

    text = Reader(html_of(card)).text
    assert ["X", "when", "event", "00:01:00 UTC", "SIGNED_IN", "As of 00:00:00 UTC."] == text
