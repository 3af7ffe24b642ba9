"""Breaks the package in many small ways and asks whether a test notices: `nox -s mutation`.

mutmut makes the mutants and runs the tests, part by part, as `[tool.mutmut]` in pyproject.toml says.
This program gives each part a folder of its own, tries the likeliest tests first, draws a sample
where that is asked for, and compares what survived with survivors.toml beside it: a survivor that
is not explained there fails the run, and so does a part of which too many survive.

What mutmut changes is the inside of functions. Properties and other decorated functions, tables and
regular expressions of modules, and the fields of classes it leaves alone.
"""

from __future__ import annotations

import argparse
import contextlib
import filecmp
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path

import attrs
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
#: Of each part, so many of the mutants that ran must be killed.
WANTED = 0.9
#: Which tests a mutant meets at first: so many of its module's own file, and about so many others,
#: the quickest of each file. Who survives them meets them all.
OWN, OTHERS = 80, 160
#: What counts as killed: a test failed, or none of them came to an end.
KILLED = frozenset({"killed", "timeout", "segfault", "suspicious"})
RUN = "from mutmut.__main__ import cli; cli()"
#: What `run` does before it runs a mutant: they are written, and it is noted which test meets what.
GENERATE = """
import sys
from pathlib import Path
from mutmut import __main__ as mutmut
children = int(sys.argv[1])
mutmut.set_mutant_under_test("mutant_generation")
Path("mutants").mkdir(exist_ok=True)
mutmut.copy_src_dir()
mutmut.copy_also_copy_files()
mutmut.setup_source_paths()
mutmut.create_mutants(children)
mutmut.collect_or_load_stats(mutmut.get_mutant_runner(children), apply_config_invalidation=True)
"""


@attrs.frozen(order=True)
class Change:
    """What a mutant is, whatever its number: the function, and its lines before and after."""

    function: str
    was: str
    now: str


@attrs.frozen(kw_only=True)
class Tally:
    """What became of a module's mutants."""

    module: str
    mutants: int
    run: int
    killed: int

    @property
    def share(self) -> float:
        """How many of those that ran were killed, in 0..1."""
        return self.killed / self.run if self.run else 1.0

    @property
    def least(self) -> float:
        """What that share is at least, for all mutants: the sample's lower bound (Wilson, 95 %)."""
        if self.run in (0, self.mutants):
            return self.share
        z = 1.645
        middle = self.share + z**2 / (2 * self.run)
        width = z * math.sqrt((self.share * (1 - self.share) + z**2 / (4 * self.run)) / self.run)
        return (middle - width) / (1 + z**2 / self.run)

    def row(self) -> str:
        """Return the line of a table."""
        cells = (self.mutants, self.run, self.killed, f"{self.share:.1%}", f"{self.least:.1%}")
        return f"| {self.module} | {' | '.join(map(str, cells))} |"


def prepare(part: str, work: Path) -> None:
    """Lay out a part's folder: the package, the tests, and a configuration for mutmut."""
    work.mkdir(parents=True, exist_ok=True)

    def renew(source: str, target: str) -> None:
        if not Path(target).exists() or not filecmp.cmp(source, target, shallow=False):
            # mutmut would note the tests of new functions only; which meet the others is known
            # of the code and the tests as they were.
            stats_in(work).unlink(missing_ok=True)
            shutil.copy2(source, target)

    for name in ("async_auth", "tests"):
        shutil.copytree(
            ROOT / name,
            work / name,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__"),
            copy_function=renew,
        )
    shutil.copy2(ROOT / "conftest.py", work)
    shutil.copy2(HERE / "fewer_examples.py", work)
    settings = SETTINGS["parts"][part]
    tests = [*settings["tests"], *(f"--deselect={test}" for test in settings.get("deselect", ()))]
    lines = (
        "[tool.mutmut]",
        f"only_mutate = {json.dumps(settings['only_mutate'])}",
        f"pytest_add_cli_args_test_selection = {json.dumps(tests)}",
    )
    text = (ROOT / "pyproject.toml").read_text()
    (work / "pyproject.toml").write_text(text.replace(lines[0], "\n".join(lines), 1))


def stats_in(work: Path) -> Path:
    """Return the file in which mutmut keeps which test meets what."""
    return work / "mutants" / "mutmut-stats.json"


def mutmut(work: Path, program: str, *arguments: str) -> None:
    """Let mutmut do something in a part's folder."""
    subprocess.run([sys.executable, "-c", program, *arguments], cwd=work, check=True)


def statuses(work: Path) -> dict[str, dict[str, str]]:
    """Return what became of every mutant, by the path of its module."""
    folder = work / "mutants"
    return {
        str(path.relative_to(folder)).removesuffix(".meta"): {
            name: status_by_exit_code[code]
            for name, code in json.loads(path.read_text())["exit_code_by_key"].items()
        }
        for path in sorted(folder.rglob("*.meta"))
    }


def only_first(stats: str) -> str:
    """Return what mutmut knows of the tests with no more than the first for each function."""
    known = json.loads(stats)
    times = known["duration_by_test"]
    by_function = known["tests_by_mangled_function_name"]
    for function, tests in by_function.items():
        own = f"/test_{function.split('.')[-2]}.py"
        files = {
            file: sorted(found, key=times.get)
            for file, found in groupby(sorted(tests, key=file_of), file_of)
        }
        by_function[function] = [
            test
            for file, found in files.items()
            for test in found[: OWN if file.endswith(own) else math.ceil(OTHERS / len(files))]
        ]
    return json.dumps(known)


