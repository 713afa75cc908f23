"""What modules of the standard library held before the code of any project ran, to tell what that code put into them.

A constant of the standard library belongs to the version of Python. One that a project has put there counts in the
functions that read it, and so does a class that it has registered with an abstract one.
"""

from __future__ import annotations

import abc
import sys
import types
from _abc import _get_dump  # type: ignore[import-not-found] # what `ABCMeta._dump_registry` prints
from typing import Any

_PLAIN = (bool, int, float, str)
_values: dict[str, dict[str, Any]] = {}
_registered: dict[type, frozenset[type]] = {}


def note_untouched() -> None:
    """Look at the modules of the standard library that have been imported since the last look."""
    for name, module in sys.modules.copy().items():  # other threads import meanwhile
        if name.partition(".")[0] in sys.stdlib_module_names and name not in _values and module is not None:
            held = dict(vars(module))
            _values[name] = {key: value for key, value in held.items() if isinstance(value, _PLAIN)}
            for value in held.values():
                if isinstance(value, abc.ABCMeta):
                    _registered.setdefault(value, registered(value))


def was_put(module: Any, name: str, value: Any) -> bool:
    """Whether a plain value of a module of the standard library is not the one that it had."""
    if not isinstance(module, types.ModuleType) or not isinstance(value, _PLAIN) or module.__name__ not in _values:
        return False
    before = _values[module.__name__].get(name)
    return type(before) is not type(value) or repr(before) != repr(value)


def registered(kind: type) -> frozenset[type]:
    """Return the classes that were registered with an abstract class."""
    if not isinstance(kind, abc.ABCMeta):
        return frozenset()
    return frozenset(one for one in (reference() for reference in _get_dump(kind)[0]) if one is not None)


def registered_since(kind: type) -> list[type]:
    """Return the classes that were registered with an abstract class since it was first seen, in an order of names."""
    added = registered(kind) - _registered.get(kind, frozenset())
    return sorted(added, key=lambda one: (one.__module__, one.__qualname__))
