"""What a Python function of a project means, as one digest: its code, and all that the code reaches.

The digest covers the function's syntax tree (without names of local variables, annotations, documentation and layout),
the project's functions and classes that it names, its constants and captured values, and the versions of what is
installed. Two functions of one digest compute the same; one whose values cannot be compared is refused.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import decimal
import enum
import importlib
import linecache
import re
import symtable
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from compiler.fingerprint import fingerprint
from rules.python.declaring import PythonRule
from rules.python.faults import Misuse
from rules.python.functions import RegisteredFunction
from rules.python.importing import PREFIX

_PLAIN = (
    *(bool, int, float, complex, str, bytes, type(None), type(...), range, decimal.Decimal),
    *(datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo),
)


def digest_of_function(function: types.FunctionType | type, is_ours: Callable[[str], bool]) -> str:
    """Return the digest of a function or class. is_ours: whether a file is the project's. Raises `Misuse`."""
    meaning = _Meaning(is_ours)
    found = meaning.of_class(function) if isinstance(function, type) else meaning.of_function(function)
    return fingerprint({"function": found})


class _Meaning:
    """One walk through what a function reaches; what has been met is named by its place in the walk."""

    def __init__(self, is_ours: Callable[[str], bool]) -> None:
        self._is_ours = is_ours
        self._met: dict[int, int] = {}

    def of_function(self, function: types.FunctionType) -> Any:
        if id(function) in self._met:
            return ["met", self._met[id(function)]]
        self._met[id(function)] = len(self._met)
        node, lines = definition(function.__code__)
        scope = symtable.symtable("".join(lines), function.__code__.co_filename, "exec")
        local = _local_names(scope, node)
        tree = _Tree(local - _fixed_names(node))
        captured = {
            name: cell.cell_contents
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        }
        inner = self._inner_imports(node, function)
        captured |= inner
        local -= inner.keys()
        reached = []
        for path in dict.fromkeys(_paths(_undecorated(node), local - captured.keys())):
            value = self._resolve(path, captured, function.__globals__)
            reached.append([".".join(path), value])
        defaults = [self._of_value(value) for value in function.__defaults__ or ()]
        named = {key: self._of_value(value) for key, value in (function.__kwdefaults__ or {}).items()}
        return ["function", tree.dump(_undecorated(node)), reached, defaults, named]

    def of_class(self, value: type) -> list[Any]:
        """Return the meaning of a class without its name. Methods may stand in any order, other members may not."""
        bases = [self._of_value(base) for base in value.__bases__ if base is not object]
        members = [(name, item) for name, item in vars(value).items() if _counts(name, item)]
        methods = sorted(
            (one for one in members if isinstance(_bare(one[1]), types.FunctionType)), key=lambda one: one[0]
        )
        others = [one for one in members if one not in methods]
        parts = [[name, type(item).__name__, self._of_value(_bare(item))] for name, item in (*others, *methods)]
        return ["class", bases, parts]

    def _inner_imports(self, node: ast.AST, function: types.FunctionType) -> dict[str, Any]:
        """Return what import statements inside a function bind to modules of the project, or to what is in them.

        They are imported now, so that whoever remembers this knows their files.
        """
        space = function.__globals__.get("__builtins__")
        imports = space["__import__"] if isinstance(space, dict) else builtins.__import__
        found: dict[str, Any] = {}
        for inner in ast.walk(node):
            if not isinstance(inner, ast.Import | ast.ImportFrom):
                continue
            names = [one.name for one in inner.names]
            given = (function.__globals__, None, tuple(names))
            try:
                if isinstance(inner, ast.ImportFrom):
                    module = imports(inner.module or "", *given, inner.level)
                    bound = {one.asname or one.name: getattr(module, one.name, None) for one in inner.names}
                    if not self._is_our_module(module):
                        bound = {name: _plainly_installed(name, value) for name, value in bound.items()}
                        bound = {name: value for name, value in bound.items() if self._is_our_module(value)}
                else:
                    bound = {}
                    for one in inner.names:
                        leaf = imports(one.name, function.__globals__, None, ("__name__",) if one.asname else ())
                        bound[one.asname or one.name.partition(".")[0]] = _plainly_installed(one.name, leaf)
                    bound = {name: value for name, value in bound.items() if self._is_our_module(value)}
            except ImportError:  # the function may do without
                continue
            found |= bound
        again = _assigned(node) & found.keys()
        if again:
            name = min(again)
            raise Misuse(f"a function both imports and assigns '{name}'", "give one of the two another name")
        return found

    def _is_our_module(self, value: Any) -> bool:
        """Whether a value is a module of the project; a folder without __init__.py is one without a file."""
        if not isinstance(value, types.ModuleType):
            return False
        file = getattr(value, "__file__", None)
        return self._is_ours(file) if file else value.__name__.startswith(PREFIX)

    def _resolve(self, path: tuple[str, ...], captured: dict[str, Any], known: dict[str, Any]) -> Any:
        """Return the meaning of a dotted name: modules are followed to what is taken from them."""
        name, *attributes = path
        if name in captured:
            value = captured[name]
        elif name in known:
            value = known[name]
        elif hasattr(builtins, name):
            return ["builtin", _plainly_installed(name, getattr(builtins, name)) and name]
        else:
            return ["unknown", name]  # fails when it runs, or is assigned by then
        while attributes and (self._is_our_module(value) or value is importlib):
            attribute = attributes.pop(0)
            if not hasattr(value, attribute):
                return ["unknown", ".".join(path)]
            value = getattr(value, attribute)
        if self._is_our_module(value):
            raise Misuse(f"a function uses the module '{name}' as a value", f"name what it takes from it: {name}.…")
        return self._of_value(value)

    def _of_value(self, value: Any) -> Any:
        _plainly_installed("", value)
        if isinstance(value, enum.Enum):
            return ["enum", type(value).__qualname__, value.name, repr(value.value)]
        if isinstance(value, _PLAIN):
            return [type(value).__name__, repr(value)]
        if isinstance(value, tuple | list):
            return [type(value).__name__, [self._of_value(item) for item in value]]
        if isinstance(value, dict):
            return ["dict", [[self._of_value(key), self._of_value(item)] for key, item in value.items()]]
        if isinstance(value, set | frozenset):
            return ["set", sorted(([self._of_value(item) for item in value]), key=repr)]
        if isinstance(value, re.Pattern):
            return ["pattern", repr(value.pattern), value.flags]
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__, _version(value.__name__)]
        if isinstance(value, pa.DataType):
            return ["type", str(value)]
        if isinstance(value, pa.Array | pa.Scalar | pa.ChunkedArray):
            return [
                "arrow",
                str(value.type),
                repr(value.to_pylist() if not isinstance(value, pa.Scalar) else value.as_py()),
            ]
        return self._of_code(value)

    def _of_code(self, value: Any) -> Any:
        if isinstance(value, PythonRule | RegisteredFunction):
            value = value.function
        if isinstance(value, types.FunctionType) and self._is_ours(value.__code__.co_filename):
            return self.of_function(value)
        if isinstance(value, type) and self._is_ours(_file_of(value)):
            return [value.__qualname__, *self.of_class(value)]
        module, name = (
            getattr(value, "__module__", None),
            getattr(value, "__qualname__", getattr(value, "__name__", None)),
        )
        if module is not None and name is not None and not self._is_ours(_file_of(value)):
            return ["installed", _public(str(module)), name, _version(str(module))]
        message = f"a function uses a value of type {type(value).__name__}, whose content cannot be compared"
        raise Misuse(message, "make it of plain values (numbers, texts, lists, dicts), or make it inside the function")


