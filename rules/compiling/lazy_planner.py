"""A planner of schemas that starts its engine when the first one has to be planned."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from compiler.schema import Schema, SchemaPlanner
    from rules.config.profiles import Profile
    from rules.engine.protocol import Engine
    from rules.python.rule_files import DeclaredFunction


class LazyPlanner:
    """Starts the engine when the first schema has to be planned, which a cosmetic edit never needs."""

    def __init__(
        self,
        engine: Engine,
        profile: Profile,
        remember: Callable[[str, Schema], None],
        functions: Iterable[DeclaredFunction] = (),
    ) -> None:
        """functions: those of the project."""
        self._engine = engine
        self._profile = profile
        self._remember = remember
        self._functions = functions

    def plan_schema(
        self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]], key: str, *, sure: bool = False
    ) -> Schema:
        """See `compiler.schema.SchemaPlanner`."""
        return self._planner.plan_schema(sql, inputs, key, sure=sure)

    def problem(self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]]) -> str | None:
        """See `compiler.schema.SchemaPlanner`."""
        return self._planner.problem(sql, inputs)

    def trial(self, sql: str, inputs: dict[str, tuple[Schema, frozenset[str]]]) -> str | None:
        """See `compiler.schema.SchemaPlanner`."""
        return self._planner.trial(sql, inputs)

    @cached_property
    def _planner(self) -> SchemaPlanner:
        return self._engine.planner(self._profile, self._remember, [one.for_engine() for one in self._functions])
