"""What stores, disks and channels give: a value or an error of ours, and nothing of it is deleted.

A file that cannot be read is set aside; a message is believed no further than it may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from async_auth.cli.profile import document_of
from async_auth.cli.profile_file import read_profiles
from async_auth.cli.profiles import rows
from async_auth.core.plain_json import read_json
from async_auth.errors import AuthError, StoreError
from async_auth.gotrue import GoTrueProvider
from async_auth.gotrue.pkce import PkceRing
from async_auth.gotrue.requests import Endpoint
from async_auth.ports import Record
from async_auth.stores import EncryptedStore, EncryptionKeys, FileStore, KeyringStore, MemoryStore
from async_auth.stores.file_names import file_name
from async_auth.stores.losses import Losses
from async_auth.stores.record_json import UnreadableRecord, parse_record
from async_auth.stores.redis.names import Names, parse_facts, parse_message
from async_auth.stores.session_file import SessionFile
from async_auth.supertokens import SuperTokensClient, SuperTokensProvider
from async_auth.testing import ManualClock, MemoryKeyring
from async_auth.web_sessions.index import SessionEntry, UserSessions

HOSTILE = settings.get_profile("hostile")
NOW = 1_700_000_000.0
SENT = "s3cr3t-refresh-token"
KEYS = EncryptionKeys(EncryptionKeys.generate())
GOTRUE = GoTrueProvider(Endpoint("http://127.0.0.1:9999", SENT))
API = SuperTokensProvider(SuperTokensClient("https://api.example.com").settings)
SESSION = {
    "access_token": "an-access-token",
    "refresh_token": SENT,
    "token_type": "bearer",
    "expires_at": NOW + 3600,
    "issued_at": NOW,
    "refresh_expires_at": None,
    "scopes": ["a", "b"],
    "user": {"id": "u", "email": "ada@example.com", "created_at": "2026-01-01T00:00:00Z"},
    "extra": {"scopes": "a b"},
    "weak_password": {"reasons": ["length"], "message": "short"},
    "st_cookies": {"sAccessToken": "a", "sRefreshToken": "r"},
}
RECORD = {"version": 1, "generation": 3, "sign_in_id": "s", "session": SESSION, "new": {"a": [1]}}
FLOW = {"id": "f", "verifier": SENT, "recovery": False, "begun_at": NOW}
KEPT = [
    RECORD,
    {**RECORD, "session": {"flows": [FLOW, FLOW], "pkce": [FLOW]}},
    {**RECORD, "session": {"sessions": [{"key": "k", "ends_at": NOW + 9}]}},
]
PROFILES = {
    "default": "work",
    "profiles": {
        "work": {"kind": "gotrue", "url": "https://x.example/auth/v1", "account": "ada@x.example"},
        "api": {"kind": "supertokens", "url": "https://api.example", "base_path": "/auth"},
    },
}


@pytest.fixture(scope="module", autouse=True)
def _quiet():
    """Keep what is logged of thousands of damaged files out of the report."""
    logger = logging.getLogger("async_auth")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    yield
    logger.setLevel(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder that all examples share."""
    return tmp_path_factory.mktemp("stored")


def loaded(hostile, record):
    """Load a record as each provider does; what comes of it can be kept and shown."""
    for provider in (GOTRUE, API):
        try:
            session = provider.load(dict(record.session))
        except (ValueError, KeyError, TypeError) as error:
            # What the port allows; the engine makes a StoreError of it that names the class alone.
            hostile.unsaid(error)
            continue
        hostile.keep_and_show(session, provider)


@HOSTILE
@given(data=st.data())
def test_no_file_makes_a_store_fail(hostile, folder, data):
    """A record, or none and the file set aside under another name with all that was in it."""
    content = data.draw(hostile.spoiled(hostile.changed(KEPT)))
    file = SessionFile(folder / "session.json", Losses(folder))
    file.path.write_bytes(content)

    found = file.read()
    kept = file.path if found is not None else file.losses.set_aside[0]
    assert content == kept.read_bytes()
    kept.unlink()
    if found is not None:
        loaded(hostile, found)
        file.replace(found, expected=None)
        assert found == file.read()
        file.remove(expected=found.generation)


@HOSTILE
@given(data=st.data())
def test_no_entry_makes_a_keyring_fail(hostile, folder, data):
    """As with files; a keyring may give any text, halves of surrogate pairs too."""
    text = data.draw(hostile.changed(KEPT)) + data.draw(st.sampled_from(["", "\ud800", "\x00"]))
    backend, name = MemoryKeyring(), file_name("key")
    store = KeyringStore("hostile", folder=folder, backend=backend)
    place = data.draw(st.sampled_from([name, f"{name}.next"]))
    backend.entries["hostile", place] = text

    async def look():
        found = await store.load("key")
        await store.delete("key", expected=None)
        return found

    found = asyncio.run(look())
    assert found is not None or text in backend.entries.values()
    if found is not None:
        loaded(hostile, found)


