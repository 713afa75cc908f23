"""The rows of a unit test as a table: values that somebody wrote, in the types that columns have."""

from __future__ import annotations

import datetime as dt
import decimal
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from compiler.compile import Compiler
from compiler.errors import SqlError
from compiler.names.qualify import InputSchemas
from rules.config.toml_types import did_you_mean
from rules.engine.protocol import EngineError, EngineQuery
from rules.errors import UserError
from rules.storage.types import to_arrow, written_schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rules.compiling.session import Session
    from rules.errors import Where
    from rules.testing.test_files import Rows


_VOLATILE = "write the value out: a test says the same every day"


class RowReader:
    """Makes tables of the rows that unit tests give. scratch: a folder for the engine's files."""

    def __init__(self, session: Session, scratch: Path) -> None:
        self._session, self._scratch = session, scratch

    def given(self, rows: Rows, schema: pa.Schema, what: str) -> pa.Table:
        """Return rows with all columns of `schema`; those that nobody gave are NULL. Raises `UserError`."""
        if rows.query is None and rows.file is None:
            return _of_values(rows.inline, schema, schema.names, rows.where, what)
        return completed(self.expected(rows, schema, what), schema)

    def expected(self, rows: Rows, schema: pa.Schema, what: str, columns: Sequence[str] = ()) -> pa.Table:
        """Return rows with the columns that they have, in the types of `schema`. Raises `UserError`.

        what: they are. columns: those that count, if the rows do not say; a list of rows may leave out others of them.
        """
        if rows.query is not None:
            table = self._answer(rows)
        elif rows.file is not None:
            table = _of_file(rows, rows.file, schema)
        else:
            names = list(columns) or list(dict.fromkeys(name for row in rows.inline for name in row))
            _require_known(names, schema, rows.where, what)
            if rows.inline and not names:
                raise UserError(f"the rows of {what} have no column", code="config", where=rows.where)
            uncompared = next((name for row in rows.inline for name in row if name not in names), None)
            if uncompared is not None:
                message = f"these rows name {uncompared}, which columns does not"
                raise UserError(message, code="config", where=rows.where)
            return _of_values(rows.inline, schema, names, rows.where, what)
        _require_known(table.schema.names, schema, rows.where, what)
        lacking = next((name for name in columns if name not in table.schema.names), None)
        if lacking is not None:
            raise UserError(f"{what} has no column {lacking} in these rows", code="unknown-column", where=rows.where)
        found = {}
        for name in columns or table.schema.names:
            kind = schema.field(name).type
            try:
                found[name] = _cast(table[name], kind)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                message = f"column {name} of {what} cannot be {kind}: {error}"
                raise UserError(message, code="config", where=rows.where) from error
        return pa.table(found, schema=pa.schema([schema.field(name) for name in found]))

    def _answer(self, rows: Rows) -> pa.Table:
        """Return the rows of a query that reads nothing."""
        assert rows.query is not None
        session = self._session
        engine = session.engine
        planner = engine.planner(session.profile, lambda *_: None, [])
        identity = engine.identity(session.profile)
        compiler = Compiler(InputSchemas(), session.project.variables, identity, planner, lambda _: None, {})
        try:
            compiled = compiler.compile_query(rows.query, lambda _: None, volatile=False)
            types = written_schema(to_arrow(compiled.schema))
            with closing(engine.stream(EngineQuery(compiled.sql, (), session.profile), types, self._scratch)) as found:
                table = pa.Table.from_batches(list(found), types)
        except SqlError as error:
            where = rows.where
            if error.line is not None and where.line is None:
                where = where._replace(line=error.line, column=error.column)
            hint = _VOLATILE if error.code == "undeclared-volatile" else error.hint
            raise UserError(error.message, code=error.code, where=where, hint=hint) from error
        except EngineError as error:
            raise UserError(f"the rows cannot be computed: {error}", code="execution", where=rows.where) from error
        return table if compiled.ordered else _in_one_order(table)


def _written(value: Any) -> str:
    """Return a value of TOML much as it was written, for messages."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, dt.date | dt.time) else repr(value)


def _in_one_order(table: pa.Table) -> pa.Table:
    """Return rows that have no order in one that follows from them: branches of a UNION ALL come as they like."""
    written = [repr(row) for row in table.to_pylist()]
    return table.take(sorted(range(len(written)), key=written.__getitem__))


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in a type. Arrow itself casts integers to decimals only that hold all 64 bits."""
    if pa.types.is_decimal(kind) and pa.types.is_integer(column.type):
        column = column.cast(pa.decimal256(76, kind.scale))
    return column.cast(kind)


