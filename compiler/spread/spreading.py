"""The query by which a rule may use several partitions of the engine, and be the same on any number of them.

Proved from the query that the engine runs, and from types; nothing is planned. Its rows have to be the same bag, and to
be in one order: there is at most one, the rule sorts them by itself, or they are groups or the rows of DISTINCT, which
are put in order afterwards if they are few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from compiler.parts.rule import break_ties, is_exact
from compiler.parts.sorting import outputs_of
from compiler.schema import Schema
from compiler.spread.exactness import RefusedError, may_fail_by_chance, meant, require_same_bag
from compiler.spread.spread_record import Spread
from compiler.sql.dialect import parse, render
from compiler.sql.encode import encode
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.nesting import is_huge
from compiler.tree.selects import is_aggregated
from compiler.tree.walk import bare_copy

_SETS = (exp.Rollup, exp.Cube, exp.GroupingSets, exp.Tuple)


def spread(sql: str, scans: Mapping[str, Sequence[str]], schemas: Mapping[str, Schema], product: Schema) -> Spread:
    """Return the query for any number of partitions. Takes some milliseconds.

    sql: the executed form of a rule that is neither volatile nor of tier 1; scans: the columns that it is shown of each
    input; schemas: of the inputs, by name; product: its own.
    """

    def work() -> Spread:
        tree = parse(sql)
        if is_huge(tree):
            return Spread(None, "The rule is too large to be looked through.")
        try:
            require_same_bag(tree, scans, schemas)
            found, order, end = _End(sql, tree, product).ordered()
        except RefusedError as why:
            return Spread(None, f"The rule {why}.")
        reason = f"Its rows are the same on any number of partitions, and {end}."
        return Spread(found, reason, may_fail_by_chance(tree), order)

    return with_deep_stack(work)


class _End:
    """The end of a query whose rows are the same bag: what puts them in one order. product: its schema."""

    def __init__(self, sql: str, tree: exp.Query, product: Schema) -> None:
        self._sql, self._tree, self._product = sql, tree, product
        self._outputs = outputs_of(tree)

    def ordered(self) -> tuple[str, tuple[str, ...], str]:
        """Return the query, the outputs by which its rows are to be ordered, and what orders them, as a clause."""
        tree = self._tree
        if isinstance(tree, exp.Select) and is_aggregated(tree) and tree.args.get("group") is None:
            return self._sql, (), "there is at most one"
        if tree.args.get("order") is not None:
            sql, end = self._without_ties(tree.args["order"])
            return sql, (), end
        if tree.args.get("limit") or tree.args.get("offset"):
            raise RefusedError("takes some of the rows by LIMIT without an order")
        if not isinstance(tree, exp.Select) or (tree.args.get("group") is None and tree.args.get("distinct") is None):
            raise RefusedError("yields the rows of its scans, all of which would have to be put in order")
        names = self._names_of(self._group_keys())
        if names is None:
            self._require_exact_outputs()
        listed = ", ".join(names) if names is not None else "all columns"
        return self._sql, names or self._product.names, f"if they are few, they are put in the order of {listed}"

    def _without_ties(self, order: exp.Order) -> tuple[str, str]:
        """Return the query that sorts its rows by itself, and by all columns if that may leave ties."""
        terms = [self._code_of_term(ordered.this) for ordered in order.expressions]
        keys = self._group_keys()
        if keys is not None and keys <= set(terms):
            return self._sql, "its own ORDER BY tells the groups apart"
        self._require_exact_outputs()
        if set(self._outputs.values()) <= {self._outputs.get(code) for code in terms}:
            return self._sql, "its own ORDER BY is by all columns"
        self._require_same_text()
        ordered = bare_copy(self._tree)
        break_ties(ordered)
        return render(ordered), "what ties in its ORDER BY is put in the order of all columns"

    def _group_keys(self) -> set[bytes] | None:
        """Return the codes of the keys of the groups that the rows are of; None if they are not of plain groups."""
        tree = self._tree
        group = tree.args.get("group")
        if not isinstance(tree, exp.Select) or group is None or tree.args.get("distinct") is not None:
            return None
        if any(isinstance(key, _SETS) for key in group.expressions):
            return None
        return {self._code_of_term(key) for key in group.expressions}

    def _names_of(self, keys: set[bytes] | None) -> tuple[str, ...] | None:
        """Return the outputs that are the keys of groups; None if not all of them are shown."""
        if not keys or not all(key in self._outputs for key in keys):
            return None
        names = {self._outputs[key] for key in keys}
        return tuple(name for name in self._product.names if name in names)

    def _code_of_term(self, term: exp.Expr) -> bytes:
        """Return the code of what a term of ORDER BY or GROUP BY means: of an output's expression if it names one."""
        return encode(meant(self._tree, term))

    def _require_exact_outputs(self) -> None:
        if not all(is_exact(column.type) for column in self._product.columns):
            raise RefusedError("yields rows that only floats or nested values may tell apart")

    def _require_same_text(self) -> None:
        if render(self._tree) != self._sql:
            raise RefusedError("has a query that cannot be written anew")
