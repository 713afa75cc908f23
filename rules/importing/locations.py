"""Files that SQL names by a text: 'data/orders.parquet', read_csv('data/*.csv', delim = ';')."""

from __future__ import annotations

import csv
import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

_READERS = {
    "read_parquet": "parquet", "parquet_scan": "parquet", "read_csv": "csv", "read_csv_auto": "csv",
    "read_json": "json", "read_json_auto": "json", "read_ndjson": "json", "read_ndjson_auto": "json",
}  # fmt: skip
_SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}


@dataclass(frozen=True)
class Location:
    """Files of one format. options: keys of the source; types: of columns, as SQL writes them."""

    path: str
    format: str
    options: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for texts that mean the same files, read in the same way: 'x.parquet', read_parquet('x.parquet')."""
        return self.path, self.format, repr(sorted(self.options.items())), repr(sorted(self.types.items()))

    def relative_to(self, root: Path, into: Path) -> str:
        """Return the path from the new project; where it is relative it was so to the old project's root."""
        return os.path.relpath(root.resolve() / self.path, into.resolve()).replace(os.sep, "/")

    def columns(self, root: Path) -> list[str]:
        """Return the names of the columns of the first file that is there; none where that is not known."""
        first = next(iter(sorted(glob.glob(str(root / self.path), recursive=True))), None)  # noqa: PTH207 — the path may be absolute
        if first is None or not Path(first).is_file():
            return []
        if self.format == "parquet":
            import pyarrow as pa
            import pyarrow.parquet as pq

            try:
                return list(pq.read_schema(first).names)
            except (pa.ArrowException, OSError):
                return []
        if self.format == "csv" and self.options.get("header", True):
            try:
                with Path(first).open(encoding="utf-8-sig", newline="") as file:
                    return next(csv.reader(file, delimiter=self.options.get("delimiter", ",")), [])
            except (UnicodeDecodeError, csv.Error):
                return []
        return []


def located(text: str) -> Location | None:
    """Return the files that a text means; None where that is not known. data/x.csv alone is a path, too."""
    text = text.strip()
    bare = text[1:-1] if text[:1] == text[-1:] == "'" else text
    if "(" not in bare:
        kind = _SUFFIXES.get(Path(re.sub(r"\.(gz|zst|bz2|lz4)$", "", bare)).suffix.lower())
        return Location(bare, kind) if kind else None
    name, _, _ = text.partition("(")
    kind = _READERS.get(name.strip().lower())
    try:
        call = parse_one(f"SELECT * FROM {text}", read="duckdb").find(exp.Table)
    except SqlglotError:
        return None
    if kind is None or call is None or not isinstance(call.this, exp.Func):
        return None
    arguments = [*([call.this.this] if isinstance(call.this.this, exp.Expr) else []), *call.this.expressions]
    paths = [one for one in arguments if isinstance(one, exp.Literal) and one.is_string]
    if len(paths) != 1:
        return None
    by_name = _SUFFIXES.get(Path(re.sub(r"\.(gz|zst|bz2|lz4)$", "", paths[0].name)).suffix.lower())
    options = {} if by_name == kind else {"format": kind}
    return _with_options(Location(paths[0].name, kind, options), arguments)


def _with_options(location: Location, arguments: list[exp.Expr]) -> Location:
    options, types, notes = dict(location.options), dict[str, str](), []
    for one in arguments:
        if not isinstance(one, exp.EQ | exp.PropertyEQ):
            continue
        key, value = one.this.name.lower(), one.expression
        text = value.name if isinstance(value, exp.Literal) else value.sql("duckdb").lower()
        if key in ("delim", "sep"):
            options["delimiter"] = text
        elif key == "header":
            options["header"] = text in ("true", "1")
        elif key in ("nullstr", "null"):
            options["nulls"] = [text]
        elif key in ("columns", "types", "dtypes", "column_types") and isinstance(value, exp.Struct):
            types |= {
                item.this.name: item.expression.name for item in value.expressions if isinstance(item, exp.PropertyEQ)
            }
        elif key not in ("filename", "hive_partitioning", "union_by_name", "auto_detect") or text not in (
            "false",
            "true",
        ):
            notes.append(f"{key} = {text} is not carried over")
        elif key == "filename" and text == "true":
            notes.append("filename = true is not carried over: a column of file names is not here")
    return Location(location.path, location.format, options, types, tuple(notes))
