"""The errors: the tree as it is drawn, and that every leaf survives the trip to a worker."""

from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from async_auth import errors
from async_auth.errors import (
    AuthError,
    AuthSessionMissing,
    ManagerClosed,
    NetworkError,
    RateLimited,
    RefreshRejected,
    TokenTheftDetected,
    WeakPassword,
    fresh_copy,
)

CLASSES = sorted(
    (
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, AuthError)
    ),
    key=lambda each: each.__name__,
)

#: A value for every argument that any of them takes.
VALUES = {
    "message": "what happened",
    "code": "some_code",
    "status": 418,
    "retry_after": 2.5,
    "sent": True,
    "reasons": ("length", "pwned"),
    "user_id": "u1",
    "session_handle": "handle",
    "subtype": "reuse",
    "clear_tokens": False,
}

each_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def made(kind):
    """Return an error with every argument given."""
    names = [name for name in inspect.signature(kind).parameters if name != "message"]
    return kind(VALUES["message"], **{name: VALUES[name] for name in names})


def drawn_tree():
    """Read the parent of every class off the drawing in the module's docstring."""
    parents, stack = {}, []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^    ([│├└─ ]*)([A-Z]\w+)(?:\s|$)", line)
        if found is None:
            continue
        depth = len(found[1]) // 3
        del stack[depth:]
        parents[found[2]] = stack[-1] if stack else None
        stack.append(found[2])
    return parents


def test_the_tree_is_as_it_is_drawn():
    """Each class has the one parent that the drawing shows, and none is missing in it."""
    parents = {each.__name__: each.__bases__[0].__name__ for each in CLASSES}
    parents["AuthError"] = None

    assert parents == drawn_tree()


@each_class
def test_every_error_has_the_facts(kind):
    """Message, code and status, and what its own class adds."""
    error = made(kind)
    names = inspect.signature(kind).parameters

    assert {name: VALUES[name] for name in names} == {name: getattr(error, name) for name in names}
    assert "what happened (status 418, code some_code)" == str(error)


@each_class
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_can_be_pickled(kind, protocol):
    """With all its attributes, so that it may cross a process pool."""
    error = made(kind)
    error.note = "an attribute that somebody added"

    twin = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own bytes

    assert kind is type(twin)
    assert vars(error) == vars(twin)
    assert error.args == twin.args
    assert str(error) == str(twin)


@each_class
@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, fresh_copy])
def test_every_error_can_be_copied(kind, clone):
    """A copy has the same facts, and is another object."""
    error = made(kind)
    twin = clone(error)

    assert error is not twin
    assert kind is type(twin)
    assert vars(error) == vars(twin)
    assert str(error) == str(twin)


@each_class
def test_every_error_needs_no_argument(kind):
    """Each can be raised as a bare class."""
    error = kind()

    assert None is error.code
    assert isinstance(str(error), str)


@each_class
def test_everything_but_the_message_is_named(kind):
    """An argument more, one day, breaks nobody's call."""
    with pytest.raises(TypeError):
        kind("message", "code")


def test_what_is_not_known_is_not_printed():
    """Facts that are missing leave no traces in the text."""
    assert "plain" == str(AuthError("plain"))
    assert "plain (status 500)" == str(AuthError("plain", status=500))
    assert "plain (code x)" == str(AuthError("plain", code="x"))


def test_the_defaults_speak_for_themselves():
    """Three errors are mostly raised bare."""
    assert "Auth session missing! (status 400)" == str(AuthSessionMissing())
    assert "Token theft detected" == str(TokenTheftDetected())
    assert "make a new one" in str(ManagerClosed())
    assert () == WeakPassword().reasons
    assert False is NetworkError().sent


def test_a_fresh_copy_keeps_the_cause_and_drops_the_traceback():
    """One error raised in ten thousand tasks must not pile up ten thousand tracebacks."""
    cause = OSError("away")
    try:
        try:
            raise cause
        except OSError as error:
            raise RateLimited("slow down", retry_after=3.0) from error
    except RateLimited as error:
        original = error

    clone = fresh_copy(original)

    assert cause is clone.__cause__
    assert None is clone.__traceback__
    assert 3.0 == clone.retry_after


def test_theft_is_a_refusal():
    """Who handles refusals handles theft as well."""
    assert issubclass(TokenTheftDetected, RefreshRejected)
