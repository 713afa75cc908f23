"""Threads that work for one build, and can go on without one that does not end.

A program ends once its threads have, also one that was left behind: to end it within the engine would abort the
program. The command line does not wait for that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_left: list[threading.Thread] = []


def are_left() -> bool:
    """Whether a thread that was left behind is still at its work."""
    return any(one.is_alive() for one in _left)


class Threads:
    """Do what is submitted, in order, so many things at a time."""

    def __init__(self, count: int) -> None:
        """count: the most threads that work at a time; each is started once there is work for it."""
        self._count = count
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._doing: dict[threading.Thread, Future[Any] | None] = {}

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Have `work` done once a thread is free. What it raises, whatever it is, the future raises."""
        future: Future[T] = Future()
        self._tasks.put((future, work))
        if len(self._doing) < self._count:
            self._start()
        return future

    def leave(self, future: Future[Any]) -> None:
        """Go on without the thread that is at `future`, however long that takes; another one takes its place."""
        thread = next((one for one, at in self._doing.items() if at is future), None)
        if thread is not None:
            del self._doing[thread]
            _left.append(thread)
            self._start()

    def shutdown(self, *, cancel_futures: bool = False) -> None:
        """Wait until all is done. cancel_futures: what no thread has begun is not done."""
        threads = list(self._doing)
        self.end(cancel_futures=cancel_futures)
        for thread in threads:
            thread.join()

    def end(self, *, cancel_futures: bool = True) -> None:
        """Let the threads end once they have done what they are at, without waiting for them."""
        while cancel_futures and (task := self._next()) is not None:
            task[0].cancel()
        for _ in self._doing:
            self._tasks.put(None)

    def _start(self) -> None:
        thread = threading.Thread(target=self._serve, name="rules-build")
        self._doing[thread] = None
        thread.start()

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        try:
            return self._tasks.get_nowait()
        except Empty:
            return None

    def _serve(self) -> None:
        own = threading.current_thread()
        while own in self._doing and (task := self._tasks.get()) is not None:
            future, work = task
            if not future.set_running_or_notify_cancel():
                continue
            self._doing[own] = future
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 — it is raised by who asks for the result
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
            if own in self._doing:
                self._doing[own] = None
            del future, work, task
