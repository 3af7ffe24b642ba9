"""A claim in a payload: fetched, added, read and removed."""

from __future__ import annotations

import pytest

from async_auth import ConfigurationError
from async_auth.supertokens import BooleanClaim, PrimitiveArrayClaim, PrimitiveClaim
from async_auth.supertokens.claims.claim import SessionClaim


def nothing(*_arguments):
    """Find no value."""
    return


def test_a_claim_is_a_value_and_a_time(now):
    """In milliseconds, as every SuperTokens library writes it."""
    claim = PrimitiveClaim("role", nothing)
    payload = {"other": 1}
    found = claim.add_to_payload(payload, "admin", now=now + 0.0019)

    assert {"other": 1, "role": {"v": "admin", "t": 1_700_000_000_001}} == found
    assert ("admin", now + 0.001) == (claim.get_value(found), claim.get_last_refetch_time(found))
    assert {"other": 1} == payload


def test_a_claim_is_removed_outright_or_by_a_merge(now):
    """A merge takes null for removal."""
    claim = PrimitiveClaim("role", nothing)
    payload = {"other": 1, **claim.add_to_payload({}, "admin", now=now)}

    assert {"other": 1} == claim.remove_from_payload(payload)
    assert {"other": 1} == claim.remove_from_payload({"other": 1})
    assert {"other": 1, "role": None} == claim.remove_from_payload_by_merge(payload)


@pytest.mark.parametrize("found", [None, True, "admin", [1], {}, {"v": None}, {"t": "soon"}])
def test_something_else_under_the_key_has_no_value(found):
    """And does no harm."""
    for claim in (PrimitiveClaim("x", nothing), PrimitiveArrayClaim("x", nothing)):
        assert (None, None) == (
            claim.get_value({"x": found}),
            claim.get_last_refetch_time({"x": found}),
        )


def test_the_value_of_a_list_claim_is_a_list():
    """A text has characters, which are no roles."""
    claim = PrimitiveArrayClaim("roles", nothing)

    assert None is claim.get_value({"roles": {"v": "admin", "t": 1}})
    assert ["admin"] == claim.get_value({"roles": {"v": ["admin"], "t": 1}})


async def test_a_claim_is_fetched_by_a_function_or_a_coroutine():
    """With everything that is known of the session."""

    def plain(*arguments):
        return arguments

    async def coroutine(*arguments):
        return arguments

    asked = ("ada", "ada-recipe", "public", {"x": 1})
    for fetch_value in (plain, coroutine):
        assert asked == await SessionClaim("role", fetch_value).fetch(*asked)


async def test_a_new_session_gets_what_there_is(now):
    """Nothing where there is no value; false is a value."""
    user = ("ada", "ada-recipe", "public")

    assert {} == await PrimitiveClaim("role", nothing).build(*user, now=now)
    false = BooleanClaim("verified", lambda *_: False)
    assert {"verified": {"v": False, "t": 1_700_000_000_000}} == await false.build(*user, now=now)


async def test_an_error_of_the_users_function_is_the_callers():
    """It is not hidden behind a claim that does not hold."""

    def broken(*_arguments):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await PrimitiveClaim("role", broken).fetch("ada", "ada", "public", {})


@pytest.mark.parametrize(
    "arguments, options",
    [
        (("", nothing), {}),
        ((5, nothing), {}),
        (("sub", nothing), {}),
        (("role", None), {}),
        (("role", nothing), {"default_max_age": -1}),
        (("role", nothing), {"default_max_age": "1"}),
        (("role", nothing), {"default_max_age": True}),
    ],
)
def test_wrong_arguments_are_named(arguments, options):
    """By every kind of claim."""
    for kind in (PrimitiveClaim, BooleanClaim, PrimitiveArrayClaim):
        with pytest.raises(ConfigurationError, match=r"key|fetch_value|default_max_age"):
            kind(*arguments, **options)


def test_a_claim_shows_its_key():
    """Not what is in it."""
    assert "<BooleanClaim 'verified'>" == repr(BooleanClaim("verified", nothing))