def file_of(test: str) -> str:
    """Return the file of a test."""
    return test.partition("::")[0]


def sample(found: dict[str, dict[str, str]], share: float, seed: str) -> list[str]:
    """Draw a part of each module's mutants, always the same for a seed."""
    names: list[str] = []
    for module, mutants in found.items():
        drawn = sorted(mutants)
        random.Random(f"{seed} {module}").shuffle(drawn)  # noqa: S311 - no secret
        names += drawn[: math.ceil(len(drawn) * share)]
    return names


def alive(work: Path, names: list[str]) -> list[str]:
    """Return those of some mutants that nothing has killed so far."""
    became = {name: status for found in statuses(work).values() for name, status in found.items()}
    return [name for name in names if became[name] not in KILLED]


def run(part: str, work: Path, options: argparse.Namespace) -> None:
    """Try a part's mutants that are not dead yet: with the likeliest tests, and then with all."""
    prepare(part, work)
    mutmut(work, GENERATE, str(options.children))
    drawn = sample(statuses(work), options.share, options.seed)
    drawn = [name for name in drawn if any(fnmatch(name, only) for only in options.only)]
    known = stats_in(work)
    stats = known.read_text()
    arguments = ("run", f"--max-children={options.children}")
    try:
        known.write_text(only_first(stats))
        if names := alive(work, drawn):
            mutmut(work, RUN, *arguments, *names)
    finally:
        known.write_text(stats)
    if not options.quick and (names := alive(work, names)):
        mutmut(work, RUN, *arguments, *names)


def change(work: Path, module: str, name: str) -> Change:
    """Return what a mutant changes."""
    with contextlib.chdir(work):
        diff = get_diff_for_mutant(name, path=Path(module)).splitlines()
    was, now = (
        "\n".join(line[1:].strip() for line in diff if line[0] == sign and line[:3] != sign * 3)
        for sign in "-+"
    )
    function = name.rpartition("__mutmut_")[0].replace("xǁ", "").replace("ǁ", ".")
    return Change(function.replace(".x_", "."), was, now)


def explained() -> dict[Change, str]:
    """Return the survivors that are known, with the reason of each."""
    groups = tomllib.loads((HERE / "survivors.toml").read_text())["survivors"]
    return {Change(*mutant): group["reason"] for group in groups for mutant in group["mutants"]}


def tallies(part: str, found: dict[str, dict[str, str]], drawn: set[str]) -> list[Tally]:
    """Count what became of the mutants that were drawn: module by module, and all."""
    rows = []
    for module, mutants in found.items():
        ran = [mutants[name] for name in drawn & {*mutants} if mutants[name] != "not checked"]
        killed = sum(status in KILLED for status in ran)
        rows.append(Tally(module=module, mutants=len(mutants), run=len(ran), killed=killed))
    rows = [row for row in rows if row.mutants]
    counts = {
        count: sum(getattr(row, count) for row in rows) for count in ("mutants", "run", "killed")
    }
    return [*rows, Tally(module=f"**{part}**", **counts)]


def report(part: str, work: Path, options: argparse.Namespace) -> list[str]:
    """Print a part's table and its survivors; return what is wrong with them."""
    found = statuses(work)
    drawn = {*sample(found, options.share, options.seed)}
    rows = tallies(part, found, drawn)
    print("", "| | mutants | run | killed | | at least |", "|-|-:|-:|-:|-:|-:|", sep="\n")
    print(*(row.row() for row in rows), sep="\n")
    reasons = explained()
    survivors = [
        change(work, module, name)
        for module, mutants in found.items()
        for name, status in mutants.items()
        if name in drawn and status not in KILLED and status != "not checked"
    ]
    unknown = [survivor for survivor in survivors if survivor not in reasons]
    print(f"\n{len(survivors)} survived, {len(unknown)} of them nobody knows why:")
    for survivor in unknown:
        print(f"  {json.dumps(attrs.astuple(survivor), ensure_ascii=False)},")
    wrong = [f"{part}: {len(unknown)} survivors are not in survivors.toml"] if unknown else []
    if rows[-1].share < WANTED:
        wrong.append(f"{part}: {rows[-1].share:.1%} were killed, {WANTED:.0%} must be")
    return wrong


def main() -> None:
    """Try the parts that are asked for, and say what is wrong."""
    parser = argparse.ArgumentParser(prog="tests/mutation", description=__doc__)
    parser.add_argument("part", nargs="*", default=[*SETTINGS["parts"]])
    add = parser.add_argument
    add("--folder", type=Path, required=True, help="where the parts are; what was killed is kept")
    add("--share", type=float, default=1.0, help="which part of each module's mutants to draw")
    add("--seed", default="1", help="which sample")
    add("--only", action="append", help="mutants of these names, such as async_auth.core.policy.*")
    add("--children", type=int, default=os.cpu_count() or 1, help="so many at a time")
    add("--quick", action="store_true", help="only the first tests: fewer are killed")
    add("--report", action="store_true", help="run nothing")
    options = parser.parse_args()
    options.only = options.only or ["*"]
    wrong = []
    for part in options.part:
        work = options.folder.resolve() / part
        if not options.report:
            run(part, work, options)
        wrong += report(part, work, options)
    sys.exit("\n".join(wrong) or None)


main()
