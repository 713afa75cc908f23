"""What the queries of one build share: the metadata of Parquet files, each of which is read once.

Every query has a session of its own, in which only its inputs exist, with its own pool of memory. Its physical plan
is made by a session that all queries of the build have in common. That one has no tables, as a logical plan holds its
own, and runs nothing; but the scans of the plans that it makes read the footers of files through its cache, whose size
is the profile's `metadata_cache_mb`. The engine finds metadata by a file's path, size and time, and files
by their folder alone. A build fails if a source changes meanwhile; a stored table that does is made again, and what
comes then is under another name (see `Runner`). So no build may know what another has learned.
"""

from __future__ import annotations

import threading
from pathlib import Path

from datafusion import DataFrame, SessionContext
from datafusion.plan import ExecutionPlan

from rules.config.profiles import Profile
from rules.engine.session import ignore_statistics, make_session

_BUILDS = 2
"""The number of builds that are remembered: a process may run some at once, and keeps nothing of those before."""


class SharedPlanning:
    """What one build has learned of files. For use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: list[tuple[Profile, bool, SessionContext]] = []
        self.seems_constant: dict[tuple[tuple[Path, ...], tuple[str, ...]], bool] = {}
        """Files and columns of floats → whether their statistics may be mistaken for those of constants."""
        self.folders: dict[tuple[Path, ...], Path] = {}
        """Files → the folder of links to them."""

    def plan(self, frame: DataFrame, profile: Profile, *, statistics: bool) -> ExecutionPlan | None:
        """Return a physical plan of a frame that one stream drains, else None. Raises the engine's exceptions.

        profile: of the frame's session. statistics: whether that trusts those of whole files.
        """
        if profile.partitions > 1:
            return None
        session = self._session(profile, statistics=statistics)
        plan = session.create_dataframe_from_logical_plan(frame.logical_plan()).execution_plan()
        return plan if plan.partition_count == 1 else None

    def _session(self, profile: Profile, *, statistics: bool) -> SessionContext:
        with self._lock:
            for known, trusting, session in self._sessions:
                if known == profile and trusting == statistics:
                    return session
            session = make_session(profile)
            if not statistics:
                ignore_statistics(session)
            self._sessions.append((profile, statistics, session))
            return session


_known: dict[str, SharedPlanning] = {}
_guard = threading.Lock()


def shared_planning(build: str) -> SharedPlanning:
    """Return what the queries of a build share; of "" nothing is remembered."""
    if not build:
        return SharedPlanning()
    with _guard:
        found = _known.pop(build, None) or SharedPlanning()
        _known[build] = found  # the last is the most recent
        for old in list(_known)[:-_BUILDS]:
            del _known[old]
        return found
