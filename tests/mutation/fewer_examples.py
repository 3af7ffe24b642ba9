"""A plugin for pytest: properties try fewer examples, always the same, and shrink none.

A mutant is judged by whether a test fails, not by how small the example is; and by the same
examples each time, or a survivor of today would be killed tomorrow.
"""

from __future__ import annotations

from hypothesis import Phase, settings

settings.register_profile(
    "mutation",
    database=None,
    deadline=None,
    derandomize=True,
    max_examples=50,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("mutation")
