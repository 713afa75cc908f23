"""The meaning of a project's Python function, as one digest: its code, and everything that the code reaches.

The digest covers the function's syntax tree (without layout; unless something looks at them, also without names of
local variables, annotations and documentation), the project's functions and classes that it names, its constants and
captured values, and the versions of what is installed packages. Two functions with one digest compute the same; one
whose values cannot be compared is refused.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import datetime
import decimal
import enum
import importlib
import inspect
import re
import symtable
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from compiler.fingerprint import fingerprint
from rules.python.contents import content, is_reachable, keeps_its_state, members, state
from rules.python.declarations import PythonRule
from rules.python.faults import Misuse
from rules.python.functions import RegisteredFunction
from rules.python.importing import PREFIX
from rules.python.local_time import depends_on_zone, is_local, zone_state
from rules.python.packages import state_of
from rules.python.syntax import (
    Tree,
    assigned,
    definition,
    fewest_arguments,
    fixed_names,
    keywords,
    local_names,
    opened_to_write,
    parameters,
    paths,
    quoted_names,
    undecorated,
)
from rules.python.unseen import (
    Use,
    are_names,
    are_texts,
    attributes_of,
    looks_at_texts,
    require_lasting,
    require_no_text_of_now,
    require_plain_attributes,
    require_seen,
)
from rules.python.untouched import registered_since, was_put
from rules.python.volatile_calls import followed

_MODULES = re.compile(rf"\b{PREFIX}[0-9]+\.")
"""The beginning of the name of a project's module, which counts the projects of a process."""
_ANY_USE = Use()
_PLAIN = (
    *(bool, int, float, complex, str, bytes, type(None), type(...), range, decimal.Decimal),
    *(datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo),
)


def digest_of_function(
    function: types.FunctionType | type, is_ours: Callable[[str], bool], *, volatile: bool = False
) -> str:
    """Return the digest of a function or class. Raises `Misuse`, also for a volatile call unless it is declared.

    is_ours: whether a file is the project's. volatile: whether the function is declared to change from run to run.
    """
    names = _Names()
    while True:
        meaning = _Meaning(is_ours, names, volatile=volatile)
        found = meaning.of_class(function) if isinstance(function, type) else meaning.of_function(function)
        if meaning.names == names:
            return fingerprint({"function": found, **({"zone": zone_state()} if meaning.is_local else {})})
        names = meaning.names


@dataclass(frozen=True)
class _Names:
    """What of the names in the text of functions counts, as a walk through them shows.

    kept: of parameters, by which some function gives arguments to another. literally: something looks at the text: at
    annotations, documentation, signatures. named: something asks what a function is called.
    """

    kept: frozenset[str] = frozenset()
    literally: bool = False
    named: bool = False


