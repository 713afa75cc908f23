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
from collections.abc import Callable, Sequence
from typing import Any, Literal

import pyarrow as pa

from compiler import functions as engine_functions
from rules.python.declaring import current_recording
from rules.python.faults import Misuse
from rules.python.series import over_series, require_pandas

Kind = Literal["builtin", "pyarrow", "pandas", "python"]
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


class RegisteredFunction:
    """A Python function that the engine can call. Called with Ibis values it is an expression, else the function."""

    def __init__(
        self,
        function: types.FunctionType,
        kind: Kind,
        name: str,
        inputs: Sequence[pa.DataType],
        output: pa.DataType,
        volatility: Volatility,
    ) -> None:
        self.function = function
        self.kind: Kind = kind
        self.name = name
        self.inputs = tuple(inputs)
        self.output = output
        self.volatility: Volatility = volatility
        self.line = function.__code__.co_firstlineno
        self.__doc__ = function.__doc__
        self.__wrapped__ = function
        self._ibis: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Return an Ibis expression, or the function's value."""
        import ibis

        if any(isinstance(one, ibis.expr.types.Value | ibis.Deferred) for one in arguments):
            return self._expression()(*arguments)
        return self.function(*arguments)

    def __repr__(self) -> str:
        return f"<{self.kind} function {self.name}({', '.join(map(str, self.inputs))}) -> {self.output}>"

    def over_arrays(self, *arrays: pa.Array) -> pa.Array:
        """Return what the engine asks for: one array for those of a batch."""
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
            # To Ibis it is a function that the engine has, and so it will be.
            stub = _with_parameters(self.name, len(self.inputs))
            self._ibis = ibis.udf.scalar.builtin(stub, name=self.name, signature=signature)
        return self._ibis


class Ladder:
    """The decorators, one for each rung."""

    def builtin(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Name a function of the engine that Ibis lacks; the body is never run."""
        return _declare("builtin", function, **options)

    def pyarrow(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function over `pyarrow.Array`s, one for each parameter, that returns one."""
        return _declare("pyarrow", function, **options)

    def pandas(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function over pandas Series of Arrow types, which returns one. pandas must be installed."""
        require_pandas("write the function over arrays: @udf.pyarrow")
        return _declare("pandas", function, **options)

    def python(self, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Register a function over single values, None for NULL: the slowest rung."""
        return _declare("python", function, **options)


udf = Ladder()


def _declare(
    kind: Kind,
    function: Callable[..., Any] | None,
    *,
    name: str | None = None,
    inputs: Sequence[pa.DataType] | None = None,
    output: pa.DataType | None = None,
    volatility: Volatility = "immutable",
) -> Any:
    def declare(function: Callable[..., Any]) -> RegisteredFunction:
        if not isinstance(function, types.FunctionType):
            raise Misuse(f"@udf.{kind} stands before a function, not {type(function).__name__}")
        called = name if name is not None else function.__name__
        if called != called.lower() or not called.isidentifier():
            raise Misuse(f"'{called}' is no usable name of a function", "the engine takes names in lower case")
        known = engine_functions.lookup(called)
        if kind == "builtin" and (known is None or "scalar" not in known.kinds):
            raise Misuse(f"the engine has no function '{called}'", "give it a body: @udf.pyarrow")
        if kind != "builtin" and known is not None:
            raise Misuse(f"the engine has a function '{called}' already", "give yours another name")
        if volatility not in {"immutable", "volatile"}:
            raise Misuse("'volatility' must be 'immutable' or 'volatile'")
        given, returned = _signature(function, inputs, output)
        if kind != "builtin" and not given:
            raise Misuse(f"'{called}' has no parameters, and so would not know how many rows there are")
        made = RegisteredFunction(function, kind, called, given, returned, volatility)
        recording = current_recording()
        if recording is not None and kind != "builtin":
            recording.functions.append(made)
        return made

    return declare if function is None else declare(function)


def _signature(
    function: types.FunctionType, inputs: Sequence[pa.DataType] | None, output: pa.DataType | None
) -> tuple[list[pa.DataType], pa.DataType]:
    """Return the types of parameters and result: those given, else those of the annotations. Raises `Misuse`."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        raise Misuse(f"the annotations of '{function.__name__}' cannot be read: {error}") from error
    found = list(inputs) if inputs is not None else [_type(function, name, hints.get(name)) for name in names]
    if len(found) != len(names):
        raise Misuse(f"'{function.__name__}' has {len(names)} parameters, and {len(found)} types are given")
    return found, output if output is not None else _type(function, "return", hints.get("return"))


def _type(function: types.FunctionType, name: str, hint: Any) -> pa.DataType:
    options = [one for one in typing.get_args(hint) if one is not type(None)]
    if isinstance(hint, types.UnionType) and len(options) == 1:
        hint = options[0]
    if isinstance(hint, pa.DataType):
        return hint
    if hint not in _TYPES:
        of = "its result" if name == "return" else f"the parameter '{name}'"
        known = ", ".join(kind.__name__ for kind in _TYPES)
        hint_text = f"annotate it ({known}), or give inputs=[…] and output=… as Arrow types"
        raise Misuse(f"'{function.__name__}' does not say of what type {of} is", hint_text)
    return _TYPES[hint]


def _with_parameters(name: str, count: int) -> types.FunctionType:
    """Return a function of so many parameters, of which Ibis reads the signature."""
    space: dict[str, Any] = {}
    exec(f"def {name}({', '.join(f'a{number}' for number in range(count))}): ...", space)  # noqa: S102 — a checked name
    made = space[name]
    assert isinstance(made, types.FunctionType)
    return made
