"""docs/scale.md: its commands exist, and no placeholder was left in it.

Its arithmetic runs in tests/test_docs.py, the example with Redis servers in
tests/servers/redis/test_scale.py.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)))
NUMBER = re.compile(r"[\d.]+")
#: The languages of the blocks that are shown.
LANGUAGES = set(re.findall(r"^```(\w+)", PAGE, re.MULTILINE))


def test_the_page_has_commands_and_examples():
    """Or the tests below would test nothing."""
    assert len(COMMANDS) >= 3
    assert [] == re.findall(r"@[A-Z]+@", PAGE)
    assert {"console", "python", "text"} == LANGUAGES


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_exist(command):
    """A benchmark that is named is there, and takes the options that are written beside it."""
    python, place, *arguments = shlex.split(command)
    program = ROOT / place
    program = program / "__main__.py" if program.is_dir() else program
    shown = subprocess.run(
        [sys.executable, program, "--help"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    assert python == "python"
    for argument in arguments:
        # A value of an option is any number; a benchmark's name is in the help.
        assert argument in shown.replace(",", " ").split() or NUMBER.fullmatch(argument)


def test_the_links_lead_somewhere():
    """Files that the page names are there."""
    named = re.findall(r"\b(?:tests|benchmarks|async_auth)/[\w/]+\.py\b", PAGE)

    assert named
    assert [] == [name for name in named if not (ROOT / name).exists()]
