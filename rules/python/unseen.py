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
import traceback
import typing
from collections.abc import Collection, Sequence
from typing import Any

from rules.python.faults import Misuse
from rules.python.volatile_calls import (
    READING_METHODS,
    followed,
    hash_of_process,
    reading_call,
    text_of_now,
    volatile_call,
)

_IMPORTERS = (importlib.import_module, importlib.reload, importlib.__import__, builtins.__import__)
_FINDERS = (
    *(builtins.globals, builtins.eval, builtins.exec, inspect.currentframe, inspect.stack),
    sys._getframe,  # noqa: SLF001 — to refuse it
)
_NAMESPACES = frozenset({"__globals__", "f_globals", "f_locals", "__builtins__"})
"""Attributes that hold all variables there are."""
_TEXTS = frozenset({"__doc__", "__annotations__", "__code__", "__signature__"})
_NAMES = frozenset({"__name__", "__qualname__"})
_PLACES = frozenset({
    "co_firstlineno", "co_lines", "co_positions", "co_linetable", "co_lnotab", "co_filename", "tb_lineno", "tb_frame",
    "__firstlineno__",
})  # fmt: skip
"""Attributes that say where in its file something stands."""
_LAYOUT = (
    *(inspect.getsource, inspect.getsourcelines, inspect.getcomments, inspect.findsource, inspect.getblock),
    *(inspect.getfile, inspect.getsourcefile, inspect.getframeinfo, inspect.trace),
    *(traceback.format_exc, traceback.format_exception, traceback.format_tb, traceback.format_stack),
    *(traceback.extract_tb, traceback.extract_stack, traceback.walk_tb, traceback.walk_stack),
    traceback.TracebackException,
)
"""What shows the lines of files, with their numbers, comments and blanks."""
_READERS = (
    *(builtins.locals, builtins.vars, builtins.dir, builtins.help, dataclasses.fields, typing.get_type_hints),
    *(inspect.signature, inspect.getdoc, inspect.get_annotations, inspect.getfullargspec),
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
        if any(found is one for one in _LAYOUT):
            message = f"a function calls '{name}', whose result depends on how files are laid out"
            raise Misuse(message, "write out what it should say")
        if any(found is one for one in _FINDERS):
            message = f"a function uses the result of {found.__name__}(), which is known only when it runs"
            raise Misuse(message, "name what it uses")
        if found is sys.modules:
            message = "a function looks for modules in sys.modules, so that what it uses is known only when it runs"
            raise Misuse(message, "import what it uses")


@dataclasses.dataclass(frozen=True)
class Use:
    """How a function uses a dotted name.

    writes: whether it only calls it to open files in which it writes, if it is `open`. fewest: the fewest arguments
    that it calls it with, None if it is not called. within: the function's name.
    """

    writes: bool = False
    fewest: int | None = None
    within: str = ""


def require_lasting(path: Sequence[str], value: Any, use: Use) -> None:
    """Refuse volatile calls, as in SQL, and what reads files or the environment. Raises `Misuse`."""
    called = volatile_call(path, value, use.fewest)
    if called is not None:
        raise _volatile(called)
    if hash_of_process(path, value, use.within):
        message = "a function calls 'hash', which is volatile: the hash of a text is another in each process"
        raise Misuse(message, "use zlib.crc32 or hashlib, whose results stay")
    read = reading_call(path, value)
    if read is not None and not (use.writes and path[-1] == "open"):
        raise _reading(read)


def require_no_text_of_now(node: ast.AST) -> None:
    """Refuse calls that take the text 'now' for the moment. Raises `Misuse`."""
    called = text_of_now(node)
    if called is not None:
        raise _volatile(called)


def require_plain_attributes(used: Collection[str], *, volatile: bool) -> None:
    """Refuse attributes, by name, that hold all variables, all classes or places in files. Raises `Misuse`.

    And those that read files, if not `volatile`.
    """
    for name in sorted(used):
        if name == "__subclasses__":
            message = "a function uses '__subclasses__', which has those of all files that happen to be imported"
            raise Misuse(message, "keep a list of them: let the base class add each one in __init_subclass__")
        if name in _PLACES:
            message = f"a function uses '{name}', which depends on how files are laid out"
            raise Misuse(message, "write out what it should say")
        if name in _NAMESPACES:
            message = f"a function uses '{name}', in which it can find whatever there is when it runs"
            raise Misuse(message, "name what it uses")
        if name in READING_METHODS and not volatile:
            raise _reading(name)


def looks_at_texts(path: Sequence[str], value: Any) -> bool:
    """Whether a dotted name is of what looks at the names, annotations or documentation of functions."""
    return any(found is one for _, found in followed(path, value) for one in _READERS)


def attributes_of(node: ast.AST) -> set[str]:
    """Return the names of all attributes that a function uses; also of special ones in texts, as `getattr` has them."""
    texts = {str(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Constant)}
    special = {text for text in texts if text.startswith("__") and text.endswith("__")}
    return {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)} | special


def are_texts(used: Collection[str]) -> bool:
    """Whether attributes, by name, are among those by which a function looks at the text of another."""
    return not _TEXTS.isdisjoint(used)


def are_names(used: Collection[str]) -> bool:
    """Whether attributes, by name, are among those by which a function asks for the name of another."""
    return not _NAMES.isdisjoint(used)


def _volatile(called: str) -> Misuse:
    message = f"a function calls '{called}', which is volatile: its result changes from run to run"
    return Misuse(message, "declare the function as volatile, or give it the value as an argument, such as a $var")


def _reading(name: str) -> Misuse:
    message = f"a function reads by '{name}' when it is called, where nobody would notice a change"
    return Misuse(message, "read it at the top of the file, so that what it holds counts, or declare it as volatile")
