"""Large queries under a declared limit of memory, each in a process of its own: what the allocator keeps ends with it.

The engine reads files in threads that it starts as it needs them, and frees what they have read in others. mimalloc
then keeps up to two segments of 32 MiB for each thread until that thread allocates again or ends, ten seconds after its
last work. A query that merges what it has spilled leaves some twenty such threads, so that each query of a product that
is made by parts began where the one before it had ended: merging ten million groups took 1.2 GiB under a limit of 512
MiB. No setting of the allocator changes that (seen with mimalloc 2 in DataFusion 55).

A process that has imported the engine, and never uses it, forks one for each query: that takes some ten milliseconds,
and shares with it the memory of programs and libraries.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import select
import signal
import sys
import warnings
from typing import TYPE_CHECKING, NoReturn

from rules.engine.protocol import EngineError
from rules.engine.worker_process import LOOK, Workers, answer_of, end_with, ended

if TYPE_CHECKING:
    from rules.engine.protocol import Job

_SMALL = 1 << 20
"""Bytes of files that a query reads here; their columns may hold more."""


def ends_with_its_process(job: Job) -> bool:
    """Whether a job is to be run in a process that ends with it.

    That is so where memory is limited and much is read: what a small query leaves is little. Functions of the project
    are in this process only. Other systems than Linux do not let a process fork safely that has threads of libraries.
    """
    profile, files = job.query.profile, [file for entry in job.query.inputs for file in entry.files]
    if profile.memory_limit_mb is None or job.query.functions or sys.platform != "linux" or not sys.executable:
        return False
    read = 0
    for file in files:
        with contextlib.suppress(OSError):  # of a file that has vanished the engine says so
            read += file.stat().st_size
    return read > _SMALL


def serve(parent: int) -> None:
    """Execute the jobs on the standard input, each in a fork of this process, until the input ends.

    parent: the process that started this one.
    """
    import rules.engine.execute  # noqa: F401 — which all forks share

    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed text must not mix with the answers
    gc.freeze()  # else a collection in a fork copies what they share
    answer = pickle.dumps(None)  # ready
    while True:
        try:
            answers.write(answer)
            answers.flush()
            while not select.select([asked], [], [], LOOK)[0]:
                if os.getppid() != parent:
                    return
            job = pickle.load(asked)  # noqa: S301 — from our own parent process
        except (EOFError, OSError):
            return
        answer = _forked(job, parent)


def _forked(job: Job, parent: int) -> bytes:
    """Return the pickled answer to a job from a fork. If the parent ends meanwhile, all of this does."""
    receiving, sending = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads of libraries, which survive a fork of their own
        try:
            pid = os.fork()
        except OSError as error:  # too many processes, or no memory
            os.close(receiving)
            os.close(sending)
            return pickle.dumps(error)
    if not pid:
        os.close(receiving)
        _answer(job, sending)
    os.close(sending)
    found = bytearray()
    while True:
        ready, _, _ = select.select([receiving, 0], [], [], LOOK)
        if 0 in ready or os.getppid() != parent:  # no job comes before this one's answer, so it is the end
            os.kill(pid, signal.SIGKILL)
            os._exit(0)
        if receiving in ready:
            read = os.read(receiving, 1 << 16)
            if not read:
                break
            found += read
    os.close(receiving)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return bytes(found) if not code else pickle.dumps(EngineError(ended(code)))


def _answer(job: Job, sending: int) -> NoReturn:
    """Execute a job, and write the answer."""
    code = 1
    try:
        end_with(os.getppid())
        answer = pickle.dumps(answer_of(job))
        gc.collect()  # a query that failed, which is known to its error, and the folder that it spilled to
        with os.fdopen(sending, "wb") as answers:
            answers.write(answer)
        code = 0
    finally:
        os._exit(code)


FORKS = Workers(__name__)
