"""Where a session is kept, and why there: the keyring if there is a usable one, else a file.

That is decided once, when somebody signs in, and written into the profile. From then on the
session is looked for there and nowhere else: a cron job, which has no keyring, is told so instead
of finding nobody signed in. Both stores have the same locks for every process of this user.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from async_auth.cli.profile import Keep
from async_auth.errors import StoreError
from async_auth.stores.file import FileStore
from async_auth.stores.folders import default_folder

if TYPE_CHECKING:
    from async_auth.stores.keyring import KeyringStore

#: As the user sees it in the keyring.
SERVICE = "async-auth"
#: Seconds in which a user can type the keyring's password. Where nobody sees the question, as over
#: ssh, a keyring would wait for ever.
KEYRING_PATIENCE = 60.0


@attrs.frozen(kw_only=True)
class Choice:
    """
    Where a new session goes.

    Args:
        keep: Which of the two.
        store: The store.
        because: Why not the keyring, in a sentence; empty if nobody wonders.
    """

    keep: Keep
    store: FileStore | KeyringStore
    because: str = ""


def state_folder() -> Path:
    """Return where the files are, and the locks of the keyring's entries."""
    return default_folder().expanduser() / "cli"


def open_store(keep: Keep) -> FileStore | KeyringStore:
    """
    Open the store that a profile names.

    Raises:
        StoreError: It cannot be used here.
    """
    if keep == "file":
        return FileStore(state_folder())
    from async_auth.stores.keyring import KeyringStore, NoUsableKeyring

    try:
        return KeyringStore(SERVICE, folder=state_folder(), timeout=KEYRING_PATIENCE)
    except NoUsableKeyring as error:
        raise StoreError(
            f"The session is in the keyring, which cannot be used here. "
            f"{first_sentence(error.message)} Where there is none, as in a cron job or over ssh: "
            "async-auth login --keep file"
        ) from error


async def choose(wanted: Keep | None, key: str) -> Choice:
    """
    Decide where a new session goes.

    Args:
        wanted: What the user said; `None` for the keyring if it works, else a file.
        key: Of the session; an entry of the keyring is looked at, for a locked one does not say
            so before.

    Raises:
        StoreError: It cannot be used.
    """
    if wanted is not None:
        return Choice(keep=wanted, store=open_store(wanted))
    try:
        store = open_store("keyring")
        await store.load(key)
    except StoreError as error:
        cause = error.__cause__
        message: str = getattr(cause, "message", error.message)
        return Choice(keep="file", store=open_store("file"), because=first_sentence(message))
    return Choice(keep="keyring", store=store)


def first_sentence(text: str) -> str:
    """Return what is wrong, without what a programmer could do about it."""
    return f"{text.partition('. ')[0].rstrip('.')}."


def place_of(store: FileStore | KeyringStore) -> str:
    """Return where a session is, for people."""
    if isinstance(store, FileStore):
        return f"a file in {short(store.folder)}"
    return f"the keyring, as {store.service!r}"


def short(path: Path) -> str:
    """Return *path*, from the user's home if it is there."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
