"""What a manager is given: what will do, and what is said of what will not."""

from __future__ import annotations

import math

import pytest

from async_auth import AccessToken, ConfigurationError, RefreshPolicy
from async_auth.engine import arguments

PORT = ("refresh_request", "parse_refresh", "dump", "load")


def thing(*methods):
    """Return an object with these methods."""
    return type("Thing", (), {method: lambda _: None for method in methods})()


@pytest.mark.parametrize(
    "check, value",
    [
        (arguments.check_count, 1),
        (arguments.check_count, 10**6),
        (arguments.check_positive, 0.001),
        (arguments.check_positive, 1),
        (arguments.check_positive, math.inf),
        (arguments.check_flag, False),
        (arguments.check_text, ""),
        (arguments.check_mapping, {}),
        (arguments.check_function, None),
        (arguments.check_function, print),
    ],
)
def test_what_will_do(check, value):
    """The least and the most of it, and the default."""
    check("it", value)


@pytest.mark.parametrize(
    "check, value, said",
    [
        (arguments.check_count, 0, "it must be an integer, 1 or more; got 0."),
        (arguments.check_count, True, "it must be an integer, 1 or more; got True."),
        (arguments.check_count, 1.0, "it must be an integer, 1 or more; got 1.0."),
        (arguments.check_positive, 0, "it must be a number, more than 0; got 0."),
        (arguments.check_positive, True, "it must be a number, more than 0; got True."),
        (arguments.check_positive, "1", "it must be a number, more than 0; got '1'."),
        (arguments.check_positive, math.nan, "it must be a number, more than 0; got nan."),
        (arguments.check_flag, 1, "it must be True or False, not int."),
        (arguments.check_text, b"hush", "it must be a string, not bytes."),
        (arguments.check_mapping, [("hush", 1)], "it must be a mapping, not list."),
        (arguments.check_function, "hush", "it must be a function, not str."),
    ],
)
def test_what_will_not_is_named(check, value, said):
    """With what is wrong; what may be a secret is not repeated."""
    with pytest.raises(ConfigurationError) as caught:
        check("it", value)

    assert said == caught.value.message


@pytest.mark.parametrize("missing", PORT)
def test_a_provider_has_four_methods(missing):
    """The one that is missing is named."""
    arguments.check_provider(thing(*PORT))

    with pytest.raises(ConfigurationError) as caught:
        arguments.check_provider(thing(*(name for name in PORT if name != missing)))

    assert f"provider must have {missing}(); Thing has not." == caught.value.message


def test_every_method_that_is_missing_is_named():
    """Not one after the other; what cannot be called is none."""
    half = thing("save")
    half.load = "no method"

    with pytest.raises(ConfigurationError) as caught:
        arguments.check_port("store", half, "load", "save", "delete")

    assert "store must have load(), delete(); Thing has not." == caught.value.message


def test_a_class_is_no_object():
    """It has the methods too."""
    with pytest.raises(ConfigurationError) as caught:
        arguments.check_port("store", type(thing("save")), "save")

    assert "store must be an object, not the class Thing." == caught.value.message


def test_a_policy_is_one_of_ours():
    """Or `None`; a class is named as itself."""
    arguments.check_policy(None)
    arguments.check_policy(RefreshPolicy())

    with pytest.raises(ConfigurationError) as caught:
        arguments.check_policy(RefreshPolicy)

    assert "policy must be a RefreshPolicy, not RefreshPolicy." == caught.value.message


@pytest.mark.parametrize("min_ttl", [None, 0, 0.5, 5, math.inf])
def test_a_min_ttl_that_will_do(min_ttl):
    """Seconds, nothing included."""
    arguments.check_min_ttl(min_ttl)


@pytest.mark.parametrize("min_ttl", [-0.001, True, "5", math.nan])
def test_a_min_ttl_that_will_not(min_ttl):
    """It is repeated: it is no secret."""
    with pytest.raises(ConfigurationError) as caught:
        arguments.check_min_ttl(min_ttl)

    assert f"min_ttl must be seconds, 0 or more; got {min_ttl!r}." == caught.value.message


@pytest.mark.parametrize(
    "check, good, name",
    [
        (arguments.check_rejected, [None, "text", AccessToken(value="a")], "rejected"),
        (arguments.check_refresh_token, [None, "text"], "refresh_token"),
    ],
)
def test_tokens_are_not_repeated(check, good, name):
    """Text is told by its type."""
    for value in good:
        check(value)

    with pytest.raises(ConfigurationError, match=rf"^{name} must be .*, not bytes\.$") as caught:
        check(b"hush")

    assert "hush" not in caught.value.message


@pytest.mark.parametrize("token", ["a", "a b.c-_~"])
def test_what_can_stand_in_a_header(token):
    """Printable ASCII, as it is."""
    assert token == arguments.bearer_text(token)


@pytest.mark.parametrize("token", ["", " ", "a\n", "hushé", b"hush", None])
def test_what_cannot_stand_in_a_header(token):
    """A line break would begin another header."""
    with pytest.raises(ConfigurationError, match=r"^token must") as caught:
        arguments.bearer_text(token)

    assert "hush" not in caught.value.message
