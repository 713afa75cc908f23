"""Run one command and print what it took, as JSON: exit code, wall and processor seconds, peak memory in MiB.

Usage: python -I -S measure.py OUTPUT LIMIT COMMAND…

A process of its own, which imports next to nothing: a child's peak includes what its parent held when it was started.
The processor time is that of the command and of all it has waited for; the peak is that of the largest of them. What
the command writes goes to the file OUTPUT; after LIMIT seconds it is interrupted, then killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time

_GRACE = 20


def main() -> None:
    """Run the command line."""
    output, limit, *command = sys.argv[1:]
    start = time.perf_counter()
    child = os.fork()
    if not child:
        _become(command, output)
    impatience = [signal.SIGKILL, signal.SIGINT]

    def stop(*_: object) -> None:
        os.kill(child, impatience.pop())
        signal.alarm(_GRACE if impatience else 0)

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(int(limit))
    _, status, usage = os.wait4(child, 0)
    wall = time.perf_counter() - start
    signal.alarm(0)
    code = os.waitstatus_to_exitcode(status)
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    cpu = usage.ru_utime + usage.ru_stime
    sys.stdout.write(f'{{"code": {code}, "wall": {wall:.4f}, "cpu": {cpu:.4f}, "peak": {peak:.1f}}}\n')


def _become(command: list[str], output: str) -> None:
    try:
        target = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        for stream in (1, 2):
            os.dup2(target, stream)
        os.execvp(command[0], command)  # noqa: S606
    finally:
        os._exit(127)


if __name__ == "__main__":
    main()
