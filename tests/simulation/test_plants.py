"""The laws find bugs: each planted one breaks a world, and soon."""

from __future__ import annotations

import pytest
from simulated.plants import PLANTS
from simulated.runs import hunt
from simulated.seeds import FINDS


def test_every_plant_has_a_seed():
    """None is left out below."""
    assert sorted(PLANTS) == sorted(FINDS)


@pytest.mark.parametrize("plant", sorted(FINDS))
def test_a_plant_is_found(plant):
    """
    A world that was seen to find the bug, or one of those after it, breaks the law about it.

    Another law would say that the patch does something else by now.
    """
    seed, laws = FINDS[plant]
    found = hunt(plant, range(seed, seed + 60))
    assert found is not None
    assert found.broken.law in laws, found.broken
