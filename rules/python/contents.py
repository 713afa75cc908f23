"""Contents of objects that are not plain values: the values that distinguish an object from others of its kind.

Only objects of Python and its standard library, NumPy and Arrow. Objects of a project's own classes are their classes
and attributes, see `rules.python.function_digest`.
"""

from __future__ import annotations

import collections
import dataclasses
import fractions
import functools
import ipaddress
import operator
import pathlib
import string
import sys
import types
import typing
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

Content = tuple[str, list[Any]]

_CACHED = type(functools.lru_cache(lambda: None))
_GETTERS = (operator.itemgetter, operator.attrgetter, operator.methodcaller)
_TOLD = (
    *(fractions.Fraction, uuid.UUID, pathlib.PurePath, ipaddress.IPv4Address, ipaddress.IPv6Address),
    *(ipaddress.IPv4Network, ipaddress.IPv6Network),
)
"""The types whose repr is complete."""
_DATACLASS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
_FIELD = ("init", "repr", "hash", "compare", "kw_only")


def _field(one: dataclasses.Field[Any]) -> list[Any]:
    given = [None if value is dataclasses.MISSING else [value] for value in (one.default, one.default_factory)]
    kind = getattr(one, "_field_type", None)  # whether it is a field, a ClassVar or an InitVar
    return [one.name, getattr(kind, "name", None), given, [getattr(one, name) for name in _FIELD]]


def _array(one: np.ndarray[Any, Any]) -> list[Any]:
    """Return what an array is made of; that of another class, such as a matrix, multiplies otherwise."""
    plain = np.asarray(one)
    items = plain.tolist() if plain.dtype.hasobject else plain.tobytes()
    masked = [np.ma.getmaskarray(one).tobytes()] if isinstance(one, np.ma.MaskedArray) else []
    more = [] if type(one) is np.ndarray else [type(one).__name__, *masked]
    order = [] if plain.flags.c_contiguous else [list(plain.strides)]  # by which ravel("K") goes
    return [str(one.dtype), list(one.shape), items, *more, *order]


_MADE_BY: tuple[tuple[type | tuple[type, ...], str, Callable[[Any], list[Any]]], ...] = (
    (functools.partial, "partial", lambda one: [one.func, list(one.args), one.keywords]),
    (functools.partialmethod, "partialmethod", lambda one: [one.func, list(one.args), dict(one.keywords)]),
    (_CACHED, "cached", lambda one: [one.__wrapped__, one.cache_parameters()]),
    (functools.cached_property, "cached_property", lambda one: [one.func, one.attrname]),
    (functools.singledispatchmethod, "singledispatchmethod", lambda one: [one.dispatcher, one.func]),
    (property, "property", lambda one: [one.fget, one.fset, one.fdel]),
    ((staticmethod, classmethod), "wrapped", lambda one: [type(one).__name__, one.__func__]),
    (types.MethodType, "method", lambda one: [one.__self__, one.__func__]),
    (types.MethodDescriptorType, "method of", lambda one: [one.__objclass__, one.__name__]),
    (types.MappingProxyType, "mappingproxy", lambda one: [dict(one)]),
    (types.SimpleNamespace, "namespace", lambda one: [vars(one)]),
    (types.UnionType, "union", lambda one: [list(one.__args__)]),
    (collections.deque, "deque", lambda one: [list(one), one.maxlen]),
    (_GETTERS, "getter", lambda one: [type(one).__name__, *one.__reduce__()[1]]),
    (bytearray, "bytearray", lambda one: [bytes(one)]),
    (slice, "slice", lambda one: [one.start, one.stop, one.step]),
    (dataclasses.Field, "field", _field),
    (_TOLD, "told", lambda one: [type(one).__name__, repr(one)]),
    (string.Template, "template", lambda one: [one.template]),
    (np.dtype, "dtype", lambda one: [str(one), one.str]),
    (np.ndarray, "ndarray", _array),
    ((pa.Schema, pa.Field), "schema", lambda one: [str(one), one.metadata]),
    (pa.Table, "table", lambda one: [str(one.schema), one.to_pylist()]),
)


def content(value: Any) -> Content | None:
    """Return the kind of an object and its contents; None if they are not known."""
    for kind, name, parts in _MADE_BY:
        if isinstance(value, kind):
            return name, parts(value)
    if isinstance(value, types.BuiltinMethodType) and not isinstance(value.__self__, types.ModuleType | types.NoneType):
        return "builtin method", [value.__self__, value.__name__]
    if isinstance(value, types.FunctionType) and hasattr(value, "registry") and hasattr(value, "dispatch"):
        return "singledispatch", [list(one) for one in value.registry.items()]
    if typing.get_origin(value) is not None:
        return "alias", [typing.get_origin(value), list(typing.get_args(value))]
    return None


