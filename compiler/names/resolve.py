"""Binding of a parsed query to its inputs and variables: the tables from outside, and the values of `$name`.

Table names are resolved lexically, before anything else examines the tree, because only SQL's scoping rules tell a
CTE from the input it is named after (`WITH orders AS (SELECT * FROM orders) …`): inside its own body a plain CTE is
not yet defined, so the inner `orders` is the input. Each input gets `INPUT_DB` as its schema, which makes every later
pass, and the engine, read it as a base table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sqlglot import exp

from compiler.schema import INPUT_DB
from compiler.sql.dialect import variable_name
from compiler.suggestions import suggestion
from compiler.tree.positions import located
from compiler.tree.walk import LEAVES, has, nodes

Literal = int | float | str | bool
"""A variable's value; dates and times come as `DateLiteral`."""


def fold(identifier: exp.Identifier) -> str:
    """Return the name an identifier means: as written if quoted, else in lower case (ASCII only, as in the engine)."""
    name = str(identifier.this)
    return name if identifier.quoted else _ascii_lower(name)


def table_names(query: exp.Expr) -> list[str]:
    """Return the names of the outside tables that a freshly parsed query reads, in order of appearance."""
    return list(dict.fromkeys(fold(table.this) for table in outside_tables(query)))


def variable_names(query: exp.Expr) -> list[str]:
    """Return the project variables that a freshly parsed query uses, sorted."""
    return sorted({name for node in nodes(query) if (name := variable_name(node))})


def bind_tables(query: exp.Expr, resolve: Callable[[str], str | None], known: Iterable[str]) -> None:
    """Give every outside table of `query` its input's name, the schema `INPUT_DB`, and an alias, in place.

    `resolve` maps a name as written to the project's name for it, or None. Raises `SqlError` at the first name that is
    not an input, with a suggestion from `known`.
    """
    for table in outside_tables(query):
        written = fold(table.this)
        if table.args.get("db") or table.args.get("catalog"):
            raise located(
                table,
                f"'{table.sql()}' has a schema; inputs are plain names",
                hint=f"write FROM {written}",
                code="unknown-input",
            )
        name = resolve(written)
        if name is None:
            raise located(
                table,
                f"unknown input '{written}'",
                hint=suggestion(written, known) or "an input is a source of rules.toml or another rule",
                code="unknown-input",
            )
        if not table.alias:
            alias = exp.Identifier(this=written, quoted=True)
            table.set("alias", exp.TableAlias(this=alias, columns=table.args.get("alias") and table.alias_column_names))
        identifier = exp.Identifier(this=name, quoted=True)
        identifier.update_positions(table.this)
        table.set("this", identifier)
        table.set("db", exp.Identifier(this=INPUT_DB, quoted=True))


def bind_variables(query: exp.Expr, literals: Mapping[str, exp.Expr]) -> exp.Expr:
    """Replace every `$name` by its typed literal. Raises `SqlError` at a variable the project does not declare."""

    def replace(node: exp.Expr) -> exp.Expr:
        name = variable_name(node)
        if name is None:
            return node
        if name not in literals:
            hint = suggestion(name, literals) or "declare it in rules.toml under [vars]"
            error = located(node, f"unknown variable '${name}'", hint=hint, code="unknown-variable")
            if error.column is not None:
                error.column -= 1  # SQLGlot gives the place of the name, right after the $
            raise error
        bound = literals[name].copy()
        bound.meta.update(node.meta)
        return bound

    return query.transform(replace, copy=False) if has(query, exp.Parameter) else query


def outside_tables(query: exp.Expr) -> list[exp.Table]:
    """Return the tables of a freshly parsed query that are not its CTEs, in order of appearance."""
    found: list[exp.Table] = []
    _walk(query, frozenset(), found)
    return found


def _walk(node: exp.Expr, ctes: frozenset[str], found: list[exp.Table]) -> None:
    ctes = _walk_ctes(node, ctes, found)
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        qualified = node.args.get("db") or node.args.get("catalog")
        if qualified or fold(node.this) not in ctes:
            found.append(node)
    for key, value in node.args.items():
        if key == "with_":
            continue
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expr) and type(child) not in LEAVES:
                _walk(child, ctes, found)


def _walk_ctes(node: exp.Expr, ctes: frozenset[str], found: list[exp.Table]) -> frozenset[str]:
    """Walk the CTEs of a query; return the names in scope after them."""
    with_ = node.args.get("with_")
    if with_ is None:
        return ctes
    for cte in with_.expressions:
        name = fold(cte.args["alias"].this)
        body = cte.this
        if with_.recursive and isinstance(body, exp.SetOperation):
            # The engine plans the static term before the CTE exists, the recursive term after.
            inner = _walk_ctes(body, ctes, found)
            _walk(body.this, inner, found)
            _walk(body.expression, inner | {name}, found)
        else:
            _walk(body, ctes, found)
        ctes |= {name}
    return ctes


def _ascii_lower(name: str) -> str:
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in name)
