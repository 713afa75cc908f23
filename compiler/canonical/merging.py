"""Derived tables that only project, filter or join are merged into the query around them.

Filters rise: a merged WHERE joins that of the outer query. Each merge removes one derived table and makes none,
so the process ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.canonical.names import set_apart
from compiler.canonical.ordering import rows_may_move
from compiler.canonical.predicate_facts import never_fails
from compiler.sql.functions import WindowFunction
from compiler.tree.walk import find_all, has

MOST_COPIES = 200
"""The most nodes that a merge may add by repeating a computed column: x + x of x + x of … doubles at each level."""

_NOT_SCALAR = (exp.AggFunc, exp.Window, WindowFunction, exp.UDTF, exp.Explode, exp.Anonymous, exp.Query, exp.Subquery,
               exp.Exists, exp.Star)  # fmt: skip
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_HOLDERS_OF_CONSTANTS = (*_COMPARISONS, exp.Connector, exp.Not, exp.Where, exp.Having, exp.Join, exp.Alias)


@dataclass
class Uses:
    """The columns that refer to each FROM item, by its alias, with the number of queries that they are further in."""

    by_alias: dict[str, list[tuple[exp.Column, int]]] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)

    @classmethod
    def of_items(cls, query: exp.Query, facts: Facts) -> Uses | None:
        """Return the uses of all FROM items, and give each an alias of its own, in place.

        None for a query without derived tables, and for one whose references are not all known.
        """
        if not facts.has(query, exp.Subquery) or any(with_.recursive for with_ in facts.nodes(query, exp.With)):
            return None
        set_apart(query, facts)
        names = facts.names(query)
        if names.free:
            return None
        uses = cls()
        for reference in names.references:
            alias = reference.item.args["alias"].this.name
            uses.by_alias.setdefault(alias, []).append((reference.column, reference.distance))
        return uses

    def of(self, alias: str) -> list[tuple[exp.Column, int]]:
        """Return the columns that refer to the FROM item called `alias` and are still in the tree."""
        return [(column, far) for column, far in self.by_alias.get(alias, []) if id(column) not in self.dropped]

    def add(self, node: exp.Expr, distance: int) -> None:
        """Note the columns in `node`, which was added to the tree."""
        for column in find_all(node, exp.Column):
            self.by_alias.setdefault(column.table, []).append((column, distance))


def merge_derived_tables(query: exp.Query, facts: Facts) -> exp.Query:
    """Merge derived tables that merely project, filter or join.

    SELECT d.v AS v FROM (SELECT t.a + 1 AS v, t.b AS b FROM t WHERE t.c) AS d WHERE d.b = 2
    → SELECT t.a + 1 AS v FROM t WHERE t.c AND t.b = 2

    * A filter or a computed column only if every row of the derived table comes through: not if an outer join
      may replace one by NULLs. There only plain columns are renamed.
    * A derived table with joins of its own only as the first FROM item, as joins group to the left.
    * No equality of floats may end up beside another: the engine makes lists of them, which compare bits.
    """
    uses = Uses.of_items(query, facts)
    if uses is None:
        return query
    types = facts.types(query)
    positional = not facts.of(query, rows_may_move)
    merged: set[int] = set()
    for select in facts.nodes(query, exp.Select):
        if id(select) not in merged and select.args.get("from_") is not None and not select.args.get("laterals"):
            _merge_items(select, uses, types, merged, positional=positional)
    return query


def _merge_items(select: exp.Select, uses: Uses, types: Types, merged: set[int], *, positional: bool) -> None:
    """Merge the mergeable FROM items of one SELECT; the items that replace them are examined in turn."""
    while (inner := _mergeable(select, None, uses, types, positional=positional)) is not None:
        merged.add(id(inner))
    for join in list(select.args.get("joins") or []):
        while (inner := _mergeable(select, join, uses, types, positional=positional)) is not None:
            merged.add(id(inner))


def _mergeable(
    select: exp.Select, join: exp.Join | None, uses: Uses, types: Types, *, positional: bool
) -> exp.Select | None:
    """Merge the FROM item of `join` (None: the first one) into `select`, and return it, or None."""
    holder = select.args["from_"] if join is None else join
    item, joins = holder.this, list(select.args.get("joins") or [])
    if not is_derived(item) or any(not is_plain_join(one) for one in joins):
        return None
    inner = item.this
    if not isinstance(inner, exp.Select) or not _merely_joins(inner):
        return None
    inner_joins = list(inner.args.get("joins") or [])
    if inner_joins and (join is not None or (joins and any(is_comma(one) for one in (*joins, *inner_joins)))):
        return None
    outputs = {output.alias: output.this for output in inner.selects}
    columns = uses.of(item.alias)
    if any(column.name not in outputs or column.args.get("db") for column, _ in columns):
        return None
    where = inner.args.get("where")
    computed = any(not isinstance(outputs[column.name], exp.Column) for column, _ in columns)
    if (where is not None or computed) and (_is_optional(join, joins) or (positional and (joins or inner_joins))):
        return None
    if where is not None and not has_exact_equalities(where, types):
        return None
    if computed and not may_substitute(columns, outputs, types):
        return None
    substitute(columns, outputs, uses)
    holder.set("this", inner.args["from_"].this)
    if inner_joins:
        select.set("joins", [*inner_joins, *joins])
    if where is not None:
        add_condition(select, where.this)
    return inner


def is_derived(item: exp.Expr) -> bool:
    """Whether a FROM item is a query in parentheses with an alias and nothing else."""
    return isinstance(item, exp.Subquery) and isinstance(item.this, exp.Query) and _has_bare_alias(item, {"this"})


def is_plain_join(join: exp.Join) -> bool:
    """Whether a join is one of two tables that do not see each other, by ON or without a condition."""
    known = {"this", "on", "kind", "side"}
    return all(not value for key, value in join.args.items() if key not in known) and _is_plain_item(join.this)


def is_comma(join: exp.Join) -> bool:
    """Whether a join is a comma, which binds more loosely than the word."""
    return not any(join.args.get(key) for key in ("kind", "side", "on"))


def is_scalar(node: exp.Expr) -> bool:
    """Whether an expression is computed from one row: no aggregate, window, set-returning function or subquery."""
    return not any(isinstance(each, _NOT_SCALAR) for each in node.walk())


def has_exact_equalities(condition: exp.Expr, types: Types) -> bool:
    """Whether no equality in a condition can be one of floats."""
    for node in find_all(condition, exp.EQ, exp.NEQ, exp.In, exp.Case, exp.NullSafeEQ, exp.NullSafeNEQ):
        if isinstance(node, exp.In):
            operands = [node.this, *node.expressions]
        elif isinstance(node, exp.Case):
            operands = [node.this, *(branch.this for branch in node.args["ifs"])] if node.this is not None else []
        else:
            operands = [node.this, node.expression]
        if not all(types.is_exact(operand) for operand in operands):
            return False
    return True


def add_condition(select: exp.Select, condition: exp.Expr) -> None:
    """Add a condition, which is moved, to the WHERE of a SELECT."""
    where = select.args.get("where")
    if where is None:
        select.set("where", exp.Where(this=condition))
    else:
        where.set("this", exp.And(this=condition, expression=where.this))


def substitute(columns: list[tuple[exp.Column, int]], outputs: Mapping[str, exp.Expr], uses: Uses) -> None:
    """Replace the columns that refer to outputs by copies of the outputs."""
    for output in outputs.values():
        uses.dropped.update(id(column) for column in find_all(output, exp.Column))
    for column, distance in columns:
        copy = outputs[column.name].copy()
        if isinstance(column.parent, exp.Select):
            column.replace(exp.alias_(copy, column.name, quoted=True))
        else:
            column.replace(copy)
        uses.add(copy, distance)


def may_substitute(columns: list[tuple[exp.Column, int]], outputs: Mapping[str, exp.Expr], types: Types) -> bool:
    """Whether computed columns may replace their names.

    A constant is more than a value to GROUP BY 1, to ORDER BY 1 and to functions whose type depends on a literal, so it
    goes only into comparisons of its own type. Floats stay out of what the engine may turn into a list. Expressions
    that can fail stay out of CASE and COALESCE, which do not compute everything in them.
    """
    counts: dict[str, int] = {}
    for column, distance in columns:
        output = outputs[column.name]
        if isinstance(output, exp.Column):
            continue
        counts[column.name] = counts.get(column.name, 0) + 1
        if distance:
            return False
        constant = not has(output, exp.Column)
        exact = types.is_exact(output)
        if constant and (not exact or not _holds_a_constant(column, types.of(output), types)):
            return False
        if not exact and _is_in_a_list(column):
            return False
        if _is_lazy(column) and not _is_certain(output, types):
            return False
    copies = sum(sum(1 for _ in outputs[name].walk()) * (count - 1) for name, count in counts.items() if count > 1)
    return copies <= MOST_COPIES


def _holds_a_constant(column: exp.Column, kind: str | None, types: Types) -> bool:
    parent = column.parent
    if isinstance(parent, _COMPARISONS):
        other = parent.expression if parent.this is column else parent.this
        if types.of(other) != kind:
            return False
    while parent is not None and not isinstance(parent, exp.Query):
        if not isinstance(parent, _HOLDERS_OF_CONSTANTS):
            return False
        parent = parent.parent
    return True


def _is_in_a_list(column: exp.Column) -> bool:
    parent = column.parent
    while parent is not None and not isinstance(parent, exp.Query):
        if isinstance(parent, exp.Or | exp.And | exp.Not | exp.In | exp.Case | exp.Any):
            return True
        parent = parent.parent
    return False


def _is_lazy(column: exp.Column) -> bool:
    parent, cut_short = column.parent, False
    while parent is not None and not isinstance(parent, exp.Query | exp.Where):
        if isinstance(parent, exp.Case | exp.Coalesce):
            return True
        cut_short |= isinstance(parent, exp.And | exp.Or)
        parent = parent.parent
    # A filter sinks to the place where the column is computed anyway.
    return cut_short and not isinstance(parent, exp.Where)


def _is_certain(output: exp.Expr, types: Types) -> bool:
    """Whether an output fails for no row if it is computed for some: aggregates and windows see all rows anyway."""
    return isinstance(output, exp.AggFunc | exp.Filter | exp.Window) or never_fails(types, output)


def _merely_joins(select: exp.Select) -> bool:
    known = {"expressions", "from_", "joins", "where"}
    if select.args.get("from_") is None or any(value for key, value in select.args.items() if key not in known):
        return False
    if not _is_plain_item(select.args["from_"].this):
        return False
    if not all(is_plain_join(join) for join in select.args.get("joins") or []):
        return False
    return all(isinstance(output, exp.Alias) and is_scalar(output) for output in select.expressions)


def _is_plain_item(item: exp.Expr) -> bool:
    if isinstance(item, exp.Table):
        return isinstance(item.this, exp.Identifier) and _has_bare_alias(item, {"this", "db", "catalog"})
    return is_derived(item)


def _has_bare_alias(item: exp.Expr, others: set[str]) -> bool:
    alias = item.args.get("alias")
    if not isinstance(alias, exp.TableAlias) or alias.columns or not isinstance(alias.this, exp.Identifier):
        return False
    return all(not value for key, value in item.args.items() if key not in {"alias", *others})


def _is_optional(join: exp.Join | None, joins: list[exp.Join]) -> bool:
    """Whether rows of the FROM item may be left out, or become NULLs, or only be tested for."""
    position = next((index for index, one in enumerate(joins) if one is join), -1)
    if join is not None and (join.side or join.kind in {"SEMI", "ANTI"}):
        return True
    return any(one.side in {"RIGHT", "FULL"} for one in joins[position + 1 :])
