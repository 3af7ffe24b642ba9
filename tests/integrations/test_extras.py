"""What an adapter says where its library is not installed: one sentence, with the command."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORT = """
import sys
sys.modules[sys.argv[1]] = None
try:
    __import__(f"async_auth.integrations.{sys.argv[2]}")
except ImportError as error:
    print(type(error).__name__, error)
"""


def said(missing, adapter):
    """Import *adapter* in an interpreter that lacks a library; return what it says."""
    return subprocess.run(
        [sys.executable, "-c", IMPORT, missing, adapter],
        capture_output=True,
        check=True,
        text=True,
    ).stdout.strip()


@pytest.mark.parametrize(
    "library,name",
    [("fastapi", "FastAPI"), ("opentelemetry", "OpenTelemetry"), ("starlette", "Starlette")],
)
def test_a_missing_library_is_named_with_its_extra(library, name):
    """Whoever has not installed the extra is told which."""
    needs = f"async_auth.integrations.{library} needs {name}"
    assert f"ImportError {needs}: pip install 'async_auth[{library}]'." == said(library, library)


def test_a_missing_ipython_is_named_with_its_extra():
    """Outside IPython the extension says what to install."""
    needs = "async_auth.integrations.ipython needs IPython"
    assert f"ImportError {needs}: pip install 'async_auth[ipython]'." == said("IPython", "ipython")


@pytest.mark.parametrize("adapter", ["fastapi", "ipython", "starlette"])
def test_anything_else_that_is_missing_is_told_as_it_is(adapter):
    """A broken installation is not blamed on the extra."""
    assert said("attrs", adapter).startswith("ModuleNotFoundError import of attrs halted")
