"""Hostile input: what servers were recorded to say, changed as nobody would who means well.

Hypothesis and not atheris, which has wheels for these Pythons as well: its fuzzer takes over the
process until it crashes, knows nothing of JSON, cookies or JWTs, and gives bytes; this changes
documents where they mean something, ends by itself, and gives the smallest example.

By default each test draws the same examples at every run. `nox -s hostile` draws others, many more
of them (`ASYNC_AUTH_EXAMPLES`).
"""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from async_auth.cli import words
from async_auth.cli.profile import Profile
from async_auth.cli.standing import standing_of
from async_auth.core.lifecycle import Lifecycle
from async_auth.errors import AuthError
from async_auth.http_messages import Response
from async_auth.notebook.cards import Plan, session_card
from async_auth.notebook.markup import html_of
from async_auth.ports import Record
from async_auth.session import Status
from async_auth.stores.copies import copy_record
from async_auth.stores.record_json import dump_record, parse_record

RECORDINGS = Path(__file__).parents[1] / "recordings"
NOW = 1_700_000_000.0
#: What we have sent, and no error may say.
SECRET = "s3cr3t-refresh-token"
SCRIPT = "<script>alert(1)</script>"
PROFILE = Profile(name="work", kind="gotrue", url="https://x.example/auth/v1")

