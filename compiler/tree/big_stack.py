"""Deeply recursive work on a stack that is large enough for it."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

STACK_BYTES = 512 * 1024 * 1024
"""Reserved address space; a page of it becomes memory only when the recursion reaches it."""
RECURSION_LIMIT = 120_000
"""The number of frames. About 4 KiB of stack each, more than the costliest path through C needs."""

_lock = threading.Lock()
_limit_lock = threading.Lock()
_inside = threading.local()
_active = 0
_usual_limit = 0


def with_deep_stack(work: Callable[[], T]) -> T:
    """Return `work()`, run in a thread with a large stack; its exceptions are raised here.

    Called from within such a thread it just calls `work`. Raises `RecursionError` beyond `RECURSION_LIMIT` frames.
    """
    if getattr(_inside, "deep", False):
        return work()
    outcome: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        _inside.deep = True
        _raise_limit()
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 — handed to the calling thread
            failure.append(error)
        finally:
            _restore_limit()

    with _lock:
        usual_stack = threading.stack_size(STACK_BYTES)
        try:
            thread = threading.Thread(target=run, name="deep-stack", daemon=True)
            # Returns once the thread has started, so no other thread gets the large stack.
            thread.start()
        finally:
            threading.stack_size(usual_stack)
    thread.join()
    if failure:
        try:
            raise failure[0]
        finally:
            failure.clear()  # breaks the cycle frame → error → traceback → frame
    return outcome[0]


def _raise_limit() -> None:
    """The process has a single limit, so it stays raised until the last deep thread is done."""
    global _active, _usual_limit  # noqa: PLW0603 — process-wide state, like the limit itself
    with _limit_lock:
        if _active == 0:
            _usual_limit = sys.getrecursionlimit()
            sys.setrecursionlimit(max(RECURSION_LIMIT, _usual_limit))
        _active += 1


def _restore_limit() -> None:
    global _active  # noqa: PLW0603 — process-wide state, like the limit itself
    with _limit_lock:
        _active -= 1
        if _active == 0:
            sys.setrecursionlimit(_usual_limit)
