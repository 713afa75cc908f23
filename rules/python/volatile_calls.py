"""Functions whose result changes from run to run: clocks, generators without a seed, and what reads files."""

from __future__ import annotations

import ast
import builtins
import datetime
import io
import linecache
import os
import random
import secrets
import threading
import time
import types
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

_CHANGING = (
    *(time.time, time.time_ns, time.monotonic, time.monotonic_ns, time.perf_counter, time.perf_counter_ns),
    *(time.process_time, time.process_time_ns, time.thread_time, time.thread_time_ns),
    *(os.urandom, uuid.uuid1, uuid.uuid4, random.SystemRandom),
    *(os.getpid, os.getppid, threading.get_ident, threading.get_native_id),
    *(secrets.choice, secrets.randbelow, secrets.randbits),
    *(secrets.token_bytes, secrets.token_hex, secrets.token_urlsafe),
)
_READS = (
    *(builtins.open, io.open, os.open, os.environ, os.environb, os.getenv, os.getenvb, builtins.input),
    *(os.path.expandvars, os.getcwd, linecache.getline, linecache.getlines),
)
READING_METHODS = frozenset({"read_text", "read_bytes"})
"""Methods that read a file, whatever it is that has them."""
_SHARED = (random.random, np.random.rand)
"""Methods of the generators that a whole process shares; whatever else these have is volatile too."""
_MOMENTS = frozenset({"now", "utcnow", "today"})
_FEWEST: tuple[tuple[Any, int], ...] = (
    *((one, 1) for one in (time.gmtime, time.localtime, time.ctime, time.asctime)),
    (time.strftime, 2),
    *((one, 1) for one in (random.Random, np.random.default_rng, np.random.RandomState, np.random.SeedSequence)),
    *((getattr(np.random, name), 1) for name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")),
    (pc.random, 2),
)
"""Functions with the number of arguments from which on they ask no clock, or have a seed."""
_TEXTS_OF_NOW = frozenset({"datetime64", "Timestamp", "to_datetime", "DatetimeIndex"})
"""What takes the texts 'now' and 'today' for the moment in which it is called."""


def volatile_call(path: Sequence[str], value: Any, fewest: int | None = None) -> str | None:
    """Return the dotted name of a volatile function that a function of the project takes from its surroundings.

    path: the dotted name as it is written; value: what its first part is; fewest: the fewest arguments in any call of
    it, None if it is not called. None if there is none: attributes are followed through modules and classes only, and
    a generator with a seed (`random.Random(7)`) is one of these.
    """
    for name, found in followed(path, value):
        needed = next((count for one, count in _FEWEST if found is one), 0)
        if _is_volatile(found) or (fewest is not None and fewest < needed):
            return name
    return None


def hash_of_process(path: Sequence[str], value: Any, within: str) -> bool:
    """Whether a function calls `hash`, which is another for texts in each process; `__hash__` itself may.

    within: the name of the function.
    """
    return within != "__hash__" and any(found is builtins.hash for _, found in followed(path, value))


def text_of_now(node: ast.AST) -> str | None:
    """Return the name of what a function calls with the text 'now' or 'today', as in `numpy.datetime64("now")`."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
            called = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
            if called in _TEXTS_OF_NOW and call.args[0].value in {"now", "today"}:
                return f"{called}('{call.args[0].value}')"
    return None


def reading_call(path: Sequence[str], value: Any) -> str | None:
    """Return the dotted name of what reads files or the environment, see `volatile_call`."""
    return next((name for name, found in followed(path, value) if any(found is one for one in _READS)), None)


def followed(path: Sequence[str], value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a dotted name leads through, as far as through modules and classes, each with its own dotted name."""
    found = value
    for length in range(len(path)):
        if length:
            if not isinstance(found, types.ModuleType | type):
                return
            found = getattr(found, path[length], None)
        yield ".".join(path[: length + 1]), found


def _is_volatile(value: Any) -> bool:
    owner = getattr(value, "__self__", None)
    if isinstance(owner, type) and issubclass(owner, datetime.date):
        return getattr(value, "__name__", "") in _MOMENTS
    if any(owner is getattr(one, "__self__", None) for one in _SHARED if owner is not None):
        return True
    return any(value is one for one in _CHANGING)
