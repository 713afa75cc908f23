"""Rules over Arrow streams: computations that SQL cannot express, batch by batch, in bounded memory.

For keys, lineage and edits such a rule is a query that is never run: every output, and the rows themselves, depend on
every column that it reads. Its code is in the fingerprint, as a function's is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from cache.digests import TableDigest
from compiler.compile import Compiler
from compiler.compiled import Compiled, Options, Tier
from compiler.errors import SqlError
from compiler.names.user_functions import OwnFunction
from compiler.schema import Schema
from compiler.sql.functions import ScalarFunction
from rules.arrow import plain_type
from rules.engine.writing import ProductWriter
from rules.python.faults import Misuse
from rules.python.reading_in_calls import Quiet
from rules.storage.types import storable_schema, to_arrow, to_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.engine.protocol import EngineInput
    from rules.python.declarations import PythonRule

CALL = "python_rule"
"""The name of such a rule's code in its query."""
_BATCH = 1 << 16
_BUFFER = 1 << 20


@dataclass(frozen=True)
class Stream:
    """A rule over streams as declared by its file: the schema that it yields, the columns it reads, its code's digest.

    reads: by parameter; an input missing here is read whole.
    """

    output: pa.Schema
    reads: Mapping[str, Sequence[str]]
    digest: str


def compile_stream(
    compiler: Compiler, stream: Stream, inputs: Mapping[str, Schema], options: Options, resolve: Callable[..., Any]
) -> Compiled:
    """Compile a rule over streams. inputs: schemas, by parameter. Raises `SqlError`."""
    if options.tier == Tier.CANONICAL:
        raise SqlError(
            "a rule over streams cannot be ordered", hint="leave tier out, or order it in a rule that reads it"
        )
    unknown = next((name for name in stream.reads if name not in inputs), None)
    if unknown is not None:
        raise SqlError(f"'reads' names '{unknown}', which is not an input", hint=f"inputs: {', '.join(inputs)}")
    schema = to_schema(storable_schema(stream.output))
    own = {**compiler.own, CALL: OwnFunction(CALL, (), "immutable", stream.digest)}
    planned = replace(compiler, own=own, known_schema=lambda _key: schema)
    result = planned.compile_rule(_query(stream, inputs), options, resolve)
    return replace(
        result,
        traits=replace(result.traits, order_dependent=True),
        shape=replace(result.shape, in_order=False),
    )


def run_stream(
    rule: PythonRule, stream: Stream, inputs: Mapping[str, EngineInput], target: Path, check: Callable[[], None]
) -> TableDigest:
    """Run a rule over streams, write its output, and digest it. Raises `Misuse`, and its code's own exceptions.

    check: is called for each batch that it yields, and may raise.
    """
    schema = storable_schema(stream.output)
    readers = {name: _reader(entry) for name, entry in inputs.items()}
    quiet = Quiet(volatile=rule.options.volatile)
    with ProductWriter(target, to_schema(schema)) as writer:
        for batch in quiet.each(_batches(quiet.run(lambda: rule.function(**readers)))):
            check()
            writer.write(_checked(batch, schema))
        return writer.finish()


def _query(stream: Stream, inputs: Mapping[str, Schema]) -> exp.Query:
    """SELECT python_rule(1, a.x, b.y) AS first, … FROM a CROSS JOIN b WHERE python_rule(0, a.x, b.y)."""
    columns = [(name, column) for name, schema in inputs.items() for column in stream.reads.get(name, schema.names)]

    def call(number: int) -> exp.Expr:
        read = [exp.column(column, table=name, quoted=True) for name, column in columns]
        return ScalarFunction(this=CALL, expressions=[exp.Literal.number(number), *read])

    outputs = [exp.alias_(call(number), name, quoted=True) for number, name in enumerate(stream.output.names, 1)]
    query = exp.select(*outputs)
    for number, name in enumerate(inputs):
        table = exp.Table(this=exp.to_identifier(name, quoted=True))
        query = query.from_(table) if number == 0 else query.join(table, join_type="cross")
    return query.where(call(0))


def _reader(entry: EngineInput) -> pa.RecordBatchReader:
    first = pq.read_schema(entry.files[0])
    types = {field.name: field.type for field in to_arrow(entry.schema)}
    inside = [name for name in entry.columns if name not in entry.constants]
    fields = [
        # Only a source reads INT96 as microseconds.
        first.field(name) if name in inside and not pa.types.is_timestamp(types[name]) else pa.field(name, types[name])
        for name in entry.columns
    ]
    schema = pa.schema([field.with_type(plain_type(field.type)) for field in fields])
    coarse = any(types[name] != first.field(name).type and pa.types.is_timestamp(types[name]) for name in inside)
    unit = {"coerce_int96_timestamp_unit": "us"} if coarse else {}

    def batches() -> Iterator[pa.RecordBatch]:
        for place, path in enumerate(entry.files):
            with pq.ParquetFile(
                path, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True, **unit
            ) as file:
                for batch in file.iter_batches(_BATCH, columns=inside, use_threads=False):
                    whole = batch
                    for name, values in entry.constants.items():
                        if name in schema.names:
                            whole = whole.append_column(name, pa.repeat(values[place], batch.num_rows))
                    # A batch without columns would lose its rows.
                    yield whole.select(schema.names).cast(schema) if schema.names else whole.select([])

    return pa.RecordBatchReader.from_batches(schema, Quiet(volatile=True).each(batches()))


def _batches(found: Any) -> Iterator[Any]:
    if isinstance(found, pa.RecordBatch | pa.Table):
        found = [found]
    if found is None or isinstance(found, str | bytes) or not hasattr(found, "__iter__"):
        kind = "nothing" if found is None else type(found).__name__
        raise Misuse(f"the rule returns {kind}, not batches", "yield pyarrow.RecordBatch, one after the other")
    for item in found:
        if isinstance(item, pa.Table):
            yield from item.to_batches(_BATCH)
        else:
            yield item


def _checked(batch: Any, schema: pa.Schema) -> pa.RecordBatch:
    if not isinstance(batch, pa.RecordBatch):
        raise Misuse(f"the rule yields {type(batch).__name__}, not pyarrow.RecordBatch")
    if sorted(batch.schema.names) != sorted(schema.names):
        facts = {"declared": ", ".join(schema.names), "yielded": ", ".join(batch.schema.names)}
        raise Misuse("the rule yields columns other than those it declares", "see output=… of @rule", facts)
    try:
        return batch.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Misuse(f"the rule's output is not of the declared types: {error}", "see output=… of @rule") from error
