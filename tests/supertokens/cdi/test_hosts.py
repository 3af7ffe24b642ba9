"""The hosts of a core and their turns."""

from __future__ import annotations

import pytest

from async_auth import ConfigurationError
from async_auth.supertokens.cdi.hosts import REST, Hosts, parse_connection_uri


def test_hosts_take_turns():
    """Each is first as often as the others."""
    hosts = Hosts(("a", "b", "c"))

    assert [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]] == [
        hosts.order(0) for _ in range(4)
    ]


def test_a_host_that_failed_comes_last_for_a_while():
    """And gets its turn back when the time is over, or when it answers."""
    hosts = Hosts(("a", "b"))
    hosts.failed("a", 100.0)

    assert [["b", "a"], ["b", "a"]] == [hosts.order(100.0), hosts.order(100.0 + REST - 1)]
    assert ["a", "b"] == hosts.order(100.0 + REST)
    hosts.failed("b", 200.0)
    hosts.answered("b")
    assert ["b", "a"] == hosts.order(200.0)


def test_where_all_failed_the_first_that_did_is_asked_first():
    """None is ever given up."""
    hosts = Hosts(("a", "b", "c"))
    for moment, url in enumerate(("b", "c", "a")):
        hosts.failed(url, float(moment))

    assert ["b", "c", "a"] == hosts.order(3.0)
    assert "<Hosts 3, 3 of them resting>" == repr(hosts)


@pytest.mark.parametrize(
    "uri, expected",
    [
        ("http://localhost:3567", ("http://localhost:3567",)),
        (
            " https://a.example/ ; https://b.example/appid-x/ ;",
            ("https://a.example", "https://b.example/appid-x"),
        ),
        ("https://a.example;https://a.example/", ("https://a.example",)),
    ],
)
def test_a_connection_uri_names_hosts(uri, expected):
    """Spaces, empty parts, slashes at the end and doubles do no harm."""
    assert expected == parse_connection_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        None,
        3567,
        "",
        " ; ",
        "localhost:3567",
        "ftp://a.example",
        "https://",
        "https://a.example:port",
        "https://[a",
        "https://user:secret@a.example",
        "https://a.example?x=1",
        "https://a.example#x",
        "https://a .example",
        "https://ä.example",
        "https://a.example;http://b.example",
    ],
)
def test_what_is_no_url_of_a_core_is_refused(uri):
    """The error names the argument and shows no secret."""
    with pytest.raises(ConfigurationError, match="connection_uri") as caught:
        parse_connection_uri(uri)
    assert "secret" not in str(caught.value)


def test_plain_http_to_another_machine_has_to_be_asked_for():
    """As inside a network that one trusts."""
    assert ("http://core:3567",) == parse_connection_uri("http://core:3567", allow_insecure=True)
