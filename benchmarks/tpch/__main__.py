"""Set builds of the TPC-H project beside a bare script that runs the same queries: `python -m benchmarks.tpch`.

    .venv-test/bin/python -m benchmarks.tpch [--scale 1] [--runs 5] [--project FOLDER]

By turns, each in a process of its own: the script; a build in an empty store, which digests the sources; a build that
executes all products again from sources that are known; a build with nothing to do. Prints medians of wall and
processor seconds and of the peak of memory, and how many times the script's they are. `--scale 0.1 --runs 1` is the
short form.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.tpch.data import make_standard_project
from rules.config.profiles import PROFILES
from rules.engine.memory import pool_bytes

ROOT = Path(__file__).resolve().parents[2]
PROFILE = PROFILES["prod_fast"]
FIGURES = ("wall", "cpu", "peak")
GOALS = {"known sources": (1.10, 1.10, 1.0), "cold": (1.20, 1.20, 1.0)}
_LIMIT = 1800
_RULES = Path(sys.executable).parent / "rules"


def measured(folder: Path, *command: str | Path) -> dict[str, float]:
    """Run a command in a process of its own, and return what it took. Raises SystemExit if it fails."""
    output = folder / "output"
    measure = [sys.executable, "-I", "-S", ROOT / "benchmarks" / "versus" / "measure.py", output, str(_LIMIT)]
    words = [str(word) for word in (*measure, *command)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout)
    if found["code"]:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {found['code']}:\n{output.read_text()}")
    return found


def subjects(project: Path, folder: Path) -> dict[str, Callable[[], dict[str, float]]]:
    """Return what is measured, by name, in the order of the turns: the cold build makes the store of the others."""
    pool = str(pool_bytes(PROFILE))
    script = (sys.executable, "-m", "benchmarks.tpch.script", project, folder / "tables", str(PROFILE.workers), pool)

    def cold() -> dict[str, float]:
        shutil.rmtree(project / ".rules", ignore_errors=True)
        return measured(folder, _RULES, "-C", project, "build")

    return {
        "script": lambda: measured(folder, *script),
        "cold": cold,
        "known sources": lambda: measured(folder, _RULES, "-C", project, "build", "--force", "*"),
        "nothing to do": lambda: measured(folder, _RULES, "-C", project, "build"),
    }


def report(found: dict[str, list[dict[str, float]]]) -> str:
    """Return a table of medians and of their ratios to the script's."""
    medians = {
        name: [statistics.median(one[figure] for one in runs) for figure in FIGURES] for name, runs in found.items()
    }
    lines = [f"{'':16}{'wall s':>18}{'cpu s':>18}{'peak MiB':>18}"]
    for name, values in medians.items():
        shown = [f"{value:9.2f} ({value / base:5.2f})" for value, base in zip(values, medians["script"], strict=True)]
        goal = f"   goal {', '.join(f'{one:.2f}' for one in GOALS[name])}" if name in GOALS else ""
        lines.append(f"{name:16}" + "".join(f"{one:>18}" for one in shown) + goal)
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1, help="of the data (%(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="of each (%(default)s)")
    parser.add_argument(
        "--project", type=Path, help="a folder for the project, used again if there; else a temporary one"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = (options.project or folder / "project").resolve()
        if not (project / "rules.toml").exists():
            make_standard_project(project, options.scale)
        runners = subjects(project, folder)
        runners["script"]()  # so that the files are in the system's cache for all
        found: dict[str, list[dict[str, float]]] = {one: [] for one in runners}
        for number in range(options.runs):
            for one, run in runners.items():
                found[one].append(run())
            print(f"run {number + 1} of {options.runs} done", file=sys.stderr)
    print(f"TPC-H at scale {options.scale:g}, medians of {options.runs}")
    print(report(found))


if __name__ == "__main__":
    main()
