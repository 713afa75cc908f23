"""Print how long answers take that build nothing: `python -m benchmarks.answers [RULES] [RUNS]` (1,000 and 5).

A generated project is built once, over small sources, as none of these reads them. Each command then runs as a user
runs it, the whole process measured. An edit is a new comment in the rule that most depends on, or a new filter there,
so that no run is served from what the one before has remembered.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.generated import write_project
from benchmarks.versus.scenarios import Subject

ROWS = 1000
PAUSE = 0.3  # files that are younger are read again, whatever their signature


def commands(root: Path, subject: Subject) -> dict[str, tuple[list[str], Callable[[int], None]]]:
    """Return what is asked, and what is done before each run of it."""
    edited = root / "rules" / f"{subject.root}.sql"
    text = edited.read_text(encoding="utf-8")

    def nothing(_: int) -> None:
        pass

    def comment(run: int) -> None:
        edited.write_text(f"-- {run}\n{edited.read_text(encoding='utf-8')}", encoding="utf-8")

    def refilter(run: int) -> None:
        edited.write_text(text.replace("s.val >= 0", f"s.val >= {run}"), encoding="utf-8")

    column = f"{subject.leaf}.total"
    return {
        "build, no-op": (["build"], nothing),
        "plan, no-op": (["plan"], nothing),
        "lineage of a column": (["lineage", column], nothing),
        "check, no-op": (["check"], nothing),
        "ls": (["ls"], nothing),
        "explain": (["explain", subject.leaf], nothing),
        "plan, comment edited": (["plan"], comment),
        "check, comment edited": (["check"], comment),
        "plan, root edited": (["plan"], refilter),
        "diff, root edited": (["diff"], nothing),
        "check, root edited": (["check"], refilter),
    }


def measure(command: list[str], cwd: Path, *, failing: bool = False) -> tuple[float, float]:
    """Return wall and processor seconds of one command.

    failing: whether exit code 1, of a linter that finds something, is no failure. Raises SystemExit with what it says
    if it fails.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode > failing:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(size: int = 1000, runs: int = 5) -> None:
    """Measure every command, after one run of it that does not count; print medians."""
    program = str(Path(sys.executable).parent / "rules")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_project(root, size, rows=ROWS)
        measure([program, "build", "-q"], root)
        print(f"{size:,} rules, medians of {runs}\n\n{'command':24} {'wall s':>8} {'cpu s':>8}")
        for name, (words, prepare) in commands(root, Subject(size)).items():
            taken = []
            for run in range(1, runs + 2):
                prepare(run)
                time.sleep(PAUSE)
                taken.append(measure([program, *words], root))
            wall, cpu = (statistics.median(figures) for figures in zip(*taken[1:], strict=True))
            print(f"{name:24} {wall:8.3f} {cpu:8.3f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
