"""`rules show NAME`: print a product's rows, as last committed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from rules.errors import FAILED, UserError
from rules.output import Output
from rules.report import document, plural, table_lines
from rules.roots import find_root
from rules.store import open_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("name", help="the product")
    parser.add_argument("-n", "--limit", type=int, metavar="N", help="rows to print (default: 20 as a table, else all)")
    parser.add_argument("--format", choices=("table", "csv", "json", "arrow"), default="table", help="default: table")


def run(options: argparse.Namespace, output: Output) -> int:
    """Print rows of the product."""
    root = find_root(Path(options.project).resolve())
    with open_store(root, output.message, building=False) as store:
        products = store.index.products()
        if options.name not in products:
            raise _unknown(options.name, list(products))
        artifact = store.artifact(products[options.name].artifact)
        path = store.objects.path(products[options.name].artifact)
        if artifact is None or not store.present(artifact.artifact):
            message = f"the artifact of {options.name} is missing from the store"
            raise UserError(message, code="missing-object", hint="rules build makes it again", exit_code=FAILED)
    limit = options.limit if options.limit is not None else (20 if options.format == "table" and not output.as_json else None)
    if output.as_json:
        rows = [row for batch in _batches(path, limit) for row in batch.to_pylist()]
        output.document(document("show", status="ok", product=options.name, rows=artifact.rows, data=rows))
    elif options.format == "table":
        output.result(_table(path, limit, artifact.rows))
    else:
        _stream(path, limit, options.format)
    return 0


def _batches(path: Path, limit: int | None) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        left = limit if limit is not None else file.metadata.num_rows
        for batch in file.iter_batches(batch_size=8192):
            if left <= 0:
                return
            yield batch.slice(0, left)
            left -= batch.num_rows


def _table(path: Path, limit: int | None, rows: int) -> list[str]:
    import pyarrow.parquet as pq

    names = pq.read_schema(path).names
    cells = [[_cell(value) for value in row.values()] for batch in _batches(path, limit) for row in batch.to_pylist()]
    more = [f"… {plural(rows - len(cells), 'row')} more"] if len(cells) < rows else []
    return [*table_lines(names, cells), f"({plural(rows, 'row')})", *more]


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def _stream(path: Path, limit: int | None, kind: str) -> None:
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    out = sys.stdout.buffer
    schema = pq.read_schema(path)
    if kind == "json":
        import json

        for batch in _batches(path, limit):
            for row in batch.to_pylist():
                out.write((json.dumps(row, ensure_ascii=False, default=str) + "\n").encode())
    elif kind == "csv":
        plain = pa.schema([field.with_type(_plain(field.type)) for field in schema])
        with pa_csv.CSVWriter(out, plain) as writer:
            for batch in _batches(path, limit):
                writer.write_batch(batch.cast(plain))
    else:
        with pa.ipc.new_stream(out, schema) as writer:
            for batch in _batches(path, limit):
                writer.write_batch(batch)
    out.flush()


def _plain(dtype: Any) -> Any:
    """Return a type that CSV can be written from."""
    import pyarrow as pa

    return pa.string() if pa.types.is_string_view(dtype) or pa.types.is_nested(dtype) else dtype


def _unknown(name: str, known: list[str]) -> UserError:
    import difflib

    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{close[0]}'?" if close else "rules ls lists the products; one that was never built has no rows"
    return UserError(f"no product '{name}' has been built", code="unknown-product", hint=hint)
