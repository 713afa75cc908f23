"""Step 6 of 7, execute, for one product: run its SQL on exactly the columns it may read; write and digest the result.

Only the query's inputs are registered, each with only the columns of its scan set, so a rule cannot depend on
anything its action key does not cover.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

from datafusion import DataFrame, SessionContext

from compiler.compiled import Tier
from rules.engine.failures import engine_errors
from rules.engine.observing import observe, spilled_bytes
from rules.engine.plan_order import require_in_order
from rules.engine.protocol import EngineQuery, Executed, Job
from rules.engine.scanning import register_inputs, takes_first_files
from rules.engine.session import ignore_statistics, make_session, plan_query, planned_schema
from rules.engine.shared_planning import SharedPlanning, shared_planning
from rules.engine.stopping import NEVER, Stop
from rules.engine.user_functions import register
from rules.engine.writing import ProductWriter

_SORTED = re.compile(r"\b(?:ORDER BY|OVER|DISTINCT ON|WITHIN GROUP)\b", re.IGNORECASE)
_WINDOW = re.compile(r"\bOVER\s*\(", re.IGNORECASE)
_ORDERED = re.compile(r"\bORDER BY\b", re.IGNORECASE)
_PRUNING = "datafusion.execution.parquet.pruning"


def execute(job: Job, stop: Stop = NEVER) -> Executed:
    """Run a query and write its result. Raises `EngineError`, `StoppedError` and OSError."""
    started, profile = time.perf_counter(), job.query.profile
    with engine_errors():
        shared = shared_planning(job.build)
        session, frame, statistics = _open(job.query, job.target.parent, shared)
        is_single = job.query.partitions is None
        with ProductWriter(job.target, job.schema, job.order, in_order=is_single or not job.order) as writer:
            writer.require_planned(planned_schema(session, frame))  # a table without rows has no batch that shows it
            plan = shared.plan(frame, profile, statistics=statistics) if job.build and is_single else None
            planned = time.perf_counter() - started
            for batch in frame.execute_stream() if plan is None else session.execute(plan, 0):
                stop.check()
                writer.write(batch.to_pyarrow())
            digest = writer.finish()
        plan = plan or frame.execution_plan()
        if Tier(profile.tier or 0) is Tier.STABLE:
            require_in_order(plan)
        observed = None if profile.evidence == "none" else observe(session, frame, plan, job.query, planned)
        spilled = spilled_bytes(plan)
    done = Executed.of(digest, job.schema, started)
    return replace(done, spilled=spilled, partitions=job.query.partitions, observed=observed)


def open_frame(query: EngineQuery, scratch: Path) -> DataFrame:
    """Plan a query in a session of its own. `scratch`: a folder for links. Raises the engine's exceptions."""
    return _open(query, scratch, shared_planning(""))[1]


def _open(query: EngineQuery, scratch: Path, shared: SharedPlanning) -> tuple[SessionContext, DataFrame, bool]:
    """Return a session, the frame of a query in it, and whether the session trusts statistics of whole files."""
    profile = query.profile
    session = make_session(profile, scratch, _sorts(query.sql), query.partitions)
    register(session, query.functions)
    # For registered files the engine does not ask the setting, which may also be given by its key.
    pruning = profile.pruning and profile.engine_keys.get(_PRUNING) != "false"
    views = profile.text_views
    statistics = register_inputs(session, query.inputs, scratch, shared, pruning=pruning, views=views)
    frame = plan_query(session, query.sql)
    if any(len(entry.files) > 1 for entry in query.inputs) and takes_first_files(frame):
        ignore_statistics(session)
        return session, plan_query(session, query.sql), False
    return session, frame, statistics


def _sorts(sql: str) -> int:
    """Return about how many sorts a query runs at once, rather too many: the physical plan is known too late.

    A window is sorted once, by its partitions and then by its order.
    """
    in_windows = 0
    for found in _WINDOW.finditer(sql):
        end, depth = found.end(), 1
        while depth and end < len(sql):
            depth += {"(": 1, ")": -1}.get(sql[end], 0)
            end += 1
        in_windows += _ORDERED.search(sql, found.end(), end) is not None
    return len(_SORTED.findall(sql)) - in_windows
