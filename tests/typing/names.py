"""The names of packages that are imported on first use, as a type checker sees them; never run."""

from __future__ import annotations

from typing import assert_type

from async_auth import gotrue, stores, testing


def found() -> None:
    """Names that are there have their types."""
    assert_type(gotrue.Factors, type[gotrue.Factors])
    assert_type(stores.FileStore, type[stores.FileStore])
    assert_type(testing.ManualClock, type[testing.ManualClock])


def misspelt() -> None:
    """Names that are not there are told, not taken for something that may be."""
    gotrue.Pagee  # type: ignore[attr-defined]  # noqa: B018 - that it is told is what is looked at
    stores.FileStor  # type: ignore[attr-defined]  # noqa: B018 - as above
    testing.ManuelClock  # type: ignore[attr-defined]  # noqa: B018 - as above