_IMPORTERS = (importlib.import_module, importlib.reload, importlib.__import__, builtins.__import__)


def _plainly_installed(name: str, value: Any) -> Any:
    """Return a value, unless it is one by which a function would import what nobody can see. Raises `Misuse`."""
    if any(value is one for one in _IMPORTERS) or (value is importlib and name == "importlib"):
        message = "a function imports modules by names that are known only when it is called"
        raise Misuse(message, "write an import statement, at the top of the file or in the function")
    return value


def _assigned(node: ast.AST) -> set[str]:
    """Return the names that are bound otherwise than by import in a function or inside it."""
    found = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    found |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return found | {one.name for one in ast.walk(node) if isinstance(one, definitions) and one is not node}


_RENAMED = ((ast.Name, "id"), (ast.arg, "arg"), (ast.FunctionDef, "name"), (ast.AsyncFunctionDef, "name"))


class _Tree:
    """Dumps a syntax tree with local names by order of appearance."""

    def __init__(self, local: set[str]) -> None:
        self._local = local
        self._numbers: dict[str, int] = {}

    def dump(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.dump(item) for item in node]
        if isinstance(node, ast.AST):
            fields = {
                name: self.dump(self._named(node, name, value))
                for name, value in ast.iter_fields(node)
                if name not in {"annotation", "returns", "type_comment", "ctx", "kind", "type_params"}
                and value is not None
                and value != []
            }
            return [type(node).__name__, fields]
        return [type(node).__name__, repr(node)]

    def _named(self, node: ast.AST, field: str, value: Any) -> Any:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and field == "body":
            return value[1:] if len(value) > 1 and ast.get_docstring(node) is not None else value
        if (type(node), field) in _RENAMED:
            if value in self._local:
                return self._numbers.setdefault(value, len(self._numbers))
            return "" if field == "name" else value  # the name of the function itself
        return value


