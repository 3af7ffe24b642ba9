"""A session at rest: encrypted through restarts, changes of the key, and mistakes with it."""

from __future__ import annotations

import pytest

from async_auth.errors import StoreError
from async_auth.gotrue import GoTrueClient
from async_auth.stores import EncryptedStore, EncryptionKeys, FileStore, KeyringStore
from async_auth.stores.file_names import file_name
from async_auth.testing import GoTrueServer, MemoryKeyring

OLD, NEW = EncryptionKeys.generate(), EncryptionKeys.generate()


def client(server, folder, *keys):
    """Return a client whose session lies encrypted in the folder."""
    store = EncryptedStore(FileStore(folder), EncryptionKeys(*keys))
    return GoTrueClient(server.url, store=store, auto_refresh=False)


async def test_a_session_survives_a_change_of_the_key(tmp_path):
    """Signed in under the old key, refreshed beside the new one, read with the new one alone."""
    async with GoTrueServer() as server:
        async with client(server, tmp_path, OLD) as auth:
            await auth.sign_up(email="ann@example.com", password="secret-enough")
        async with client(server, tmp_path, NEW, OLD) as auth:
            refreshed = (await auth.refresh_session()).session
        async with client(server, tmp_path, NEW) as auth:
            session = await auth.get_session()

    assert refreshed.access_token == session.access_token
    contents = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert session.refresh_token.encode() not in contents
    assert b"ann@example.com" not in contents


async def test_a_wrong_key_signs_nobody_out(tmp_path):
    """A worker without the key gets a StoreError at its start, and with the key the session is there."""
    async with GoTrueServer() as server:
        async with client(server, tmp_path, OLD) as auth:
            await auth.sign_up(email="ann@example.com", password="secret-enough")
        async with client(server, tmp_path, OLD) as good:
            with pytest.raises(StoreError, match="not among those given"):
                await client(server, tmp_path, NEW).start()
            await good.refresh_session()

            assert None is not await good.get_session()


async def test_a_session_survives_in_a_keyring(tmp_path):
    """What one client signed in the next one finds, and a sign-out removes."""
    backend = MemoryKeyring()

    def in_keyring(url):
        store = KeyringStore("tests", folder=tmp_path, backend=backend)
        return GoTrueClient(url, store=store, auto_refresh=False)

    async with GoTrueServer() as server:
        async with in_keyring(server.url) as auth:
            await auth.sign_up(email="ann@example.com", password="secret-enough")
        async with in_keyring(server.url) as auth:
            assert file_name("default") in {name for _, name in backend.entries}
            assert "ann@example.com" == (await auth.get_session()).user.email
            await auth.sign_out()

    # What stays is the note that sign-ins begun before this sign-out are not to be finished.
    assert not any(file_name("default") in entry for entry in backend.entries)
