"""A compiler for data rules: a rebuild does the least work that is still provably correct."""

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rules import arrow
    from rules.api import Project
    from rules.errors import UserError, UserErrors
    from rules.python.declarations import rule, sql, var
    from rules.python.functions import udf

__all__ = ["Project", "UserError", "UserErrors", "arrow", "rule", "sql", "udf", "var"]

_HOMES = {
    "Project": "rules.api",
    "UserError": "rules.errors",
    "UserErrors": "rules.errors",
    "arrow": "rules.arrow",
    "rule": "rules.python.declarations",
    "sql": "rules.python.declarations",
    "udf": "rules.python.functions",
    "var": "rules.python.declarations",
}

_SIBLINGS = frozenset({"compiler", "cache", "graph"})
_HERE = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]


class _Siblings:
    """Finds our own packages beside this one, whatever is on `sys.path`: users have modules of these names too."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        del path, target
        return PathFinder.find_spec(name, _HERE) if name in _SIBLINGS else None


if not any(finder is _Siblings for finder in sys.meta_path):
    sys.meta_path.insert(0, _Siblings)


def __getattr__(name: str) -> Any:
    """Load what a rule file asks for when it does: the no-op path has no use for it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rules' has no attribute '{name}'")
    from importlib import import_module

    home = import_module(_HOMES[name])
    return home if _HOMES[name] == f"rules.{name}" else getattr(home, name)