@HOSTILE
@given(data=st.data())
async def test_no_record_opens_that_was_not_sealed(hostile, data):
    """Whatever the inner store holds: a session that was sealed whole, or nothing, or an error."""
    inner = MemoryStore()
    store = EncryptedStore(inner, KEYS)
    good = Record(generation=3, sign_in_id="s", session=SESSION)
    await store.save("key", good, expected=0)
    sealed = await inner.load("key")
    whole = {"version": 1, "generation": 3, "sign_in_id": "s", "session": dict(sealed.session)}
    text = data.draw(hostile.changed([whole]))
    with contextlib.suppress(UnreadableRecord):
        await inner.save("key", parse_record(text.encode("utf-8", "surrogatepass")), expected=None)

    try:
        found = await store.load("key")
    except StoreError as error:
        hostile.unsaid(error)
    else:
        assert found in (None, good)
    await store.delete("key", expected=None)


@HOSTILE
@given(data=st.data())
async def test_no_record_makes_flows_or_lists_fail(hostile, data):
    """The records of PKCE flows, and of a user's web sessions: what cannot be used is passed over."""
    text = data.draw(hostile.changed(KEPT))
    store = MemoryStore()
    users, ring = UserSessions(store, "web", 5), PkceRing(store, "key", ManualClock(NOW))
    try:
        record = parse_record(text.encode("utf-8", "surrogatepass"))
    except UnreadableRecord:
        return
    await store.save("key.pkce", record, expected=None)
    await store.save(users.key_of("u"), record, expected=None)

    for flow in await ring.waiting():
        assert flow.challenge.isascii()
    flow = await ring.begin()
    assert flow in await ring.waiting()
    entry = SessionEntry("mine", NOW + 60)
    await users.add("u", entry, now=NOW)
    assert entry in await users.of_user("u")


@HOSTILE
@given(
    message=st.binary(max_size=40)
    | st.builds(
        lambda *parts: b"".join(parts),
        st.sampled_from([b"", b"0", b"1", b"-1", b"9" * 18, b"9" * 19, b"9" * 5000, b"\xd9\xa3"]),
        st.sampled_from([b"", b" ", b"  ", b"\x00", b"\r\n"]),
        st.sampled_from([b"", b"s", b"\xff", b"\xed\xa0\x80", b"x" * 2000, b"a b"]),
    ),
    key=st.text(max_size=5),
)
def test_no_message_is_believed_further_than_it_may_be(message, key):
    """It says a generation and a sign-in id of moderate size, or only that something may be new."""
    names = Names("async_auth")
    generation, _, sign_in_id = message.partition(b" ")

    assert key == names.key_of(names.changed(key))
    for change in (parse_message(key, message), parse_facts(key, generation, sign_in_id)):
        assert key == change.key
        if change.generation is not None:
            assert 0 < change.generation < 10**18
            assert len(change.sign_in_id) <= 1024


@HOSTILE
@given(data=st.data())
def test_no_file_of_profiles_makes_a_command_fail(hostile, folder, data):
    """It is read, printed and could be written again, or is a ConfigurationError."""
    path = folder / "profiles.toml"
    text = data.draw(hostile.changed([PROFILES]))
    try:
        document = read_json(text)
        content = tomli_w.dumps(document).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, AttributeError, RecursionError):
        # No TOML can say it; then the JSON itself stands there.
        content = text.encode("utf-8", "surrogatepass")
    spoil = data.draw(
        st.sampled_from([b"", b"\x00", b"\xff", b"\n[profiles]", b"\n[a]\nb = 1e999"])
    )
    path.write_bytes(content + spoil)

    profiles = hostile.ours(read_profiles, path)
    if profiles is not None:
        assert all(line.isprintable() for line in rows(profiles))
        assert tomli_w.dumps(document_of(profiles))


async def test_a_store_is_good_after_all_of_that(tmp_path):
    """What was damaged hinders nobody: the next session is kept, and read by another store."""
    store = FileStore(tmp_path)
    await store.save("key", Record(generation=1, sign_in_id="s", session=SESSION), expected=0)
    (path,) = tmp_path.glob("*.json")
    for damage in (b"", b"\x00" * 99, json.dumps({**RECORD, "generation": -1}).encode()):
        path.write_bytes(damage)
        assert None is await store.load("key")
        good = Record(generation=2, sign_in_id="s", session=SESSION)
        await store.save("key", good, expected=1)
        assert good == await FileStore(tmp_path).load("key")
    with pytest.raises(AuthError):
        await store.save("key", Record(generation=-1, sign_in_id="s", session={}), expected=None)
