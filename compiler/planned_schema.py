"""The schema of a query: remembered, or planned by the engine, whose refusals are explained to the author."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from compiler.compiled import EngineIdentity
from compiler.engine_sql import timestamps
from compiler.engine_sql.sure_plans import is_sure
from compiler.engine_sql.trial import is_of_itself, needs_trial
from compiler.errors import SqlError
from compiler.fingerprint import digest_of, fingerprint
from compiler.names.user_functions import CALLS, OwnFunction
from compiler.schema import Schema, SchemaPlanner
from compiler.sql.dialect import render
from compiler.tree.walk import find_all


@dataclass(frozen=True)
class PlannedSchemas:
    """Schemas of queries over inputs.

    known: the schemas of the inputs. remembered: the schema under a key, if it was planned before. own: the project's
    functions.
    """

    known: Mapping[str, Schema]
    engine: EngineIdentity
    planner: SchemaPlanner
    remembered: Callable[[str], Schema | None]
    own: Mapping[str, OwnFunction]

    def schema(self, scans: Mapping[str, tuple[str, ...]], executed: exp.Query, sql: str) -> Schema:
        """Return the schema of a query: remembered for this SQL and these input types, else planned.

        scans: the columns that it may see of each input. sql: what `executed` is as text. Of two forms of one
        fingerprint the engine may be able to plan one alone, so that it does not tell. Raises `SqlError`.
        """
        key = self._key(scans, executed, sql)
        schema = self.remembered(key)
        if schema is None:
            schema = self._planned(sql, scans, executed, key)
        if list(schema.names) != executed.named_selects:
            from compiler.engine_errors.planning import other_columns_error

            raise other_columns_error(executed, schema.names)
        return schema

    def _key(self, scans: Mapping[str, tuple[str, ...]], executed: exp.Query, sql: str) -> str:
        types = {
            name: [(column.name, column.type) for column in self.known[name].columns if column.name in scans[name]]
            for name in sorted(scans)
        }
        called = {call.name for call in find_all(executed, *CALLS.values())} if self.own else set()
        return fingerprint(
            {
                "sql": digest_of(sql.encode()),
                "types": types,
                "engine": [self.engine.version, self.engine.settings],
                "functions": {name: one.digest for name, one in sorted(self.own.items()) if name in called},
            }
        )

    def _planned(self, sql: str, scans: Mapping[str, tuple[str, ...]], executed: exp.Query, key: str) -> Schema:
        """Have the engine plan; what it refuses is explained to the author."""
        shown = {name: (self.known[name], frozenset(columns)) for name, columns in scans.items()}

        def probe(part: exp.Query) -> str | None:
            try:
                return self.planner.problem(render(part), shown)
            except SqlError:  # a part that cannot be written alone
                return None

        def try_part(part: exp.Query) -> str | None:
            try:
                return self.planner.trial(render(part), shown)
            except SqlError:
                return None

        if needs_trial(executed):
            said = self.planner.trial(sql, shown)
            if said is not None and is_of_itself(said):
                raise self._explained(SqlError(said, code="engine"), executed, try_part)
        try:
            return self.planner.plan_schema(sql, shown, key, sure=is_sure(executed))
        except SqlError as error:
            raise self._explained(error, executed, probe) from error

    def _explained(self, error: SqlError, executed: exp.Query, probe: Callable[[exp.Query], str | None]) -> SqlError:
        beyond = timestamps.overflow(error.message, executed, self.known, executed)
        from compiler.engine_errors.planning import explained  # only a query that is refused pays for it

        return beyond or explained(error, executed, probe)
