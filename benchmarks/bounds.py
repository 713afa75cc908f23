"""Print how long the compiler takes for very large rules: `python benchmarks/bounds.py [PART OF A NAME …]`.

Of each case: the seconds of the compiler, those of the engine's planner, which no canonical form makes shorter, and the
size of the rule's text.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.large import CASES, LargeCompiler  # noqa: E402 — found by the path above


def main(wanted: list[str]) -> None:
    """Compile every case whose name has one of the words in it."""
    print(f"{'case':34} {'compiler s':>10} {'engine s':>9} {'text KiB':>9}")
    for name, make in CASES.items():
        if wanted and not any(word in name for word in wanted):
            continue
        sql = make(1)
        compiler = LargeCompiler()
        start = time.process_time()
        said = compiler.outcome(sql)
        seconds = time.process_time() - start - compiler.planning
        print(f"{name:34} {seconds:10.2f} {compiler.planning:9.2f} {len(sql) / 1024:9.1f}  {said}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
