"""Read sets: for each input, the exact columns that a query's result can depend on.

After `qualify` every column names its table, and after pruning no column is mentioned without need, so the read set is
what the tree mentions. Every base table starts with the empty set: `COUNT(*)` depends only on the row count. SQLGlot's
`lineage()` would miss columns in WHERE, JOIN, GROUP BY, HAVING, ORDER BY and EXISTS.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from compiler.names.lexical import Names, resolve_names
from compiler.names.qualify_fixups import as_written
from compiler.schema import INPUT_DB
from compiler.tree.positions import located


def read_sets(query: exp.Query) -> dict[str, frozenset[str]]:
    """Return input name → columns, for every input of the tree.

    `query` is qualified and pruned, its inputs bound. A column that cannot be traced to a FROM item which yields it is
    an error: a read set that misses a column would make stale results, and so would a canonical form that has lost what
    a name refers to. A column without a table names an output of its own query.
    """
    names = resolve_names(query)
    for column in (*names.free, *_not_outputs(names), *_not_made(names)):
        name = ".".join(as_written(part.name) for part in column.parts)
        raise located(column, f"cannot tell where column '{name}' comes from", code="untraced-column")
    reads: dict[str, set[str]] = {item.name: set() for item in names.items if _is_input(item)}
    for _, (table, read) in input_columns(names):
        reads[table].add(read)
    return {name: frozenset(columns) for name, columns in reads.items()}


def input_columns(names: Names) -> Iterator[tuple[exp.Column, tuple[str, str]]]:
    """Yield every mention of an input's column, with the input's and the column's name."""
    for reference in names.references:
        if _is_input(reference.item):
            yield reference.column, (reference.item.name, reference.column.name)


def _not_outputs(names: Names) -> Iterator[exp.Column]:
    """Yield the columns without a table that their query does not yield either."""
    outputs: dict[int, set[str]] = {}
    for column, _ in names.bare:
        query = column.find_ancestor(exp.Select, exp.SetOperation)
        if query is not None and id(query) not in outputs:
            outputs[id(query)] = set(query.named_selects)
        if query is None or column.name not in outputs[id(query)]:
            yield column


def _not_made(names: Names) -> Iterator[exp.Column]:
    """Yield the columns of derived tables and CTEs that these do not yield."""
    ctes = {id(table): cte for table, cte in names.tables}
    outputs: dict[int, set[str] | None] = {}
    for reference in names.references:
        item = ctes.get(id(reference.item), reference.item)
        if id(item) not in outputs:
            outputs[id(item)] = _outputs(item)
        made = outputs[id(item)]
        if made is not None and reference.column.parts[1].name not in made:
            yield reference.column


def _outputs(item: exp.Expr) -> set[str] | None:
    """Return the names that a derived table or CTE gives to its columns; None for other FROM items."""
    if not isinstance(item, exp.Subquery | exp.CTE) or not isinstance(item.this, exp.Query):
        return None
    return {column.name for column in item.args["alias"].columns} or set(item.this.named_selects)


def _is_input(item: exp.Expr) -> bool:
    return isinstance(item, exp.Table) and item.db == INPUT_DB
