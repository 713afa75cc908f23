"""Qualify a bound query: every column gets its table, every star its columns, every output its name; then prune.

The result is the *executed form*: the authored query with nothing left to interpretation and without the columns
and CTEs that nothing uses, so the columns it mentions of each input are exactly those the engine may be shown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, find_all_in_scope, traverse_scope
from sqlglot.schema import MappingSchema

from compiler.errors import SqlError
from compiler.names.lexical import from_items, item_name, resolve_names
from compiler.names.name_meaning import Sight
from compiler.names.parenthesised_joins import require_no_filter_read
from compiler.names.qualify_fixups import as_written, drop_recursive_columns, prepare
from compiler.names.repeated_names import set_repeated_names_apart
from compiler.names.resolve import fold
from compiler.names.set_outputs import (
    put_positions_back,
    require_equal_widths,
    require_positions,
    set_positions_aside,
)
from compiler.names.using_columns import note_merging_joins, spell_merged_columns
from compiler.schema import INPUT_DB, Schema
from compiler.sql.dialect import DIALECT
from compiler.suggestions import column_suggestion, suggestion
from compiler.tree.positions import located
from compiler.tree.walk import bare_copy, find_all, has, output_leaf


class InputSchemas:
    """The schemas of all inputs in the form qualify wants: one shared `MappingSchema`, extended when a query needs it.

    A raw dict would be copied on every call, 22 ms each at 1,000 tables.
    """

    def __init__(self) -> None:
        self._mapping = MappingSchema(dialect=DIALECT, normalize=False)
        self._mapped: dict[str, Schema] = {}
        self.known: dict[str, Schema] = {}

    def add(self, name: str, schema: Schema) -> None:
        """Add the schema of `name`."""
        self.known[name] = schema

    def mapping(self, names: Iterable[str]) -> MappingSchema:
        """Return the schemas of some inputs, all of which are known, and perhaps those of others."""
        for name in names:
            schema = self.known[name]
            if self._mapped.get(name) != schema:
                self._map(name, schema)
        return self._mapping

    def _map(self, name: str, schema: Schema) -> None:
        table = exp.table_(name, db=INPUT_DB, quoted=True)
        # As identifiers: a text would be parsed, and "Order By" would not be a name.
        columns: dict[Any, str] = {exp.to_identifier(column, quoted=True): "UNKNOWN" for column in schema.names}
        self._mapping.add_table(table, columns, dialect=DIALECT, normalize=False, match_depth=False)
        self._mapped[name] = schema


def qualified(query: exp.Query, schemas: InputSchemas, authored: Callable[[], exp.Query] | None = None) -> exp.Query:
    """Return the qualified query; `query` is consumed. authored: returns a copy of it, for what is said of an error.

    SELECT amount FROM "input"."orders" AS o WHERE open
    → SELECT o.amount AS amount FROM "input"."orders" AS o WHERE o.open

    Raises `SqlError` for unknown, ambiguous, unnamed and duplicate columns.
    """
    _require_output_names(query)
    if authored is None:
        copy = bare_copy(query, positions=True)
        authored = lambda: copy  # noqa: E731
    inputs = {name: schemas.known[name] for name in _inputs_of(query)}
    query = prepare(query, inputs)
    require_no_filter_read(query)
    _require_left_out(query, schemas)
    set_repeated_names_apart(query, schemas.known)
    require_positions(query)
    note_merging_joins(query)
    set_positions_aside(query)
    try:
        result = qualify(
            query, dialect=DIALECT, schema=schemas.mapping(inputs), validate_qualify_columns=False, identify=True
        )
    except OptimizeError as error:
        raise _explained(str(error), authored(), schemas) from error
    assert isinstance(result, exp.Query)
    _require_columns(result)
    spell_merged_columns(result, lambda source: _source_columns(source, schemas))
    _require_resolved(result, schemas)
    require_equal_widths(result)
    put_positions_back(result)
    _require_unique_outputs(result, authored)
    drop_recursive_columns(result)
    _settle_positions(result)
    return result


def _require_left_out(query: exp.Query, schemas: InputSchemas) -> None:
    """Refuse * EXCEPT (x) if no table has an x: `qualify` would leave nothing out."""
    stars = [star for star in find_all(query, exp.Star) if star.args.get("except_")]
    sight = Sight(resolve_names(query), schemas.known) if stars else None
    for star in stars:
        holder = star.parent if isinstance(star.parent, exp.Column) else star
        select = holder.parent
        if sight is None or not isinstance(select, exp.Select):
            continue
        items = from_items(select)[0]
        if isinstance(holder, exp.Column):
            items = [item for item in items if item_name(item) == fold(holder.args["table"])]
        columns = [sight.columns(item) for item in items]
        known = {name for names in columns for name in names or ()}
        for left_out in star.args["except_"] if None not in columns else ():
            name = fold(left_out if isinstance(left_out, exp.Identifier) else left_out.this)
            if name not in known:
                hint = column_suggestion(name, known) or f"known columns: {', '.join(sorted(known))}"
                raise located(left_out, f"unknown column '{name}'", hint=hint, code="unknown-column")


def _require_columns(query: exp.Query) -> None:
    """Refuse SELECT * EXCEPT (every column), of which `qualify` leaves the star."""
    for select in find_all(query, exp.Select):
        star = next((item for item in select.selects if item.is_star), None)
        if star is not None and isinstance(select.parent, exp.Exists):
            blank_exists(select.parent)
            star = next((item for item in select.selects if item.is_star), None)
        if star is not None:
            message = "the query selects no column: EXCEPT leaves out every column of *"
            raise located(star, message, hint="leave one of them in, or select something besides *", code="no-column")


def _settle_positions(query: exp.Query) -> None:
    """SELECT 5 AS a … GROUP BY 1 → SELECT 5 AS a … GROUP BY '', in place.

    `qualify` leaves the position of a constant, which would mean another item once items are moved or dropped. The
    grouped constant has no effect, and a text is never a position.
    """
    for group in find_all(query, exp.Group):
        select = group.parent
        if not isinstance(select, exp.Select):
            continue
        kept: list[exp.Expr] = []
        settled = False
        for key in group.expressions:
            if not _is_ordinal(key) or select.selects[int(key.name) - 1].find(exp.Explode, exp.Unnest):
                kept.append(key)
            elif not settled:
                settled = True
                kept.append(exp.Literal.string(""))
        group.set("expressions", kept)


def _inputs_of(query: exp.Query) -> set[str]:
    return {table.name for table in find_all(query, exp.Table) if table.db == INPUT_DB}


def pruned(query: exp.Query) -> exp.Query:
    """Return `query` without the inner columns and CTEs that its result cannot depend on, in place.

    SELECT q.a FROM (SELECT t.a, t.b FROM t) AS q → SELECT q.a FROM (SELECT t.a FROM t) AS q
    """
    found = find_all(query, exp.Exists, exp.Select)
    for exists in found:
        if isinstance(exists, exp.Exists):
            blank_exists(exists)
    selects = [select for select in found if isinstance(select, exp.Select)]
    whole = [select for select in selects if _adds_up_in_two_steps(select)]
    for select in whole:
        select.set("distinct", exp.Distinct())  # all columns of DISTINCT are needed
    names = [select.selects[0].alias if _is_blank(select) else None for select in selects]
    pruned_query = pushdown_projections(query)
    for select in whole:
        select.set("distinct", None)
    for select, name in zip(selects, names, strict=True):
        if _is_blank(select):  # SQLGlot adds one under a name of its own, even if there was one
            kept = exp.Identifier(this=name or select.selects[0].alias, quoted=True)
            select.selects[0].set("alias", kept)
    return pruned_query


def _is_blank(select: exp.Select) -> bool:
    """Whether a SELECT has only the placeholder column that dropping leaves: SELECT 1 AS x, or MAX(1)."""
    if len(select.selects) != 1 or not isinstance(select.selects[0], exp.Alias):
        return False
    value = select.selects[0].this
    value = value.this if isinstance(value, exp.Max) else value
    return isinstance(value, exp.Literal) and not value.is_string and value.name == "1"


def _adds_up_in_two_steps(select: exp.Select) -> bool:
    """Whether the engine may sum by the values of a DISTINCT first, then again, which changes the type of the sums.

    It depends on every aggregate: SUM(a) of decimals has another type once COUNT(DISTINCT b) beside it is gone.
    """
    if select.args.get("distinct") is not None:
        return False
    calls = [call for item in select.selects for call in find_all(item, exp.AggFunc) if call.parent_select is select]
    sums = any(not isinstance(call, exp.Count | exp.Min | exp.Max) for call in calls)
    return sums and any(isinstance(call.this, exp.Distinct) for call in calls)


def blank_exists(exists: exp.Exists) -> None:
    """EXISTS (SELECT o.a, o.b FROM o) → EXISTS (SELECT 1 FROM o): only whether a row exists counts."""
    select = exists.this
    if not isinstance(select, exp.Select) or select.args.get("distinct") or select.args.get("group"):
        return
    aggregates = any(has(item, exp.AggFunc, exp.Window, *exp.SET_RETURNING_FUNCTIONS) for item in select.selects)
    by_position = select.args.get("order") or select.args.get("having") or select.args.get("qualify")
    if aggregates or by_position:
        return
    # Without an alias: if the engine joins the two queries, any name could be that of a column.
    first = select.selects[0] if len(select.selects) == 1 else None
    if not (isinstance(first, exp.Literal) and not first.is_string and first.name == "1"):
        select.set("expressions", [exp.Literal.number(1)])


def _require_output_names(query: exp.Query) -> None:
    select = output_leaf(query)
    if select is None:
        raise located(query, "a rule is one SELECT query", hint="wrap it: SELECT … FROM (…) AS q")
    for index, item in enumerate(select.selects, 1):
        if not is_named(item):
            raise located(item, f"output column {index} has no name", hint="add AS name", code="unnamed-column")


def is_named(item: exp.Expr) -> bool:
    """Whether an output column has a name: a column or an alias. SQLGlot would also name it after a literal."""
    inner = item
    while isinstance(inner, exp.Paren | exp.Cast):
        inner = inner.this
    return item.is_star or (bool(item.output_name) and isinstance(inner, exp.Alias | exp.Column | exp.Dot))


def _require_unique_outputs(query: exp.Query, authored: Callable[[], exp.Query]) -> None:
    select = output_leaf(query)
    assert select is not None
    seen: set[str] = set()
    for item in select.selects:
        name = item.alias_or_name
        if name in seen:
            message = f"two output columns are named '{name}'"
            star = _star_of(item, authored())
            if star is not None:
                raise located(star, message, hint="list the columns instead of *", code="duplicate-column")
            raise located(item, message, hint="rename one with AS", code="duplicate-column")
        seen.add(name)


def _star_of(item: exp.Expr, authored: exp.Query) -> exp.Expr | None:
    """Return the authored * that became `item`, which then has no place of its own; None if the author wrote it out."""
    column = item.unalias()
    if not isinstance(column, exp.Column) or column.this.meta.get("line") is not None:
        return None
    select = output_leaf(authored)
    assert select is not None
    stars = [star for star in select.selects if star.is_star]
    own = [star for star in stars if not isinstance(star, exp.Column) or star.table == column.table]
    return own[-1] if own else None


def _require_resolved(query: exp.Query, schemas: InputSchemas) -> None:
    for scope in traverse_scope(query):
        if not isinstance(scope.expression, exp.Select):
            continue
        unresolved = [*scope.unqualified_columns, *_unresolved_filters(scope)]
        if not scope.is_correlated_subquery and not scope.pivots:
            unresolved += scope.external_columns
        for column in unresolved:
            raise _unresolved(column, scope, schemas)
        for table in find_all_in_scope(scope.expression, exp.TableColumn):
            raise _no_column(table, scope, schemas)


_SHOWN = 8
"""Columns of a table that a hint lists."""


def _no_column(table: exp.Expr, scope: Scope, schemas: InputSchemas) -> SqlError:
    """SELECT o FROM orders AS o: SQLGlot takes a table's name for a row of it, and the engine has no such value."""
    name = as_written(table.name)
    source = next((one for alias, one in scope.sources.items() if as_written(alias) == name), None)
    columns = [f"{name}.{column}" for column in _source_columns(source, schemas)] if source is not None else []
    shown = f"{', '.join(columns[:_SHOWN])}{', …' if len(columns) > _SHOWN else ''}"
    hint = f"name one of its columns: {shown}" if columns else "name one of its columns"
    return located(table.this, f"'{name}' is a table, and no column", hint=hint, code="unknown-column")


