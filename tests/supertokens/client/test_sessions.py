"""Sessions out of what answers say."""

from __future__ import annotations

import attrs
import pytest

from async_auth.errors import Malformed, ProtocolError
from async_auth.session import Session
from async_auth.supertokens.client import sessions
from async_auth.supertokens.client.responses import Told
from async_auth.supertokens.front_token import FrontToken

NOW = 1_700_000_000.0


def front(**claims):
    """Return a front token."""
    payload = {"iat": NOW, "exp": NOW + 60, "sessionHandle": "h", **claims}
    return FrontToken(user_id="ada", expires_at=payload["exp"], payload=payload)


def told(found=None, **facts):
    """Return what an answer of the session `h` says."""
    found = front() if found is None else found
    return Told(front=found, front_token=found.encode(), **facts)


def session(**facts):
    """Return a session of headers."""
    found = sessions.session_in(told(access_token="a", refresh_token="r"), sent_at=NOW, now=NOW)
    return attrs.evolve(found, **facts)


def amended(before, answer):
    """Return what an answer makes of a session."""
    return sessions.amended(before, answer, sent_at=NOW, now=NOW)


@pytest.mark.parametrize("prefer, expected", [("header", "a"), ("cookie", "c")])
def test_the_preferred_method_counts_where_both_are_there(prefer, expected):
    """An answer with both pairs of tokens is taken by the method that was asked for."""
    both = told(
        access_token="a",
        refresh_token="r",
        cookies={"sAccessToken": "c", "sRefreshToken": '"d%2F"'},
    )
    found = sessions.session_in(both, prefer=prefer, sent_at=NOW, now=NOW)

    assert expected == found.access_token
    assert prefer == sessions.transfer_of(found)


def test_the_other_method_counts_where_it_is_alone():
    """A back end that only knows cookies is believed; values are decoded, and kept raw."""
    cookies = {"sAccessToken": "c", "sRefreshToken": '"d%2F"'}
    found = sessions.session_in(told(cookies=cookies), prefer="header", sent_at=NOW, now=NOW)

    assert ("c", "d/") == (found.access_token, found.refresh_token)
    assert '"d%2F"' == sessions.cookie_of(found, "sRefreshToken")


@pytest.mark.parametrize(
    "answer",
    [
        told(access_token="a"),
        told(refresh_token="r"),
        told(cookies={"sAccessToken": "c"}),
        told(access_token="a", refresh_token="r", removed=True),
        Told(access_token="no-jwt", refresh_token="r"),
    ],
)
def test_half_a_session_is_none(answer):
    """Both tokens, whose expiry can be read, and no word that it is over."""
    assert sessions.session_in(answer, sent_at=NOW, now=NOW) is None


def test_without_a_front_token_the_access_token_counts(make_token):
    """Its own claims say whose it is and until when."""
    token = make_token()
    found = sessions.session_in(Told(access_token=token, refresh_token="r"), sent_at=NOW, now=NOW)

    assert ("ada", NOW + 3600) == (sessions.user_id_of(found), found.expires_at)
    assert "handle" == sessions.payload_of(found)["sessionHandle"]


@pytest.mark.parametrize(
    "iat, date, expected",
    [
        (NOW, None, 0.0),
        (NOW - 1, None, 0.0),
        (NOW + 3, None, 0.0),
        (NOW + 6.9, None, 0.0),
        (NOW - 6.9, None, 0.0),
        (NOW + 100, NOW, 100.0),
        (NOW - 100, NOW, -100.0),
        (None, NOW + 100, 100.0),
        (None, NOW, 0.0),
        (None, None, 0.0),
    ],
)
def test_c11_how_far_the_servers_clock_is_off(iat, date, expected):
    """By `iat`, else by `Date`; less than seven seconds, or a slow answer, is nothing."""
    assert expected == sessions.clock_skew(iat, date=date, sent_at=NOW, now=NOW + 3)


def test_an_answer_that_took_long_is_no_clock_that_is_off():
    """A token that was made while we waited says nothing against either clock."""
    assert 0.0 == sessions.clock_skew(NOW + 50, date=None, sent_at=NOW, now=NOW + 60)


