"""The changes to a response: the last word counts, and nothing of the application's is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_auth.core.web.cookies import SetCookie
from async_auth.core.web.outgoing import Outgoing

HEADERS = st.sampled_from(["front-token", "st-access-token", "anti-csrf"])
VALUES = st.sampled_from(["", "a", "b"])
CHANGES = st.lists(
    st.tuples(st.just("header"), HEADERS, VALUES)
    | st.tuples(st.just("cookie"), st.sampled_from(["c", "d"]), VALUES)
    | st.tuples(st.just("discard"), HEADERS, st.none())
)
OTHERS = st.lists(
    st.tuples(st.sampled_from(["Content-Type", "Vary", "X-Own"]), VALUES)
    | st.tuples(st.just("Set-Cookie"), st.sampled_from(["own=1; Path=/", "own=2", "c=x; Path=/x"]))
    | st.tuples(
        st.just("Access-Control-Expose-Headers"), st.sampled_from(["*", "X-Own", "Front-Token, a"])
    )
)


def cookie(name="c", value="v", **changes):
    """Return a cookie with some changes."""
    facts = {"path": "/", "expires_at": 0.0, "secure": False, "same_site": "lax", **changes}
    return SetCookie(name=name, value=value, **facts)


def made_of(changes):
    """Return the sum of some changes."""
    outgoing = Outgoing()
    for kind, name, value in changes:
        if kind == "header":
            outgoing.set_header(name, value)
        elif kind == "cookie":
            outgoing.set_cookie(cookie(name, value))
        else:
            outgoing.discard_header(name)
    return outgoing


def test_no_change_changes_nothing():
    """A response that no session touches keeps even its doubled headers."""
    pairs = [("Access-Control-Expose-Headers", "a"), ("Access-Control-Expose-Headers", "a,*")]

    assert pairs == Outgoing().merged_into(pairs)
    assert not Outgoing()


def test_headers_are_set_and_exposed():
    """A header replaces the application's of that name and can be read by pages."""
    outgoing = Outgoing()
    outgoing.set_header("front-token", "f")

    merged = outgoing.merged_into([("Front-Token", "old"), ("Content-Type", "text/plain")])

    expected = [
        ("Content-Type", "text/plain"),
        ("access-control-expose-headers", "front-token"),
        ("front-token", "f"),
    ]
    assert expected == merged


@pytest.mark.parametrize(
    "before, after",
    [
        (["X-Own"], "X-Own,front-token"),
        (["a, b", "c,,A"], "a,b,c,front-token"),
        (["Front-Token"], "Front-Token"),
        (["*"], "*,front-token"),
    ],
)
def test_names_to_expose_are_appended_without_doubles(before, after):
    """What the application exposes stays exposed."""
    outgoing = Outgoing()
    outgoing.set_header("front-token", "f")
    pairs = [("Access-Control-Expose-Headers", value) for value in before]

    assert after == dict(outgoing.merged_into(pairs))["access-control-expose-headers"]


def test_a_cookie_is_set_once():
    """The later line replaces the earlier one of the same name, path and domain, and only that."""
    outgoing = Outgoing()
    outgoing.set_cookie(cookie(value="new"))
    outgoing.set_cookie(cookie("other"))
    outgoing.set_cookie(cookie(domain="example.com"))
    outgoing.set_cookie(cookie(value=""))

    pairs = [("Set-Cookie", "own=1; Path=/"), ("Set-Cookie", "c=theirs; path=/; Secure")]
    lines = [value for _, value in outgoing.merged_into(pairs)]

    names = [line.partition(";")[0] for line in lines]
    assert ["own=1", "other=v", "c=v", 'c=""'] == names


def test_cookies_alone_expose_nothing():
    """Without a header there is no name to expose."""
    outgoing = Outgoing()
    outgoing.set_cookie(cookie())

    assert ["set-cookie"] == [name for name, _ in outgoing.merged_into([])]


def test_what_is_discarded_is_not_told():
    """A header that is taken back is neither sent nor exposed."""
    outgoing = Outgoing()
    outgoing.set_header("anti-csrf", "x")
    outgoing.discard_header("anti-csrf")
    outgoing.discard_header("anti-csrf")

    assert not outgoing
    assert [] == outgoing.merged_into([])


@given(CHANGES, OTHERS)
def test_merging_twice_changes_nothing_more(changes, pairs):
    """An adapter that merges once too often does no harm."""
    outgoing = made_of(changes)
    once = outgoing.merged_into(pairs)

    assert sorted(once) == sorted(outgoing.merged_into(once))


@given(CHANGES, OTHERS)
def test_the_last_word_counts(changes, pairs):
    """Every header has the value that it was given last, once; the application's own stay."""
    last = {name: value for kind, name, value in changes if kind != "cookie"}
    merged = made_of(changes).merged_into(pairs)

    for name, value in last.items():
        assert ([] if value is None else [value]) == [v for n, v in merged if n == name]
    own = [pair for pair in pairs if pair[0] in ("Content-Type", "Vary", "X-Own")]
    assert own == [pair for pair in merged if pair in own]


def test_values_are_not_shown():
    """A repr has counts, and no tokens."""
    outgoing = Outgoing()
    outgoing.set_header("st-access-token", "hidden")
    outgoing.set_cookie(cookie(value="hidden"))

    assert "<Outgoing headers=1 cookies=1>" == repr(outgoing)


def test_defaults_give_way():
    """What the response says itself stays; else the default is there, and exposed to nobody."""
    outgoing = Outgoing()
    outgoing.set_default("cache-control", "no-store")

    own = [("Cache-Control", "private")]
    assert own == outgoing.merged_into(own)
    assert [("cache-control", "no-store")] == outgoing.merged_into([])
    assert outgoing
