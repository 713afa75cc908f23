"""Compare two stored tables of a product: rows by its key or as bags, columns by name, and samples of what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from cache.rowdiff import RowDiff, Rows, diff_bags, diff_keyed, take
from rules.formats.cells import plain
from rules.inspect.history import State

if TYPE_CHECKING:
    from cache.records import Artifact, Product
    from rules.storage.store import Store


@dataclass(frozen=True)
class Value:
    """A value as JSON can hold it, and as a person reads it."""

    json: Any
    text: str


Row = dict[str, Value]


@dataclass(frozen=True)
class ColumnDiff:
    """How many matched rows differ in a column. samples: key, value before, value after."""

    name: str
    rows: int
    samples: tuple[tuple[Row, Value, Value], ...]


@dataclass(frozen=True)
class TableDiff:
    """What differs between two tables; their rows are compared in the columns that both have with the same type.

    key: by which rows were matched. matched: whether they were; else they were compared whole, and `why_whole` says why
    if there is a key. Tables of a single row need no key.
    duplicated: how many keys several rows have. retyped: name, type before, type after.
    """

    before: Artifact
    after: Artifact
    key: tuple[str, ...]
    matched: bool
    why_whole: str
    duplicated: int
    added: int
    removed: int
    changed: int
    added_columns: tuple[str, ...]
    removed_columns: tuple[str, ...]
    retyped: tuple[tuple[str, str, str], ...]
    columns: tuple[ColumnDiff, ...] = ()
    added_rows: tuple[Row, ...] = field(default=())
    removed_rows: tuple[Row, ...] = field(default=())

    @property
    def differs(self) -> bool:
        """Whether anything does but the order of rows and columns."""
        counted = self.added or self.removed or self.changed
        return bool(counted or self.added_columns or self.removed_columns or self.retyped)


@dataclass(frozen=True)
class Compared:
    """A product in two states. diff: None where a table is not there, which `note` explains."""

    name: str
    before: State
    after: State
    diff: TableDiff | None
    note: str = ""


def compare_states(
    store: Store,
    products: Mapping[str, Product],
    keys: Mapping[str, tuple[str, ...]],
    before: Mapping[str, State],
    limit: int,
    after: Mapping[str, State] | None = None,
) -> list[Compared]:
    """Compare the last committed state of products, or `after`, with the states `before`.

    keys: by which rows are matched. Raises `UserError` for a table that is damaged.
    """
    found: list[Compared] = []
    for name, old in before.items():
        now = after[name] if after and name in after else State(products[name].artifact, products[name].build)
        tables = [_present(store, name, state) for state in (old, now)]
        absent = next((state for state, table in zip((old, now), tables, strict=True) if table is None), None)
        if tables[0] is not None and tables[1] is not None:
            found.append(Compared(name, old, now, diff_tables(store, tables[0], tables[1], keys.get(name, ()), limit)))
        elif absent is not None:
            gone = f"its table of {absent.origin} is no longer in the store"
            found.append(Compared(name, old, now, None, gone if absent.artifact is not None else absent.origin))
    return found


def _present(store: Store, name: str, state: State) -> Artifact | None:
    """Return an artifact whose object is in the store. Raises `UserError` if it is damaged."""
    if state.artifact is None or store.artifact(state.artifact) is None or not store.bring(state.artifact):
        return None
    return store.stored(name, state.artifact) if store.objects.exists(state.artifact) else None


def diff_tables(store: Store, before: Artifact, after: Artifact, key: tuple[str, ...], limit: int) -> TableDiff:
    """Compare two artifacts that the store has. limit: samples of each kind."""
    common = [
        name for name, (kind, _) in after.columns.items() if name in before.columns and before.columns[name][0] == kind
    ]
    missing = [name for name in key if name not in common]
    why = f"its key {', '.join(missing)} is not in both tables with the same type" if missing else ""
    matched_by = () if missing else key
    matched = bool(matched_by) or (not key and before.rows <= 1 and after.rows <= 1)
    old, new = store.objects.path(before.artifact), store.objects.path(after.artifact)
    if before.artifact == after.artifact:
        found = RowDiff(_NONE, _NONE, (_NONE, _NONE))
    elif matched:
        same = {name for name in common if before.columns[name] == after.columns[name]}
        found = diff_keyed(old, new, matched_by, [name for name in common if name not in matched_by], same)
    else:
        found = diff_bags(old, new, common)
    return TableDiff(
        before=before,
        after=after,
        key=matched_by,
        matched=matched,
        why_whole=why,
        duplicated=found.duplicated,
        added=len(found.added),
        removed=len(found.removed),
        changed=len(found.changed[0]),
        added_columns=tuple(name for name in after.columns if name not in before.columns),
        removed_columns=tuple(name for name in before.columns if name not in after.columns),
        retyped=tuple(
            (name, before.columns[name][0], kind)
            for name, (kind, _) in after.columns.items()
            if name in before.columns and before.columns[name][0] != kind
        ),
        columns=tuple(
            ColumnDiff(name, len(pairs), _samples(found, name, pairs[:limit], matched_by, (old, new)))
            for name, pairs in found.columns.items()
        ),
        added_rows=_rows(take(new, list(after.columns), found.added[:limit])),
        removed_rows=_rows(take(old, list(before.columns), found.removed[:limit])),
    )


def _samples(
    found: RowDiff, column: str, pairs: Rows, key: Sequence[str], paths: tuple[Any, Any]
) -> tuple[tuple[Row, Value, Value], ...]:
    old = _values(take(paths[0], [column], found.changed[0][pairs]).column(0))
    table = take(paths[1], [*key, column], found.changed[1][pairs])
    keys = _rows(table.select(list(key))) if key else ({},) * len(pairs)
    new = _values(table.column(column))
    return tuple(zip(keys, old, new, strict=True))


def _rows(table: pa.Table) -> tuple[Row, ...]:
    columns = [_values(column) for column in table.columns]
    return tuple(dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True))


def _values(column: pa.ChunkedArray) -> list[Value]:
    found = plain(pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type))
    quoted = _is_text(column.type)
    return [Value(value, _text(value, quoted=quoted)) for value in found]


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _text(value: Any, *, quoted: bool) -> str:
    """Write a value so that NULL, 'NULL' and values that differ in their last digit alone look different."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value) if quoted else value
    if isinstance(value, list):
        return f"[{', '.join(_text(item, quoted=True) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_text(item, quoted=True)}' for name, item in value.items())}}}"
    return repr(value)


_NONE: Rows = np.zeros(0, np.int64)
