"""Print what an edit costs a process that knows the project: `python -m benchmarks.warm [RULES] [RUNS]` (1,000 and 20).

A generated project over small sources is built once. Then, in one process: a comment is saved and planned, a rule that
nothing reads is edited and built, a keystroke is checked, without and with readers. Beside each, what a new process
takes for the same, imports included. Wall and CPU time, medians; the 99th percentile; memory at the end.
The short form, to see that it runs: `python -m benchmarks.warm 100 3`.
"""

from __future__ import annotations

import gc
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.generated import write_project

ROWS = 1000
GARBAGE = 100_000
COLD_RUNS = 5


class Quiet:
    """An observer that says nothing."""

    def planned(self, *_: object) -> None:
        """Say nothing."""

    def started(self, _: object) -> None:
        """Say nothing."""

    def finished(self, _: object) -> None:
        """Say nothing."""

    def say(self, _: object) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Say nothing."""


def measured(title: str, runs: int, work: Callable[[int], object]) -> None:
    """Print medians of some runs, of which the first is not counted."""
    wall, cpu = [], []
    for run in range(runs + 1):
        began, used = time.perf_counter(), time.process_time()
        work(run)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    late = sorted(wall[1:])[max(0, int(runs * 0.99) - 1)]
    print(
        f"{title:<44}{statistics.median(wall[1:]) * 1000:>9.1f} ms wall"
        f"{statistics.median(cpu[1:]) * 1000:>9.1f} ms CPU{late * 1000:>9.1f} ms p99"
    )


def beside(title: str, command: list[str], before: Callable[[int], object]) -> None:
    """Print the medians of a command in processes of its own."""
    wall, cpu = [], []
    for run in range(COLD_RUNS):
        before(run)
        used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, capture_output=True, check=False)
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall.append(time.perf_counter() - began)
        cpu.append(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime)
    print(f"{title:<44}{statistics.median(wall) * 1000:>9.1f} ms wall{statistics.median(cpu) * 1000:>9.1f} ms CPU")


def main(size: int, runs: int) -> None:
    """Measure a project of `size` rules."""
    from rules.core import Core
    from rules.planning.prepared import Request

    gc.set_threshold(GARBAGE)
    program = str(Path(sys.executable).parent / "rules")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        write_project(root, size, rows=ROWS)
        core, quiet = Core(root), Quiet()
        core.build(Request(), quiet)
        core.check(quiet.say)
        leaf = min((root / "rules").glob("agg_*.sql"))
        first = min((root / "rules").glob("stg_*.sql"))
        texts = {path: path.read_text(encoding="utf-8") for path in (leaf, first)}

        def comment(run: int) -> None:
            leaf.write_text(f"{texts[leaf]}\n-- {run}\n", encoding="utf-8")

        def refilter(run: int) -> None:
            leaf.write_text(texts[leaf].replace("SUM(a.val", f"SUM({run} + a.val"), encoding="utf-8")

        def saved(run: int, edit: Callable[[int], None], *, building: bool) -> None:
            edit(run)
            (core.build if building else core.plan)(Request(), quiet)

        def typed(run: int, path: Path) -> None:
            text = texts[path].replace("WHERE", f"WHERE {run} < {run + 1} AND")
            core.check(quiet.say, {f"rules/{path.name}": f"{text}\n-- {run}"})

        measured("a comment saved, planned", runs, lambda run: saved(run, comment, building=False))
        beside("  rules plan", [program, "-C", str(root), "plan"], lambda run: comment(-1 - run))
        measured("a leaf edited, built", runs, lambda run: saved(run, refilter, building=True))
        beside("  rules build", [program, "-C", str(root), "build"], lambda run: refilter(1000 + run))
        measured("a key in a leaf, checked", runs, lambda run: typed(run, leaf))
        measured("a key in a rule with readers, checked", runs, lambda run: typed(run, first))
        beside("  rules check", [program, "-C", str(root), "check"], lambda run: comment(-1 - run))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{size:,} rules, peak memory of this process {peak:,.0f} MiB")


if __name__ == "__main__":
    main(*[int(word) for word in (*sys.argv[1:3], *["1000", "20"][len(sys.argv) - 1 :])][:2])
