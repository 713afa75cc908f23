"""The engine on a cluster. It runs the queries that `compiler.spark` writes; the local one plans all schemas."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.compiled import EngineIdentity
from rules.engine.protocol import Engine
from rules.engine.spark.identity import SETTINGS, version
from rules.engine.stopping import NEVER, Stop
from rules.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    import pyarrow as pa

    from compiler.schema import Schema, SchemaPlanner
    from rules.config.profiles import Profile
    from rules.engine.protocol import EngineFunction, EngineQuery, Executed, Job
    from rules.engine.spark.staging import Staging

CLIENT = "leastwork-rules[spark]"


@dataclass(frozen=True)
class SparkEngine(Engine):
    """`Engine` by a server of Spark Connect. remote: its address, sc://host:port. stop: interrupts its jobs.

    staging: where inputs and results are on S3, if the cluster and this process share no folder.
    """

    remote: str
    staging: Staging | None = None
    stop: Stop = NEVER

    def __reduce__(self) -> tuple[Callable[[str, Staging | None], SparkEngine], tuple[str, Staging | None]]:
        """Leave behind what only this process can ask."""
        return SparkEngine, (self.remote, self.staging)

    def stoppable(self, stop: Stop) -> SparkEngine:
        """See `Engine`."""
        return SparkEngine(self.remote, self.staging, stop)

    def identity(self, profile: Profile) -> EngineIdentity:
        """See `Engine`. Rules that depend on how rows are divided run elsewhere, so no setting of that kind counts."""
        del profile
        return EngineIdentity(version(), SETTINGS, {})

    def load(self) -> None:
        """See `Engine`: nothing is planned there."""

    def require(self, profile: Profile) -> None:
        """Raise `UserError` if a client is not installed, before anything runs."""
        if importlib.util.find_spec("pyspark") is None or importlib.util.find_spec("grpc") is None:
            raise UserError(
                f"profile '{profile.name}' runs rules on Spark, whose client is not installed",
                code="missing-extra",
                hint=f"pip install '{CLIENT}'",
            )
        if self.staging is not None and importlib.util.find_spec("obstore") is None:
            raise UserError(
                f"profile '{profile.name}' keeps what Spark reads on S3, whose client is not installed",
                code="missing-extra",
                hint="pip install 'leastwork-rules[remote]'",
            )

    def reach(self) -> None:
        """See `Engine`."""
        from rules.engine.spark.connection import require_listening

        require_listening(self.remote)

    def planner(
        self, profile: Profile, remember: Callable[[str, Schema], None], functions: Iterable[EngineFunction]
    ) -> SchemaPlanner:
        """See `Engine`: the local engine plans, whose types products have."""
        from rules.engine.planner import EnginePlanner

        return EnginePlanner(profile, remember, functions)

    def execute(self, job: Job) -> Executed:
        """See `Engine`. The query is in Spark SQL, and names its inputs by `compiler.spark.translation.view_name`."""
        from rules.engine.spark.execute import execute

        return execute(self.remote, job, self.stop, self.staging)

    def stream(self, query: EngineQuery, schema: pa.Schema, scratch: Path) -> Generator[pa.RecordBatch]:
        """See `Engine`."""
        from rules.engine.spark.execute import stream

        del scratch
        return stream(self.remote, query, schema, self.stop, self.staging)
