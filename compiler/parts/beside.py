"""Which inputs a rule reads beside one of them, whichever of its queries is taken to work by the parts of that one.

It is seen in the rule's text alone, long before it is known whether there is such a query.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.schema import INPUT_DB
from compiler.sql.dialect import parse
from compiler.tree.walk import find_all


def read_beside(meaning: str, table: str) -> frozenset[str]:
    """Return the inputs that are in the same FROM as an input, wherever a rule reads that; meaning: as in `Compiled`.

    Raises `SqlError`.
    """
    places = [_beside(one) for one in find_all(parse(meaning), exp.Table) if one.db == INPUT_DB and one.name == table]
    return frozenset.intersection(*places) - {table} if places else frozenset()


def _beside(mention: exp.Table) -> frozenset[str]:
    clause = mention.parent
    select = clause.parent if isinstance(clause, (exp.From, exp.Join)) else None
    if not isinstance(select, exp.Select):
        return frozenset()
    clauses = [select.args.get("from_"), *(select.args.get("joins") or ())]
    tables = [clause.this for clause in clauses if clause is not None]
    return frozenset(one.name for one in tables if isinstance(one, exp.Table) and one.db == INPUT_DB)
