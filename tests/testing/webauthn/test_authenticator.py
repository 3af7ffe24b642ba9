"""webauthn/authenticator.py: what a browser with a security key does, and refuses to do."""

from __future__ import annotations

import json

import pytest

from async_auth import ConfigurationError
from async_auth.testing import SoftwareAuthenticator
from async_auth.testing.webauthn.relying_party import RelyingParty
from async_auth.testing.webauthn.wire import from_base64url

CHALLENGE = b"c" * 32


def party(host="localhost", **origin):
    """Return a relying party of this id."""
    return RelyingParty(id=host, name="Site", origins=(origin.get("origin", ""),))


def creation(host="localhost", **more):
    """Return options that make a key."""
    return party(host).creation_options(
        challenge=CHALLENGE, user_handle=b"ann", user_name="Ann", **more
    )


def request(host="localhost", **more):
    """Return options that show one."""
    return party(host).request_options(challenge=CHALLENGE, **more)


def test_the_answer_is_plain_json():
    """It can be sent as it is, and says which page asked."""
    authenticator = SoftwareAuthenticator("https://app.example.com")
    for answer in (
        authenticator.create({"publicKey": creation("example.com")}),
        authenticator.get({"publicKey": request("example.com")}),
    ):
        assert answer == json.loads(json.dumps(answer))
        said = json.loads(from_base64url(answer["response"]["clientDataJSON"]))
        assert "https://app.example.com" == said["origin"]


def test_the_newest_key_is_shown_or_the_allowed_one():
    """Keys are told apart by relying party and by id."""
    authenticator = SoftwareAuthenticator("http://localhost:3000")
    of_site = party(origin="http://localhost:3000")
    first, second = (authenticator.create(creation()) for _ in range(2))
    assert second["id"] == authenticator.get(request())["id"]
    known = [of_site.verify_creation(first, challenge=CHALLENGE)]
    assert first["id"] == authenticator.get(request(known=known))["id"]
    with pytest.raises(ConfigurationError, match="exclude"):
        authenticator.create(creation(known=known))
    assert "<" not in repr(authenticator)
    assert "_keys=2" in repr(authenticator)


def test_the_page_is_the_relying_partys_where_nothing_is_said():
    """Without an id in the options it is the page's host."""
    authenticator = SoftwareAuthenticator("http://localhost:3000")
    options = creation()
    del options["rp"]["id"]
    made = authenticator.create(options)
    asked = request()
    del asked["rpId"]
    assert made["id"] == authenticator.get(asked)["id"]


@pytest.mark.parametrize("host", ["example.com", "host", "xlocalhost"])
def test_a_page_asks_for_itself_only(host):
    """Another relying party's keys are not made and not shown."""
    authenticator = SoftwareAuthenticator("http://localhost:3000")
    for call, options in (
        (authenticator.create, creation(host)),
        (authenticator.get, request(host)),
    ):
        with pytest.raises(ConfigurationError, match="may not ask"):
            call(options)


def test_what_it_cannot_do_is_said():
    """No key, no ES256, no options."""
    authenticator = SoftwareAuthenticator()
    with pytest.raises(ConfigurationError, match="no key here"):
        authenticator.get(request())
    with pytest.raises(ConfigurationError, match="ES256"):
        authenticator.create({**creation(), "pubKeyCredParams": [{"alg": -257}]})
    for wrong in ({}, {"publicKey": 1}, {**creation(), "rp": None}):
        with pytest.raises(ConfigurationError, match="no creation options"):
            authenticator.create(wrong)
    with pytest.raises(ConfigurationError, match="no request options"):
        authenticator.get({"allowCredentials": 1})
