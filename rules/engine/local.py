"""The engine in this process, DataFusion. It is imported once it plans or runs something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.engine import identity
from rules.engine.protocol import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    import pyarrow as pa

    from compiler.compiled import EngineIdentity
    from compiler.schema import Schema, SchemaPlanner
    from rules.config.profiles import Profile
    from rules.engine.protocol import EngineFunction, EngineInput, Executed


class LocalEngine(Engine):
    """`Engine` by functions of this package."""

    def identity(self, profile: Profile) -> EngineIdentity:
        """See `Engine`."""
        return identity.identity(profile)

    def load(self) -> None:
        """See `Engine`."""
        import rules.engine.planner  # noqa: F401 — for its imports

    def require(self, profile: Profile) -> None:
        """See `Engine`."""
        if profile.engine or profile.temp_directory is not None:  # all else is known to be right without the engine
            from rules.engine.session import make_session

            make_session(profile)

    def planner(
        self, profile: Profile, remember: Callable[[str, Schema], None], functions: Iterable[EngineFunction]
    ) -> SchemaPlanner:
        """See `Engine`."""
        from rules.engine.planner import EnginePlanner

        return EnginePlanner(profile, remember, functions)

    def execute(
        self,
        sql: str,
        inputs: Iterable[EngineInput],
        schema: Schema,
        target: Path,
        profile: Profile,
        functions: Iterable[EngineFunction],
    ) -> Executed:
        """See `Engine`."""
        from rules.engine.execute import execute

        return execute(sql, inputs, schema, target, profile, functions)

    def stream(
        self,
        sql: str,
        inputs: Iterable[EngineInput],
        schema: pa.Schema,
        scratch: Path,
        profile: Profile,
        functions: Iterable[EngineFunction],
    ) -> Generator[pa.RecordBatch]:
        """See `Engine`."""
        from rules.engine.streaming import stream

        return stream(sql, inputs, schema, scratch, profile, functions)


LOCAL = LocalEngine()
"""The engine of every run that is not given another."""
