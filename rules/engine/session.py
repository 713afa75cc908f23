"""Engine sessions: one fresh, fully configured session for each query, in which only its inputs exist."""

from __future__ import annotations

import functools

import pyarrow as pa
from datafusion import DataFrame, RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions
from datafusion.catalog import Schema as CatalogSchema
from datafusion.user_defined import ScalarUDF

from compiler.names.resolve import INPUT_DB
from compiler.sql.functions import ZONELESS
from rules.config.profiles import Profile
from rules.engine.settings import RESULT_SETTINGS

_NESTING = "5000"
"""Levels the engine's parser takes, 50 by default; beyond 5,000 its own stack would be at risk."""


def make_session(profile: Profile) -> SessionContext:
    """Return a session with an empty schema for inputs."""
    config = SessionConfig().with_target_partitions(profile.partitions).with_batch_size(profile.batch_size)
    for key, value in RESULT_SETTINGS.items():
        config = config.set(key, value)
    config = config.set("datafusion.sql_parser.recursion_limit", _NESTING)
    # Of groups that are ordered and limited it keeps the first ones only, and panics on a group key NaN, or repeats it.
    config = config.set("datafusion.optimizer.enable_topk_aggregation", "false")
    if profile.sorted_at_once is not None:
        config = config.set("datafusion.execution.sort_in_place_threshold_bytes", str(profile.sorted_at_once))
    runtime = RuntimeEnvBuilder()
    if profile.memory_limit_mb is not None:
        runtime = runtime.with_disk_manager_os().with_fair_spill_pool(profile.memory_limit_mb * 1024 * 1024)
    session = SessionContext(config, runtime)
    session.catalog().register_schema(INPUT_DB, CatalogSchema.memory_schema())
    _register_zoneless(session)
    return session


def plan_query(session: SessionContext, sql: str) -> DataFrame:
    """Plan a query: the one way by which text becomes something that the engine executes.

    DDL, DML (COPY too) and statements such as SET are refused. Tables are what was registered: the session reads no
    file that a query names, and its table functions (`generate_series`, `range`) make rows of their arguments alone.
    Raises what the engine raises.
    """
    return session.sql_with_options(sql, _queries_alone())


def planned_schema(session: SessionContext, frame: DataFrame) -> pa.Schema:
    """Return the schema of what the engine would execute for a frame, as it has planned it.

    The frame's own schema is not always what comes out: an int UNION ALL bigint is announced as int. What the optimiser
    leaves, types coerced, is.
    """
    schema: pa.Schema = session.create_dataframe_from_logical_plan(frame.optimized_logical_plan()).schema()
    return schema


@functools.cache
def _queries_alone() -> SQLOptions:
    return SQLOptions().with_allow_ddl(allow=False).with_allow_dml(allow=False).with_allow_statements(allow=False)


def ignore_statistics(session: SessionContext) -> None:
    """Let the queries to come know nothing of whole files: neither which columns are constant nor how many rows.

    Row groups are still chosen by their own statistics. There is no such setting for one table, so joins are ordered
    without knowing which side is small.
    """
    session.sql("SET datafusion.execution.collect_statistics = false").collect()
    _register_zoneless(session)


def _register_zoneless(session: SessionContext) -> None:
    for function in _zoneless():
        session.register_udf(function)


@functools.cache
def _zoneless() -> tuple[ScalarUDF, ...]:
    """Return the functions that must not know the session's time zone, as a session without one has them.

    With `execution.time_zone` set, they promise timestamps of that zone and yield some without it: they fail on every
    column of text. That setting must stay: TIMESTAMPTZ has its zone by it, and it is in every fingerprint. Only rules
    that call these functions have another fingerprint than before (see `compiler.engine_sql.corrections`). Whenever
    something is SET in a session, the engine makes its own functions anew, and these have to be registered again.
    """
    plain = SessionContext()
    return tuple(plain.udf(name) for name in ZONELESS)


def qualified_name(name: str, db: str = INPUT_DB) -> str:
    """Return how the engine's registration calls spell an input's name."""
    return f'{db}."{name}"'
