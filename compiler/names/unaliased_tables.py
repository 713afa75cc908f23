"""Names that derived tables without an alias expose: SELECT t.a FROM (SELECT t.a FROM t).

To the engine the columns of such a table still belong to the tables within it. By the standard they belong to none: a
name of a FROM item of any query around it refers to that item, and only names that would mean nothing are looked up
here.
"""

from __future__ import annotations

from sqlglot import exp

from compiler.names.lexical import from_items, item_name, resolve_names
from compiler.names.resolve import fold

MARK = "~"
"""The separator between a name as written and the suffix that makes it unique."""
_DEEPEST = 100
"""The most nested derived tables through which a name is followed."""


def name_derived_tables(query: exp.Query) -> None:
    """SELECT t.a FROM (SELECT t.a FROM t) → SELECT d.x AS a FROM (SELECT t.a, t.a AS x FROM t) AS d, in place.

    Raises `SqlError` if two tables have one alias.
    """
    number = 0
    for _ in range(_DEEPEST):
        moved = False
        for column in resolve_names(query).free:
            if isinstance(column.this, exp.Star):
                moved |= _spell_star(column)
                continue
            derived = home_of(column)
            if derived is None:
                continue
            moved = True
            if not derived.args.get("alias"):
                number += 1
                derived.set("alias", exp.TableAlias(this=exp.to_identifier(f"unnamed{MARK}{number}", quoted=True)))
            _read_from(column, derived)
        if not moved:
            return


def home_of(column: exp.Column) -> exp.Subquery | None:
    """Return the derived table without an alias of its own that exposes `q.c`, the innermost query's first.

    None if there is none, or if there are two.
    """
    if column.args.get("db") or not isinstance(column.this, exp.Identifier):
        return None
    table, name = fold(column.args["table"]), fold(column.this)
    select = column.find_ancestor(exp.Select)
    while isinstance(select, exp.Select):
        found = [item for item in _unnamed(select) if _lets_through(item, table, name)]
        if found:
            return found[0] if len(found) == 1 else None
        select = select.find_ancestor(exp.Select)
    return None


def _spell_star(star: exp.Column) -> bool:
    """SELECT t.* FROM (SELECT t.a, u.b FROM t …) → SELECT t.a FROM (…), in place, if the columns are written out."""
    select = star.parent
    if not isinstance(select, exp.Select) or any(star.this.args.values()):
        return False
    table = fold(star.args["table"])
    bodies = [body for item in _unnamed(select) if isinstance(body := item.unnest(), exp.Select)]
    found = [
        value.copy()
        for body in bodies
        for item in body.selects
        if isinstance(value := item.unalias(), exp.Column) and not item.is_star
        if value.args.get("table") is not None and fold(value.args["table"]) == table
    ]
    if not found or any(item.is_star for body in bodies for item in body.selects):
        return False
    at = next(number for number, item in enumerate(select.expressions) if item is star)
    select.set("expressions", [*select.expressions[:at], *found, *select.expressions[at + 1 :]])
    return True


def _unnamed(select: exp.Select) -> list[exp.Subquery]:
    found = []
    for item in from_items(select)[0]:
        own = item_name(item)
        if isinstance(item, exp.Subquery) and (own is None or own.startswith(f"unnamed{MARK}")):
            found.append(item)
    return found


def _lets_through(derived: exp.Subquery, table: str, name: str) -> bool:
    """Whether one of the outputs of a derived table is the column `name` of the FROM item `table` within it."""
    body = derived.unnest()
    if not isinstance(body, exp.Select):
        return False
    named = [item for item in from_items(body)[0] if item_name(item) == table]
    through = [item for item in _unnamed(body) if _lets_through(item, table, name)]
    if not named and not through:
        return False
    for item in body.selects:
        if item.is_star:
            star = item.this if isinstance(item, exp.Column) else item
            if any(star.args.values()):
                continue
            if not isinstance(item, exp.Column) or fold(item.args["table"]) == table:
                return True
            continue
        alias = fold(item.args["alias"]) if isinstance(item, exp.Alias) else name
        value = item.unalias()
        if alias != name or not isinstance(value, exp.Column) or value.args.get("db"):
            continue
        own = value.args.get("table")
        if isinstance(value.this, exp.Identifier) and fold(value.this) == f"{table}{MARK}{name}":
            return True  # it was looked up already
        if isinstance(value.this, exp.Identifier) and fold(value.this) == name and (own is None or fold(own) == table):
            return True
    return False


def _read_from(column: exp.Column, derived: exp.Subquery) -> None:
    """Expose a column of a derived table, as an output under a unique name."""
    body = derived.unnest()
    assert isinstance(body, exp.Select)
    table, name = fold(column.args["table"]), fold(column.this)
    given = f"{table}{MARK}{name}"
    if given not in {item.alias for item in body.selects if isinstance(item, exp.Alias)}:
        own = exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True))
        own.this.meta.update(column.this.meta)
        body.append("expressions", exp.alias_(own, given, quoted=True))
        _keep_from_stars(derived, given)
    identifier = exp.to_identifier(given, quoted=True)
    identifier.meta.update(column.this.meta)
    column.set("this", identifier)
    column.set("table", exp.to_identifier(derived.alias, quoted=True))
    if isinstance(column.parent, exp.Select) and column.arg_key == "expressions":
        outer = column.copy()
        column.replace(exp.alias_(outer, name, quoted=True))


def _keep_from_stars(derived: exp.Subquery, given: str) -> None:
    """SELECT * FROM (…) → SELECT * EXCEPT (x) FROM (…), in place."""
    select = derived.find_ancestor(exp.Select)
    for item in select.selects if isinstance(select, exp.Select) else []:
        if isinstance(item, exp.Star):
            item.append("except_", exp.to_identifier(given, quoted=True))
