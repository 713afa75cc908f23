"""The engine in this process, DataFusion. It is imported once it plans or runs something."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rules.engine import identity
from rules.engine.allocator import OPTIONS_WITH_LIMIT, choose
from rules.engine.protocol import Engine
from rules.engine.stopping import NEVER, Stop

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    import pyarrow as pa

    from compiler.compiled import EngineIdentity
    from compiler.schema import Schema, SchemaPlanner
    from rules.config.profiles import Profile
    from rules.engine.protocol import EngineFunction, EngineQuery, Executed, Job


@dataclass(frozen=True)
class LocalEngine(Engine):
    """`Engine` by functions of this package. stop: ends a query between two batches."""

    stop: Stop = NEVER
    lasting: ClassVar[bool] = True

    def __reduce__(self) -> tuple[Callable[[], LocalEngine], tuple[()]]:
        """Leave behind what only this process can ask."""
        return LocalEngine, ()

    def stoppable(self, stop: Stop) -> LocalEngine:
        """See `Engine`."""
        return LocalEngine(stop)

    def identity(self, profile: Profile) -> EngineIdentity:
        """See `Engine`."""
        return identity.identity(profile)

    def load(self) -> None:
        """See `Engine`."""
        import rules.engine.planner  # noqa: F401 — for its imports

    def require(self, profile: Profile) -> None:
        """See `Engine`."""
        if profile.memory_limit_mb is not None:
            choose(OPTIONS_WITH_LIMIT)
        # All else is known to be right without the engine.
        if profile.engine_keys or profile.temp_directory is not None:
            from rules.engine.session import make_session

            make_session(profile)

    def planner(
        self, profile: Profile, remember: Callable[[str, Schema], None], functions: Iterable[EngineFunction]
    ) -> SchemaPlanner:
        """See `Engine`."""
        from rules.engine.planner import EnginePlanner

        return EnginePlanner(profile, remember, functions)

    def execute(self, job: Job) -> Executed:
        """See `Engine`."""
        from rules.engine.execute import execute
        from rules.engine.forked_queries import FORKS, ends_with_its_process

        return FORKS.run(job, self.stop) if ends_with_its_process(job) else execute(job, self.stop)

    def settle(self) -> None:
        """See `Engine`."""
        forked_queries = sys.modules.get("rules.engine.forked_queries")
        if forked_queries is not None:
            forked_queries.FORKS.close()

    def stream(self, query: EngineQuery, schema: pa.Schema, scratch: Path) -> Generator[pa.RecordBatch]:
        """See `Engine`."""
        from rules.engine.streaming import stream

        return stream(query, schema, scratch)


LOCAL = LocalEngine()
"""The engine of every run that is not given another."""
