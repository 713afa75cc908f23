"""The output columns of set operations: their number, and the one that a position in ORDER BY refers to.

SQLGlot counts the columns of the first SELECT. A UNION BY NAME has the other side's further ones too.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.tree.positions import located
from compiler.tree.walk import find_all

_POSITION = "position"


def output_names(query: exp.Expr) -> list[str]:
    """Return the names of a qualified query's outputs, in order.

    SELECT a, b … UNION BY NAME SELECT c, a … → a, b, c
    """
    query = query.unnest() if isinstance(query, exp.Subquery) else query
    if not isinstance(query, exp.SetOperation):
        return list(query.named_selects) if isinstance(query, exp.Select) else []
    names = output_names(query.left)
    if query.args.get("by_name"):
        names += [name for name in output_names(query.right) if name not in names]
    return names


def require_equal_widths(query: exp.Query) -> None:
    """Refuse SELECT a, b … UNION SELECT c …. Raises `SqlError`."""
    for operation in find_all(query, exp.SetOperation):
        if operation.args.get("by_name"):
            continue
        left, right = len(output_names(operation.left)), len(output_names(operation.right))
        if left != right:
            word = type(operation).__name__.upper()
            message = f"the sides of {word} have {left} and {right} columns"
            raise located(operation.right, message, hint="select the same columns on both sides", code="set-operation")


def require_positions(query: exp.Query) -> None:
    """Refuse ORDER BY 0, GROUP BY 0 and DISTINCT ON (0), which `qualify` takes for the last output.

    Raises `SqlError`.
    """
    for clause in find_all(query, exp.Order, exp.Group, exp.Distinct):
        if not isinstance(clause.parent, exp.Query):  # the order of a window or an aggregate has no positions
            continue
        holder = clause.args.get("on") if isinstance(clause, exp.Distinct) else clause
        for key in holder.expressions if holder is not None else ():
            number = key.this if isinstance(key, exp.Ordered) else key
            if isinstance(number, exp.Literal) and number.is_int and int(number.name) == 0:
                hint = "the first output column is 1"
                raise located(number, f"unknown output column {number.name}", hint=hint, code="unknown-column")


def set_positions_aside(query: exp.Query) -> None:
    """… UNION BY NAME … ORDER BY 3 → … ORDER BY NULL, which remembers the 3, in place.

    To `qualify`, a position beyond the first SELECT's columns is an error.
    """
    for operation in find_all(query, exp.SetOperation):
        order = operation.args.get("order")
        if order is None or not _has_names_of_both_sides(operation):
            continue
        for key in order.expressions:
            number = key.this
            if isinstance(number, exp.Literal) and number.is_int:
                aside = exp.Null()
                aside.meta.update({**number.meta, _POSITION: int(number.name)})
                key.set("this", aside)


def put_positions_back(query: exp.Query) -> None:
    """Make ORDER BY of a qualified query name what `set_positions_aside` remembers. Raises `SqlError`."""
    for operation in find_all(query, exp.SetOperation):
        order = operation.args.get("order")
        for key in order.expressions if order is not None else []:
            number = key.this.meta.get(_POSITION) if isinstance(key.this, exp.Null) else None
            if number is None:
                continue
            names = output_names(operation)
            if not 1 <= number <= len(names):
                counted = f"the query has {len(names)} output column{'' if len(names) == 1 else 's'}"
                raise located(key.this, f"unknown output column {number}", hint=counted, code="unknown-column")
            key.set("this", exp.column(names[number - 1], quoted=True))


def _has_names_of_both_sides(operation: exp.SetOperation) -> bool:
    """Whether the outputs get their names from a BY NAME: in the operation itself or its left branches."""
    node: exp.Expr = operation
    while isinstance(node, exp.SetOperation):
        if node.args.get("by_name"):
            return True
        node = node.left.unnest()
    return False
