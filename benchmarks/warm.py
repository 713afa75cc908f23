"""Print what an edit costs a process that knows the project: `python -m benchmarks.warm [RULES] [RUNS]` (1,000 and 20).

A generated project over small sources is built once. Then, in one process: a comment is saved and planned, a rule that
nothing reads is edited and built, one of 100,000 rows, too, a keystroke is checked, without and with readers; then what
the language server answers, from the workbench that it asks. Beside each, what a new process takes for the same,
imports included, and the goal of the wall time; at last a check of a copy that nobody has checked. Wall and CPU time,
medians; the 99th percentile; memory. The short form, to see that it runs: `python -m benchmarks.warm 100 3`.
"""

from __future__ import annotations

import gc
import math
import resource
import shutil
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
READERS = 50
THOUSAND = 1000


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


def measured(title: str, runs: int, work: Callable[[int], object], goal: int | None = None, late_goal: int = 0) -> None:
    """Print medians of some runs, of which the first is not counted. goal: for the median, in ms; late_goal: p99."""
    wall, cpu = [], []
    for run in range(runs + 1):
        began, used = time.perf_counter(), time.process_time()
        work(run)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    late = sorted(wall[1:])[math.ceil(runs * 0.99) - 1]
    middle = statistics.median(wall[1:]) * 1000
    missed = (goal is not None and middle > goal) or (late_goal and late * 1000 > late_goal)
    wanted = f"   goal {goal}{f', {late_goal}' if late_goal else ''}{': MISSED' if missed else ''}" if goal else ""
    print(
        f"{title:<44}{middle:>9.1f} ms wall"
        f"{statistics.median(cpu[1:]) * 1000:>9.1f} ms CPU{late * 1000:>9.1f} ms p99{wanted}"
    )


def beside(title: str, command: list[str], before: Callable[[int], object], times: int = COLD_RUNS) -> None:
    """Print the medians of a command in processes of its own."""
    wall, cpu = [], []
    for run in range(times):
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
        _add_hub(root)
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
            (core.build if building else core.plan)(Request(brief=True), quiet)

        def typed(run: int, path: Path) -> None:
            text = texts[path].replace("WHERE", f"WHERE {run} < {run + 1} AND")
            core.check(quiet.say, {f"rules/{path.name}": f"{text}\n-- {run}"})

        def rebuilt(run: int) -> None:
            (root / "rules" / "tall.sql").write_text(f"SELECT b.id, b.val + {run} AS val FROM big AS b\n")
            report = core.build(Request(brief=True), quiet)
            spent.append(report.results["tall"].seconds)

        spent: list[float] = []
        known = size <= THOUSAND
        measured(
            "a comment saved, planned", runs, lambda run: saved(run, comment, building=False), 60 if known else 250
        )
        beside("  rules plan", [program, "-C", str(root), "plan"], lambda run: comment(-1 - run))
        measured("a leaf edited, built", runs, lambda run: saved(run, refilter, building=True))
        beside("  rules build", [program, "-C", str(root), "build"], lambda run: refilter(1000 + run))
        measured("a leaf of 100,000 rows edited, built", runs, rebuilt)
        query = statistics.median(spent[1:]) * 1000
        print(f"{'  of which its own run':<44}{query:>9.1f} ms        goal: at most {150 if known else 250} beside it")
        measured("a key in a leaf, checked", runs, lambda run: typed(run, leaf), 50, 200)
        measured("a key in a rule with readers, checked", runs, lambda run: typed(run, first), 50, 200)
        beside("  rules check", [program, "-C", str(root), "check"], lambda run: comment(-1 - run))
        answers(root, runs)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{size:,} rules, peak memory of this process {peak:,.0f} MiB")
        fresh = Path(folder) / "fresh"
        shutil.copytree(root, fresh, ignore=shutil.ignore_patterns(".rules"))
        nobody = [program, "-C", str(fresh), "check"]
        beside("rules check of what nobody has checked", nobody, lambda _: None, times=1)


def _add_hub(root: Path) -> None:
    """Add a rule with a column that READERS rules read, and a source of 100,000 rows with a rule."""
    from benchmarks.generated import SOURCES, write_source

    write_source(root / "data" / "s99.parquet", rows=100_000)
    with (root / "rules.toml").open("a", encoding="utf-8") as file:
        file.write('\n[sources.big]\npath = "data/s99.parquet"\n')
    texts = {
        "tall": "SELECT b.id, b.val FROM big AS b",
        "hub": f"SELECT s.id, s.val AS worth FROM {next(iter(SOURCES))} AS s",
    }
    texts |= {f"spoke_{number}": f"SELECT h.id, h.worth + {number} AS more FROM hub AS h" for number in range(READERS)}
    for name, text in texts.items():
        (root / "rules" / f"{name}.sql").write_text(text + "\n", encoding="utf-8")


def answers(root: Path, runs: int) -> None:
    """Measure what the language server answers."""
    from rules.lsp.completion import complete
    from rules.lsp.hovers import hover
    from rules.lsp.navigation import definitions, symbols_at
    from rules.lsp.renaming import rename
    from rules.lsp.workbench import Workbench

    bench, path = Workbench(root, runs_python=False), "rules/spoke_1.sql"
    text = (root / path).read_text(encoding="utf-8")
    bench.open(path, text)
    bench.check(Quiet().say)
    bench.make_plan(Quiet())
    bench.learn_signatures()
    worth = text.index("worth")

    def typing(run: int) -> None:
        bench.open(path, text.replace("+ 1", f"+ {run}"))
        bench.check(Quiet().say)

    measured("a key, the findings of the language server", runs, typing, 50, 200)
    bench.open(path, text)
    bench.check(Quiet().say)
    measured("hover on a column", runs, lambda _: hover(bench, path, worth), 30)
    measured("completion of everything", runs, lambda _: complete(bench, path, text.index("h.id")), 30)
    at = symbols_at(bench, path, worth)[0].symbol
    measured("definition of a column", runs, lambda _: definitions(bench, path, at), 30)
    measured(
        f"rename of a column with {READERS} readers", runs, lambda run: rename(bench, path, worth, f"w{run}"), 1000
    )


if __name__ == "__main__":
    main(*[int(word) for word in (*sys.argv[1:3], *["1000", "20"][len(sys.argv) - 1 :])][:2])
