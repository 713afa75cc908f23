"""Helper processes that compile or check rules, side by side, for a command that has many of them to do.

What they do is said by the setting that each is sent first (`Service.bench`), and by the jobs after it. A helper ends
when its pipe does, so none outlives a build that is killed.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref
from abc import ABC, abstractmethod
from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

from compiler.tree.big_stack import with_deep_stack
from graph.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rules.engine.protocol import Engine

_BOOT = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[1:];"
    "from rules.compiling.helpers import serve; serve()"
)
_GARBAGE = 100_000
"""New objects after which Python looks for cycles: looking after every 700, as it would, costs a helper a tenth."""
_MOST = 8
"""The most helpers: each has a compiler and an engine, some 170 MB."""
_AHEAD = 2
"""The jobs that a helper is sent: the next is there when one is done, so that it does not wait for this process."""


class Bench(Protocol):
    """What a helper works at."""

    def make(self, job: Any) -> Any:
        """Return the result of a job; None if it is not to be had here."""


class Service(Protocol):
    """What all jobs of a helper have in common, besides its engine."""

    def bench(self, engine: Engine) -> Bench:
        """Return where they are done."""


class Task(ABC):
    """A job that needs no bench."""

    @abstractmethod
    def done(self) -> Any:
        """Do it; return its result."""


def work_ahead(
    helpers: Helpers,
    setting: Service,
    inputs: Mapping[str, Iterable[str]],
    job: Callable[[str], Any],
    accept: Callable[[str, Any], None],
) -> None:
    """Have jobs done, inputs first. inputs: those of each rule, by name.

    job: returns that of a rule, None if it needs none; it is called once those of its inputs are settled. accept: takes
    the result of a job that has one.
    """
    schedule = Schedule(inputs, inputs)
    done: SimpleQueue[tuple[str, Future[Any]]] = SimpleQueue()  # waiting would check all each time
    running = 0
    while True:
        while running < helpers.at_once and (name := schedule.take()) is not None:
            wanted = job(name)
            if wanted is None:
                schedule.settle(name)
            else:
                running += 1
                helpers.submit(wanted, setting).add_done_callback(functools.partial(_note, done, name))
        if not running:
            return
        name, future = done.get()
        running -= 1
        if (made := future.result()) is not None:
            accept(name, made)
        schedule.settle(name)


def _note(done: SimpleQueue[tuple[str, Future[Any]]], name: str, future: Future[Any]) -> None:
    done.put((name, future))


def serve() -> None:
    """Do the jobs on the standard input, until it ends."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text must not mix with the answers
    try:
        engine, _ = pickle.load(asked)  # noqa: S301 — from our own parent process
    except EOFError:
        os._exit(0)
    engine.load()  # who asks is still loading the project
    gc.set_threshold(_GARBAGE)
    gc.freeze()  # what is imported stays

    with_deep_stack(lambda: _answer(engine, asked, answers))  # once for all jobs: making such a stack takes 0.4 ms


class _Setting(NamedTuple):
    """What a helper is sent before the jobs that need a bench."""

    service: Service


def _answer(engine: Engine, asked: BinaryIO, answers: BinaryIO) -> None:
    jobs: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=[asked, jobs], daemon=True).start()
    bench: Bench | None = None
    try:
        while True:
            job = jobs.get()
            if isinstance(job, _Setting):
                bench = job.service.bench(engine)
                continue
            made = job.done() if isinstance(job, Task) else bench.make(job) if bench is not None else None
            pickle.dump(made, answers)
            answers.flush()
    except BrokenPipeError:  # the build has finished, or has been killed
        os._exit(0)


def _listen(asked: BinaryIO, jobs: SimpleQueue[Any]) -> None:
    """Take jobs from the pipe whatever is being done: who sends one must not wait until an answer has been read."""
    try:
        while True:
            jobs.put(pickle.load(asked))  # noqa: S301 — from our own parent process
    except (EOFError, pickle.UnpicklingError, MemoryError):  # it has finished, or has been killed
        pass
    finally:
        os._exit(0)


_started: weakref.WeakSet[Helpers] = weakref.WeakSet()


