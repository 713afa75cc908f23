"""What the threads of a build are at: begun here, ended by a limit of time or an interrupt, concluded one at a time.

Only the main thread concludes. What was stopped at a limit concludes with the error of that limit.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Any, Self, TypeVar

from rules.engine.stopping import StoppedError
from rules.running.threads import Threads

if TYPE_CHECKING:
    from types import TracebackType

    from rules.engine.stopping import Stop
    from rules.loading.rule import Rule
    from rules.running.cores import Share
    from rules.running.limits import Watch

T = TypeVar("T")
Outcome = Callable[[], T]
"""Returns the result of work that has ended, or raises what it raised."""
_PATIENCE = 1.0
"""Seconds that an interrupted build waits for its threads."""


class LimitedWork:
    """The unfinished work of one build. Whoever leaves its context leaves no work behind that could be ended."""

    def __init__(self, threads: int, watch: Watch, *, is_elsewhere: bool) -> None:
        """threads: the most that work at a time. is_elsewhere: whether an interrupt ends work, in another process."""
        self._pool, self._watch, self._is_elsewhere = Threads(threads), watch, is_elsewhere
        self._unfinished: dict[Future[Any], Callable[[Outcome[Any]], None]] = {}
        self._shares: dict[Future[Any], Share] = {}

    def __len__(self) -> int:
        return len(self._unfinished)

    def begin(
        self, rule: Rule, stop: Stop, share: Share, work: Callable[[], T], conclude: Callable[[Outcome[T]], None]
    ) -> None:
        """Have `work` on a product, or on the contract of a source, done in a thread, with its share of the cores.

        `stop` ends it.
        """
        future = self._pool.submit(functools.partial(_begun, stop, share, work))
        self._unfinished[future], self._shares[future] = conclude, share
        self._watch.add(future, rule, stop)

    def conclude_next(self, beside: Collection[Future[Any]] = (), most: float | None = None) -> set[Future[Any]]:
        """Wait until some work has ended, or did not end in good time at its limit, and conclude that.

        beside: what others are at; the wait ends with it, too, and after `most` seconds. Returns what of it has ended.
        """
        seconds = min((one for one in (self._watch.patience, most) if one is not None), default=None)
        done = _ended([*self._unfinished, *beside], seconds)
        behind = [future for future in self._watch.look() if future not in done]
        for future in (*done.intersection(self._unfinished), *behind):
            share = self._shares.pop(future)
            if future in behind:
                self._pool.leave(future)
                share.leave()
            self._unfinished.pop(future)(self._outcome(future))
        return done.intersection(beside)

    def _outcome(self, future: Future[T]) -> Outcome[T]:
        """Return what yields the result of work that has ended; the error of its limit if it was stopped."""
        late = self._watch.remove(future)

        def result() -> T:
            if late is None:
                return future.result()
            try:
                return future.result(0)
            except (StoppedError, TimeoutError) as error:
                raise late from error

        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, KeyboardInterrupt):
            self._pool.shutdown(cancel_futures=error is not None)  # threads use the store, which is closed next
            return
        # The user is waiting. On the command line the process ends now; in a program, what it runs elsewhere does.
        self._watch.stop_all()
        self._pool.end()
        if self._is_elsewhere:
            wait(list(self._unfinished), _PATIENCE)


def _ended(futures: list[Future[Any]], seconds: float | None) -> set[Future[Any]]:
    """Return what has ended once something has, or the time is over. There is something, or a time."""
    if not futures:
        time.sleep(seconds or 0.0)
        return set()
    return wait(futures, seconds, return_when=FIRST_COMPLETED).done


def _begun(stop: Stop, share: Share, work: Callable[[], T]) -> T:
    with share:
        stop.begin()
        return work()
