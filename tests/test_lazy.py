"""Names that a package imports when they are first asked for."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

PACKAGES = ["async_auth.gotrue", "async_auth.stores", "async_auth.testing"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_is_listed_and_then_kept(name):
    """`dir()` has the names before anybody asked; after the first time the package itself has."""
    package = importlib.import_module(name)

    assert set() == set(package.__all__) - set(dir(package))
    for public in package.__all__:
        found = getattr(package, public)
        assert found is vars(package)[public]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_name_that_it_does_not_have(name):
    """The error is the usual one, so that `hasattr()` and a misspelt import work as ever."""
    package = importlib.import_module(name)
    with pytest.raises(AttributeError, match=f"^module '{name}' has no attribute 'Nothing'$"):
        _ = package.Nothing


def test_the_modules_are_found_as_well():
    """Without an import of their own, as when the package imported them all at its start."""
    code = "import async_auth.gotrue; print(async_auth.gotrue.admin.__name__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )

    assert "async_auth.gotrue.admin\n" == done.stdout
