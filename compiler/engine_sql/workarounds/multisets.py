"""EXCEPT ALL and INTERSECT ALL, whose multiplicities the engine ignores."""

from __future__ import annotations

from sqlglot import exp

from compiler.analysis.types import Types
from compiler.canonical.facts import Facts
from compiler.names.unaliased_tables import MARK
from compiler.sql.dialect import parse
from compiler.tree.walk import bare_copy

_OUTER = ("with_", "order", "limit", "offset")
_SIDE, _PLACE, _COPIES = (f'"{word}{MARK}"' for word in ("side", "place", "copies"))
_TEMPLATE = f"""
SELECT {{outputs}} FROM (
  SELECT {{kept}}, both.{_SIDE},
    ROW_NUMBER() OVER (PARTITION BY {{keys}} ORDER BY both.{_SIDE}) AS {_PLACE},
    SUM(1 - both.{_SIDE}) OVER (PARTITION BY {{keys}}) AS {_COPIES}
  FROM (SELECT {{left}}, 1 AS {_SIDE} FROM a UNION ALL SELECT {{right}}, 0 AS {_SIDE} FROM b) AS both
) AS numbered
WHERE numbered.{_SIDE} = 1 AND numbered.{_PLACE} {{comparison}} 2 * numbered.{_COPIES}
"""


def count_copies(query: exp.Query, facts: Facts) -> exp.Query:
    """Number the copies of each row of both sides, and choose by number, in place.

    a EXCEPT ALL b → SELECT … FROM (SELECT …, ROW_NUMBER() … FROM (a UNION ALL b)) WHERE …

    DataFusion 55 keeps every copy of a row of a that has none in b, and none of the others. Among equal rows of both,
    those of b are numbered first, 1 to n; then m rows of a follow, n + 1 to n + m. EXCEPT ALL keeps the m - n last,
    which are those beyond 2n, INTERSECT ALL the others of a, which are min(m, n). Where the two sides may be of
    different types, the rows of a are also carried as they are: the columns of EXCEPT and INTERSECT have its types.
    """
    operations = facts.nodes(query, exp.Except, exp.Intersect)
    operations = [one for one in operations if one.args.get("distinct") is False and not one.args.get("by_name")]
    if not operations:
        return query
    types = facts.types(query)
    typed = [_are_typed_alike(operation, types) for operation in operations]
    for operation, alike in zip(operations, typed, strict=True):
        counted = _template(operation, alike=alike)
        if operation is query:
            query = counted
        else:
            operation.replace(counted)
        sides = {"a": operation.this, "b": operation.expression}
        for table in list(counted.find_all(exp.Table)):
            side = sides[table.name]
            body = side.this if isinstance(side, exp.Subquery) and not side.args.get("alias") else side
            columns = [exp.to_identifier(f"key{MARK}{place}", quoted=True) for place in range(len(counted.selects))]
            alias = exp.TableAlias(this=exp.to_identifier(table.name, quoted=True), columns=columns)
            table.replace(exp.Subquery(alias=alias))
            table_holder = alias.parent
            assert table_holder is not None
            table_holder.set("this", body)
        for part in _OUTER:
            clause = operation.args.get(part)
            operation.set(part, None)
            counted.set(part, clause)
    return query


def _template(operation: exp.SetOperation, *, alike: bool) -> exp.Select:
    names = [exp.to_identifier(name, quoted=True).sql() for name in operation.named_selects]
    keys = [f'"key{MARK}{place}"' for place in range(len(names))]
    own = keys if alike else [f'"own{MARK}{place}"' for place in range(len(names))]
    carried = [] if alike else [f"a.{key} AS {one}" for key, one in zip(keys, own, strict=True)]
    missing = [] if alike else [f"NULL AS {one}" for one in own]
    text = _TEMPLATE.format(
        outputs=", ".join(f"numbered.{one} AS {name}" for one, name in zip(own, names, strict=True)),
        kept=", ".join(f"both.{one}" for one in own),
        keys=", ".join(f"both.{key}" for key in keys),
        left=", ".join([f"a.{key}" for key in keys] + carried),
        right=", ".join([f"b.{key}" for key in keys] + missing),
        comparison=">" if isinstance(operation, exp.Except) else "<=",
    )
    counted = bare_copy(parse(text))
    assert isinstance(counted, exp.Select)
    return counted


def _are_typed_alike(operation: exp.SetOperation, types: Types) -> bool:
    """Whether each column certainly has one type in all branches."""
    branches: list[exp.Select] = []
    pending: list[exp.Expr] = [operation]
    while pending:
        node = pending.pop().unnest()
        if isinstance(node, exp.SetOperation) and not node.args.get("by_name"):
            pending += [node.this, node.expression]
        elif isinstance(node, exp.Select):
            branches.append(node)
        else:
            return False
    columns = zip(*([types.of(item) for item in branch.selects] for branch in branches), strict=True)
    return all(len(set(kinds)) == 1 and None not in kinds for kinds in columns)


def ignored_copies(tree: exp.Query, facts: Facts) -> bool:
    """Whether EXCEPT ALL or INTERSECT ALL counts copies; see `compiler.engine_sql.corrections`."""
    return any(one.args.get("distinct") is False for one in facts.nodes(tree, exp.Except, exp.Intersect))
