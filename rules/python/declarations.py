"""The names that a rule file uses: `rule`, `sql`, `var`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CellType, CodeType, FunctionType
from typing import Any, Literal, Protocol, overload

import msgspec

from rules.config.contract import ColumnContract
from rules.config.front_matter import RuleOptions
from rules.config.toml_types import wrong_table
from rules.python.faults import Misuse
from rules.storage.writer_options import WriterOptions, flaws

_recordings: list[Recording] = []
_calls: list[Call] = []


@dataclass(frozen=True)
class Streams:
    """The declaration of a rule with engine="arrow": names and Arrow types of its output, the columns it reads.

    by_part: the inputs of which it may be called with one part after the other.
    """

    output: tuple[tuple[str, Any], ...]
    reads: Mapping[str, tuple[str, ...]]
    by_part: tuple[str, ...] = ()


class PythonRule:
    """A function that is a rule. Calling it calls the function."""

    def __init__(self, function: FunctionType, name: str, options: RuleOptions, streams: Streams | None = None) -> None:
        self.function = function
        self.streams = streams
        self.name = name
        self.options = options
        self.inputs = _inputs(function, name)
        self.line = function.__code__.co_firstlineno
        self.__doc__ = function.__doc__
        self.__wrapped__ = function

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function, as another rule may."""
        return self.function(*arguments, **named)

    def __repr__(self) -> str:
        return f"<rule {self.name}({', '.join(self.inputs)})>"


class Call(Protocol):
    """A rule that is being called: the source of what `sql` and `var` return."""

    def sql(self, written: Any, tables: dict[str, Any], dialect: str | None = None) -> Any:
        """Return an Ibis table for a query: a text, or a SQLGlot expression."""

    def var(self, name: str) -> Any:
        """Return the value of a project variable."""


@dataclass
class Recording:
    """The rules and functions that a file declares while it is imported."""

    rules: list[PythonRule] = field(default_factory=list)
    functions: list[Any] = field(default_factory=list)
    _loops: dict[CodeType, dict[str, Any]] = field(default_factory=dict)

    def add(self, rule: PythonRule) -> None:
        """Record a rule. Raises `Misuse` for a rule in a loop whose rules would all read the variable's last value."""
        code = rule.function.__code__
        now = {name: rule.function.__globals__[name] for name in code.co_names if name in rule.function.__globals__}
        before = self._loops.setdefault(code, now)
        changed = [name for name, value in now.items() if before.get(name, value) is not value]
        if changed:
            message = f"the rules in a loop all read the last value of '{changed[0]}'"
            raise Misuse(message, f"make it a parameter with a default: {changed[0]}={changed[0]}")
        self.rules.append(rule)


def current_recording() -> Recording | None:
    """Return the recording of the file that is being imported, if one is."""
    return _recordings[-1] if _recordings else None


@contextmanager
def recording() -> Iterator[Recording]:
    """Collect the rules that are declared inside."""
    current = Recording()
    _recordings.append(current)
    try:
        yield current
    finally:
        _recordings.pop()


@contextmanager
def calling(call: Call) -> Iterator[None]:
    """Let `sql` and `var` be called inside."""
    _calls.append(call)
    try:
        yield
    finally:
        _calls.pop()