def definition(code: types.CodeType) -> tuple[ast.AST, list[str]]:
    """Return the node that a function was made of, and the lines of its file."""
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename)
    for node in ast.walk(ast.parse("".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                return node, lines
        if isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and node.lineno == code.co_firstlineno:
            return node, lines
    raise Misuse(f"the source of '{code.co_name}' cannot be found", "define it with def in a file of the project")


def _undecorated(node: ast.AST) -> ast.AST:
    """Return a function's node without its own decorators, which made of it what it is called by."""
    if isinstance(node, ast.Lambda):
        return node
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    fields = dict(ast.iter_fields(node)) | {"decorator_list": []}
    return type(node)(**fields)


def _local_names(module: symtable.SymbolTable, node: ast.AST) -> set[str]:
    """Return the names that are local to a function or to something inside it."""
    line = node.lineno  # type: ignore[attr-defined] # functions have one
    found: set[str] = set()
    for table in _tables(module):
        if table.get_type() == "function" and table.get_lineno() >= line and _is_within(table, node):
            found |= {one.get_name() for one in table.get_symbols() if one.is_local() or one.is_parameter()}
    return found


def _fixed_names(node: ast.AST) -> set[str]:
    """Return the names that stand where they cannot be told from others: f(x=1), except E as x, global x."""
    found: set[str] = set()
    for inner in ast.walk(node):
        for field, value in ast.iter_fields(inner):
            if (type(inner), field) not in _RENAMED and not isinstance(inner, ast.Attribute | ast.Constant):
                found |= {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)}
    return found


def _is_within(table: symtable.SymbolTable, node: ast.AST) -> bool:
    return table.get_lineno() <= (node.end_lineno or 0)  # type: ignore[attr-defined] # functions have one


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _paths(node: ast.AST, local: set[str]) -> Iterator[tuple[str, ...]]:
    """Yield the dotted names that a function takes from around it."""
    if isinstance(node, ast.Attribute):
        path: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            path.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            if inner.id not in local:
                yield (inner.id, *path)
            return
    if isinstance(node, ast.Name) and node.id not in local:
        yield (node.id,)
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _paths(child, local)


def _file_of(value: Any) -> str:
    module = sys.modules.get(str(getattr(value, "__module__", "")))
    return str(getattr(module, "__file__", "") or "")


def _bare(item: Any) -> Any:
    return item.__func__ if isinstance(item, staticmethod | classmethod) else item


def _counts(name: str, item: Any) -> bool:
    skipped = {
        "__module__",
        "__doc__",
        "__dict__",
        "__weakref__",
        "__annotations__",
        "__firstlineno__",
        "__static_attributes__",
    }
    return name not in skipped and not isinstance(item, types.GetSetDescriptorType | types.MemberDescriptorType)


def _public(module: str) -> str:
    """Return the name of a module of the standard library without its private parts, which differ between Pythons."""
    first, *parts = module.split(".")
    kept = parts if first not in sys.stdlib_module_names else [part for part in parts if not part.startswith("_")]
    return ".".join([first, *kept])


def _version(module: str) -> str:
    found = sys.modules.get(module.partition(".")[0])
    return str(getattr(found, "__version__", ""))
