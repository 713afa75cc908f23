"""Print what checking costs: `python -m benchmarks.check_cost [RULES] [RUNS]`, 1,000 and 3 by default.

`rules check` and `sqlfluff lint` with its rule on qualified references alone, side by side in one run, on a generated
project: first from nothing, then unchanged, then after an edit of the rule that most depends on. sqlfluff remembers
nothing between two runs, so it is measured from nothing only, with two processes and told the dialect; it is installed
in an environment of its own below benchmarks/results. Each figure is that of a whole process, or of all its processes.
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

ENVIRONMENTS = Path("benchmarks/results/environments")


def cases(root: Path, subject: Subject) -> dict[str, tuple[list[str], Callable[[int], None]]]:
    """Return commands, and what is done before each run of them."""
    edited = root / "rules" / f"{subject.root}.sql"
    text = edited.read_text(encoding="utf-8")
    own = str(Path(sys.executable).parent / "rules")
    other = [str(programs(ENVIRONMENTS, "sqlfluff") / "sqlfluff"), "lint", "--dialect", "postgres", "--rules", "RF02"]

    def forget(_: int) -> None:
        shutil.rmtree(root / ".rules", ignore_errors=True)

    def nothing(_: int) -> None:
        pass

    def edit(run: int) -> None:
        edited.write_text(text.replace("s.val >= 0", f"s.val >= {run}"), encoding="utf-8")

    return {
        "rules check, from nothing": ([own, "check", "-q"], forget),
        "sqlfluff lint, from nothing": ([*other, "--processes", "2", "--disable-progress-bar", "rules"], nothing),
        "rules check, unchanged": ([own, "check", "-q"], nothing),
        "rules check, root edited": ([own, "check", "-q"], edit),
    }


def main(size: int = 1000, runs: int = 3) -> None:
    """Measure run by run, one command after the other; print medians."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_project(root, size, rows=ROWS)
        taken: dict[str, list[tuple[float, float]]] = {}
        commands = cases(root, Subject(size))
        for run in range(1, runs + 1):
            for name, (command, prepare) in commands.items():
                prepare(run)
                time.sleep(PAUSE)
                taken.setdefault(name, []).append(measure(command, root, failing=True))
        print(f"{size:,} rules, medians of {runs}\n\n{'command':28} {'wall s':>8} {'cpu s':>8}")
        for name, figures in taken.items():
            wall, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
            print(f"{name:28} {wall:8.3f} {cpu:8.3f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
