"""How much memory a process of its own has taken: told by itself, or seen from outside with all that it starts."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence

from benchmarks.memory_peaks import resident

PEAK = """
def peak():
    \"\"\"Return the most memory that this process has taken since it was begun, in KiB.\"\"\"
    import resource, sys
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    # Linux: ru_maxrss also counts what the process that began this one had taken by then.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
"""
"""Source of a function for scripts that tests run."""


def peak_of_all(words: Sequence[str]) -> tuple[str, int]:
    """Run a command; return its output, and the most MiB that it and the processes below it have taken (Linux)."""
    most = 0
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:  # which writes less than a pipe holds
            most = max(most, sum(resident(process.pid)))  # its record stays until it is waited for
            time.sleep(0.02)
        assert process.stdout is not None
        out = process.stdout.read()
    assert process.returncode == 0, out
    return out, most
