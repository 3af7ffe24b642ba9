"""Every limit on what is read from outside, at its edge: as much is taken, one more is not.

The limits stand in the table of docs/threats.md; what is there and not here, or the other way round,
fails. Those of connections (how much of an answer, of a browser's request) are at their edges in
`tests/test_transport.py` and `tests/test_loopback.py`.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from importlib import import_module
from pathlib import Path

import pytest
from multidict import CIMultiDict

from async_auth.cli.profile_file import read_profiles
from async_auth.core import jwt
from async_auth.core.digits import whole_number
from async_auth.core.jwt.keys import PreparedKey, _prepared
from async_auth.core.plain_json import read_json
from async_auth.core.redaction import safe_text
from async_auth.core.retry_after import parse_http_date
from async_auth.core.web.cookies import parse_cookies
from async_auth.errors import AuthError, Malformed, StoreError
from async_auth.gotrue.admin.pages import page_of
from async_auth.gotrue.callback import Code, read_callback
from async_auth.gotrue.redirects import read_redirect
from async_auth.http_messages import Response
from async_auth.integrations.refusals import declares_much
from async_auth.jwks import JWKSet
from async_auth.ports import Record
from async_auth.stores import EncryptionKeys, FileStore
from async_auth.stores.record_json import UnreadableRecord, dump_record, parse_record
from async_auth.stores.redis.names import parse_message
from async_auth.supertokens.client.cookies import cookies_set
from async_auth.supertokens.client.responses import claim_validation_errors
from async_auth.supertokens.front_token import FrontToken

PAGE = Path(__file__).parents[2] / "docs" / "threats.md"
#: A row of the table of limits: a constant's full name, and its value with spaces in it.
ROW = re.compile(r"^\| `(async_auth\.[\w.]+)` \| ([\d ]+)", re.MULTILINE)
#: Those whose edge needs a connection, and where that is tested.
ELSEWHERE = {
    "async_auth.transport.RESPONSE_MAX": "tests/test_transport.py",
    "async_auth.loopback.REQUEST_MAX": "tests/test_loopback.py",
    "async_auth.loopback.CONNECTIONS_MAX": "tests/test_loopback.py",
    "async_auth.cli.token_endpoint.BODY_MAX": "tests/cli/test_token_endpoint.py",
    "async_auth.web_sessions.signing.MAX_LENGTH": "tests/web_sessions/test_signing.py",
}


def raises(kinds, call, *args):
    """Say whether a call raises one of *kinds*."""
    try:
        call(*args)
    except kinds:
        return True
    return False


def base64_of(length, start, end):
    """
    Return base64 without padding of *start*, as many x as it takes, and *end*.

    It has so many characters, or one more where no base64 has so many.
    """
    size = (length + (length % 4 == 1)) * 3 // 4
    return base64.b64encode(start + b"x" * (size - len(start + end)) + end).decode().rstrip("=")


def jwt_of(length):
    """Return what could be a JWT, of so many characters or one more."""
    head = base64_of(40, b'{"alg":"HS256","x":"', b'"}')
    rest = length - len(head) - len("..AAAA")
    claims = base64_of(rest, b'{"sub":"', b'"}')
    return f"{head}.{claims}.AAAA"


def json_of(length):
    """Return a JSON text of so many bytes."""
    return b'"' + b"x" * (length - 2) + b'"'


def record_of(length):
    """Return a record's file, of so many bytes."""
    start = b'{"version": 1, "generation": 1, "sign_in_id": "s", "session": {"a": "'
    end = b'"}}'
    return start + b"x" * (length - len(start) - len(end)) + end


def nested(depth):
    """Return a record whose values are nested so deep; the record itself is two of them."""
    value = []
    for _ in range(depth - 3):
        value = [value]
    return Record(generation=1, sign_in_id="s", session={"a": value})


async def keys_in(body):
    """Return the keys that a set is read as."""

    async def fetch():
        return Response(200, {}, body)

    return await JWKSet(fetch).keys_for(None)


def takes_number(length):
    """Say whether a key's number of so many characters is made one."""
    key = {"kty": "RSA", "e": "AQAB", "n": "_" * length}
    return _prepared(key, "RS256") is not None


def takes_depth(depth):
    """Say whether a record of this depth is written; what is written is read."""
    try:
        content = dump_record(nested(depth))
    except StoreError:
        content = json.dumps(
            {"version": 1, "generation": 1, "sign_in_id": "s", "session": nested(depth).session}
        ).encode()
        assert raises(UnreadableRecord, parse_record, content)
        return False
    return parse_record(content) == nested(depth)


def takes_generation(generation):
    """Say whether a record of this generation is written; what is written is read."""
    record = Record(generation=generation, sign_in_id="s", session={})
    content = json.dumps(
        {"version": 1, "generation": generation, "sign_in_id": "s", "session": {}}
    ).encode()
    read = not raises(UnreadableRecord, parse_record, content)
    assert read == (not raises(StoreError, dump_record, record))
    return read