class Helpers:
    """Helper processes; a thread here waits for each. They end with `close`, or when this object is deleted."""

    def __init__(self, count: int, engine: Engine, service: type[Service]) -> None:
        """service: the class of the setting, whose module a helper imports while it waits for the first job."""
        self._count = min(count, _MOST)
        self._first = engine, service
        self.processes: list[subprocess.Popen[bytes]] = []
        self._queue: _Queue | None = None
        self._is_set = False

    @property
    def at_once(self) -> int:
        """How many jobs keep all helpers at work."""
        return self._count * _AHEAD

    def start(self) -> None:
        """Start the processes, unless they are running. They take a second to be ready."""
        if self.processes:
            return
        weakref.finalize(self, _end, self.processes)
        _started.add(self)
        command = [sys.executable, "-P", "-c", _BOOT, *sys.path]
        for _ in range(self._count):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 — ourselves
            self.processes.append(process)
            _send(process, self._first)

    def submit(self, job: Any, setting: Service) -> Future[Any]:
        """Have a job done by the next free helper. The setting is that of all jobs; no task may be running yet."""
        queue = self._ready()
        if not self._is_set:
            for process in self.processes:
                _send(process, _Setting(setting))
            self._is_set = True
        return queue.put(job)

    def run(self, task: Task) -> Future[Any]:
        """Have a task done by the next free helper."""
        return self._ready().put(task)

    def _ready(self) -> _Queue:
        if self._queue is None:
            self.start()
            self._queue = _Queue(self.processes)
        return self._queue

    def close(self) -> None:
        """End the processes, whatever they are doing. They hold nothing that could be lost."""
        for process in self.processes:
            process.kill()  # so that no thread waits for it
        if self._queue is not None:
            self._queue.close()
        _end(self.processes)
        self._queue, self._is_set = None, False


class _Queue:
    """The jobs of helpers: those that they are at, in the order in which they were sent, and those that wait for one.

    A job is sent to the helper that has the fewest; the threads know this, not the `Helpers`, whose end would not come.
    """

    def __init__(self, processes: Iterable[subprocess.Popen[bytes]]) -> None:
        self._lock = threading.Lock()
        self._at_work: dict[subprocess.Popen[bytes], deque[Future[Any]]] = {one: deque() for one in processes}
        self._waiting: deque[tuple[bytes, Future[Any]]] = deque()
        self._threads = [threading.Thread(target=self._receive, args=[one], daemon=True) for one in self._at_work]
        for thread in self._threads:
            thread.start()

    def put(self, job: Any) -> Future[Any]:
        """Have a job done. Its result is None if it cannot be, or if its helper dies, of too little memory perhaps."""
        future: Future[Any] = Future()
        written = pickle.dumps(job, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._waiting.append((written, future))
            self._send_next()
        return future

    def close(self) -> None:
        """Wait for the threads, whose processes have been killed."""
        for thread in self._threads:
            thread.join()

    def _send_next(self) -> None:
        """Send the jobs that wait to helpers that have less than enough to do. The lock is held.

        That cannot block for ever: a helper reads what it is sent while it is at work, too.
        """
        while self._waiting:
            process = min(self._at_work, key=lambda one: len(self._at_work[one]), default=None)
            if process is not None and len(self._at_work[process]) >= _AHEAD:
                return
            written, future = self._waiting.popleft()
            if process is None:  # all have died
                future.set_result(None)
            else:
                self._at_work[process].append(future)
                _write(process, written)

    def _receive(self, process: subprocess.Popen[bytes]) -> None:
        """Take the answers of a helper until it ends."""
        assert process.stdout is not None
        while True:
            try:
                made = pickle.load(process.stdout)  # noqa: S301 — from our own helper
            except (EOFError, OSError, MemoryError, ValueError, pickle.UnpicklingError):  # ValueError: it was closed
                break
            with self._lock:
                future = self._at_work[process].popleft()
                self._send_next()
            future.set_result(made)
        with self._lock:
            lost = self._at_work.pop(process)
            self._send_next()
        for future in lost:
            future.set_result(None)


def _send(process: subprocess.Popen[bytes], what: Any) -> None:
    _write(process, pickle.dumps(what, pickle.HIGHEST_PROTOCOL))


def _write(process: subprocess.Popen[bytes], written: bytes) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # a helper that has died is found out by the end of its answers
        process.stdin.write(written)
        process.stdin.flush()


def end_helpers() -> None:
    """End all helper processes of this one, when it ends without time to close them."""
    for helpers in list(_started):
        for process in helpers.processes:
            process.kill()


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    while processes:
        process = processes.pop()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # of output that nothing read
                pipe.close()
