"""Compile one SQL text against known tables, as tests need it: with the real engine planning schemas."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from compiler.canonical.form import named_tree
from compiler.compile import Compiler
from compiler.compiled import Compiled, Options
from compiler.diff.edit_script import EditScript, edit_script
from compiler.names.qualify import InputSchemas
from compiler.variables import Value
from graph.impact import Edit, classify
from rules.config.profiles import PROFILES
from rules.engine.identity import identity
from rules.engine.planner import EnginePlanner
from rules.storage.types import to_schema


def script_between(before: Compiled, after: Compiled) -> EditScript:
    """Return where a query was edited."""
    return edit_script(named_tree(before.canonical, before.inputs), named_tree(after.canonical, after.inputs))


def edit_between(before: Compiled, after: Compiled) -> Edit:
    """Return what an edit reaches, as a plan takes it: from the edit script and from the digests."""
    return classify(before.shape, after.shape, script_between(before, after))


class TestCompiler:
    """A compiler whose inputs are `tables`; every rule may be volatile unless told otherwise."""

    __test__ = False

    def __init__(
        self, tables: Mapping[str, pa.Schema], variables: Mapping[str, Value] | None = None, *, as_written: bool = False
    ) -> None:
        """as_written: tables are found by their names alone, in their case."""
        schemas = InputSchemas()
        for name, schema in tables.items():
            schemas.add(name, to_schema(schema))
        profile = PROFILES["prod_fast"]
        planner = EnginePlanner(profile, lambda _key, _schema: None)
        self.compiler = Compiler(schemas, variables or {}, identity(profile), planner, lambda _key: None)
        self._names = {name if as_written else name.lower(): name for name in tables}

    def compile(self, sql: str, options: Options = Options(volatile=True)) -> Compiled:  # noqa: B008 — immutable
        """Compile a query. Raises `SqlError`."""
        return self.compiler.compile_rule(sql, options, self._names.get)