class _Meaning:
    """One walk through everything a function reaches; an object met before is named by its place in the walk."""

    def __init__(self, is_ours: Callable[[str], bool], names: _Names, *, volatile: bool) -> None:
        """names: that are known to count; a walk is repeated with those that it finds."""
        self._is_ours = is_ours
        self._volatile = volatile
        self._known = names
        self._parameters: set[str] = set()
        self._keywords: set[str | None] = set()
        self._literally = names.literally
        self._named = names.named
        self.is_local = False
        """Whether something depends on the zone of the machine."""
        self._met: dict[int, int] = {}
        self._open: list[int] = []

    @property
    def names(self) -> _Names:
        """The names that count, now that all texts are known. Of f(**values), every parameter's does."""
        given = self._parameters if None in self._keywords else self._parameters & self._keywords
        return _Names(frozenset(given), self._literally, self._named)

    def of_function(self, function: types.FunctionType) -> Any:
        if id(function) in self._met:
            return ["met", self._met[id(function)]]
        self._met[id(function)] = len(self._met)
        node, lines = definition(function.__code__)
        self._note(node)
        scope = symtable.symtable("".join(lines), function.__code__.co_filename, "exec")
        local = local_names(scope, node)
        quoted = quoted_names(node)
        renamed = set() if self._known.literally else local - fixed_names(node) - self._known.kept - quoted
        tree = Tree(renamed, literally=self._known.literally)
        captured = _captured(function)
        inner = self._inner_imports(node, function)
        captured |= inner
        local -= inner.keys()
        reached, writing, fewest = [], opened_to_write(undecorated(node)), fewest_arguments(undecorated(node))
        for path in dict.fromkeys(paths(undecorated(node), local - captured.keys())):
            use = Use(path in writing, fewest.get(path), function.__name__)
            value = self._resolve(path, captured, function.__globals__, use)
            reached.append([".".join(path), value])
        outside = {**function.__globals__, **captured}
        reached += [
            [name, self._resolve((name,), captured, function.__globals__)]
            for name in sorted((quoted - (local - captured.keys())) & outside.keys())
            if not isinstance(outside[name], types.ModuleType)
        ]
        defaults = [self._of_value(value) for value in function.__defaults__ or ()]
        named = {key: self._of_value(value) for key, value in (function.__kwdefaults__ or {}).items()}
        attributes = self._of_attributes(function, captured.values())
        called = [["called", function.__name__, function.__qualname__]] if self._known.named else []
        return ["function", tree.dump(undecorated(node)), reached, defaults, named, *attributes, *called]

    def _note(self, node: ast.AST) -> None:
        """Note which names of a function count. Raises `Misuse` if it looks for variables by their names."""
        self._parameters |= parameters(node)
        self._keywords |= keywords(node)
        used = attributes_of(node)
        self.is_local |= depends_on_zone(node)
        self._literally |= are_texts(used)
        self._named |= are_names(used)
        if not self._volatile:
            require_no_text_of_now(node)
        require_plain_attributes(used, volatile=self._volatile)

    def _of_attributes(self, function: types.FunctionType, captured: Iterable[Any]) -> list[Any]:
        """Return a function's assigned attributes, except those that a decorator notes and captures."""
        given = {
            name: value
            for name, value in vars(function).items()
            if name != "__wrapped__" or not any(value is one for one in captured)
        }
        return [["attributes", [[name, self._of_value(value)] for name, value in given.items()]]] if given else []

    def of_class(self, value: type) -> list[Any]:
        """Return the meaning of a class without its name. The order of other members than methods counts."""
        if self._open.count(id(value)) > 1:  # members that lead back to the class
            return ["within", self._open.index(id(value))]
        with self._within(value):
            bases = [self._of_value(base) for base in value.__bases__ if base is not object]
            own, made = members(value)
            methods = sorted(
                (one for one in own if isinstance(_bare(one[1]), types.FunctionType)), key=lambda one: one[0]
            )
            others = [one for one in own if one not in methods]
            parts = [[name, type(item).__name__, self._of_value(_bare(item))] for name, item in (*others, *methods)]
            parts += [self._of_value(one) for one in made]
            if isinstance(value, enum.EnumMeta):
                named: Mapping[str, enum.Enum] = value.__members__
                parts.append(["members", [[name, self._of_value(one.value)] for name, one in named.items()]])
            if self._is_our_class(type(value)):
                parts.append(["metaclass", self._of_value(type(value))])
            parts += self._of_registered(value)
            if self._known.literally or self._is_made_from_annotations(value):
                parts.append(["text", value.__doc__, _annotations(value)])
            return ["class", bases, parts]

    def _is_made_from_annotations(self, value: type) -> bool:
        """Whether a class has a base or a metaclass of an installed package, such as one that converts by types."""
        makers = {value.__class__, *(type(base) for base in value.__mro__), *value.__mro__} - {value}
        return any(
            one.__module__.partition(".")[0] not in {"builtins", *sys.stdlib_module_names}
            for one in makers
            if not self._is_our_class(one)
        )

    @contextlib.contextmanager
    def _within(self, value: Any) -> Iterator[None]:
        self._open.append(id(value))
        try:
            yield
        finally:
            self._open.pop()

    def _inner_imports(self, node: ast.AST, function: types.FunctionType) -> dict[str, Any]:
        """Return the names that import statements inside a function bind to modules of the project or their contents.

        They are imported now, so that the memo includes their files.
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
                        for name, value in bound.items():
                            require_seen((name,), value)
                        bound = {name: value for name, value in bound.items() if self._is_our_module(value)}
                else:
                    bound = {}
                    for one in inner.names:
                        leaf = imports(one.name, function.__globals__, None, ("__name__",) if one.asname else ())
                        require_seen((one.name,), leaf)
                        bound[one.asname or one.name.partition(".")[0]] = leaf
                    bound = {name: value for name, value in bound.items() if self._is_our_module(value)}
            except ImportError:  # the function may handle the error
                continue
            found |= bound
        again = assigned(node) & found.keys()
        if again:
            name = min(again)
            raise Misuse(f"a function both imports and assigns '{name}'", "rename one of the two")
        return found

    def _is_our_module(self, value: Any) -> bool:
        """Whether a value is a module of the project; a folder without __init__.py is one without a file."""
        if not isinstance(value, types.ModuleType):
            return False
        file = getattr(value, "__file__", None)
        return self._is_ours(file) if file else value.__name__.startswith(PREFIX)

    def _resolve(
        self, path: tuple[str, ...], captured: dict[str, Any], known: dict[str, Any], use: Use = _ANY_USE
    ) -> Any:
        """Return the meaning of a dotted name: modules are followed to the attribute taken from them."""
        name, *attributes = path
        if name in captured:
            value = captured[name]
        elif name in known:
            value = known[name]
        elif hasattr(builtins, name):
            self._look_at((name,), getattr(builtins, name), use)
            return ["builtin", name]
        else:
            return ["unknown", name]  # it fails when it runs, or is assigned by then
        while attributes and (self._is_our_module(value) or value is importlib):
            attribute = attributes.pop(0)
            if not hasattr(value, attribute):
                return ["unknown", ".".join(path)]
            value = getattr(value, attribute)
        if self._is_our_module(value):
            raise Misuse(
                f"a function uses the module '{name}' as a value", f"name the attribute that it uses: {name}.…"
            )
        rest = (*path[: len(path) - len(attributes)][-1:], *attributes)
        self._look_at(rest, value, use)
        try:
            given = self._of_given(rest, value)
            return [self._of_value(value), given] if given else self._of_value(value)
        except Misuse as error:
            error.facts.setdefault("by way of", ".".join(path))
            raise

    def _look_at(self, path: tuple[str, ...], value: Any, use: Use) -> None:
        """Note what looks at the text of functions. Raises `Misuse` for what nobody would notice."""
        if not self._volatile:
            require_lasting(path, value, use)
        require_seen(path, value)
        self._literally |= looks_at_texts(path, value)
        self.is_local |= any(is_local(found) for _, found in followed(path, value))

    def _of_given(self, path: tuple[str, ...], value: Any) -> list[Any]:
        """Return the meanings of what the project has put into the installed modules that a dotted name leads through.

        Of what comes from elsewhere, such as a setting that another package has changed, only plain values count.
        """
        found: list[Any] = []
        within = value
        for name, one in list(followed(path, value))[1:]:
            plain = isinstance(one, bool | int | float | str) and _is_packaged(within)
            if plain or self._is_given(one) or was_put(within, name.rpartition(".")[2], one):
                found.append([name, self._of_value(one)])
            elif isinstance(one, type):
                found += self._of_members(one)
            within = one
        return found

    def _is_given(self, value: Any) -> bool:
        """Whether a value is the project's: a function, a class or an object of one."""
        if isinstance(value, RegisteredFunction | PythonRule):
            return True
        if isinstance(value, types.FunctionType):
            return self._is_ours(value.__code__.co_filename)
        return self._is_our_class(value if isinstance(value, type) else type(value))

    def _of_value(self, value: Any) -> Any:
        """Return the meaning of a value; one that contains itself is named by its distance from where it began."""
        if isinstance(value, bool | int | float | str | None) and type(value).__module__ == "builtins":
            return [type(value).__name__, _MODULES.sub("", repr(value))]
        if id(value) in self._open and not isinstance(value, type):
            return ["within", self._open.index(id(value))]
        with self._within(value):
            return self._of_open_value(value)

    def _of_open_value(self, value: Any) -> Any:
        require_seen(("",), value)
        if isinstance(value, enum.Enum):
            return self._of_member(value)
        if self._is_our_class(type(value)):
            return self._of_instance(value)
        if isinstance(value, _PLAIN):
            return [type(value).__name__, repr(value)]
        if isinstance(value, tuple | list):
            return [type(value).__name__, [self._of_value(item) for item in value]]
        if isinstance(value, dict):
            more = [] if type(value) is dict else [type(value).__name__, *self._of_default(value)]
            return ["dict", *more, [[self._of_value(key), self._of_value(item)] for key, item in value.items()]]
        if isinstance(value, set | frozenset):
            return ["set", sorted(([self._of_value(item) for item in value]), key=repr)]
        if isinstance(value, re.Pattern):
            return ["pattern", repr(value.pattern), value.flags]
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__, state_of(value.__name__)]
        if isinstance(value, pa.DataType):
            return ["type", str(value)]
        if isinstance(value, pa.Array | pa.Scalar | pa.ChunkedArray):
            return [
                "arrow",
                str(value.type),
                repr(value.to_pylist() if not isinstance(value, pa.Scalar) else value.as_py()),
            ]
        return self._of_code(value)

    def _of_default(self, value: Any) -> list[Any]:
        return [self._of_value(value.default_factory)] if hasattr(value, "default_factory") else []

    def _of_member(self, value: enum.Enum) -> Any:
        """Return the meaning of an enum's member: its value, and the whole enum if that is more than its values."""
        kind = type(value)
        if not self._is_our_class(kind):
            return ["enum", kind.__qualname__, value.name, repr(value.value)]
        if isinstance(value.value, _PLAIN) and not any(
            members(base)[0] for base in kind.__mro__[:-1] if self._is_our_class(base)
        ):
            return ["enum", kind.__qualname__, value.name, repr(value.value)]
        return ["enum", value.name, self._of_value(value.value), self._of_value(kind)]

    def _of_instance(self, value: Any) -> Any:
        """Return the meaning of an object of the project by its class and attributes. Raises `Misuse` for others.

        The state of an installed class (a cache, a lock, all objects of its kind) does not count.
        """
        kind = type(value)
        if not (self._is_our_class(kind) and keeps_its_state(kind)):
            raise _incomparable(value)
        return ["instance", self._of_value(kind), [self._of_value(one) for one in state(value)]]

    def _of_code(self, value: Any) -> Any:
        if isinstance(value, PythonRule | RegisteredFunction):
            value = value.function
        if isinstance(value, types.FunctionType) and self._is_ours(value.__code__.co_filename):
            return self.of_function(value)
        if isinstance(value, type) and self._is_our_class(value):
            return [value.__qualname__, *self.of_class(value)]
        made_of = content(value)
        if made_of is not None:
            if made_of[0] in {"partial", "partialmethod"}:
                self._keywords |= set(value.keywords)
            return [made_of[0], [self._of_value(one) for one in made_of[1]]]
        module, name = (
            getattr(value, "__module__", None),
            getattr(value, "__qualname__", getattr(value, "__name__", None)),
        )
        if module is not None and name is not None and not self._is_ours(_file_of(value)):
            plain = isinstance(value, type | types.BuiltinFunctionType)
            if plain or is_reachable(value):
                given = self._of_members(value) if isinstance(value, type) else []
                return ["installed", _public(str(module)), name, state_of(str(module)), *given]
        if isinstance(value, types.FunctionType):
            return self._of_closure(value)
        raise _incomparable(value)

    def _of_members(self, kind: type) -> list[Any]:
        """Return the meanings of what the project has put into an installed class."""
        given = {
            name: inner
            for base in reversed(kind.__mro__)
            for name, item in vars(base).items()
            if isinstance(inner := _bare(item), types.FunctionType) and self._is_ours(inner.__code__.co_filename)
        }
        found = [[[name, self._of_value(one)] for name, one in given.items()]] if given else []
        return found + self._of_registered(kind)

    def _of_registered(self, kind: type) -> list[Any]:
        """Return the meanings of the classes that the project has registered with an abstract class.

        Those of installed packages and of the standard library are registered by the modules that they are from.
        """
        found = [
            ["registered", one.__qualname__, self._of_value(one)]
            for one in registered_since(kind)
            if self._is_our_class(one) or one.__module__ == "builtins"
        ]
        return [found] if found else []

    def _of_closure(self, function: types.FunctionType) -> Any:
        """Return the meaning of a function made by installed code, such as a decorator around one of the project's."""
        code, module = function.__code__, str(function.__globals__.get("__name__"))
        if not Path(code.co_filename).is_absolute():
            hint = "define it with def in a file of the project"
            raise Misuse(f"the source of '{code.co_name}' cannot be found", hint)
        captured = _captured(function)
        parts = [captured, list(function.__defaults__ or ()), dict(function.__kwdefaults__ or {})]
        attributes = self._of_attributes(function, captured.values())
        made = [self._of_value(one) for one in parts]
        return ["made", _public(module), code.co_qualname, state_of(module), made, *attributes]

    def _is_our_class(self, kind: type) -> bool:
        """Whether a class belongs to the project: in one of its modules, or with a method from one of its files."""
        if kind.__module__ == "builtins":
            return False
        if self._is_ours(_file_of(kind)):
            return True
        methods = (item for item in vars(kind).values() if isinstance(item, types.FunctionType))
        return kind.__module__ not in sys.modules and any(self._is_ours(one.__code__.co_filename) for one in methods)


