"""The server that notebooks and terminals of these tests sign in to, and where they keep things."""

from __future__ import annotations

import os
import shutil

import pytest

from async_auth.testing import GoTrueServer

EMAIL, PASSWORD = "ann@example.com", "correct-horse-battery"


@pytest.fixture
async def server():
    """Run a server with an account."""
    async with GoTrueServer() as server:
        server.create_user(email=EMAIL, password=PASSWORD)
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Give everything that IPython, Jupyter and we keep a folder of its own."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("JUPYTER", "IPYTHON"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(folder))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
        patch.setenv("JUPYTER_DATA_DIR", str(folder / "data"))
        patch.setenv("JUPYTER_CONFIG_DIR", str(folder / "config"))
        patch.setenv("JUPYTER_PLATFORM_DIRS", "1")
        yield folder


@pytest.fixture
def nothing_kept(home):
    """Forget the sessions of earlier tests: their servers may have had this one's port."""
    shutil.rmtree(home / "state", ignore_errors=True)
