"""Queries in processes of their own, which can be killed: the engine heeds no signal while it computes.

A process has one query at a time, is used again for the next, and ends when its parent does. It takes some 0.6 s to
start and 145 MB, so one is started only when a query has to run, and only where a program may want to stop it (see
`rules.engine.stoppable`), or where what a query leaves behind is to end with it (`rules.engine.forked_queries`).
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from queue import SimpleQueue
from typing import Any, BinaryIO

from rules.engine.protocol import EngineError, Executed, Job
from rules.engine.stopping import Stop, StoppedError

_BOOT = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[2:];"
    "from {module} import serve; serve(int(sys.argv[1]))"
)
LOOK = 1.0
"""Seconds between two looks whether the parent still lives, should others hold its end of the pipe."""


def serve(parent: int) -> None:
    """Execute the jobs on the standard input, until it ends. parent: the process that started this one."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text must not mix with the answers
    jobs: SimpleQueue[Job] = SimpleQueue()
    end_with(parent)
    threading.Thread(target=_work, args=[jobs, answers], daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            jobs.put(pickle.load(asked))  # noqa: S301 — from our own parent process
    os._exit(0)  # whatever the engine is at


def end_with(parent: int) -> None:
    """Let a thread end this process once its parent has ended."""
    threading.Thread(target=_outlive, args=[parent], daemon=True).start()


def _outlive(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(0)


def _work(jobs: SimpleQueue[Job], answers: BinaryIO) -> None:
    import rules.engine.execute  # noqa: F401 — ahead of the first job

    answer: Executed | Exception | None = None  # ready
    while True:
        with contextlib.suppress(BrokenPipeError):
            answers.write(pickle.dumps(answer))
            answers.flush()
        answer = answer_of(jobs.get())


def answer_of(job: Job) -> Executed | Exception:
    """Execute a job in this process; return what comes of it."""
    from rules.engine.execute import execute

    try:
        return execute(job)
    except (EngineError, OSError) as error:
        return error
    except BaseException as error:  # noqa: BLE001 — a fault of ours, which is raised where the query was asked for
        import traceback

        return RuntimeError("".join(traceback.format_exception(error)))


class _Worker:
    """A process of which this one is the parent."""

    def __init__(self, module: str) -> None:
        """module: whose `serve` it runs."""
        command = [sys.executable, "-P", "-c", _BOOT.format(module=module), str(os.getpid()), *sys.path]
        self._process = subprocess.Popen(  # noqa: S603 — ourselves
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # so that a terminal's Ctrl-C does not reach it, and what it forks is its group
        )
        self._is_ready = False

    @property
    def lives(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def run(self, job: Job, stop: Stop) -> Executed:
        """Execute a job, which begins once the process is ready. Raises as `Workers.run` does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            with stop.ending(self._kill):
                if not self._is_ready:
                    stop.wait()
                    pickle.load(self._process.stdout)  # noqa: S301 — from our own process
                    self._is_ready = True
                    stop.begin()
                pickle.dump(job, self._process.stdin)
                self._process.stdin.flush()
                answer: Any = pickle.load(self._process.stdout)  # noqa: S301 — from our own process
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            code = self._process.wait()
            if stop.asked:
                raise StoppedError from error
            raise EngineError(ended(code)) from error
        stop.check()
        if isinstance(answer, Exception):
            raise answer
        executed: Executed = answer
        return executed

    def end(self) -> None:
        """End the process, which holds nothing that could be lost."""
        self._kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _kill(self) -> None:
        if self.lives:  # whose number is no other process's then
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def ended(code: int) -> str:
    """Say how a process ended, by its exit code as `subprocess` has it."""
    if code == -signal.SIGKILL:
        return "the engine's process was killed; the system does so where memory runs out"
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    return f"the engine's process ended {how}"


class Workers:
    """The worker processes of this process: at most one for each query that runs at a time."""

    def __init__(self, module: str) -> None:
        """module: whose `serve` they run."""
        self._module = module
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._forget)

    def run(self, job: Job, stop: Stop) -> Executed:
        """Execute a job. Raises `StoppedError` once `stop` asks for it, and as `Engine.execute` does."""
        stop.check()
        worker = self._taken()
        try:
            return worker.run(job, stop)
        finally:
            if worker.lives and not stop.asked:
                with self._lock:
                    self._idle.append(worker)
            else:
                worker.end()

    def close(self, *, keep: int = 0) -> None:
        """End the processes that have nothing to do, but for `keep` of them."""
        with self._lock:
            self._idle, rest = self._idle[:keep], self._idle[keep:]
        for worker in rest:
            worker.end()

    def _taken(self) -> _Worker:
        """Return an idle worker, or a new one. Raises OSError."""
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return _Worker(self._module)
            if worker.lives:
                return worker
            worker.end()

    def _forget(self) -> None:
        """Leave the processes to this one's parent, whose they are."""
        self._lock, self._idle = threading.Lock(), []


WORKERS = Workers(__name__)
