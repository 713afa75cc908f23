"""How much memory a process of its own has taken, told by the process itself."""

from __future__ import annotations

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
