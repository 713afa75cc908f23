"""How much work a command is, without a clock: executed lines of our own code, by step.

Lines, so that the iterations of a loop count and not only its calls; our own code, because what it calls into works on
what it is given. Python's own counts: exact, and equal on every machine.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

STEPS = {  # by the module that does it; the longest path that fits decides
    "rules/": "load",
    "rules/compiling/compile_rules.py": "look up compiled",
    "rules/compiling/compile_memos.py": "look up compiled",
    "rules/compiling/compiler_upgrade.py": "look up compiled",
    "rules/compiling/kept_rules.py": "look up compiled",
    "rules/running/execution.py": "execute",
    "rules/running/cutoff.py": "execute",
    "rules/engine/": "execute",
    "compiler/": "compile",
    "compiler/diff/describe.py": "diff",
    "compiler/engine_errors/planning.py": "diff",
    "compiler/names/qualify.py": "look up compiled",  # also the schemas of all inputs
    "compiler/schema.py": "look up compiled",
    "compiler/fingerprint.py": "look up compiled",  # also the keys of what is looked up
    "graph/": "plan",
    "cache/": "store",
    "cache/index.py": "index",
    "cache/database.py": "index",
    "cache/history.py": "index",
    "cache/memos.py": "index",
    "cache/digests.py": "digest",
    "cache/bags.py": "digest",
    "cache/levels.py": "digest",
}


def work_of(command: Callable[[], Any]) -> Counter[str]:
    """Run a command, in this thread and those it starts; return its lines by step."""
    lines: Counter[str] = Counter()
    steps: dict[str, str | None] = {}

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            step = steps[frame.f_code.co_filename]
            assert step is not None
            lines[step] += 1
        return on_line

    def on_call(frame: FrameType, event: str, _: Any) -> Any:
        assert event == "call"
        path = frame.f_code.co_filename
        if path not in steps:
            steps[path] = _step_of(path)
        return on_line if steps[path] is not None else None

    before = sys.gettrace(), threading.gettrace()
    threading.settrace(on_call)
    sys.settrace(on_call)
    try:
        command()
    finally:
        sys.settrace(before[0])
        threading.settrace(before[1])  # type: ignore[arg-type]
    return lines


def _step_of(path: str) -> str | None:
    if not path.startswith(str(ROOT)):
        return None
    inside = path.removeprefix(f"{ROOT}/")
    found = [prefix for prefix in STEPS if inside.startswith(prefix)]
    return STEPS[max(found, key=len)] if found else None