def _unresolved_filters(scope: Scope) -> list[exp.Column]:
    """Columns of HAVING and QUALIFY that are neither an input's nor an output's; a scope's own list leaves them out."""
    select = scope.expression
    assert isinstance(select, exp.Select)
    known = set(select.named_selects)
    clauses = [select.args[key] for key in ("having", "qualify") if select.args.get(key)]
    return [
        column
        for clause in clauses
        for column in find_all_in_scope(clause, exp.Column)
        if not column.table and column.name not in known
    ]


def _unresolved(column: exp.Column, scope: Scope, schemas: InputSchemas) -> SqlError:
    sources = {as_written(name): _source_columns(source, schemas) for name, source in scope.sources.items()}
    table = as_written(column.table)
    if table and table not in sources:
        scoped = suggestion(table, sources) or f"in scope: {', '.join(sorted(sources)) or 'no table'}"
        at = column.args["table"]
        return located(at, f"unknown table or alias '{table}'", hint=scoped, code="unknown-table")
    holders = [name for name, columns in sources.items() if column.name in columns]
    if len(holders) > 1:
        options = " or ".join(f"{holder}.{column.name}" for holder in holders)
        return located(
            column.this, f"column '{column.name}' is ambiguous", hint=f"write {options}", code="ambiguous-column"
        )
    known = {name for columns in sources.values() for name in columns}
    hint = column_suggestion(column.name, known) or (f"known columns: {', '.join(sorted(known))}" if known else None)
    return located(column.this, f"unknown column '{column.name}'", hint=hint, code="unknown-column")