def takes_record(length):
    """Say whether a record of so many bytes is read."""
    return not raises(UnreadableRecord, parse_record, record_of(length))


def takes_address(length):
    """Say whether an address of so many characters is read."""
    start = "https://a.example/?code=c&x="
    return not raises(AuthError, read_redirect, start + "x" * (length - len(start)))


def takes_members(count):
    """Say whether an address with so many members is read."""
    members = "&".join(["code=c", *(f"m{number}=1" for number in range(count - 1))])
    return not raises(AuthError, read_redirect, f"https://a.example/?{members}")


def takes_fields(count):
    """Say whether a query with so many members at our port is read."""
    members = "&".join(["state=s", "code=c", *(f"m{number}=1" for number in range(count - 2))])
    return read_callback(f"/callback?{members}", path="/callback", state="s") == Code("c")


def takes_link(length):
    """Say whether a link that ends at this character is read."""
    link = '<https://a.example/users?page=2>; rel="next'
    headers = CIMultiDict({"Link": " " * (length - len(link)) + link + '"'})
    return page_of(Response(200, headers, b""), ()).next_page == 2


def takes_front_token(length):
    """Say whether a front token of so many characters is read."""
    text = base64_of(length, b'{"uid":"u","ate":1,"up":{"x":"', b'"}}')
    return not raises(AuthError, FrontToken.decode, text)


def takes_text(length):
    """Say whether somebody's text of so many characters is shown."""
    return safe_text("x" * length).startswith("x")


def takes_date(length):
    """Say whether a date of so many characters is read."""
    return parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT".rjust(length)) is not None


def takes_cookies(length):
    """Say whether cookies of so many characters are read."""
    return parse_cookies(["a=b", f"c={'d' * (length - len('a=bc='))}"]) != ()


def takes_claims_body(length):
    """Say whether a refusal's body of so many bytes is read."""
    return claim_validation_errors(b'{"claimValidationErrors":[]}'.ljust(length)) is not None


def takes_header(length):
    """Say whether a JWT with a header of so many characters is read."""
    header = base64_of(length, b'{"alg":"HS256","x":"', b'"}')
    return not raises(Malformed, jwt.peek, f"{header}.e30.AAAA")


#: What takes as much as each limit says, and no more.
LIMITS = {
    "async_auth.core.digits.MAX_DIGITS": lambda n: whole_number("9" * n) is not None,
    "async_auth.core.plain_json.MAX_LENGTH": lambda n: (
        not raises(ValueError, read_json, json_of(n))
    ),
    "async_auth.core.plain_json.MAX_DEPTH": lambda n: (
        not raises(ValueError, read_json, b"[" * n + b"]" * n)
    ),
    "async_auth.core.redaction.LONGEST_TEXT": takes_text,
    "async_auth.core.retry_after.MAX_LENGTH": takes_date,
    "async_auth.core.jwt.MAX_TOKEN_LENGTH": lambda n: not raises(Malformed, jwt.peek, jwt_of(n)),
    "async_auth.core.jwt.MAX_HEADER_LENGTH": takes_header,
    "async_auth.core.jwt.keys.NUMBER_MAX": takes_number,
    "async_auth.core.web.cookies.MAX_LENGTH": takes_cookies,
    "async_auth.gotrue.admin.pages.LINK_MAX": takes_link,
    "async_auth.gotrue.callback.FIELDS_MAX": takes_fields,
    "async_auth.gotrue.redirects.ADDRESS_MAX": takes_address,
    "async_auth.gotrue.redirects.MEMBERS_MAX": takes_members,
    "async_auth.integrations.refusals.BODY_MAX": lambda n: not declares_much(str(n)),
    "async_auth.stores.record_json.GENERATION_MAX": takes_generation,
    "async_auth.stores.record_json.RECORD_DEPTH_MAX": takes_depth,
    "async_auth.stores.record_json.RECORD_MAX": takes_record,
    "async_auth.stores.redis.names.DIGITS": lambda n: (
        parse_message("k", b"9" * n + b" s").generation is not None
    ),
    "async_auth.stores.redis.names.SIGN_IN_ID_MAX": lambda n: (
        parse_message("k", b"1 " + b"s" * n).generation is not None
    ),
    "async_auth.supertokens.client.cookies.LINE_MAX": lambda n: (
        cookies_set([f"a={'b' * (n - 2)}"], now=0.0) != {}
    ),
    "async_auth.supertokens.client.responses.CLAIMS_BODY_MAX": takes_claims_body,
    "async_auth.supertokens.front_token.MAX_FRONT_TOKEN_LENGTH": takes_front_token,
}
#: Those with a test of their own below, or elsewhere.
OTHERS = {
    "async_auth.cli.profile_file.DOTS_MAX",
    "async_auth.cli.profile_file.SIZE_MAX",
    "async_auth.jwks.KEYS_MAX",
    "async_auth.jwks.SET_MAX",
    "async_auth.stores.encryption_keys.KEY_FILE_MAX",
    *ELSEWHERE,
}