def completed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with all columns of a schema; those that it lacks are NULL."""
    absent = {name: pa.nulls(table.num_rows, schema.field(name).type) for name in schema.names}
    columns = {name: table[name] if name in table.schema.names else absent[name] for name in schema.names}
    return pa.table(columns, schema=schema)


def _of_file(rows: Rows, file: Path, schema: pa.Schema) -> pa.Table:
    try:
        with file.open("rb") as opened:
            if file.suffix == ".parquet":
                return pq.read_table(opened)
            return _of_csv(opened, schema)
    except (OSError, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).split("\n")[0]
        message = f"cannot read the rows in {file.name}: {reason}"
        raise UserError(message, code="unreadable", where=rows.where) from error


def _of_csv(file: BinaryIO, schema: pa.Schema) -> pa.Table:
    options = pa_csv.ConvertOptions(
        column_types={field.name: field.type for field in schema},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    return pa_csv.read_csv(file, convert_options=options)


def _require_known(names: Sequence[str], schema: pa.Schema, where: Where, what: str) -> None:
    for name in names:
        if name not in schema.names:
            raise UserError(
                f"{what} has no column {name}",
                code="unknown-column",
                where=where,
                hint=did_you_mean(name, schema.names),
            )


def _of_values(
    rows: Sequence[Mapping[str, Any]], schema: pa.Schema, names: Sequence[str], where: Where, what: str
) -> pa.Table:
    """Return a table of some columns of rows, in which what a row leaves out is NULL."""
    _require_known(list(dict.fromkeys(name for row in rows for name in row)), schema, where, what)
    columns = {}
    for name in names:
        kind = schema.field(name).type
        values = []
        for number, row in enumerate(rows, 1):
            try:
                values.append(_value(row.get(name), kind))
                pa.array(values[-1:], kind)
            except (ValueError, TypeError, ArithmeticError, pa.ArrowException) as error:
                message = f"column {name} of {what}, row {number}: {_written(row[name])} is no {kind}"
                raise UserError(message, code="config", where=where) from error
        columns[name] = pa.array(values, kind)
    return pa.table(columns, schema=pa.schema([schema.field(name) for name in names]))


def _value(value: Any, kind: pa.DataType) -> Any:
    """Return a value of a TOML file as Arrow takes it for a type. Raises ValueError, TypeError and ArithmeticError."""
    if value is None:
        return None
    for matches, convert in _CONVERTED:
        if matches(kind):
            return convert(value, kind)
    return value


def _decimal(value: Any, kind: pa.DataType) -> decimal.Decimal:
    if isinstance(value, bool):
        raise TypeError
    exact = decimal.Decimal(str(value))
    scaled = exact.quantize(decimal.Decimal(1).scaleb(-kind.scale), context=decimal.Context(prec=kind.precision))
    if scaled != exact:
        raise ValueError
    return scaled


def _float(value: Any, _: pa.DataType) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)


def _integer(value: Any, _: pa.DataType) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _text(value: Any, _: pa.DataType) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _date(value: Any, _: pa.DataType) -> dt.date:
    if isinstance(value, dt.datetime):
        raise TypeError
    return value if isinstance(value, dt.date) else dt.date.fromisoformat(value)


def _moment(value: Any, kind: pa.DataType) -> dt.datetime:
    if not isinstance(value, dt.datetime):
        value = (
            dt.datetime.combine(value, dt.time()) if isinstance(value, dt.date) else dt.datetime.fromisoformat(value)
        )
    if (value.tzinfo is None) != (kind.tz is None):
        if kind.tz is None:
            raise ValueError
        value = value.replace(tzinfo=dt.UTC)
    found: dt.datetime = value
    return found


def _time(value: Any, _: pa.DataType) -> dt.time:
    return value if isinstance(value, dt.time) else dt.time.fromisoformat(value)


def _list(value: Any, kind: pa.DataType) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return [_value(one, kind.value_type) for one in value]


def _struct(value: Any, kind: pa.DataType) -> dict[str, Any]:
    if not isinstance(value, dict) or not value.keys() <= {field.name for field in kind}:
        raise TypeError
    return {field.name: _value(value.get(field.name), field.type) for field in kind}


def _bytes(value: Any, _: pa.DataType) -> bytes:
    return bytes.fromhex(value)


_types = pa.types
_CONVERTED = (
    (_types.is_decimal, _decimal),
    (_types.is_floating, _float),
    (_types.is_integer, _integer),
    (lambda kind: _types.is_string(kind) or _types.is_large_string(kind), _text),
    (lambda kind: _types.is_binary(kind) or _types.is_large_binary(kind), _bytes),
    (_types.is_date, _date),
    (_types.is_timestamp, _moment),
    (_types.is_time, _time),
    (lambda kind: _types.is_list(kind) or _types.is_large_list(kind), _list),
    (_types.is_struct, _struct),
)
