"""The engine for programs: as the local one, but its queries run in processes that can be killed.

What it executes it executes alike. A query that calls functions of the project runs in this process, where these are,
and can be stopped only between two batches of rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rules.engine.local import LocalEngine
from rules.engine.stopping import NEVER, Stop

if TYPE_CHECKING:
    from rules.engine.protocol import Executed, Job


@dataclass(frozen=True)
class StoppableEngine(LocalEngine):
    """`Engine` whose `execute` runs elsewhere."""

    stop: Stop = NEVER

    def __reduce__(self) -> tuple[Callable[[], LocalEngine], tuple[()]]:
        """Be the local engine in another process: that one can be killed."""
        return LocalEngine, ()

    def stoppable(self, stop: Stop) -> StoppableEngine:
        """See `Engine`."""
        return StoppableEngine(stop)

    def execute(self, job: Job) -> Executed:
        """See `Engine`."""
        from rules.engine.forked_queries import ends_with_its_process
        from rules.engine.worker_process import WORKERS

        if ends_with_its_process(job):
            return super().execute(job)
        if job.query.functions or not sys.executable:  # a program that embeds Python may have no interpreter to start
            return super().execute(job)
        return WORKERS.run(job, self.stop)

    def settle(self) -> None:
        """See `Engine`."""
        super().settle()
        processes = sys.modules.get("rules.engine.worker_process")
        if processes is not None:
            processes.WORKERS.close(keep=1)


STOPPABLE = StoppableEngine()
"""The engine of builds that may have to be stopped while this process goes on."""