def _annotations(value: type) -> list[list[str]]:
    """Return the annotations of a class as texts, by name."""
    found = inspect.get_annotations(value)
    return [[name, _MODULES.sub("", one if isinstance(one, str) else repr(one))] for name, one in found.items()]


def _incomparable(value: Any) -> Misuse:
    message = f"a function uses a value of type {type(value).__name__}, whose content cannot be compared"
    hint = "build it from plain values (numbers, strings, lists, dicts), or create it inside the function"
    return Misuse(message, hint)


def _captured(function: types.FunctionType) -> dict[str, Any]:
    """Return the captured values of a function, by name, without those that are not assigned yet."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def _is_packaged(value: Any) -> bool:
    """Whether a value is a module of an installed package, and not of the standard library."""
    top = value.__name__.partition(".")[0] if isinstance(value, types.ModuleType) else ""
    return bool(top) and top not in sys.stdlib_module_names


def _file_of(value: Any) -> str:
    module = sys.modules.get(str(getattr(value, "__module__", "")))
    return str(getattr(module, "__file__", "") or "")


def _bare(item: Any) -> Any:
    return item.__func__ if isinstance(item, staticmethod | classmethod) else item


def _public(module: str) -> str:
    """Return the name of a module of the standard library without its private parts, which differ between Pythons."""
    first, *parts = module.split(".")
    kept = parts if first not in sys.stdlib_module_names else [part for part in parts if not part.startswith("_")]
    return ".".join([first, *kept])