def members(value: type) -> tuple[list[tuple[str, Any]], list[Any]]:
    """Return the members of a class that were written in it, and the facts from which the others were generated.

    Generated members (a dataclass's __init__, an enum's maps) differ between Python versions, and add no information.
    """
    own = [(name, item) for name, item in vars(value).items() if _is_written(name, item)]
    made: list[Any] = []
    if "__dataclass_params__" in vars(value):
        parameters = vars(value)["__dataclass_params__"]
        made.append(["dataclass", [getattr(parameters, name) for name in _DATACLASS]])
        own = [
            one for one in own if not _is_generated(one[1]) and one[0] not in {"__dataclass_params__", "__replace__"}
        ]
    if issubclass(value, tuple) and "_fields" in vars(value):
        made.append(["namedtuple", list(vars(value)["_fields"]), vars(value)["_field_defaults"]])
        own = [one for one in own if not one[0].startswith("_") and one[0] not in vars(value)["_fields"]]
    if "_member_map_" in vars(value):
        own = [one for one in own if one[0] not in value.__members__ and not _is_of_enum(*one)]  # type: ignore[attr-defined]
    return own, made


_MADE = frozenset({
    "__module__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__annotate__", "__annotate_func__",
    "__annotations_cache__", "__firstlineno__", "__static_attributes__", "_abc_impl", "__abstractmethods__",
    "__orig_bases__", "__parameters__", "__type_params__", "_is_protocol", "_is_runtime_protocol",
    "__protocol_attrs__", "__non_callable_proto_members__",
})  # fmt: skip


def _is_written(name: str, item: Any) -> bool:
    return name not in _MADE and not isinstance(item, types.GetSetDescriptorType | types.MemberDescriptorType)


def _is_generated(item: Any) -> bool:
    code = getattr(getattr(item, "__wrapped__", item), "__code__", None)
    return code is not None and code.co_filename == "<string>"


def _is_of_enum(name: str, item: Any) -> bool:
    """Whether the machinery of enums put a member into its class."""
    inner = item.__func__ if isinstance(item, staticmethod | classmethod) else item
    code = getattr(inner, "__code__", None)
    return name.startswith("_") and name.endswith("_") and not (code is not None and _file_is_written(code))


def _file_is_written(code: types.CodeType) -> bool:
    return not code.co_filename.startswith("<") and code.co_filename != enum_file()


@functools.cache
def enum_file() -> str:
    """Return the file of the machinery of enums."""
    return str(sys.modules["enum"].__file__)


def is_reachable(value: Any) -> bool:
    """Whether an installed object is found by its name in its module: then the version identifies it."""
    module = sys.modules.get(str(getattr(value, "__module__", None)))
    for name in (getattr(value, "__qualname__", None), getattr(value, "__name__", None)):
        found: Any = module
        for part in str(name).split("."):
            found = getattr(found, part, None)
        if found is value:
            return True
    return False


def keeps_its_state(kind: type) -> bool:
    """Whether everything in an instance of a class is visible: its attributes, and its value as a tuple or dict."""
    return kind is not object and all(base in _BARE or _is_of_python(base) for base in kind.__mro__)


_BARE = frozenset({
    object, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, BaseException, Exception,
    typing.Generic,
})  # fmt: skip


def _is_of_python(kind: type) -> bool:
    """Whether a class is written in Python, so that its instances have no state except their attributes."""
    return "__module__" in vars(kind) and ("__slots__" in vars(kind) or "__dict__" in vars(kind) or _has_code(kind))


def _has_code(kind: type) -> bool:
    return any(isinstance(item, types.FunctionType) for item in vars(kind).values()) or not vars(kind).keys() - _MADE


def state(value: Any) -> list[Any]:
    """Return the attributes of an instance, and its value as a tuple, a dict and so on."""
    attributes = dict(getattr(value, "__dict__", {}))
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            shown = f"_{base.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            if name not in {"__dict__", "__weakref__"} and hasattr(value, shown):
                attributes[shown] = getattr(value, shown)
    found: list[Any] = [[name, item] for name, item in attributes.items()]
    for kind, plain in _PLAINLY.items():  # whatever the subclass overrides
        if isinstance(value, kind):
            found.append([kind.__name__, plain(value)])
            break
    if isinstance(value, BaseException):
        found.append(["args", list(value.args)])
    return found


_PLAINLY: dict[type, Callable[[Any], Any]] = {
    tuple: lambda value: tuple(tuple.__iter__(value)),
    list: lambda value: list(list.__iter__(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
    int: int.__index__,
    float: float.__pos__,
    complex: complex.__pos__,
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
}
