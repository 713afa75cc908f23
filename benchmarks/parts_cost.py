"""Print what parts cost where nothing grows: `python -m benchmarks.parts_cost [RULES] [ROWS] [RUNS]`.

1000, 100000 and 5 by default; the short form is 60 20000 3. Cold builds of a generated project, and of the flights of
`fixtures`, each in a process and a store of its own, by turns with tables in parts as `min_rows` says and without any
parts; in seconds of processor time.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.generated import write_project

ROOT = Path(__file__).parents[1]
WHOLE = f"\n[parts]\nmin_rows = {10**15}\n"
"""No table has parts."""


def cold(project: Path) -> float:
    """Build a project in an empty store; return the seconds of processor time. Raises CalledProcessError."""
    shutil.rmtree(project / ".rules", ignore_errors=True)
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "rules", "build", "--json"]
    environment = {**inherited, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return used.ru_utime + used.ru_stime


def compare(project: Path, runs: int) -> None:
    """Print the medians of cold builds of a project, and of one that is the same but for parts."""
    whole = project.with_name(f"{project.name}-whole")
    shutil.copytree(project, whole)
    with (whole / "rules.toml").open("a", encoding="utf-8") as file:
        file.write(WHOLE)
    taken: dict[Path, list[float]] = {project: [], whole: []}
    for _ in range(runs):
        for one, seconds in taken.items():
            seconds.append(cold(one))
    parts, without = (statistics.median(seconds) for seconds in taken.values())
    print(f"{project.name}: {parts:.2f} s, without parts {without:.2f} s: {parts / without - 1:+.1%}")


def main() -> None:
    """Run the command line."""
    rules, rows, runs = [*map(int, sys.argv[1:]), *(1000, 100_000, 5)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as folder:
        generated = Path(folder) / "generated"
        write_project(generated, rules, rows=rows)
        compare(generated, runs)
        flights = Path(folder) / "flights"
        shutil.copytree(ROOT / "fixtures" / "flights", flights, ignore=shutil.ignore_patterns(".rules"))
        compare(flights, runs)


if __name__ == "__main__":
    main()
