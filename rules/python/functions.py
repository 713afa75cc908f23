"""Functions that rules call: the ladder `builtin → pyarrow → pandas → python`, each rung slower than the one before.

    from rules import udf

    @udf.pyarrow
    def grade(delay: float) -> str: ...      # arrays in, an array out

A function is called like any other from Ibis expressions, and by its name from SQL.
"""

from __future__ import annotations

import datetime
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from compiler.names.user_functions import Shape
from compiler.sql import functions as engine_functions
from compiler.sql.function_names import is_callable
from rules.python.aggregates import Accumulating, Noting, require_methods
from rules.python.declarations import current_recording
from rules.python.faults import Misuse
from rules.python.series import over_series, require_pandas

Kind = Literal["builtin", "pyarrow", "pandas", "python", "agg", "window"]
Volatility = Literal["immutable", "volatile"]
_TYPES: dict[Any, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bytes: pa.binary(),
    datetime.date: pa.date32(),
    datetime.datetime: pa.timestamp("us"),
}


@dataclass(frozen=True)
class Signature:
    """Arrow types of the parameters, the result, and an aggregate's state; names of the parameters."""

    inputs: tuple[pa.DataType, ...]
    output: pa.DataType
    names: tuple[str, ...]
    state: tuple[pa.DataType, ...] = ()


class RegisteredFunction:
    """A Python function that the engine can call. Called with Ibis values it is an expression, else the function.

    any_order: of an aggregate, whether its value is the same for every order of rows.
    """

    def __init__(
        self,
        function: types.FunctionType | type,
        kind: Kind,
        shape: Shape,
        name: str,
        signature: Signature,
        volatility: Volatility,
        *,
        any_order: bool,
    ) -> None:
        self.function = function
        self.kind: Kind = kind
        self.shape: Shape = shape
        self.name = name
        self.inputs, self.output, self.state = signature.inputs, signature.output, signature.state
        self.names = signature.names
        self.volatility: Volatility = volatility
        self.any_order = any_order
        self.line = _first_line(function)
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self._ibis: Any = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Return an Ibis expression, or the function's value. named: also `where`, of an aggregate in Ibis."""
        import ibis

        if any(isinstance(one, ibis.expr.types.Value | ibis.Deferred) for one in (*arguments, *named.values())):
            return self._expression()(*arguments, **{self._of_stub(name): value for name, value in named.items()})
        return self.function(*arguments, **named)

    def __repr__(self) -> str:
        return f"<{self.kind} function {self.name}({', '.join(map(str, self.inputs))}) -> {self.output}>"

    def _of_stub(self, name: str) -> str:
        """Return what a parameter is called in the function that Ibis knows."""
        return f"a{self.names.index(name)}" if name in self.names else name

    def for_engine(self, noting: Noting) -> Callable[..., Any]:
        """Return the function for the engine, see `rules.engine.user_functions`.

        noting: wraps everything that runs the project's code.
        """
        if self.shape == "aggregate":
            return lambda: Accumulating(self, noting)
        return noting(self.over_arrays)

    def over_arrays(self, *arrays: pa.Array) -> pa.Array:
        """Return the array that the engine requires for the arrays of a batch."""
        if self.kind == "python":
            rows = zip(*(array.to_pylist() for array in arrays), strict=True)
            return pa.array([self.function(*row) for row in rows], type=self.output)
        if self.kind == "pandas":
            return self._checked(over_series(self.function, self.name, arrays, self.output), len(arrays[0]))
        return self._checked(self.function(*arrays), len(arrays[0]))

    def _checked(self, found: Any, rows: int) -> pa.Array:
        if isinstance(found, pa.ChunkedArray):
            found = found.combine_chunks()
        if isinstance(found, pa.Scalar):
            found = pa.repeat(found, rows)
        if not isinstance(found, pa.Array):
            raise Misuse(f"'{self.name}' returns {type(found).__name__}, not a pyarrow array")
        if len(found) != rows:
            raise Misuse(f"'{self.name}' returns {len(found)} values for {rows} rows")
        return found if found.type == self.output else found.cast(self.output)

    def _expression(self) -> Any:
        if self._ibis is None:
            import ibis

            from rules.python.schemas import ibis_type

            signature = (tuple(ibis_type(kind) for kind in self.inputs), ibis_type(self.output))
            # To Ibis it is a function of the engine; it will be registered as one.
            stub = _with_parameters(self.name, len(self.inputs))
            made = ibis.udf.scalar if self.shape == "scalar" else ibis.udf.agg
            self._ibis = made.builtin(stub, name=self.name, signature=signature)
        return self._ibis


