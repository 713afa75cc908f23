#!/usr/bin/env python3
"""Developer tasks: make an environment from a lock file, then run the demo, the tests or the linters in it.

Needs nothing but Python 3.11 or later and its pip:

    python3 tasks.py demo              build the sample project and show one product
    python3 tasks.py test [ARGS]       run pytest, ARGS are its arguments
    python3 tasks.py lint              run ruff, mypy and import-linter
    python3 tasks.py bench [ARGS]      compare with other tools, see benchmarks/versus; long
    python3 tasks.py bench-growing [ARGS]  compare with other tools on data that grows; long
    python3 tasks.py bench-parts       measure the single steps with pytest-benchmark
    python3 tasks.py vscode            type-check the client for VS Code and package it, where there is npm
    python3 tasks.py lock [ARGS]       renew the lock files, ARGS are uv's arguments (such as --upgrade)

Environments stand beside this file, or in the folder that RULES_ENV_DIR names, and are made again only when their
lock file or the interpreter changed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).resolve().parent
PACKAGES = ("rules", "compiler", "cache", "graph")
RUNTIME_LOCK = ROOT / "requirements.lock"
DEV_LOCK = ROOT / "requirements-dev.lock"
S3_LOCK = ROOT / "requirements-s3.lock"
SPARK_LOCK = ROOT / "requirements-spark.lock"
UV = "uv==0.13.9"
MEMORY = Path("/dev/shm")  # noqa: S108 — a folder of its own is made in it
MEMORY_BYTES = 6 << 30
"""The memory that must be free for files of tests, of which a run of the suite leaves about 1 GiB."""


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command to its end; a failed one ends the task with the same exit code (128 + signal if killed)."""
    code = subprocess.run([str(word) for word in command], cwd=cwd, check=False).returncode
    if code:
        sys.exit(code if code > 0 else 128 - code)


def digest(paths: Iterable[Path], *more: str) -> str:
    """SHA-256 of the names and bytes of files, and of further words, as hex."""
    state = hashlib.sha256()
    for path in sorted(paths):
        state.update(f"{path.relative_to(ROOT)}\0{path.stat().st_size}\0".encode())
        state.update(path.read_bytes())
    state.update("\0".join(more).encode())
    return state.hexdigest()


def sources() -> list[Path]:
    """Every file that goes into the wheel, and those that describe it."""
    inside = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if "__pycache__" not in path.parts)
    return [ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE", *(path for path in inside if path.is_file())]


def environment(name: str) -> Path:
    """The folder of the environment called `name`, which may not exist yet."""
    return Path(os.environ.get("RULES_ENV_DIR") or ROOT).resolve() / f".venv-{name}"


def create(env: Path) -> None:
    """Make an empty environment in place of what stood there.

    Without pip inside if this interpreter has pip: that needs no ensurepip, which some systems leave out.
    """
    print(f"making {env.name}", file=sys.stderr, flush=True)
    without_pip = ["--without-pip"] if importlib.util.find_spec("pip") else []
    if not without_pip and not importlib.util.find_spec("ensurepip"):
        sys.exit(f"error: {sys.executable} has neither pip nor ensurepip\nhint:  install your system's pip package")
    env.parent.mkdir(parents=True, exist_ok=True)
    run(sys.executable, "-m", "venv", "--clear", *without_pip, env)


def pip_install(env: Path, *arguments: str | Path) -> None:
    """Install into an environment, with this interpreter's pip if it has one. Only errors are shown."""
    python = env / "bin" / "python"
    pip: list[str | Path] = [python, "-m", "pip"]
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "--python", python]
    run(*pip, "install", "-qq", "--disable-pip-version-check", "--no-input", *arguments)


def install_copy(env: Path) -> None:
    """Install the project as its users get it, from a copy: setuptools leaves its work files where it builds."""
    with tempfile.TemporaryDirectory() as folder:
        for path in sources():
            target = Path(folder, path.relative_to(ROOT))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        pip_install(env, "--no-deps", "--no-build-isolation", "--force-reinstall", folder)


