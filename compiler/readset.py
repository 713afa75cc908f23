"""Read sets: for each input, the exact columns that a query's result can depend on.

After `qualify` every column names its table, and after pruning no column is mentioned in vain, so the read set is
what the tree mentions. Every base table starts with the empty set: `COUNT(*)` depends on the row count alone. SQLGlot's
`lineage()` would miss columns in WHERE, JOIN, GROUP BY, HAVING, ORDER BY and EXISTS.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.lexical import Names, resolve_names
from compiler.positions import located
from compiler.resolve import INPUT_DB


def read_sets(query: exp.Query) -> dict[str, frozenset[str]]:
    """Return input name → columns, for every input of the tree.

    `query` is qualified and pruned, its inputs bound. A column that cannot be traced to a FROM item is an error: a read
    set that misses a column would make stale results. A column without a table names an output of its own query.
    """
    names = resolve_names(query)
    untraced = [*names.free, *(column for column, _ in names.bare if not _is_output(column))]
    if untraced:
        column = untraced[0]
        raise located(column, f"cannot tell where column '{column.sql()}' comes from", code="untraced-column")
    reads: dict[str, set[str]] = {item.name: set() for item in names.items if _is_input(item)}
    for _, (table, read) in input_columns(names):
        reads[table].add(read)
    return {name: frozenset(columns) for name, columns in reads.items()}


def input_columns(names: Names) -> Iterator[tuple[exp.Column, tuple[str, str]]]:
    """Yield every mention of an input's column, with the input's and the column's name."""
    for reference in names.references:
        if _is_input(reference.item):
            yield reference.column, (reference.item.name, reference.column.name)


def _is_output(column: exp.Column) -> bool:
    query = column.find_ancestor(exp.Select, exp.SetOperation)
    return query is not None and column.name in query.named_selects


def _is_input(item: exp.Expr) -> bool:
    return isinstance(item, exp.Table) and item.db == INPUT_DB