@overload
def rule(function: Callable[..., Any], /) -> PythonRule: ...
@overload
def rule(
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Sequence[str] = (),
    key: Sequence[str] = (),
    volatile: bool = False,
    tier: Literal[0, 1, 2] | None = None,
    order_by: Sequence[str] = (),
    writer: Mapping[str, Any] | None = None,
    fuse_selects: bool | None = None,
    normalize: Literal["cnf", "dnf"] | None = None,
    engine: Literal["ibis", "arrow"] = "ibis",
    output: Any = None,
    reads: Mapping[str, Sequence[str]] | None = None,
    by_part: Sequence[str] = (),
    schema: Any = None,
) -> Callable[[Callable[..., Any]], PythonRule]: ...
def rule(  # noqa: PLR0913 — the options of a rule
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    tags: Sequence[str] = (),
    key: Sequence[str] = (),
    volatile: bool = False,
    tier: Literal[0, 1, 2] | None = None,
    order_by: Sequence[str] = (),
    writer: Mapping[str, Any] | None = None,
    fuse_selects: bool | None = None,
    normalize: Literal["cnf", "dnf"] | None = None,
    engine: Literal["ibis", "arrow"] = "ibis",
    output: Any = None,
    reads: Mapping[str, Sequence[str]] | None = None,
    by_part: Sequence[str] = (),
    schema: Any = None,
) -> Any:
    """Turn a function into a rule: its parameters are its inputs, as Ibis tables, and its result is an Ibis expression.

    A parameter with a default is not an input. A function that yields rules declares those, and is not a rule itself.

    With engine="arrow", the inputs come as `pyarrow.RecordBatchReader`s and the function yields batches. output: their
    schema, a `pyarrow.Schema` or a dict of Arrow types. reads: by input, the columns that it reads, else all. by_part:
    inputs of which it may be called with each part alone: it yields the same rows in all, in any order.

    fuse_selects: whether its operations become as few SELECTs as can be, or one each; None: as the profile says.
    normalize: the normal form, conjunctive or disjunctive, in which the engine is given its predicates.
    writer: how the product's published file is written, as [writer] in the options of a rule in SQL.

    schema: an `ibis.Schema` that the result must have, its columns of types like `!string` never being NULL.
    """

    def declare(function: Callable[..., Any]) -> Any:
        if not isinstance(function, FunctionType):
            raise Misuse(f"@rule must precede a function, not {type(function).__name__}")
        streams = _streams(engine, output, reads, _by_part(function, engine, by_part))
        if inspect.isgeneratorfunction(function) and streams is None:
            return _generate(function)
        text = description if description is not None else _first_sentence(function.__doc__)
        options = RuleOptions(
            description=text,
            tags=_texts("tags", tags),
            key=_texts("key", key),
            volatile=_flag(volatile),
            tier=_tier(tier) if tier is not None else None,
            order_by=_texts("order_by", order_by),
            writer=_writer(writer or {}),
            fuse_selects=None if fuse_selects is None else _flag(fuse_selects, "fuse_selects"),
            normalize=None if normalize is None else _normal_form(normalize, streams),
            columns=_columns(schema),
            exact=schema is not None,
        )
        made = PythonRule(_closed(function), name if name is not None else function.__name__, options, streams)
        if _recordings:
            _recordings[-1].add(made)
        return made

    return declare if function is None else declare(function)


def sql(text: Any, *, dialect: Any = None, **tables: Any) -> Any:
    """Return the Ibis table of a SQL query over inputs of the rule, and over the Ibis tables given by name.

    text: our SQL, SQL of another `dialect` by SQLGlot's name for it ("duckdb"), or a SQLGlot expression.
    """
    if not _calls:
        raise Misuse("rules.sql can be used only inside a rule", "call it in the function, not outside it")
    if not isinstance(text, str) and not hasattr(text, "sql"):
        raise Misuse(f"rules.sql takes SQL or a SQLGlot expression, not {type(text).__name__}")
    if dialect is not None and not isinstance(dialect, str):
        hint = "give an Ibis table another name than dialect"
        raise Misuse("'dialect' is the name of a dialect of SQL, as SQLGlot has it", hint)
    return _calls[-1].sql(text, tables, dialect)


def var(name: str) -> Any:
    """Return the value of a project variable, as [vars] of rules.toml types it."""
    if not _calls:
        raise Misuse("rules.var can be used only in rule files, which the command line imports")
    return _calls[-1].var(name)


def _columns(schema: Any) -> dict[str, ColumnContract]:
    """Return the columns that an Ibis schema declares."""
    if schema is None:
        return {}
    from ibis.expr.schema import Schema  # the caller has imported it

    from rules.python.schemas import spelled_type

    if not isinstance(schema, Schema):
        raise Misuse(f"schema must be an ibis.Schema, not {type(schema).__name__}")
    columns = {}
    for name, kind in schema.items():
        spelling = spelled_type(kind)
        if spelling is None:
            raise Misuse(f"column '{name}' of the schema has a type that no product can have: {kind}")
        columns[name] = ColumnContract(type=spelling, not_null=not kind.nullable)
    return columns


def _generate(function: FunctionType) -> list[PythonRule]:
    """Declare the rules that a function yields."""
    if _inputs(function, function.__name__):
        message = f"'{function.__name__}' yields rules, so it has no inputs of its own"
        raise Misuse(message, "give the inputs to the functions that it yields")
    made: list[PythonRule] = []
    with recording():  # rules that it makes and does not yield do not count
        for item in function():
            if not isinstance(item, PythonRule):
                message = f"'{function.__name__}' yields {type(item).__name__}, not a rule"
                raise Misuse(message, "yield functions under @rule(name=…)")
            made.append(item)
    if _recordings:
        for item in made:
            _recordings[-1].add(item)
    return made