def install_editable(env: Path) -> None:
    """Install the project so that an edit needs no new installation."""
    pip_install(env, "--no-deps", "--no-build-isolation", "--editable", ROOT)


def prepare(name: str, lock: Path, project: Iterable[Path], install: Callable[[Path], None]) -> Path:
    """The `bin` folder of an environment that holds the lock and the project, made or renewed where needed.

    `project` are the files on which the project's own installation depends.
    """
    env = environment(name)
    stamp = env / "tasks-stamp.json"
    # With the place of this clone: RULES_ENV_DIR may name what another one made, and an editable installation is its.
    wanted = {"lock": digest([lock], sys.executable, sys.version), "project": digest(project, str(ROOT))}
    found = json.loads(stamp.read_text()) if stamp.is_file() else {}
    if found == wanted:
        return env / "bin"
    if found.get("lock") != wanted["lock"]:
        create(env)
        pip_install(env, "--require-hashes", "--requirement", lock)
    # An installation that is cut short must not count as done.
    stamp.write_text(json.dumps({"lock": wanted["lock"]}))
    install(env)
    stamp.write_text(json.dumps(wanted))
    return env / "bin"


def tools() -> Path:
    """The `bin` folder of the environment for tests and linters."""
    return prepare("test", DEV_LOCK, [ROOT / "pyproject.toml"], install_editable)


def demo(*arguments: str) -> None:
    """Build the sample project and show one of its products."""
    rules = prepare("demo", RUNTIME_LOCK, sources(), install_copy) / "rules"
    project = ROOT / "fixtures" / "flights"
    run(rules, "build", *arguments, cwd=project)
    run(rules, "show", "monthly_executive", cwd=project)


def test(*arguments: str) -> None:
    """Run pytest, with a server of S3 beside it in an environment of its own (see tests/support/s3.py).

    Service tests have a Spark too, in another one, where there is Java (see tests/support/spark.py).
    """
    prepare("s3", S3_LOCK, [], lambda _: None)
    if asks_for("service", arguments) and shutil.which("java"):
        prepare("spark", SPARK_LOCK, [], lambda _: None)
    command = tools() / "pytest"
    folder = None if asks_for("soak", arguments) or asks_for("service", arguments) else memory_folder()
    if folder is not None:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)
    # Each worker keeps to its own half of the files until the other has none left: what the tests of a file share is
    # made once.
    run(command, "-n", "2", "--dist", "worksteal", *arguments)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def asks_for(mark: str, arguments: Iterable[str]) -> bool:
    """Whether arguments of pytest name a mark, and not only to leave it out."""
    return any(mark in word.replace(f"not {mark}", "") for word in arguments)


def memory_folder() -> Path | None:
    """Make a folder in memory for the files of tests, which wait for a disk at each fsync; None where there is no room.

    Soaks have none, since they write more, and services none, since servers want a disk.
    It is left behind by a run that fails, to be looked at, and removed by the next one.
    """
    meminfo = Path("/proc/meminfo")
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or not os.access(MEMORY, os.W_OK) or not meminfo.exists():
        return None
    prefix = f"rules-tests-{os.getuid()}-"
    for left in MEMORY.glob(f"{prefix}*"):
        if not Path("/proc", left.name.removeprefix(prefix)).exists():
            shutil.rmtree(left, ignore_errors=True)
    available = int(meminfo.read_text().split("MemAvailable:")[1].split()[0]) << 10
    if min(available, shutil.disk_usage(MEMORY).free) < MEMORY_BYTES:
        return None
    folder = MEMORY / f"{prefix}{os.getpid()}"
    folder.mkdir(mode=0o755)
    return folder


def measuring(name: str, lock: Path) -> Path:
    """The `bin` folder of an environment for benchmarks: a lock, and what only benchmarks need."""
    group = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["bench"]

    def install(env: Path) -> None:
        install_editable(env)
        pip_install(env, *group)

    return prepare(name, lock, [ROOT / "pyproject.toml"], install)


