"""Limits of time, of a build and of each product in it: who is over its limit is asked to stop, then left behind.

Work ends when it can. A query in a process of its own ends at once; one that calls Python functions of the project
ends between two batches, and a function that does not return never ends: it is left behind in its thread.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rules.config.durations import seconds_of
from rules.errors import FAILED, UserError, Where
from rules.wording import duration

if TYPE_CHECKING:
    from rules.config.profiles import Profile
    from rules.engine.stopping import Stop
    from rules.loading.rule import Rule
    from rules.planning.prepared import Request

_GRACE = 1.0
"""Seconds that work has to end in, once it is asked to."""
_MINUTE = 60
_SOON = 1e-6
_LOOK = 0.1
"""Seconds between two looks at work that has not begun, or is about to end."""


@dataclass(frozen=True)
class Limits:
    """Seconds that a build, and each product in it, may take; None for as long as it takes."""

    build: float | None = None
    product: float | None = None

    @classmethod
    def of(cls, profile: Profile, request: Request) -> Limits:
        """Return those of a profile, in place of which a request may have its own."""
        build, product = (seconds_of(text) if text else None for text in (profile.timeout, profile.product_timeout))
        return cls(request.timeout or build, request.product_timeout or product)

    def __bool__(self) -> bool:
        return self.build is not None or self.product is not None

    @contextlib.contextmanager
    def while_preparing(self, started: float) -> Iterator[None]:
        """End what is done inside at the limit of a build that was asked for at `started`. Raises `UserError` then.

        A signal ends it, which a thread that is not the main one cannot get, and which a program may use itself. Then
        the limit is heeded once the first product is to start.
        """
        ours = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
        if self.build is None or not ours or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
            yield
            return
        is_over = False

        def end(*_: object) -> None:
            if not is_over:
                raise _OutOfTimeError

        signal.signal(signal.SIGALRM, end)
        try:
            signal.setitimer(signal.ITIMER_REAL, max(self.build - (time.perf_counter() - started), _SOON))
            yield
        except _OutOfTimeError:
            message = f"the build was stopped while it was prepared: its limit of {spelled(self.build)} was reached"
            hint = "raise --timeout, or timeout of the profile"
            raise UserError(message, code="timeout", hint=hint, exit_code=FAILED) from None
        finally:
            is_over = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


class _OutOfTimeError(KeyboardInterrupt):
    """The limit of a build was reached while it was prepared. Whoever lets an interrupt pass lets it pass."""


@dataclass
class _Work:
    """What a thread does. late: when it was asked to stop, and why; or None."""

    rule: Rule
    stop: Stop
    late: tuple[float, UserError] | None = None


@dataclass
class Watch:
    """Looks after the work of one build. started: when the build was asked for, by `time.perf_counter`."""

    limits: Limits
    started: float
    _works: dict[Future[Any], _Work] = field(default_factory=dict)

    def add(self, future: Future[Any], rule: Rule, stop: Stop) -> None:
        """Look after work on a product, or on the contract of a source."""
        self._works[future] = _Work(rule, stop)

    def remove(self, future: Future[Any]) -> UserError | None:
        """Look no longer after work that has ended or is left behind; return why it was stopped, if it was."""
        late = self._works.pop(future).late
        return late[1] if late is not None else None

    @property
    def patience(self) -> float | None:
        """Seconds until somebody has to be looked at; None for as long as the work takes."""
        if not self.limits:
            return None
        now, ends = time.perf_counter(), []
        if self.limits.build is not None and not self.build_is_over:
            ends.append(self.started + self.limits.build)
        for work in self._works.values():
            if work.late is not None or (self.limits.product is not None and work.stop.began is None):
                ends.append(now + _LOOK)
            elif self.limits.product is not None and work.stop.began is not None:
                ends.append(work.stop.began + self.limits.product)
        return max(min(ends) - now, 0.0) if ends else None

    def look(self) -> list[Future[Any]]:
        """Ask who is over its limit to stop; return the work that did not, although it was asked in good time."""
        now, behind = time.perf_counter(), []
        for future, work in self._works.items():
            if work.late is not None:
                if now - work.late[0] > _GRACE:
                    behind.append(future)
            elif (why := self._limit_of(work, now)) is not None:
                work.late = now, why
                work.stop.ask()
        return behind

    def stop_all(self) -> None:
        """Ask all work to stop."""
        for work in self._works.values():
            work.stop.ask()

    @property
    def build_is_over(self) -> bool:
        """Whether the build has taken as long as it may."""
        return self.limits.build is not None and time.perf_counter() - self.started >= self.limits.build

    @property
    def limit_of_build(self) -> str:
        """The limit of the build, in words."""
        assert self.limits.build is not None
        return spelled(self.limits.build)

    def unstarted(self, rule: Rule) -> UserError:
        """Return the error of the first product that could not be started in time."""
        return _error(rule, f"was not started: the build's limit of {self.limit_of_build} was reached", "timeout")

    def _limit_of(self, work: _Work, now: float) -> UserError | None:
        rule = work.rule
        if self.build_is_over:
            return _error(rule, f"was stopped: the build's limit of {self.limit_of_build} was reached", "timeout")
        began, limit = work.stop.began, self.limits.product
        if limit is None or began is None or now - began < limit:
            return None
        return _error(rule, f"was stopped: a product's limit of {spelled(limit)} was reached", "product-timeout")


def spelled(seconds: float) -> str:
    """Return a limit in words: 0.5 → "0.5 s", 60 → "1 min"."""
    return f"{seconds:g} s" if seconds < _MINUTE else duration(seconds).removesuffix(" 0 s").removesuffix(" 0 min")


def _error(rule: Rule, message: str, option: str) -> UserError:
    setting = option.replace("-", "_")
    hint = f"what was finished is kept; raise --{option}, or {setting} of the profile"
    where = Where(rule.path, rule.line)
    return UserError(f"{rule.name} {message}", code="timeout", where=where, hint=hint, exit_code=FAILED)
