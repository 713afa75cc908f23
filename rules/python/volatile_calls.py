"""Functions whose result changes from run to run: clocks, generators without a seed, and what reads files."""

from __future__ import annotations

import builtins
import datetime
import io
import os
import random
import secrets
import time
import types
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_CHANGING = (
    *(time.time, time.time_ns, os.urandom, uuid.uuid1, uuid.uuid4),
    *(secrets.choice, secrets.randbelow, secrets.randbits),
    *(secrets.token_bytes, secrets.token_hex, secrets.token_urlsafe),
)
_READS = (builtins.open, io.open, os.open, os.environ, os.environb, os.getenv, os.getenvb)
READING_METHODS = frozenset({"read_text", "read_bytes"})
"""Methods that read a file, whatever it is that has them."""
_SHARED = (random.random, np.random.rand)
"""Methods of the generators that a whole process shares; whatever else these have is volatile too."""
_MOMENTS = frozenset({"now", "utcnow", "today"})


def volatile_call(path: Sequence[str], value: Any) -> str | None:
    """Return the dotted name of a volatile function that a function of the project takes from its surroundings.

    path: the dotted name as it is written; value: what its first part is. None if there is none: attributes are
    followed through modules and classes only, and a generator with a seed (`random.Random(7)`) is one of these.
    """
    return next((name for name, found in followed(path, value) if _is_volatile(found)), None)


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
