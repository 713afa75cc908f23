"""Whether a table may be added to the exported files of a folder, and the number of the files that it adds."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from rules.errors import UserError
from rules.exporting.row_writers import CsvWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rules.exporting.destination import Destination
    from rules.exporting.formats import ExportFormat, FileKind


@dataclass(frozen=True)
class Added:
    """What is to be added. schema: of its files, without the columns that are in the names of folders."""

    product: str
    partition_by: tuple[str, ...]
    schema: pa.Schema


def next_number(files: Sequence[str]) -> int:
    """Return the first number that no exported file has."""
    return max((int(name.rsplit("/", 1)[-1].split("-")[1]) + 1 for name in files), default=0)


def require_same_table(
    place: Destination, files: Sequence[str], format_: ExportFormat, kind: FileKind, added: Added
) -> None:
    """Raise `UserError` if the files in a folder have other folders, another format or other columns."""
    for name in files:
        keys = tuple(unquote(folder.partition("=")[0]) for folder in name.split("/")[:-1])
        if keys != added.partition_by:
            had, has = (f"partitioned by {', '.join(one)}" if one else "not partitioned"
                        for one in (keys, added.partition_by))  # fmt: skip
            hint = f"--partition-by {','.join(keys)}" if keys else "leave out --partition-by"
            raise UserError(f"{place.shown} is {had}, and this export is {has}", code="unfit", hint=hint)
        if not name.endswith(kind.extension):
            message = f"{place.shown} holds {name}, and this export writes {format_.name}"
            raise UserError(message, code="unfit", hint="choose the format that is there, or another folder")
    if files:
        _require_same_columns(place, place.path / files[-1], format_.name, kind, added)


def _require_same_columns(place: Destination, file: Path, name: str, kind: FileKind, added: Added) -> None:
    try:
        if name == "csv":
            header = io.BytesIO()
            CsvWriter(added.schema, header, kind.delimiter).close()
            with pa.input_stream(str(file), compression=kind.compression) as stream:
                found, wanted = stream.read(len(header.getvalue())).decode(errors="replace"), header.getvalue().decode()
        elif name == "parquet":
            found, wanted = _listed(pq.read_schema(file)), _listed(added.schema)
        elif name == "arrow":
            with pa.memory_map(str(file)) as source:
                found, wanted = _listed(pa.ipc.open_file(source).schema), _listed(added.schema)
        else:
            return
    except (pa.ArrowException, OSError) as error:
        hint = "--mode overwrite replaces it"
        raise UserError(f"{file} cannot be read: {error}", code="unfit", hint=hint) from error
    if found != wanted:
        message = f"{place.shown} holds a table of other columns than {added.product} has"
        facts = {"there": found.strip(), added.product: wanted.strip()}
        raise UserError(message, code="unfit", facts=facts, hint="--mode overwrite replaces it")


def _listed(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
