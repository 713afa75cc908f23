"""Print how long `rules check` takes beside sqlfluff: `python -m benchmarks.check_cost [RULES] [RUNS]` (1,000 and 3).

A generated project, whose sources are small as none is read. sqlfluff lints with its qualification rule alone, on two
processes, without its progress bar; it is installed into an environment of the benchmark's own. It remembers nothing
between runs, so its warm run differs from its cold one only by what the system has in memory. Every command is a whole
process. The tools take turns, so that whatever else the machine does meets both.

cold: without the project's `.rules`. warm: nothing was changed. one edit: a new filter in the rule that most depends
on; of sqlfluff, to which a file's findings depend on no other file, only that file is asked for.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.answers import PAUSE, ROWS, measure
from benchmarks.generated import write_project
from benchmarks.versus.environments import programs
from benchmarks.versus.scenarios import Subject
from benchmarks.versus.tools import ROOT

PINS = ("sqlfluff==4.5.0",)
RESULTS = ROOT / "benchmarks" / "results"
_BEST = ("--dialect", "postgres", "--rules", "RF02", "--processes", "2")
_FOUND = (0, 1)
"""Both tools end with 1 where something is found."""


def main(size: int = 1000, runs: int = 3) -> None:
    """Measure every case in turn, so many times; print medians."""
    rules = str(Path(sys.executable).parent / "rules")
    sqlfluff = str(programs(RESULTS / "environments", "sqlfluff", PINS) / "sqlfluff")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_project(root, size, rows=ROWS)
        edited = root / "rules" / f"{Subject(size).root}.sql"
        text = edited.read_text(encoding="utf-8")

        def forget(_: int) -> None:
            shutil.rmtree(root / ".rules", ignore_errors=True)

        def nothing(_: int) -> None:
            pass

        def edit(run: int) -> None:
            edited.write_text(text.replace("s.val >= 0", f"s.val >= {run + 1}"), encoding="utf-8")

        lint = [sqlfluff, "lint", "--disable-progress-bar", *_BEST]
        cases: dict[str, tuple[list[str], Callable[[int], None]]] = {
            "rules check, cold": ([rules, "check"], forget),
            "rules check, warm": ([rules, "check"], nothing),
            "rules check, one edit": ([rules, "check"], edit),
            "sqlfluff lint, cold": ([*lint, "rules"], nothing),
            "sqlfluff lint, warm": ([*lint, "rules"], nothing),
            "sqlfluff lint, edited file": ([*lint, str(edited.relative_to(root))], nothing),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
        for run in range(runs):
            for name, (command, prepare) in cases.items():
                prepare(run)
                time.sleep(PAUSE)
                taken[name].append(measure(command, root, expect=_FOUND))
                print(f"{name}: {taken[name][-1][0]:.2f} s", file=sys.stderr, flush=True)
    print(f"{size:,} rules, medians of {runs}\n\n{'command':28} {'wall s':>8} {'cpu s':>8}")
    for name, figures in taken.items():
        wall, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{name:28} {wall:8.2f} {cpu:8.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
