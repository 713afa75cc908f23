"""Signals that end a command: it unwinds, says so in one line, and exits with 128 and the signal's number.

SIGINT (Ctrl-C), SIGTERM (`kill`, `timeout`, a CI that cancels) and SIGHUP (a terminal that is closed) are one thing to
a command. A signal that is ignored when the command starts, as SIGHUP under `nohup`, stays ignored.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from rules.terminal.output import results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOTICES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "the terminal was closed"}
_AGAIN = 1.0
"""Seconds after which a second signal is impatience: `timeout` sends the first one twice."""
_GRACE = 5.0
"""Seconds to unwind in. Code of a project may catch everything, and go on."""
_SOON = 0.02
_SHOW_CURSOR = "\x1b[?25h"
_UNWRITABLE = (OSError, ValueError, RuntimeError)
"""What a stream raises that is broken, closed, or was being written to when the signal came."""


class Stopped(KeyboardInterrupt):
    """A signal has come that ends the command. A `KeyboardInterrupt`, so that whoever lets one pass lets all pass."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def notice(number: int) -> str:
    """Return what is said of a command that was ended."""
    return f"{_NOTICES[signal.Signals(number)]}; what was finished is kept"


@contextlib.contextmanager
def raised() -> Iterator[None]:
    """Raise `Stopped` for signals that come inside. In a thread that is not the main one, change nothing.

    Nothing inside can keep the process from ending: a second signal ends it at once, and so does time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in _ENDING}
    ours = [one for one in _ENDING if before[one] in {signal.SIG_DFL, signal.default_int_handler}]
    unraisable = sys.unraisablehook
    sys.unraisablehook = functools.partial(_again, unraisable)
    try:
        with _sent_again():
            for one in ours:
                signal.signal(one, _handler)
            yield
    except KeyboardInterrupt:
        raise  # to be reported, which a second signal must not disturb
    except BaseException:
        _restore(before, ours, unraisable)
        raise
    else:
        _restore(before, ours, unraisable)


def came() -> int | None:
    """Return the signal that has come, if any."""
    return _handler.number


class _Handler:
    """What is called for each signal, in the main thread."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._since: float | None = None
        self._deadline: threading.Timer | None = None

    def __call__(self, number: int, _: Any) -> None:
        now = time.monotonic()
        if self._since is not None:
            if now - self._since > _AGAIN:
                end(number)
            return
        self.number, self._since = number, now
        with contextlib.suppress(RuntimeError):  # no thread can be started: the next signal ends it
            self._deadline = threading.Timer(_GRACE, _end_late, [number])
            self._deadline.daemon = True
            self._deadline.start()
        raise Stopped(number)

    def forget(self) -> None:
        """Be as before the first signal."""
        if self._deadline is not None:
            self._deadline.cancel()
        self.number = self._since = self._deadline = None


_handler = _Handler()


@contextlib.contextmanager
def _sent_again() -> Iterator[None]:
    """Send a signal again that the main thread has not heeded, inside.

    Python calls handlers in that thread alone. A signal that comes as it begins to wait, or in another thread, does not
    end the wait.
    """
    try:
        reader, writer = os.pipe()
    except OSError:  # so few files may be open that nothing works: whatever comes first says so
        yield
        return
    os.set_blocking(writer, False)
    over = threading.Event()
    thread = threading.Thread(target=_send_again, args=(reader, over), name="rules-signals", daemon=True)
    thread.start()
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.close(writer)
        thread.join()
        os.close(reader)


def _send_again(reader: int, over: threading.Event) -> None:
    """Send each signal that is read, until its handler has been called."""
    main = threading.main_thread().ident or 0
    while read := os.read(reader, 1):
        while read[0] in _ENDING and _handler.number is None and not over.wait(_SOON):
            signal.pthread_kill(main, read[0])


def _again(otherwise: Callable[[Any], object], found: Any) -> None:
    """Take what cannot be raised: let a signal that came while an object was freed come once more."""
    if isinstance(found.exc_value, Stopped):
        _handler.forget()
        number = found.exc_value.number
        threading.Timer(_SOON, os.kill, [os.getpid(), number]).start()  # at once, it would come in this hook
    else:
        otherwise(found)


def _restore(before: Mapping[signal.Signals, Any], ours: Iterable[signal.Signals], unraisable: Any) -> None:
    for one in ours:
        signal.signal(one, before[one])
    sys.unraisablehook = unraisable
    _handler.forget()


def end(number: int) -> NoReturn:
    """End the process at once as a signal does."""
    end_process(128 + number)


def end_process(code: int) -> NoReturn:
    """End the process at once, and those that it started.

    Worker threads in the engine cannot be stopped, and every commit is already safe.
    """
    ahead = sys.modules.get("rules.compiling.helpers")
    if ahead is not None:
        ahead.end_helpers()
    with contextlib.suppress(*_UNWRITABLE):
        results().flush()
    with contextlib.suppress(*_UNWRITABLE):
        if "rich" in sys.modules and sys.stderr.isatty():  # which hides it while it draws
            sys.stderr.write(_SHOW_CURSOR)
        sys.stderr.flush()
    os._exit(code)


def leave_threads(code: int) -> None:
    """End the process at once if a thread was left behind, which Python would wait for."""
    threads = sys.modules.get("rules.running.threads")
    if threads is not None and threads.are_left():
        end_process(code)


def _end_late(number: int) -> None:
    with contextlib.suppress(*_UNWRITABLE):
        sys.stderr.write(f"error: {notice(number)}\n")
    end(number)
