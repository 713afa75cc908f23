"""Columns merged by USING or NATURAL that SQLGlot's `qualify` does not write as COALESCE.

It does so in every clause but HAVING and QUALIFY, where it leaves them without a table, and the next join's condition,
where it takes the left-most table's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, find_all_in_scope, traverse_scope

from compiler.names.qualify_fixups import as_written
from compiler.tree.positions import located
from compiler.tree.walk import find_all, is_comma

_MERGES = "merges"
_NATURAL = "NATURAL"

Columns = Callable[[Scope | exp.Expr], Sequence[str]]


def note_merging_joins(query: exp.Query) -> None:
    """Remember the columns of USING, or NATURAL, at each join, because `qualify` replaces both by ON."""
    for join in find_all(query, exp.Join):
        using = join.args.get("using")
        if using:
            join.meta[_MERGES] = [name.name for name in using]
        elif join.method == _NATURAL:
            join.meta[_MERGES] = _NATURAL


def spell_merged_columns(query: exp.Query, columns_of: Columns) -> None:
    """Write merged columns as COALESCE, in place.

    FROM t JOIN u USING (k) … HAVING COUNT(k) > 1 → … HAVING COUNT(COALESCE(t.k, u.k)) > 1
    FROM t FULL JOIN u USING (k) JOIN v USING (k) → … JOIN v ON COALESCE(t.k, u.k) = v.k

    query: as `qualify` left it. columns_of: the columns of a scope's source. A name that is also an output's means
    the output in HAVING and QUALIFY, as in the engine, unless an aggregate reads it: no aggregate can read an output.
    """
    if not any(join._meta and _MERGES in join._meta for join in find_all(query, exp.Join)):  # noqa: SLF001
        return
    for scope in traverse_scope(query):
        select = scope.expression
        if not isinstance(select, exp.Select) or not any(_MERGES in join.meta for join in _joins(select)):
            continue
        merged = _merge(select, scope, columns_of)
        outputs = set(select.named_selects)
        clauses = [select.args[key] for key in ("having", "qualify") if select.args.get(key)]
        for column in [column for clause in clauses for column in find_all_in_scope(clause, exp.Column)]:
            if column.table or column.name not in merged:
                continue
            if column.name not in outputs or isinstance(column.find_ancestor(exp.AggFunc, exp.Query), exp.AggFunc):
                column.replace(_coalesced(column.name, merged[column.name]))


def _joins(select: exp.Select) -> list[exp.Join]:
    return select.args.get("joins") or []


def _coalesced(name: str, tables: Sequence[str]) -> exp.Expr:
    sides = [exp.column(name, table=table, quoted=True) for table in tables]
    if len(sides) == 1:
        return sides[0]
    return exp.Coalesce(this=sides[0], expressions=sides[1:])


def _merge(select: exp.Select, scope: Scope, columns_of: Columns) -> dict[str, list[str]]:
    """Return for each merged column the tables that have it, left to right, as `qualify` chains them.

    A further join's condition on a column that an outer join merged gets its COALESCE, in place: if that kept rows of
    only its right side, the left-most table's column is NULL. Raises `SqlError` for a name that the left has twice.
    """
    holders: dict[str, list[str]] = {}
    first_with: dict[str, str] = {}
    merged: dict[str, list[str]] = {}
    optional: set[str] = set()

    def columns_in(table: str) -> Sequence[str]:
        return columns_of(scope.sources[table]) if table in scope.sources else ()

    def see(table: str) -> None:
        for name in dict.fromkeys(columns_in(table)):
            holders.setdefault(name, []).append(table)
            first_with.setdefault(name, table)

    see(select.args["from_"].this.alias_or_name)
    for join in _joins(select):
        table = join.this.alias_or_name
        own = columns_in(table)
        names = join.meta.get(_MERGES) or []
        kept = join.kind not in {"SEMI", "ANTI"}
        if is_comma(join):  # the items before it are not part of the joins after it
            holders = {}
        if kept:
            see(table)
        for name in [name for name in holders if name in own] if names == _NATURAL else names:
            left = [one for one in holders.get(name, ()) if one != table]
            if not left:
                continue
            if len(left) > 1 and left != merged.get(name):
                options = " and ".join(f"{as_written(one)}.{name}" for one in left)
                hint = f"write ON instead of {'NATURAL' if names == _NATURAL else 'USING'}"
                message = f"column '{name}' is ambiguous: to the left of this join there are {options}"
                raise located(join.this, message, hint=hint, code="ambiguous-column")
            _compare_with(join, name, table, left, optional=name in optional)
            if kept and first_with[name] not in left:
                _require_unmerged(select, join, name, [first_with[name], table])
            if kept:
                merged[name] = [*left, table]
                optional |= {name} if join.side in {"FULL", "RIGHT"} else set()
    return merged


def _compare_with(join: exp.Join, name: str, table: str, left: Sequence[str], *, optional: bool) -> None:
    """Let a join's condition compare the merged column to its left: `qualify` takes the first table with the column."""
    for equality in find_all(join.args["on"], exp.EQ):
        right = equality.expression
        sides = [equality.this] if isinstance(equality.this, exp.Column) else find_all(equality.this, exp.Column)
        if not isinstance(right, exp.Column) or (right.table, right.name) != (table, name):
            continue
        if optional or not {side.table for side in sides} <= set(left):
            equality.set("this", _coalesced(name, left if optional else left[:1]))


def _require_unmerged(select: exp.Select, join: exp.Join, name: str, tables: Sequence[str]) -> None:
    """Refuse FROM t, u JOIN v USING (k), then k, if t has a k too: `qualify` took it for t's and v's."""
    for made in find_all(select, exp.Coalesce):
        sides = [made.this, *made.expressions]
        columns = [side for side in sides if isinstance(side, exp.Column) and side.this.meta.get("line") is None]
        if len(columns) == len(sides) and [(one.table, one.name) for one in columns] == [(one, name) for one in tables]:
            hint = f"write {as_written(tables[0])}.{name} or {as_written(tables[-1])}.{name}"
            raise located(join.this, f"column '{name}' is ambiguous", hint=hint, code="ambiguous-column")
