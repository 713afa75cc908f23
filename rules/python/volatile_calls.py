"""Functions of Python and NumPy whose result changes from run to run: clocks, and generators without a seed."""

from __future__ import annotations

import datetime
import os
import random
import secrets
import time
import types
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

_CHANGING = (
    *(time.time, time.time_ns, os.urandom, uuid.uuid1, uuid.uuid4),
    *(secrets.choice, secrets.randbelow, secrets.randbits),
    *(secrets.token_bytes, secrets.token_hex, secrets.token_urlsafe),
)
_SHARED = (random.random, np.random.rand)
"""Methods of the generators that a whole process shares; whatever else these have is volatile too."""
_MOMENTS = frozenset({"now", "utcnow", "today"})


def volatile_call(path: Sequence[str], value: Any) -> str | None:
    """Return the dotted name of a volatile function that a function of the project takes from its surroundings.

    path: the dotted name as it is written; value: what its first part is. None if there is none: attributes are
    followed through modules and classes only, and a generator with a seed (`random.Random(7)`) is one of these.
    """
    found = value
    for length in range(len(path)):
        if length:
            if not isinstance(found, types.ModuleType | type):
                return None
            found = getattr(found, path[length], None)
        if _is_volatile(found):
            return ".".join(path[: length + 1])
    return None


def _is_volatile(value: Any) -> bool:
    owner = getattr(value, "__self__", None)
    if isinstance(owner, type) and issubclass(owner, datetime.date):
        return getattr(value, "__name__", "") in _MOMENTS
    if any(owner is getattr(one, "__self__", None) for one in _SHARED if owner is not None):
        return True
    return any(value is one for one in _CHANGING)