def _source_columns(source: Scope | exp.Expr, schemas: InputSchemas) -> list[str]:
    if isinstance(source, Scope):
        expression = source.expression
        return list(expression.named_selects) if isinstance(expression, exp.Query) else []
    if isinstance(source, exp.Table) and source.db == INPUT_DB and source.name in schemas.known:
        return list(schemas.known[source.name].names)
    return []


def _explained(message: str, authored: exp.Query, schemas: InputSchemas) -> SqlError:
    """Place one of qualify's own errors, which carry names but seldom positions."""
    message = message.splitlines()[0]
    found = re.search(r"(?:Unknown column|Unknown output column): (\S+)", message) or re.search(
        r"[Cc]olumn '?\"?([^'\"]+)", message
    )
    name = found[1].strip("'\".") if found else ""
    at: exp.Expr = next((column.this for column in authored.find_all(exp.Column) if column.name == name), authored)
    if message.startswith("Unknown output column"):
        count = len(authored.selects)
        ordinal = next((node for node in authored.find_all(exp.Literal) if _is_ordinal(node) and node.name == name), at)
        message = f"unknown output column {name}"
        counted = f"the query has {count} output column{'' if count == 1 else 's'}"
        return located(ordinal, message, hint=counted, code="unknown-column")
    if message.startswith("Unknown column"):
        names = Counter(column for schema in schemas.known.values() for column in schema.names)
        hint = column_suggestion(name, _columns_near(at, authored, schemas) or names)
        return located(at, f"unknown column '{name}'", hint=hint, code="unknown-column")
    table = re.match(r"Unknown table: (\S*)", message)
    if table:
        name = as_written(table[1].strip("'\""))
        column = next((one for one in authored.find_all(exp.Column) if one.table == name), None)
        star = column is not None and column.is_star
        hint = "list the columns instead of *" if star else "put the table's alias before each column"
        message = f"unknown table or alias '{name}'" if name else "the table of a column cannot be determined"
        return located(column or authored, message, hint=hint, code="unknown-table")
    joined = re.match(r"Cannot automatically join: (\S+)", message)
    if joined:
        using = (one for join in authored.find_all(exp.Join) for one in join.args.get("using") or ())
        name = joined[1].strip('"')
        place = next((one for one in using if fold(one) == name), authored)
        hint = "USING names a column of the table on each side"
        return located(place, f"unknown column '{name}' in USING", hint=hint, code="unknown-column")
    if "mbiguous" in message:
        return located(
            at, f"column '{name}' is ambiguous", hint="put the table's alias before it", code="ambiguous-column"
        )
    return located(at, message[0].lower() + message[1:].rstrip("."))


def _is_ordinal(node: exp.Expr) -> bool:
    """ORDER BY 2, GROUP BY 2."""
    return isinstance(node, exp.Literal) and node.is_int and isinstance(node.parent, exp.Ordered | exp.Group)


def _columns_near(name: exp.Expr, authored: exp.Query, schemas: InputSchemas) -> list[str]:
    """Return the columns of the input that a misspelt `alias.column` means, if the alias is an input's."""
    alias = name.parent.table if isinstance(name.parent, exp.Column) else ""
    for table in authored.find_all(exp.Table):
        if alias and table.alias_or_name == alias and table.db == INPUT_DB and table.name in schemas.known:
            return list(schemas.known[table.name].names)
    return []