def test_c18_a_time_with_a_fraction_is_a_whole_second():
    """Also beside another that is none: neither is older than the other for it."""
    found = sessions.session_in(
        told(front(iat=NOW + 0.9), access_token="a", refresh_token="r"), sent_at=NOW, now=NOW + 1
    )

    assert NOW == found.issued_at
    assert "b" == amended(found, told(front(iat=NOW, colour="red"), access_token="b")).access_token


def test_a_token_without_its_front_token_replaces_both(make_token):
    """The claims that count are those of the token that counts."""
    payload = {"iat": NOW, "exp": NOW + 3600, "sessionHandle": "handle"}
    old = FrontToken(user_id="ada", expires_at=NOW + 3600, payload=payload)
    before = sessions.session_in(
        told(old, access_token="a", refresh_token="r"), sent_at=NOW, now=NOW
    )

    found = amended(before, Told(access_token=make_token(colour="red")))

    assert "red" == sessions.payload_of(found)["colour"]


def test_a_token_without_iat_lives_from_the_request():
    """Nobody says when it was made: it cannot have been before that."""
    found = sessions.session_in(
        told(front(iat=None), access_token="a", refresh_token="r"), sent_at=NOW, now=NOW
    )

    assert (NOW, NOW + 60) == (found.issued_at, found.expires_at)


@pytest.mark.parametrize(
    "answer",
    [
        told(),
        told(access_token="b"),
        told(front(sessionHandle="other", colour="red"), access_token="b"),
        told(
            FrontToken(user_id="bob", expires_at=NOW, payload=front(colour="red").payload),
            access_token="b",
        ),
        told(front(iat=NOW - 1, colour="red"), access_token="b"),
        told(front(colour="red"), cookies={"sAccessToken": "b"}),
        Told(access_token="no-jwt"),
    ],
)
def test_c04_what_says_nothing_new_changes_nothing(answer):
    """The same claims, another session's, another user's, an older one's, another method's."""
    assert amended(session(), answer) is None


@pytest.mark.parametrize("claims", [{"colour": "red"}, {"exp": NOW + 70}, {"iat": NOW + 1, "x": 1}])
def test_another_claim_or_expiry_is_taken(claims):
    """The session goes on with the new token; what it had beside it stays."""
    before = session()
    found = amended(before, told(front(**claims), access_token="b"))

    assert ("b", "r") == (found.access_token, found.refresh_token)
    assert before.issued_at == found.issued_at
    assert claims.get("exp", NOW + 60) == found.expires_at


def test_a_committed_token_is_taken_once():
    """The first swap after a refresh commits; the other forty-nine have nothing to add."""
    before = session()
    uncommitted = front(parentRefreshTokenHash1="p")
    before = attrs.evolve(
        before, extra={**before.extra, sessions.FRONT_TOKEN: uncommitted.encode()}
    )

    committed = amended(before, told(front(parentRefreshTokenHash1=None), access_token="b"))

    assert "b" == committed.access_token
    assert amended(committed, told(front(parentRefreshTokenHash1=None), access_token="c")) is None


def test_a_swap_that_keeps_its_times_keeps_the_clock():
    """Only a token that was made for this answer says anything of the server's clock."""
    before = session(expires_at=NOW - 40, extra={**session().extra, sessions.SKEW: 100.0})

    found = amended(before, told(front(colour="red"), access_token="b"))

    assert (NOW - 40, 100.0) == (found.expires_at, sessions.skew_of(found))


def test_a_swap_that_is_newer_sets_the_clock():
    """It was made for this answer, whose server is an hour ahead."""
    newer = front(iat=NOW + 3600, exp=NOW + 3660)
    before = session(extra={**session().extra, sessions.SKEW: 100.0})

    found = amended(before, told(newer, access_token="b", date=NOW + 3600))

    assert 3600 == sessions.skew_of(found)


def test_an_anti_csrf_token_alone_is_kept():
    """A new one replaces the old one; the same one changes nothing."""
    found = amended(session(), Told(anti_csrf="c"))

    assert "c" == sessions.anti_csrf_of(found)
    assert amended(found, Told(anti_csrf="c")) is None


def test_a_cleared_token_of_an_expired_session_does_not_lengthen_it():
    """It has expired as it had; without an expiry it has now."""
    assert amended(session(expires_at=NOW - 5), Told(access_token="")) is None
    assert NOW == amended(session(expires_at=None), Told(access_token="")).expires_at


