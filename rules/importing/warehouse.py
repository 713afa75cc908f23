"""The tables of the warehouse that an imported project was built in: a DuckDB file, or a folder of Parquet files.

DuckDB is no dependency: its package is imported where a DuckDB file is named, and is the user's to install. Without it,
`EXPORT DATABASE 'folder' (FORMAT parquet)` of DuckDB's own shell writes a folder that is read as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rules.errors import UserError
from rules.importing.origin import Relation

if TYPE_CHECKING:
    import pyarrow as pa


class Warehouse(Protocol):
    """Tables, read by the names that the warehouse has for them."""

    def read(self, relation: Relation) -> pa.Table | None:
        """Return a table; None if there is none of that name."""

    def close(self) -> None:
        """Let go of what is open."""


def open_warehouse(text: str, root: Path) -> Warehouse:
    """Open a DuckDB file or a folder of Parquet files for reading. Raises `UserError`.

    root: the folder of the project: views of the file may name files from there.
    """
    path = Path(text)
    if path.is_dir():
        return _Folder(path)
    if not path.is_file():
        hint = "name a DuckDB file, or a folder of Parquet files"
        raise UserError(f"there is no file or folder {text}", code="usage", hint=hint)
    return _DuckDB(path, root)


def storable_part(table: pa.Table) -> tuple[pa.Table, list[str]]:
    """Return the columns of a table that can be written as Parquet, and the others as "name (type)"."""
    import pyarrow as pa

    from rules.formats.contract import IngestError, storable

    kept, left_out = [], []
    for place, field in enumerate(table.schema):
        try:
            storable(pa.schema([field]))
            kept.append(place)
        except IngestError:
            left_out.append(f"{field.name} ({field.type})")
    return table.select(kept), left_out


class _DuckDB:
    def __init__(self, path: Path, root: Path) -> None:
        try:
            import duckdb
        except ImportError as error:
            message = f"{path} is read with the Python package duckdb, which is not installed"
            hint = (
                "install it: pip install 'leastwork-rules[duckdb]'; or name a folder that DuckDB itself wrote: "
                "EXPORT DATABASE 'folder' (FORMAT parquet)"
            )
            raise UserError(message, code="missing-extra", hint=hint) from error
        self._error = duckdb.Error
        try:
            self._database = duckdb.connect(str(path), read_only=True)
            self._database.execute("SET TimeZone = 'UTC'")
            self._database.execute("SET file_search_path = '" + str(root.resolve()).replace("'", "''") + "'")
        except duckdb.Error as error:
            first = str(error).strip().split("\n")[0]
            hint = "the DuckDB that wrote it may be a newer one, or still be at work on it"
            raise UserError(f"{path} cannot be opened as a DuckDB file: {first}", code="import", hint=hint) from error

    def read(self, relation: Relation) -> pa.Table | None:
        found = self._database.execute(
            "SELECT table_catalog, table_schema, table_name FROM information_schema.tables "
            "WHERE lower(table_name) = lower($1) AND ($2 = '' OR lower(table_schema) = lower($2))",
            [relation.name, relation.schema],
        ).fetchall()
        if not found:
            return None
        name = ".".join('"' + part.replace('"', '""') + '"' for part in found[0])
        try:
            table: pa.Table = self._database.sql(f"SELECT * FROM {name}").to_arrow_table()
        except self._error as error:
            first = str(error).strip().split("\n")[0]
            raise UserError(f"the table {relation} cannot be read: {first}", code="import") from error
        return table

    def close(self) -> None:
        self._database.close()


class _Folder:
    """Files called NAME.parquet or SCHEMA_NAME.parquet, as DuckDB exports them, or SCHEMA/NAME.parquet."""

    def __init__(self, folder: Path) -> None:
        found = (one for one in folder.rglob("*.parquet"))
        self._files = {str(one.relative_to(folder).with_suffix("")).lower(): one for one in found}
        if not self._files:
            raise UserError(f"there is no Parquet file in {folder}", code="import")

    def read(self, relation: Relation) -> pa.Table | None:
        import pyarrow.parquet as pq

        name, schema = relation.name.lower(), relation.schema.lower()
        for way in (f"{schema}/{name}", f"{schema}_{name}", name):
            if way in self._files:
                table: pa.Table = pq.read_table(self._files[way])
                return table
        return None

    def close(self) -> None:
        """Nothing is open."""
