"""What every store and every lock promises, with a real Redis: the tests of `tests/contracts`."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[2] / "contracts"


def load(name):
    """Import a file of the contracts, which are no package."""
    spec = spec_from_file_location(f"redis_{name}", CONTRACTS / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


for contract in ("test_stores", "test_locks", "test_watches", "test_changes"):
    found = {name: thing for name, thing in vars(load(contract)).items() if name.startswith("test")}
    assert found.keys().isdisjoint(globals())
    globals().update(found)

make_record = load("conftest").make_record
follow = load("test_watches").follow
read = load("test_changes").read


@pytest.fixture
def store(open_store):
    """Give a store with nothing in it."""
    return open_store()


@pytest.fixture
def open_watchable(open_store):
    """A store in Redis can be watched."""
    return open_store
