"""Read sets: for each input, the exact columns that a query's result can depend on.

After `qualify` every column names its table, and after pruning no column is mentioned in vain, so the read set is
what the tree mentions, seen through its scopes. Every base table starts with the empty set: `COUNT(*)` depends on the
row count alone. SQLGlot's `lineage()` would miss columns in WHERE, JOIN, GROUP BY, HAVING, ORDER BY and EXISTS.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from compiler.positions import located
from compiler.resolve import INPUT_DB


def read_sets(query: exp.Query) -> dict[str, frozenset[str]]:
    """Return input name → columns, inputs in order of first appearance in the tree (depth first).

    `query` is qualified and pruned, its inputs bound. A column that cannot be traced to a source is an error: a read
    set that misses a column would make stale results, one that is too wide only makes needless work, so where a
    correlated name could mean several tables all of them are taken.
    """
    reads: dict[str, set[str]] = {
        table.name: set() for table in query.find_all(exp.Table, bfs=False) if table.db == INPUT_DB
    }
    traced: set[int] = set()
    for scope in traverse_scope(query):
        for column in scope.columns:
            if id(column) in traced and not column.table:
                continue
            if _trace(column, scope, reads):
                traced.add(id(column))
    for column in query.find_all(exp.Column):
        if column.table and id(column) not in traced:
            raise located(column, f"cannot tell where column '{column.sql()}' comes from", code="untraced-column")
    return {name: frozenset(columns) for name, columns in reads.items()}


def _trace(column: exp.Column, scope: Scope, reads: dict[str, set[str]]) -> bool:
    """Record what `column` reads, looking outwards from `scope`; return whether its table was found."""
    at: Scope | None = scope
    while at is not None:
        source = at.sources.get(column.table)
        if isinstance(source, exp.Table):
            if source.db == INPUT_DB:
                reads[source.name].add(column.name)
            return True
        if source is not None:
            return True
        at = at.parent
    return False