EXAMPLES = int(os.environ.get("ASYNC_AUTH_EXAMPLES", "0"))
#: `nox` lets one Python draw all of them, and the others some (noxfile.py, THOROUGH).
USUAL = 20 if os.environ.get("ASYNC_AUTH_SAMPLE") == "1" else 60
settings.register_profile(
    "hostile",
    max_examples=EXAMPLES or USUAL,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

#: Values as they stand in a JSON text, valid or not.
LEAVES = (
    *("null", "true", "false", "0", "-1", "1", "[]", "{}", '""'),
    # Numbers that are none, or too large for a float, a clock, a calendar or Python's own guard.
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e308", "1.7976931348623157e308", "1e-400"),
    *("253402300800", "-62135596801", "18446744073709551616", "9" * 309, "9" * 400, "9" * 5000),
    # Texts that cannot be encoded, shown or put into a header.
    *(r'"\ud800"', r'"\udfff\ud800"', r'"\u0000"', r'"\u202e\u2066"', r'"\ufeff"'),
    *(r'"a\r\nX-Evil: 1"', r'"\u001b[2J\u0007"', '"\U0001f469\u200d\U0001f469"', '"e\u0301"'),
    *(json.dumps(SCRIPT), json.dumps(f"x {SECRET} y"), json.dumps("A" * 70_000)),
    *('"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"', '"2020-02-30"', '"T"'),
    *('"__proto__"', '"OK"', '"UNAUTHORISED"', '"TOKEN_THEFT_DETECTED"', '"weak_password"'),
    "[" * 150 + "]" * 150,
    '{"a":' * 99 + "1" + "}" * 99,
    "[" + "0," * 500 + "0]",
    '{"access_token":"a","refresh_token":"b"}',
    # No JSON at all.
    *("", "undefined", "'x'", "01", ".5", "[1,]", '{"a"}', '"\n"', '"\\x"', "/*"),
)
#: Headers' values.
HEADERS = (
    *("", " ", "0", "-1", "9" * 5000, "1e9", "NaN", "\u0663", "\udc80\udcff", "a\x00b", "a, b"),
    *("Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00"),
    *("Fri, 31 Dec 9999 23:59:59 -2359", "99 Foo 99999 99:99:99 +999999", "(" * 100, '"' * 100),
    *(SECRET, SCRIPT, "remove", "e30", "e30=", "W10=", "x" * 9000, "max-age=" + "9" * 40),
    *("application/json", "text/plain; charset=utf-16", "text/html", "\u202e", "Bearer", "=;=;"),
)
#: What becomes of a whole text.
SPOILED = (
    lambda body: body,
    lambda body: body,
    lambda body: body,
    lambda body: body[: len(body) // 2],
    lambda body: body + b"\x00",
    lambda body: body + b"{}",
    lambda body: b"\xef\xbb\xbf" + body,
    lambda body: body.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass"),
    lambda body: body.replace(b"a", b"\xff", 1),
    lambda body: body.replace(b"e", b"\xed\xa0\x80", 1),
    lambda body: body[:0],
)


class Raw(str):
    """A value as it stands in a JSON text."""

    __slots__ = ()


class Twice(tuple):
    """Two values of a member that is there twice."""

    __slots__ = ()


def written(value):
    """Return a JSON text; `Raw` as it is, `Twice` as a member that is there twice."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(member(*pair) for pair in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def member(name, value):
    """Return a member, or two of the same name."""
    values = value if isinstance(value, Twice) else (value,)
    return ",".join(f"{json.dumps(name)}:{written(one)}" for one in values)


def places_in(value):
    """Return every container in a value, with every name or number in it."""
    places = []
    waiting = [value]
    while waiting:
        found = waiting.pop()
        pairs = found.items() if isinstance(found, dict) else enumerate(found)
        for key, inner in list(pairs):
            places.append((found, key))
            if isinstance(inner, dict | list):
                waiting.append(inner)
    return places


@st.composite
def changed(draw, documents):
    """Draw one of some documents, with up to four of its members changed, as a JSON text."""
    root = [copy.deepcopy(draw(st.sampled_from(documents)))]
    for _ in range(draw(st.integers(0, 4))):
        places = places_in(root)
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["leaf", "leaf", "drop", "twice", "list", "swap", "name"])):
            case "leaf":
                holder[key] = Raw(draw(st.sampled_from(LEAVES)))
            case "drop":
                del holder[key]
            case "twice" if isinstance(holder, dict):
                holder[key] = Twice((holder[key], Raw(draw(st.sampled_from(LEAVES)))))
            case "list":
                holder[key] = [holder[key]]
            case "name" if isinstance(holder, dict):
                holder[draw(st.text(max_size=3))] = holder.pop(key)
            case _:
                other, place = draw(st.sampled_from(places))
                if place in other if isinstance(other, dict) else place < len(other):
                    # By its text, so that no container comes to contain itself.
                    holder[key] = Raw(written(other[place]))
    return "".join(map(written, root[:1]))


def spoiled(texts):
    """Draw a text as bytes, which may be spoiled as a whole."""
    return st.builds(
        lambda text, spoil: spoil(text.encode("utf-8", "surrogatepass")),
        texts,
        st.sampled_from(SPOILED),
    )


@st.composite
def headers(draw, names, documents=()):
    """Draw headers of some names, each up to twice; *documents* are headers to begin with."""
    found = CIMultiDict(draw(st.sampled_from(documents)) if documents else ())
    for name in draw(st.lists(st.sampled_from(names), max_size=4)):
        if draw(st.booleans()):
            found.popall(name, None)
        found.add(name, draw(st.sampled_from(HEADERS)))
    return found


def recorded(name):
    """Return the recordings of a file."""
    return json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))


def bodies_of(recordings):
    """Return the JSON answers of recordings, one of each form."""
    found = {}
    for one in recordings:
        body = one["response"].get("json")
        if isinstance(body, dict | list) and body:
            names = sorted(body) if isinstance(body, dict) else ["list"]
            found.setdefault((one["response"]["status"], *names), body)
    return list(found.values())


def headers_of(recording):
    """Return the headers of a recorded answer, those that come twice included."""
    return [
        (name, value)
        for name, values in recording["response"]["headers"].items()
        for value in (values if isinstance(values, list) else [values])
    ]


def ours(call, *args, also=(), **options):
    """
    Return what a call does, or `None` where it raises an error of ours, or one of *also*.

    Nothing else may come of it, and the error may say neither what we have sent nor anything that a
    terminal obeys.
    """
    try:
        return call(*args, **options)
    except AuthError as error:
        unsaid(error)
    except also as error:
        unsaid(error)
    return None


def unsaid(error):
    """Check that an error says nothing that it must not."""
    text = f"{error}{error!r}{getattr(error, '__dict__', None)}"
    assert SECRET not in text
    assert str(error).isprintable()
    assert len(str(error)) < 5000


def keep_and_show(session, provider):
    """Do with a session what becomes of one: count, store, load, show."""
    lifecycle = Lifecycle(session=session)
    lifecycle.next_action(NOW)
    json.dumps(standing_of(session, lifecycle.status(NOW), now=NOW).facts()).encode()
    record = Record(generation=3, sign_in_id="s", session=provider.dump(session))
    again = parse_record(dump_record(copy_record(record)))
    loaded = provider.load(dict(again.session))
    assert provider.dump(loaded) == provider.dump(provider.load(provider.dump(loaded)))
    for one in (session, loaded):
        assert one.access_token == session.access_token
        # None of it is part of what is shown in a text that is shorter.
        assert len(one.access_token) < 8 or one.access_token not in f"{one}{one!r}"
        standing = standing_of(one, Status.FRESH, now=NOW)
        assert words.headline(PROFILE, standing).isprintable()
        assert words.refresh(standing, now=NOW, alone=False)
        assert words.left(standing)
        card = session_card("Client", SCRIPT, Status.FRESH, one, now=NOW, plan=Plan())
        assert "<script" not in html_of(card)


class Hostile:
    """Everything above, for tests: they cannot import their neighbours."""

    NOW, SECRET, SCRIPT, LEAVES, HEADERS = NOW, SECRET, SCRIPT, LEAVES, HEADERS
    changed, spoiled, headers = staticmethod(changed), staticmethod(spoiled), staticmethod(headers)
    recorded, bodies_of = staticmethod(recorded), staticmethod(bodies_of)
    headers_of, ours, unsaid = staticmethod(headers_of), staticmethod(ours), staticmethod(unsaid)
    keep_and_show, written = staticmethod(keep_and_show), staticmethod(written)

    @staticmethod
    def response(status, pairs, body):
        """Return an answer."""
        return Response(status, pairs, body)


@pytest.fixture(scope="session")
def hostile():
    """Return what makes hostile input, and what judges what comes of it."""
    return Hostile
