"""Qualify a bound query: every column gets its table, every star its columns, every output its name; then prune.

The result is the *executed form*. It is the authored query with nothing left to interpretation and without the columns
and CTEs that nothing uses, so the columns it mentions of each input are exactly those the engine may be shown.
"""

from __future__ import annotations

import re
from collections import Counter

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

from compiler.dialect import DIALECT
from compiler.errors import SqlError
from compiler.positions import located
from compiler.resolve import INPUT_DB, suggestion
from compiler.schema import Schema


class InputSchemas:
    """The schemas of all inputs in the form qualify wants: one shared `MappingSchema`, extended product by product.

    A raw dict would be copied on every call, 22 ms each at 1,000 tables.
    """

    def __init__(self) -> None:
        self.mapping = MappingSchema(dialect=DIALECT, normalize=False)
        self.known: dict[str, Schema] = {}

    def add(self, name: str, schema: Schema) -> None:
        """Make `name` known. Adding an equal schema again costs nothing."""
        if self.known.get(name) == schema:
            return
        table = exp.table_(name, db=INPUT_DB, quoted=True)
        columns = {column: "UNKNOWN" for column in schema.names}
        self.mapping.add_table(table, columns, dialect=DIALECT, normalize=False, match_depth=False)
        self.known[name] = schema


def qualified(query: exp.Query, schemas: InputSchemas) -> exp.Query:
    """Return the qualified query; `query` is consumed.

    SELECT amount FROM "input"."orders" AS o WHERE open
    → SELECT o.amount AS amount FROM "input"."orders" AS o WHERE o.open

    Raises `SqlError` for unknown, ambiguous, unnamed and doubled columns.
    """
    _require_output_names(query)
    authored = query.copy()
    try:
        result = qualify(query, dialect=DIALECT, schema=schemas.mapping, validate_qualify_columns=False, identify=True)
    except OptimizeError as error:
        raise _explained(str(error), authored, schemas) from error
    assert isinstance(result, exp.Query)
    _require_resolved(result)
    _require_unique_outputs(result)
    return result


def pruned(query: exp.Query) -> exp.Query:
    """Return `query` without the inner columns and CTEs that its result cannot depend on, in place.

    SELECT q.a FROM (SELECT t.a, t.b FROM t) AS q → SELECT q.a FROM (SELECT t.a FROM t) AS q
    """
    for exists in query.find_all(exp.Exists):
        _blank_exists(exists)
    return pushdown_projections(query)


def _blank_exists(exists: exp.Exists) -> None:
    """EXISTS (SELECT o.a, o.b FROM o) → EXISTS (SELECT 1 FROM o): only whether a row exists counts."""
    select = exists.this
    if not isinstance(select, exp.Select) or select.args.get("distinct") or select.args.get("group"):
        return
    aggregates = any(item.find(exp.AggFunc, exp.Window, *exp.SET_RETURNING_FUNCTIONS) for item in select.selects)
    by_position = select.args.get("order") or select.args.get("having") or select.args.get("qualify")
    if aggregates or by_position:
        return
    select.set("expressions", [exp.alias_(exp.Literal.number(1), "_", quoted=True)])


def output_leaf(query: exp.Expr) -> exp.Select | None:
    """Return the SELECT that names the query's outputs: the left-most branch of set operations."""
    node: exp.Expr = query
    while not isinstance(node, exp.Select):
        if not isinstance(node, exp.SetOperation | exp.Subquery):
            return None
        node = node.this
    return node


def _require_output_names(query: exp.Query) -> None:
    select = output_leaf(query)
    if select is None:
        raise located(query, "a rule is one SELECT query", hint="wrap it: SELECT … FROM (…) AS q")
    for index, item in enumerate(select.selects, 1):
        if not (item.output_name or item.is_star):
            raise located(
                item, f"output column {index} has no name", hint="add AS name", code="unnamed-column"
            )


def _require_unique_outputs(query: exp.Query) -> None:
    select = output_leaf(query)
    assert select is not None
    seen: set[str] = set()
    for item in select.selects:
        name = item.alias_or_name
        if name in seen:
            raise located(item, f"two output columns are named '{name}'", hint="rename one with AS", code="duplicate-column")
        seen.add(name)


def _require_resolved(query: exp.Query) -> None:
    for scope in traverse_scope(query):
        if not isinstance(scope.expression, exp.Select):
            continue
        unresolved = list(scope.unqualified_columns)
        if not scope.is_correlated_subquery and not scope.pivots:
            unresolved += scope.external_columns
        for column in unresolved:
            raise _unresolved(column, scope)


def _unresolved(column: exp.Column, scope: Scope) -> SqlError:
    sources = {name: _source_columns(source) for name, source in scope.sources.items()}
    if column.table and column.table not in sources:
        hint = suggestion(column.table, sources) or f"in scope: {', '.join(sorted(sources)) or 'no table'}"
        return located(column, f"unknown table or alias '{column.table}'", hint=hint, code="unknown-table")
    holders = [name for name, columns in sources.items() if column.name in columns]
    if len(holders) > 1:
        options = " or ".join(f"{holder}.{column.name}" for holder in holders)
        return located(column, f"column '{column.name}' is ambiguous", hint=f"write {options}", code="ambiguous-column")
    known = {name for columns in sources.values() for name in columns}
    hint = suggestion(column.name, known) or (f"known columns: {', '.join(sorted(known))}" if known else None)
    return located(column, f"unknown column '{column.name}'", hint=hint, code="unknown-column")


def _source_columns(source: Scope | exp.Expr) -> list[str]:
    if isinstance(source, Scope):
        expression = source.expression
        return list(expression.named_selects) if isinstance(expression, exp.Query) else []
    return []


def _explained(message: str, authored: exp.Query, schemas: InputSchemas) -> SqlError:
    """Place one of qualify's own errors, which carry names but seldom positions."""
    message = message.splitlines()[0]
    found = re.search(r"(?:Unknown column|Unknown output column): (\S+)", message) or re.search(
        r"[Cc]olumn '?\"?([^'\"]+)", message
    )
    name = found[1].strip("'\".") if found else ""
    at = next((column for column in authored.find_all(exp.Column) if column.name == name), authored)
    if message.startswith("Unknown column"):
        names = Counter(column for schema in schemas.known.values() for column in schema.names)
        hint = suggestion(name, _columns_near(at, authored, schemas) or names)
        return located(at, f"unknown column '{name}'", hint=hint, code="unknown-column")
    if "mbiguous" in message:
        return located(at, f"column '{name}' is ambiguous", hint="put the table's alias before it", code="ambiguous-column")
    return located(at, message[0].lower() + message[1:].rstrip("."))


def _columns_near(column: exp.Expr, authored: exp.Query, schemas: InputSchemas) -> list[str]:
    """Columns of the input that a misspelt `alias.column` means, where the alias is that of an input."""
    alias = column.table if isinstance(column, exp.Column) else ""
    for table in authored.find_all(exp.Table):
        if alias and table.alias_or_name == alias and table.db == INPUT_DB and table.name in schemas.known:
            return list(schemas.known[table.name].names)
    return []
