"""What a function of a project must not use: what would change its result without anybody noticing.

That is volatile calls, files and the environment read when it is called, and what finds variables and modules by names
that are known only then. And what looks at the text of functions, whose names and annotations then count.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import importlib
import inspect
import sys
import typing
from collections.abc import Collection, Sequence
from typing import Any

from rules.python.faults import Misuse
from rules.python.volatile_calls import READING_METHODS, followed, reading_call, volatile_call

_IMPORTERS = (importlib.import_module, importlib.reload, importlib.__import__, builtins.__import__)
_FINDERS = (
    *(builtins.globals, builtins.eval, builtins.exec, inspect.currentframe, inspect.stack),
    sys._getframe,  # noqa: SLF001 — to refuse it
)
_NAMESPACES = frozenset({"__globals__", "f_globals", "f_locals", "__builtins__"})
"""Attributes that hold all variables there are."""
_TEXTS = frozenset({"__doc__", "__annotations__", "__code__", "__signature__"})
_READERS = (
    *(builtins.locals, builtins.vars, builtins.dir, builtins.help, dataclasses.fields, typing.get_type_hints),
    *(inspect.signature, inspect.getdoc, inspect.getsource, inspect.get_annotations, inspect.getfullargspec),
)
"""Functions that look at names, annotations or documentation of others."""


def require_seen(path: Sequence[str], value: Any) -> None:
    """Refuse what finds modules or variables by names that are known only when a function runs. Raises `Misuse`.

    path: a dotted name; value: what its first part is.
    """
    for name, found in followed(path, value):
        if any(found is one for one in _IMPORTERS) or (found is importlib and name == "importlib"):
            message = "a function imports modules by names that are known only when it runs"
            raise Misuse(message, "write an import statement, at the top of the file or in the function")
        if any(found is one for one in _FINDERS):
            message = f"a function uses the result of {found.__name__}(), which is known only when it runs"
            raise Misuse(message, "name what it uses")
        if found is sys.modules:
            message = "a function looks for modules in sys.modules, so that what it uses is known only when it runs"
            raise Misuse(message, "import what it uses")


def require_lasting(path: Sequence[str], value: Any, *, writes: bool) -> None:
    """Refuse volatile calls, as in SQL, and what reads files or the environment. Raises `Misuse`.

    writes: whether a call of `open` only opens files in which it writes.
    """
    called = volatile_call(path, value)
    if called is not None:
        message = f"a function calls '{called}', which is volatile: its result changes from run to run"
        hint = "declare the function as volatile, or give it the value as an argument, such as a $var"
        raise Misuse(message, hint)
    read = reading_call(path, value)
    if read is not None and not (writes and path[-1] == "open"):
        raise _reading(read)


def require_plain_attributes(used: Collection[str], *, volatile: bool) -> None:
    """Refuse attributes, by name, that hold all variables; and those that read files, if not `volatile`."""
    for name in sorted(used):
        if name in _NAMESPACES:
            message = f"a function uses '{name}', in which it can find whatever there is when it runs"
            raise Misuse(message, "name what it uses")
        if name in READING_METHODS and not volatile:
            raise _reading(name)


def looks_at_texts(path: Sequence[str], value: Any) -> bool:
    """Whether a dotted name is of what looks at the names, annotations or documentation of functions."""
    return any(found is one for _, found in followed(path, value) for one in _READERS)


def attributes_of(node: ast.AST) -> set[str]:
    """Return the names of all attributes that a function uses."""
    return {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}


def are_texts(used: Collection[str]) -> bool:
    """Whether attributes, by name, are among those by which a function looks at the text of another."""
    return not _TEXTS.isdisjoint(used)


def _reading(name: str) -> Misuse:
    message = f"a function reads by '{name}' when it is called, where nobody would notice a change"
    return Misuse(message, "read it at the top of the file, so that what it holds counts, or declare it as volatile")
