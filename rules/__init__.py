"""A compiler for data rules: a rebuild does the least work that is still provably correct."""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder

_SIBLINGS = frozenset({"compiler", "cache", "graph"})
_HERE = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]


class _Siblings:
    """Finds our own packages beside this one, whatever stands on `sys.path`: users have their names too."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        del path, target
        return PathFinder.find_spec(name, _HERE) if name in _SIBLINGS else None


if not any(finder is _Siblings for finder in sys.meta_path):
    sys.meta_path.insert(0, _Siblings)