def bench(*arguments: str) -> None:
    """Compare with other tools, in what users have: pandas, which tests need, is imported by whatever uses pyarrow."""
    run(measuring("bench", RUNTIME_LOCK) / "python", "-m", "benchmarks.versus", *arguments)


def bench_growing(*arguments: str) -> None:
    """Compare with other tools on data that grows."""
    run(measuring("bench", RUNTIME_LOCK) / "python", "-m", "benchmarks.growing", *arguments)


def bench_parts(*arguments: str) -> None:
    """Measure the single steps."""
    run(
        measuring("bench-parts", DEV_LOCK) / "pytest",
        "-p",
        "no:xdist",
        "--benchmark-only",
        "benchmarks/parts",
        *arguments,
    )


def lint() -> None:
    """Run every linter, also after one has failed."""
    bin_folder = tools()
    failed = []
    for command in (
        ("ruff", "check", "--output-format=concise", "."),
        ("ruff", "format", "--check", "."),
        ("mypy", "--strict", *PACKAGES, "tasks.py"),
        ("mypy", "tests"),
        ("lint-imports",),
    ):
        print("$", *command, flush=True)
        if subprocess.run([str(bin_folder / command[0]), *command[1:]], cwd=ROOT, check=False).returncode:
            failed.append(" ".join(command))
    if failed:
        sys.exit("failed: " + ", ".join(failed))


def vscode() -> None:
    """Type-check the client for VS Code and package it, where npm gives what that needs; say why not elsewhere."""
    npm = shutil.which("npm")
    if npm is None:
        print("skipped: the client for VS Code: there is no npm here")
        return
    with tempfile.TemporaryDirectory() as folder:  # so that nothing that npm writes is ever committed
        copy, made = Path(folder) / "vscode", shutil.ignore_patterns("node_modules", "out", "*.vsix")
        shutil.copytree(ROOT / "editors" / "vscode", copy, ignore=made)
        install = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        if subprocess.run(install, cwd=copy, check=False).returncode:
            print("skipped: the client for VS Code: npm does not give what it needs, see above")
            return
        run(npm, "run", "check", cwd=copy)
        run(npm, "run", "package", cwd=copy)
        target = ROOT / "editors" / "vscode" / "rules.vsix"
        shutil.copyfile(copy / target.name, target)
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes")


def lock(*arguments: str) -> None:
    """Resolve the dependencies anew. Pins that still satisfy pyproject.toml stay, unless --upgrade says otherwise."""
    env = environment("lock")
    if not (env / "bin" / "uv").is_file():
        create(env)
    pip_install(env, UV)
    compiled: list[str | Path] = [env / "bin" / "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    # One version of each package for all Pythons, so that all of them compute with the same code.
    compiled += ["--no-emit-index-url", "--python-version", "3.11", "--fork-strategy", "fewest"]
    compiled += ["--custom-compile-command", "python3 tasks.py lock", *arguments]
    project = [*compiled, "pyproject.toml"]
    run(*project, "--group", "build", "--output-file", RUNTIME_LOCK.name)
    run(*project, "--group", "dev", "--constraint", RUNTIME_LOCK.name, "--output-file", DEV_LOCK.name)
    run(*compiled, "--group", "s3", "--output-file", S3_LOCK.name)
    run(*compiled, "--group", "spark", "--output-file", SPARK_LOCK.name)


TASKS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "test": test,
    "lint": lint,
    "bench": bench,
    "bench-growing": bench_growing,
    "bench-parts": bench_parts,
    "vscode": vscode,
    "lock": lock,
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TASKS or (sys.argv[1] == "lint" and len(sys.argv) > 2):  # noqa: PLR2004
        sys.exit(__doc__)
    TASKS[sys.argv[1]](*sys.argv[2:])
