"""The files of unit tests: `tests/**/NAME.toml` and `tests/**/NAME.sql`, where NAME is the rule.

A TOML file has one test, or several in [[test]]: `given` has rows for each input that the rule reads, `expect` those
that it has to yield. Rows are a list of tables, the path of a CSV or Parquet file beside the test, or a query. A SQL
file is one test: a CTE for each input, and the query of the rows that are expected.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from compiler.errors import SqlError
from compiler.names.cte_query import query_of_cte
from compiler.parse_rule import parse_written
from compiler.tree.big_stack import with_deep_stack
from rules.config.project import read_text
from rules.config.toml_documents import TomlError, end_of, parse_toml
from rules.config.toml_positions import closest, key_places
from rules.config.toml_types import did_you_mean
from rules.errors import UserError, UserErrors, Where
from rules.loading.rule_texts import user_error

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from sqlglot import exp

FOLDER = "tests"
_KEYS = ("name", "rule", "vars", "given", "expect", "columns", "ordered")
_FILES = (".csv", ".parquet")


@dataclass(frozen=True)
class Rows:
    """Rows as their author wrote them: tables, or a file, or a query. text: that the query is in; where: of them."""

    where: Where
    inline: tuple[Mapping[str, Any], ...] = ()
    file: Path | None = None
    query: exp.Query | None = None
    text: str = ""


@dataclass(frozen=True)
class UnitTest:
    """A test of a rule. ordered: whether the order of rows is a part of it; None: if the rule's query orders them.

    variables: values of variables that are other than the project's, as `--var` has them ("name=value"). columns: what
    is compared; none: what the rows of `expect` name.
    """

    name: str
    rule: str
    where: Where
    given: Mapping[str, Rows] = field(default_factory=dict)
    expect: Rows | None = None
    ordered: bool | None = None
    variables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


def find_tests(root: Path, rules: Iterable[str]) -> list[UnitTest]:
    """Return the unit tests of a project, by file and in the order of each. rules: the names of its rules.

    Raises `UserErrors` for all that cannot be read as tests.
    """
    known, found, errors = set(rules), list[UnitTest](), list[UserError]()
    folder = root / FOLDER
    paths = [path for path in folder.rglob("*") if path.suffix in {".toml", ".sql"} and path.is_file()]
    for path in sorted(paths):
        shown = path.relative_to(root).as_posix()
        try:
            tests = _of_toml(path, shown) if path.suffix == ".toml" else [_of_sql(path, shown)]
            for test in tests:
                _require_rule(test, shown, known)
            found += tests
        except UserError as error:
            errors.append(error)
    names = [(test.rule, test.name) for test in found]
    for test in found:
        if names.count((test.rule, test.name)) > 1:
            message = f"two tests of {test.rule} are called '{test.name}'"
            errors.append(UserError(message, code="config", where=test.where, hint="give them names of their own"))
    if errors:
        raise UserErrors(errors)
    return found


def _require_rule(test: UnitTest, shown: str, known: Collection[str]) -> None:
    if test.rule not in known:
        message = f"{shown} tests {test.rule}, which is no rule"
        hint = f'call the file as the rule is called, or say rule = "…" in it; {did_you_mean(test.rule, known)}'
        raise UserError(message, code="unknown-product", where=test.where, hint=hint)


def _of_sql(path: Path, shown: str) -> UnitTest:
    text = read_text(path, shown)
    where = Where(shown)

    def parse() -> tuple[dict[str, exp.Query], exp.Query]:
        tree = parse_written(text, None)
        return {cte.alias: query_of_cte(text, [cte.alias]) for cte in tree.ctes}, tree

    try:
        given, tree = with_deep_stack(parse)
    except SqlError as error:
        raise user_error(error, shown) from error
    rows = {name: Rows(where, query=query, text=text) for name, query in given.items()}
    return UnitTest(path.stem, path.stem, where, rows, Rows(where, query=tree, text=text))


def _of_toml(path: Path, shown: str) -> list[UnitTest]:
    text = read_text(path, shown)
    try:
        document = parse_toml(text)
    except TomlError as error:
        raise UserError(error.message, code="config", where=Where(shown, *(error.place or end_of(text)))) from error
    reader = _Reader(path, shown, key_places(text))
    tables = document.get("test")
    if tables is None:
        return [reader.test(document, (), path.stem)]
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables) or len(document) > 1:
        message = f"{shown} has to hold either one test or tables [[test]], and nothing else"
        raise UserError(message, code="config", where=reader.where(("test",)))
    return [reader.test(one, ("test", str(number)), f"{path.stem} {number + 1}") for number, one in enumerate(tables)]


class _Reader:
    """Reads the tests of one TOML file."""

    def __init__(self, path: Path, shown: str, places: Mapping[tuple[str, ...], tuple[int, int]]) -> None:
        self._path, self._shown, self._places = path, shown, places

    def where(self, keys: tuple[str, ...]) -> Where:
        """Return the place of a key."""
        return Where(self._shown, *closest(self._places, keys))

    def test(self, table: Mapping[str, Any], keys: tuple[str, ...], name: str) -> UnitTest:
        """Return the test of a table at `keys`. name: unless it has one. Raises `UserError`."""
        for key in table:
            if key not in _KEYS:
                hint = did_you_mean(key, _KEYS) or f"a test has {', '.join(_KEYS)}"
                raise self._error(f"'{key}' is no key of a test", (*keys, key), hint)
        if "expect" not in table:
            raise self._error("the test does not say which rows it expects", keys, "expect = [] if there are none")
        given = table.get("given", {})
        if not isinstance(given, dict):
            raise self._error("given has to be a table: rows for each input", (*keys, "given"), "given.orders = [ … ]")
        for key, kind in (("name", str), ("rule", str), ("ordered", bool)):
            if not isinstance(table.get(key, kind()), kind):
                raise self._error(f"{key} has to be {'true or false' if kind is bool else 'a string'}", (*keys, key))
        return UnitTest(
            table.get("name", name),
            table.get("rule", self._path.stem),
            self.where(keys),
            {one: self._rows(rows, (*keys, "given", one)) for one, rows in given.items()},
            self._rows(table["expect"], (*keys, "expect")),
            table.get("ordered"),
            self._variables(table, keys),
            self._columns(table, keys),
        )

    def _variables(self, table: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
        found = table.get("vars", {})
        if not isinstance(found, dict):
            raise self._error("vars has to be a table: values by variable", (*keys, "vars"), "vars.today = 2026-03-04")
        for name, value in found.items():
            if not isinstance(value, bool | int | float | str | dt.date):
                raise self._error(f"{name} has to be a value, as [vars] has them", (*keys, "vars", name))
        return tuple(f"{name}={_said(value)}" for name, value in sorted(found.items()))

    def _columns(self, table: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[str, ...]:
        found = table.get("columns", [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self._error("columns has to be a list of names", (*keys, "columns"), 'columns = ["day", "revenue"]')
        return tuple(dict.fromkeys(found))

    def _rows(self, value: object, keys: tuple[str, ...]) -> Rows:
        where = self.where(keys)
        if isinstance(value, list) and all(isinstance(row, dict) for row in value):
            return Rows(where, inline=tuple(value))
        if isinstance(value, str) and value.endswith(_FILES):
            return Rows(where, file=self._path.parent / value)
        if isinstance(value, str):
            try:
                return Rows(where, query=with_deep_stack(lambda: parse_written(value, None)), text=value)
            except SqlError as error:
                raise UserError(error.message, code=error.code, where=where, hint=error.hint) from error
        message = f"{keys[-1]} has to be rows: [{{column = value, …}}, …], a CSV or Parquet file, or a query"
        raise self._error(message, keys)

    def _error(self, message: str, keys: tuple[str, ...], hint: str | None = None) -> UserError:
        return UserError(message, code="config", where=self.where(keys), hint=hint)


def _said(value: bool | float | str | dt.date) -> str:  # noqa: FBT001 — a value, not a switch
    """Return a value of a variable as `--var` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
