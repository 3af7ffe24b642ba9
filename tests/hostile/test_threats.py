"""The tests that the pages name exist, so that what a page says is shown is shown."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: `tests/x/test_y.py`, `test_y.py`, `test_that_it_works`, or a file and a test: `…::test_that`.
NAMED = re.compile(r"`((?:[\w/…]+?\.py|…)(?=`|::))?(?:::)?(test_\w+)?`")
THREATS = ROOT / "docs" / "threats.md"


def names_in(path):
    """Return the tests of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, kinds) and node.name.startswith("test_")
    }


@cache
def files():
    """Return the tests of every file; that takes seconds, which collecting the tests need not."""
    return {
        path.relative_to(ROOT).as_posix(): names_in(path)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
    }


def missing_from(text):
    """Return which tests a page names that are not there."""
    missing = []
    for match in NAMED.finditer(text):
        file, test = match[1], match[2]
        if file in (None, "…"):
            found = set().union(*files().values())
        elif "test_" not in file:
            continue
        else:
            places = [place for place in files() if f"/{place}".endswith(f"/{file}")]
            found = set().union(*(files()[place] for place in places))
            if not places:
                missing.append(match[0])
        if test is not None and test not in found:
            missing.append(match[0])
    return missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_named_test_exists(page):
    """By its name, and in the file that is named before it."""
    assert [] == missing_from(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "`test_that_nobody_has_written`",
        "`tests/hostile/test_nothing.py`",
        "`tests/test_docs.py::test_every_named_test_exists`",
        "`test_nothing.py::test_every_named_test_exists`",
        "`…::test_that_nobody_has_written`",
    ],
)
def test_a_name_that_is_wrong_is_found(text):
    """In each of the forms in which pages name tests."""
    assert [text] == missing_from(text)[:1]


def test_every_threat_names_its_test():
    """But for the one that needs a network."""
    table = THREATS.read_text(encoding="utf-8").partition("## Threats")[2].partition("## Limits")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ")][2:]
    bare = [row for row in rows if "`test_" not in row and "`tests/" not in row]

    assert len(rows) > 20
    assert ["nox -s audit"] == [row.split("`")[1] for row in bare]