def _by_part(function: FunctionType, engine: str, by_part: Sequence[str]) -> tuple[str, ...]:
    """Return the inputs that a function reads by parts, in the order of its parameters."""
    names = _texts("by_part", by_part)
    if not names:
        return ()
    if engine == "ibis":
        hint = "leave it out: how a rule in Ibis reads its inputs is proved from its query"
        raise Misuse("'by_part' is only for rules over streams", hint)
    inputs = _inputs(function, function.__name__)
    wrong = next((name for name in names if name not in inputs), None)
    if wrong is None:
        return tuple(name for name in inputs if name in names)
    has_default = wrong in inspect.signature(function).parameters
    why = "is no input, because it has a default" if has_default else "is not an input"
    hint = f"inputs: {', '.join(inputs)}" if inputs else "leave it out: the rule has no inputs"
    raise Misuse(f"'by_part' names '{wrong}', which {why}", hint)


def _streams(
    engine: str, output: Any, reads: Mapping[str, Sequence[str]] | None, by_part: tuple[str, ...]
) -> Streams | None:
    if engine not in {"ibis", "arrow"}:
        raise Misuse("'engine' must be 'ibis' or 'arrow'")
    if engine == "ibis":
        if output is not None or reads is not None:
            raise Misuse(
                "'output' and 'reads' are only for rules over streams", "add engine='arrow', or leave them out"
            )
        return None
    import pyarrow as pa

    try:
        schema = output if isinstance(output, pa.Schema) else pa.schema(list((output or {}).items()))
    except (TypeError, AttributeError, pa.ArrowInvalid) as error:
        raise Misuse(f"'output' is not a schema: {error}", 'write output={"id": pa.int64(), …}') from error
    if not schema.names:
        raise Misuse("a rule over streams must declare its output", 'add output={"id": pa.int64(), …}')
    read = {name: _texts("reads", columns) for name, columns in (reads or {}).items()}
    return Streams(tuple((field.name, field.type) for field in schema), read, by_part)


def _inputs(function: FunctionType, name: str) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    for parameter in parameters:
        if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            raise Misuse(f"'{name}' takes any inputs: *{parameter.name}", "name each input as a parameter")
    return tuple(one.name for one in parameters if one.default is inspect.Parameter.empty)


def _closed(function: FunctionType) -> FunctionType:
    """Return a function that keeps its captured values as they are now: a loop goes on to other values."""
    if function.__closure__ is None:
        return function
    cells = tuple(CellType(*_contents(cell)) for cell in function.__closure__)
    made = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__, cells)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    made.__module__ = function.__module__
    made.__qualname__ = function.__qualname__
    return made


def _contents(cell: CellType) -> tuple[Any, ...]:
    try:
        return (cell.cell_contents,)
    except ValueError:  # it has none yet
        return ()


def _first_sentence(text: str | None) -> str:
    return inspect.cleandoc(text).split("\n\n")[0].replace("\n", " ").strip() if text else ""


def _texts(option: str, value: Iterable[Any]) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise Misuse(f"'{option}' must be a list of strings", f'write {option}=["…"]')
    return tuple(value)


def _writer(given: Mapping[str, Any]) -> WriterOptions:
    table = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    wrong = wrong_table(table, WriterOptions, ("writer",), "key")
    if wrong is not None:
        raise Misuse(wrong.message, wrong.hint)
    options = msgspec.convert(table, WriterOptions)
    unfit = next(flaws(options), None)
    if unfit is not None:
        raise Misuse(unfit.message, unfit.hint)
    return options


def _flag(value: Any, option: str = "volatile") -> bool:
    if not isinstance(value, bool):
        raise Misuse(f"'{option}' must be True or False")
    return value


def _normal_form(value: Any, streams: Streams | None) -> Literal["cnf", "dnf"]:
    if streams is not None:
        raise Misuse("'normalize' is for rules in Ibis: one over streams has no predicates", "leave it out")
    if value not in {"cnf", "dnf"}:
        raise Misuse('\'normalize\' must be "cnf" or "dnf"')
    found: Literal["cnf", "dnf"] = value
    return found


def _tier(value: Any) -> Literal[0, 1, 2]:
    if isinstance(value, bool) or value not in {0, 1, 2}:
        raise Misuse("'tier' must be 0, 1 or 2", "0 unordered, 1 stable within a run, 2 ordered by key")
    checked: Literal[0, 1, 2] = value
    return checked