def test_a_cookie_replaces_its_own_only():
    """The refresh cookie stays as it is, also beside what a stranger has stored."""
    kept = {sessions.TRANSFER: "cookie", sessions.COOKIES: {"sRefreshToken": "r"}}
    before = session(extra={**session().extra, **kept})
    answer = told(front(colour="red"), access_token="b", cookies={"sAccessToken": '"b"'})

    found = amended(before, answer)
    assert {"sRefreshToken": "r", "sAccessToken": '"b"'} == found.extra[sessions.COOKIES]

    odd = attrs.evolve(before, extra={**before.extra, sessions.COOKIES: "x"})
    assert {"sAccessToken": '"b"'} == amended(odd, answer).extra[sessions.COOKIES]


def test_tokens_from_elsewhere():
    """In cookie mode they are the cookies' values; without a refresh token there is none."""
    facts = {"front_token": front().encode(), "anti_csrf": "c", "now": NOW}
    found = sessions.session_from_tokens("a", '"r%2F"', transfer="cookie", **facts)
    bare = sessions.session_from_tokens("a", "", transfer="cookie", **facts)

    assert ('"r%2F"', "r/") == (
        sessions.cookie_of(found, "sRefreshToken"),
        found.refresh_token,
    )
    assert ("c", None) == (sessions.anti_csrf_of(found), bare.refresh_token)
    assert sessions.cookie_of(bare, "sRefreshToken") is None


@pytest.mark.parametrize("front_token, error", [(None, Malformed), ("garbage", ProtocolError)])
def test_tokens_that_say_nothing_are_refused(front_token, error):
    """Neither by themselves nor by a front token."""
    with pytest.raises(error):
        sessions.session_from_tokens(
            "a", "r", front_token=front_token, anti_csrf=None, transfer="header", now=NOW
        )


def test_a_session_of_a_strangers_making():
    """What cannot be read counts as not there; nothing raises."""
    odd = Session(access_token="a", extra={"front_token": "garbage", "anti_csrf": 1})

    assert {} == sessions.payload_of(odd)
    assert (None, None, 0.0) == (
        sessions.user_id_of(odd),
        sessions.anti_csrf_of(odd),
        sessions.skew_of(odd),
    )
    assert ("header", "cookie") == (
        sessions.transfer_of(odd),
        sessions.transfer_of(odd, "cookie"),
    )
    assert amended(attrs.evolve(odd, user={"id": "ada"}), told(access_token="b")) is None


def test_a_session_of_a_token_without_its_front_token(make_token):
    """A claim that a later answer brings is taken; the same token is not."""
    token = make_token()
    before = Session(access_token=token, user={"id": "ada"}, expires_at=NOW + 3600)

    assert amended(before, Told(access_token=token)) is None
    newer = make_token(colour="red")
    assert newer == amended(before, Told(access_token=newer)).access_token


@pytest.mark.parametrize("value", ["a%0D%0AX-Evil:%201", "a%00", "%E2%80%AE", "%C3%A9"])
def test_a_cookie_that_decodes_to_no_token_is_none(value):
    """Percent-encoded, anything fits into a cookie; the token goes into headers."""
    pair = {"sAccessToken": "c", "sRefreshToken": "d"}
    before = sessions.session_in(told(cookies=pair), prefer="cookie", sent_at=NOW, now=NOW)
    newer = told(front(iat=NOW + 1, role="x"), cookies={"sAccessToken": value})

    for name in pair:
        hostile = told(cookies={**pair, name: value})
        assert None is sessions.session_in(hostile, prefer="cookie", sent_at=NOW, now=NOW)
    assert "c" == before.access_token
    assert None is amended(before, newer)


@pytest.mark.parametrize("iat, issued_at", [(NOW - 5, NOW - 5), (NOW + 5, NOW), (None, NOW)])
def test_tokens_from_elsewhere_were_issued_when_they_say(iat, issued_at):
    """But not in the future."""
    payload = {"exp": NOW + 60} if iat is None else {"iat": iat, "exp": NOW + 60}
    given = FrontToken(user_id="ada", expires_at=NOW + 60, payload=payload).encode()

    found = sessions.session_from_tokens(
        "a", "r", front_token=given, anti_csrf=None, transfer="header", now=NOW
    )

    assert issued_at == found.issued_at
