"""Internal names: table aliases, CTE names and inner columns are numbered, so that renaming one changes nothing."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.optimizer.canonicalize_internal_names import canonicalize_internal_names

_APART = "~"


def number_names(query: exp.Query) -> exp.Query:
    """Number internal names in the order in which scopes are visited.

    SELECT o.a AS a FROM (SELECT x.b AS a FROM "input"."t" AS x) AS o
    → SELECT _t1._c0 AS a FROM (SELECT _t0.b AS _c0 FROM "input"."t" AS _t0) AS _t1
    """
    _set_apart(query)
    return canonicalize_internal_names(query)


def _set_apart(query: exp.Query) -> None:
    """Prefix every table alias and its uses, which renames consistently and frees the names about to be given.

    SQLGlot renames one scope after the other. A name it has given in an inner scope must not look like one that still
    stands in an outer scope, or a correlated column would change its table.
    """
    for node in query.walk():
        if isinstance(node, exp.TableAlias):
            _prefix(node.this)
        elif isinstance(node, exp.Column):
            _prefix(node.args.get("table"))
        elif isinstance(node, exp.Table) and not node.db:
            _prefix(node.this)


def _prefix(identifier: exp.Expr | None) -> None:
    if isinstance(identifier, exp.Identifier):
        identifier.set("this", _APART + identifier.this)