class Aggregates:
    """The decorators of functions of many rows. Calling it decorates a class that accumulates."""

    def __call__(self, accumulator: type | None = None, /, **options: Any) -> Any:
        """Register an aggregate, see `rules.python.aggregates`.

        state: the types of its state, else those of `state`'s annotation. any_order: whether its value is the same, to
        the last bit, for every order of rows and of merged states; if it is not declared, the order of an input's rows
        matters to the rules that call it.
        """
        return _declare("agg", "aggregate", accumulator, **options)

    def builtin(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Name an aggregate of the engine that Ibis lacks; the body is never run."""
        return _declare("builtin", "aggregate", function, **options)


class Ladder:
    """The decorators, one for each rung; and those of functions of many rows."""

    agg = Aggregates()

    def builtin(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Name a function of the engine that Ibis lacks; the body is never run."""
        return _declare("builtin", "scalar", function, **options)

    def pyarrow(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function over `pyarrow.Array`s, one for each parameter, that returns one."""
        return _declare("pyarrow", "scalar", function, **options)

    def pandas(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function over pandas Series of Arrow types, which returns one. pandas must be installed."""
        require_pandas("write the function over arrays: @udf.pyarrow")
        return _declare("pandas", "scalar", function, **options)

    def python(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function over single values, None for NULL: the slowest rung."""
        return _declare("python", "scalar", function, **options)

    def window(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function over the arrays of a whole partition, in the order of its OVER, that returns one."""
        return _declare("window", "window", function, **options)


udf = Ladder()


def _declare(
    kind: Kind,
    shape: Shape,
    function: Callable[..., Any] | None,
    *,
    name: str | None = None,
    inputs: Sequence[pa.DataType] | None = None,
    output: pa.DataType | None = None,
    volatility: Volatility = "immutable",
    **more: Any,
) -> Any:
    def declare(function: Callable[..., Any]) -> RegisteredFunction:
        wanted = type if kind == "agg" else types.FunctionType
        written = f"@udf.{'agg.' if shape == 'aggregate' and kind == 'builtin' else ''}{kind}"
        if not isinstance(function, wanted):
            raise Misuse(f"{written} must precede a {_WORDS[wanted]}, not {type(function).__name__}")
        unknown = sorted(more.keys() - ({"state", "any_order"} if kind == "agg" else set()))
        if unknown:
            raise Misuse(f"{written} has no option '{unknown[0]}'")
        called = name if name is not None else function.__name__
        if called != called.lower() or not called.isidentifier():
            raise Misuse(f"'{called}' cannot be the name of a function", "the engine takes names in lower case")
        known = engine_functions.lookup(called)
        if kind == "builtin" and (known is None or shape not in known.kinds):
            raise Misuse(
                f"the engine has no {'aggregate' if shape == 'aggregate' else 'function'} '{called}'",
                f"give it a body: @udf.{'agg' if shape == 'aggregate' else 'pyarrow'}",
            )
        if kind != "builtin" and known is not None:
            raise Misuse(f"the engine has a function '{called}' already", "give yours another name")
        if known is None and not is_callable(called):
            message = f"'{called}' is a reserved word of SQL, so no function can be called by that name"
            raise Misuse(message, f'give it another name: {written}(name="my_{called}")')
        if volatility not in {"immutable", "volatile"}:
            raise Misuse("'volatility' must be 'immutable' or 'volatile'")
        signature = _signature(function, inputs, output, more.get("state"))
        if kind != "builtin" and not signature.inputs:
            raise Misuse(f"'{called}' has no parameters, so it would not know the number of rows")
        any_order = bool(more.get("any_order", False))
        made = RegisteredFunction(function, kind, shape, called, signature, volatility, any_order=any_order)
        recording = current_recording()
        if recording is not None and kind != "builtin":
            recording.functions.append(made)
        return made

    return declare if function is None else declare(function)


_WORDS: dict[type, str] = {type: "class", types.FunctionType: "function"}


def _signature(
    function: types.FunctionType | type,
    inputs: Sequence[pa.DataType] | None,
    output: pa.DataType | None,
    state: Sequence[pa.DataType] | None,
) -> Signature:
    """Return the given types, else those of the annotations. Raises `Misuse`."""
    if isinstance(function, types.FunctionType):
        given, returned = _types(function, 0, inputs), output or _type(function, "return", _hints(function))
        return Signature(given, returned, _names(function, 0))
    require_methods(function)
    update, evaluate, kept = (getattr(function, name) for name in ("update", "evaluate", "state"))
    given, returned = _types(update, 1, inputs), output or _type(evaluate, "return", _hints(evaluate))
    if state is not None:
        return Signature(given, returned, _names(update, 1), tuple(state))
    parts = typing.get_args(_hints(kept).get("return"))
    if not parts or ... in parts:
        hint = "annotate it: def state(self) -> tuple[float, int], or give state=[…] as Arrow types"
        raise Misuse(f"'{function.__name__}' does not declare the types of its state", hint)
    kinds = tuple(_type(kept, "return", {"return": part}) for part in parts)
    return Signature(given, returned, _names(update, 1), kinds)


def _names(function: types.FunctionType, skipped: int) -> tuple[str, ...]:
    """Return the names of the parameters except the first `skipped`."""
    return function.__code__.co_varnames[skipped : function.__code__.co_argcount]


def _types(function: types.FunctionType, skipped: int, given: Sequence[pa.DataType] | None) -> tuple[pa.DataType, ...]:
    """Return the types of the parameters except the first `skipped`. Raises `Misuse`."""
    names = _names(function, skipped)
    if given is None:
        hints = _hints(function)
        return tuple(_type(function, name, hints) for name in names)
    if len(given) != len(names):
        raise Misuse(f"'{function.__name__}' has {len(names)} parameters, but {len(given)} types are given")
    return tuple(given)


def _hints(function: types.FunctionType) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except NameError as error:
        raise Misuse(f"the annotations of '{function.__name__}' cannot be read: {error}") from error


def _type(function: types.FunctionType, name: str, hints: Mapping[str, Any]) -> pa.DataType:
    hint = hints.get(name)
    options = [one for one in typing.get_args(hint) if one is not type(None)]
    if isinstance(hint, types.UnionType) and len(options) == 1:
        hint = options[0]
    if isinstance(hint, pa.DataType):
        return hint
    if hint not in _TYPES:
        of = "its result" if name == "return" else f"the parameter '{name}'"
        known = ", ".join(kind.__name__ for kind in _TYPES)
        hint_text = f"annotate it ({known}), or give inputs=[…] and output=… as Arrow types"
        raise Misuse(f"'{function.__name__}' does not declare the type of {of}", hint_text)
    return _TYPES[hint]


def _first_line(function: types.FunctionType | type) -> int:
    if isinstance(function, types.FunctionType):
        return function.__code__.co_firstlineno
    methods = [one for one in vars(function).values() if isinstance(one, types.FunctionType)]
    return min((one.__code__.co_firstlineno for one in methods), default=1)


def _with_parameters(name: str, count: int) -> types.FunctionType:
    """Return a function with a number of parameters, whose signature Ibis reads."""
    space: dict[str, Any] = {}
    exec(f"def {name}({', '.join(f'a{number}' for number in range(count))}): ...", space)  # noqa: S102 — a checked name
    made = space[name]
    assert isinstance(made, types.FunctionType)
    return made
