"""Calls of Python rules: inputs as unbound Ibis tables → a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ibis
from ibis.expr.types import Column, Scalar, Table
from sqlglot import exp

from compiler.errors import SqlError
from compiler.ibis.compiler import compile_expression
from compiler.names.resolve import fold, outside_tables
from compiler.schema import Schema
from compiler.sql.dialect import parse
from compiler.sql.foreign import translated
from compiler.suggestions import suggestion
from rules.python.declarations import PythonRule, calling
from rules.python.faults import Misuse
from rules.python.schemas import ibis_schema
from rules.storage.types import to_arrow

_FRAGMENT = "~sql"
"""The prefix of the name of the table that represents a query of `rules.sql` in an Ibis expression."""


class RuleCall:
    """One call of a rule, with the queries that `rules.sql` made in it."""

    def __init__(
        self,
        rule: PythonRule,
        inputs: Mapping[str, Schema],
        schema_of: Callable[[exp.Query], Schema],
        variable: Callable[[str], Any],
    ) -> None:
        self._rule = rule
        self._schema_of = schema_of
        self._tables = {name: _table(name, schema) for name, schema in inputs.items()}
        self._fragments: dict[str, exp.Query] = {}
        self.var = variable

    def query(self, *, fuse: bool) -> exp.Query:
        """Call the rule. Raises `Misuse`, and whatever the rule raises."""
        with calling(self):
            result = self._rule.function(**self._tables)
        if isinstance(result, str):
            raise Misuse("a rule returns an Ibis expression, not text", "return rules.sql(…)")
        if not isinstance(result, Table | Column | Scalar):
            kind = "nothing" if result is None else type(result).__name__
            raise Misuse(
                f"'{self._rule.name}' returns {kind}, not an Ibis expression", "return the table that it makes"
            )
        return self._compiled(result, fuse=fuse)

    def sql(self, written: str | exp.Expr, tables: dict[str, Any], dialect: str | None = None) -> Any:
        """Return the table of a query in SQL; it may name the rule's inputs, and `tables`. Raises `Misuse`.

        written: text, of another `dialect` where one is given, or a SQLGlot expression.
        """
        try:
            query = parse(translated(written, dialect))
            for table in outside_tables(query):
                self._settle(table, fold(table.this), tables)
            schema = self._schema_of(query.copy())
        except SqlError as error:
            place = f"line {error.line}, column {error.column}" if error.line is not None else ""
            raise Misuse(error.message, error.hint, {"in its SQL": place} if place else {}) from error
        for node in query.walk():
            if not isinstance(node, exp.Star):  # a star's place marks it as written
                node._meta = None  # noqa: SLF001 — places in a text that is no file
        name = f"{_FRAGMENT}{len(self._fragments)}"
        self._fragments[name] = query
        return _table(name, schema)

    def _settle(self, table: exp.Table, name: str, given: Mapping[str, Any]) -> None:
        """Replace the name of an Ibis table by its query."""
        if name in given:
            if not isinstance(given[name], Table):
                raise Misuse(f"'{name}' is {type(given[name]).__name__}, not an Ibis table")
            inner = self._compiled(given[name], fuse=True)
            alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name, quoted=True))
            table.replace(exp.Subquery(this=inner, alias=alias, joins=table.args.get("joins")))
            return
        known = {one.lower() for one in self._tables} | self._tables.keys()
        if name not in known:
            hint = suggestion(name, [*self._tables, *given]) or "name it as a parameter of the rule"
            raise Misuse(f"'{name}' is not an input of '{self._rule.name}'", hint)

    def _compiled(self, expression: Any, *, fuse: bool) -> exp.Query:
        try:
            query = compile_expression(expression, fuse=fuse)
        except SqlError as error:
            raise Misuse(error.message, error.hint) from error
        for table in list(query.find_all(exp.Table)):
            fragment = self._fragments.get(table.name) if not table.args.get("db") else None
            if fragment is not None:
                alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name, quoted=True))
                table.replace(exp.Subquery(this=fragment.copy(), alias=alias, joins=table.args.get("joins")))
        return query


def _table(name: str, schema: Schema) -> Any:
    return ibis.table(ibis_schema(to_arrow(schema)), name=name)
