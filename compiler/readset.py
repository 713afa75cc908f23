"""Read sets: for each input, the exact columns that a query's result can depend on.

After `qualify` every column names its table, and after pruning no column is mentioned in vain, so the read set is
what the tree mentions. Every base table starts with the empty set: `COUNT(*)` depends on the row count alone. SQLGlot's
`lineage()` would miss columns in WHERE, JOIN, GROUP BY, HAVING, ORDER BY and EXISTS.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.lexical import resolve_names
from compiler.positions import located
from compiler.resolve import INPUT_DB


def read_sets(query: exp.Query) -> dict[str, frozenset[str]]:
    """Return input name → columns, for every input of the tree.

    `query` is qualified and pruned, its inputs bound. A column that cannot be traced to a FROM item is an error: a read
    set that misses a column would make stale results. A column without a table names an output of its own query.
    """
    names = resolve_names(query)
    if names.free:
        column = names.free[0]
        raise located(column, f"cannot tell where column '{column.sql()}' comes from", code="untraced-column")
    inputs = {id(item): item.name for item in names.items if isinstance(item, exp.Table) and item.db == INPUT_DB}
    reads: dict[str, set[str]] = {name: set() for name in inputs.values()}
    for reference in names.references:
        if (name := inputs.get(id(reference.item))) is not None:
            reads[name].add(reference.column.name)
    return {name: frozenset(columns) for name, columns in reads.items()}