def value_of(name):
    """Return a constant by its full name."""
    module, _, constant = name.rpartition(".")
    return getattr(import_module(module), constant)


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_holds_at_its_edge(name):
    """As much as it says is read, and one more is not."""
    limit, takes = value_of(name), LIMITS[name]

    assert takes(limit)
    assert not takes(limit + 1)


async def test_a_set_of_keys_has_its_size_and_no_more():
    """Of too many keys the first are read, of too many bytes none."""
    size, count = value_of("async_auth.jwks.SET_MAX"), value_of("async_auth.jwks.KEYS_MAX")
    keys = [{"kty": "EC", "kid": str(number)} for number in range(count + 1)]
    body = json.dumps({"keys": keys}).encode()

    assert [PreparedKey(key) for key in keys[:count]] == await keys_in(body)
    assert count == len(await keys_in(body.ljust(size)))
    with pytest.raises(AuthError):
        await keys_in(body.ljust(size + 1))


def test_a_file_of_keys_has_its_size_and_no_more(tmp_path):
    """What is cut off might be a key."""
    limit, path = value_of("async_auth.stores.encryption_keys.KEY_FILE_MAX"), tmp_path / "keys"
    path.touch(mode=0o600)
    key = EncryptionKeys.generate()

    path.write_text(key.ljust(limit))
    assert EncryptionKeys(key).ids == EncryptionKeys.from_file(path).ids
    path.write_text(key.ljust(limit + 1))
    with pytest.raises(AuthError, match=f"over {limit} bytes"):
        EncryptionKeys.from_file(path)


def test_the_file_of_the_profiles_has_its_size_and_no_more(tmp_path):
    """A comment may be long; a file that is longer is not read."""
    limit, path = value_of("async_auth.cli.profile_file.SIZE_MAX"), tmp_path / "profiles.toml"

    path.write_bytes(b"default = 'a'".ljust(limit))
    assert "a" == read_profiles(path).default
    path.write_bytes(b"default = 'a'".ljust(limit + 1))
    with pytest.raises(AuthError, match=f"over {limit} bytes"):
        read_profiles(path)


def test_a_name_in_the_file_of_the_profiles_has_so_many_parts_and_no_more(tmp_path):
    """Dots in a text are counted as well; nobody has as many there."""
    limit, path = value_of("async_auth.cli.profile_file.DOTS_MAX"), tmp_path / "profiles.toml"

    path.write_text(f"x = '{'.' * limit}'\ny = '.'\n")
    read_profiles(path)
    path.write_text(f"x = '{'.' * (limit + 1)}'")
    with pytest.raises(AuthError, match="nested too deeply"):
        read_profiles(path)


async def test_a_file_that_is_too_large_is_set_aside(tmp_path, caplog):
    """It is not read into memory to find that out, and not deleted."""
    caplog.set_level(logging.CRITICAL, "async_auth.stores")
    limit, store = value_of("async_auth.stores.record_json.RECORD_MAX"), FileStore(tmp_path)
    await store.save("key", Record(generation=1, sign_in_id="s", session={}), expected=0)
    (path,) = tmp_path.glob("*.json")
    with path.open("r+b") as file:
        # A hole: nothing of it is on the disk.
        file.truncate(limit * 1000)

    assert None is await store.load("key")
    (aside,) = store.set_aside
    assert limit * 1000 == aside.stat().st_size


async def test_a_record_that_could_not_be_read_again_is_not_written(tmp_path):
    """It stays in memory, and the old one in its place."""
    limit, store = value_of("async_auth.stores.record_json.RECORD_MAX"), FileStore(tmp_path)
    old = Record(generation=1, sign_in_id="s", session={})
    await store.save("key", old, expected=0)

    with pytest.raises(StoreError, match=f"over {limit} bytes"):
        await store.save(
            "key", Record(generation=2, sign_in_id="s", session={"a": "x" * limit}), expected=1
        )
    assert old == await store.load("key")


def test_what_the_transport_reads_the_parsers_read():
    """A limit of one does not cut off what another has let through."""
    answer = value_of("async_auth.transport.RESPONSE_MAX")

    assert answer <= value_of("async_auth.core.plain_json.MAX_LENGTH")
    # In ASCII a character of two bytes is one of six, "\\u00e9".
    assert 3 * answer < value_of("async_auth.stores.record_json.RECORD_MAX")


def test_the_page_has_every_limit_and_its_value():
    """Who reads the page reads what is so; who adds a limit puts it there and tests it."""
    on_page = {
        name: int(value.replace(" ", ""))
        for name, value in ROW.findall(PAGE.read_text(encoding="utf-8"))
    }

    assert {*LIMITS, *OTHERS} == set(on_page)
    assert {name: value_of(name) for name in on_page} == on_page


@pytest.mark.parametrize("name", ELSEWHERE)
def test_limits_elsewhere_are_tested_there(name):
    """The file that is named there uses the constant."""
    text = (Path(__file__).parents[2] / ELSEWHERE[name]).read_text(encoding="utf-8")

    assert name.rpartition(".")[2] in text
