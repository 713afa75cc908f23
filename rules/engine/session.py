"""Engine sessions: one fresh, fully configured session for each query, in which only its inputs exist."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
from datafusion import DataFrame, RuntimeEnvBuilder, SessionConfig, SessionContext, SQLOptions
from datafusion.catalog import Schema as CatalogSchema
from datafusion.user_defined import ScalarUDF

from compiler.schema import INPUT_DB
from compiler.sql.zoneless import ZONELESS
from rules.config.profiles import SETTINGS, Profile
from rules.engine.failures import clean_message
from rules.engine.memory import pool_bytes, reservation_bytes
from rules.engine.settings import RESULT_SETTINGS
from rules.errors import UserError, is_panic

_RUNTIME = "datafusion.runtime."
_MADE_WITH = {"partitions", "batch_size", "memory_limit_mb", "sort_reservation_mb", "temp_directory"}
"""Settings that a session is made with, so that they need no key of their own."""
_QUOTE = "'"
_NESTING = "5000"
"""The levels that the engine's parser accepts, by default 50; beyond 5,000 its own stack would be at risk."""


def make_session(
    profile: Profile, spill: Path | None = None, sorts: int = 0, partitions: int | None = None
) -> SessionContext:
    """Return a session with an empty schema for inputs.

    spill: the folder for what does not fit into memory, unless the profile names one; None for a session that only
    plans. sorts: see `reservation_bytes`. partitions: if not the profile's number. Raises `UserError` for a setting
    that the engine refuses.
    """
    partitions = partitions or profile.partitions
    config = SessionConfig().with_target_partitions(partitions).with_batch_size(profile.batch_size)
    if partitions > 1:
        # Otherwise files move between partitions as these become idle, and sums of floats differ from run to run.
        config = config.set("datafusion.execution.enable_file_stream_work_stealing", "false")
    config = config.set("datafusion.execution.sort_spill_reservation_bytes", str(reservation_bytes(profile, sorts)))
    # Footers that are read side by side start a thread each, and each thread then keeps the memory of the last row
    # group that it has read: 29 files of 11 MB took 400 MiB to scan, and 130 with this.
    config = config.set("datafusion.execution.meta_fetch_concurrency", "1")
    at_run_time = {}
    for key, value in given_keys(profile).items():
        if key.startswith(_RUNTIME):
            at_run_time[key] = value
        else:
            config = _set(config, key, value, profile)
    for key, value in RESULT_SETTINGS.items():
        config = config.set(key, value)
    config = config.set("datafusion.sql_parser.recursion_limit", _NESTING)
    # With it the engine keeps only the first of ordered, limited groups, and panics on a group key NaN, or repeats it.
    config = config.set("datafusion.optimizer.enable_topk_aggregation", "false")
    if not profile.text_views:  # neither those that a CAST makes
        config = config.set("datafusion.sql_parser.map_string_types_to_utf8view", "false")
    if profile.sorted_at_once is not None:
        config = config.set("datafusion.execution.sort_in_place_threshold_bytes", str(profile.sorted_at_once))
    session = SessionContext(config, _runtime(profile, spill))
    for key, value in at_run_time.items():
        with _refusals(key, value, profile):
            session.sql(f"SET {key} = '{value.replace(_QUOTE, _QUOTE * 2)}'").collect()
    session.catalog().register_schema(INPUT_DB, CatalogSchema.memory_schema())
    _register_zoneless(session)
    return session


def given_keys(profile: Profile) -> dict[str, str]:
    """Return the engine's keys that a profile sets, other than those that every session has, as the engine spells them.

    The pool and its folder are made with the session.
    """
    found = {}
    for name, value in profile.changed().items():
        key = SETTINGS[name].key
        if key is not None and name not in _MADE_WITH:
            found[key] = SETTINGS[name].engine_text(value)
    return found | dict(profile.engine_keys)


def _runtime(profile: Profile, spill: Path | None) -> RuntimeEnvBuilder:
    """Return the pool of a session and its folder for spilling."""
    runtime = RuntimeEnvBuilder()
    own = profile.temp_directory
    if own is not None and not Path(own).is_dir():
        raise UserError(f"the temp_directory '{own}' of profile '{profile.name}' is no folder", code="setting")
    if spill is not None:  # the engine makes a folder in it at once, which would outlive a session that only plans
        runtime = runtime.with_disk_manager_specified(own or spill)
    size = pool_bytes(profile)
    return (
        runtime.with_fair_spill_pool(size) if profile.memory_pool == "fair" else runtime.with_greedy_memory_pool(size)
    )


def _set(config: SessionConfig, key: str, value: str, profile: Profile) -> SessionConfig:
    with _refusals(key, value, profile):
        return config.set(key, value)


@contextmanager
def _refusals(key: str, value: str, profile: Profile) -> Iterator[None]:
    try:
        yield
    except BaseException as error:  # panics too
        if not (isinstance(error, Exception) or is_panic(error)):
            raise
        message = f"the engine refuses '{value}' for {key}, which profile '{profile.name}' sets"
        raise UserError(message, code="setting", hint=clean_message(error)) from error


def plan_query(session: SessionContext, sql: str) -> DataFrame:
    """Plan a query: the only path from text to a plan that the engine executes.

    DDL, DML (COPY too) and statements such as SET are refused. Only registered tables exist: the session reads no
    file that a query names, and its table functions (`generate_series`, `range`) make rows only from their arguments.
    Raises the engine's exceptions.
    """
    return session.sql_with_options(sql, _queries_alone())


def planned_schema(session: SessionContext, frame: DataFrame) -> pa.Schema:
    """Return the schema of the plan that the engine would execute for a frame.

    The frame's own schema is not always the result's: an int UNION ALL bigint is announced as int. The optimiser's
    plan, with types coerced, has the right one.
    """
    schema: pa.Schema = session.create_dataframe_from_logical_plan(frame.optimized_logical_plan()).schema()
    return schema


def make_analyser(profile: Profile) -> SessionContext:
    """Return a session for `analysed_schema`."""
    session = make_session(profile)
    session.sql("SET datafusion.optimizer.max_passes = 0").collect()
    return session


def analysed_schema(analyser: SessionContext, frame: DataFrame) -> pa.Schema | None:
    """Return what `planned_schema` does, but for what is said of NULLs, in a third of its time.

    The types are coerced by the analysis alone, and the optimiser may not change names or types: it compares them after
    each of its rules, and fails. To it a text is like a view of one, though, a value like one of a dictionary, and a
    decimal like any other: one that is summed in two steps, beside COUNT(DISTINCT …), gets more digits. Texts have one
    stored type as columns, and so have values, though not within lists and structs: None where there are such, or
    decimals.

    analyser: see `make_analyser`.
    """
    plan = analyser.create_dataframe_from_logical_plan(frame.logical_plan()).optimized_logical_plan()
    schema: pa.Schema = analyser.create_dataframe_from_logical_plan(plan).schema()
    unsure = any(pa.types.is_nested(field.type) or pa.types.is_decimal(field.type) for field in schema)
    return None if unsure else schema


@functools.cache
def _queries_alone() -> SQLOptions:
    return SQLOptions().with_allow_ddl(allow=False).with_allow_dml(allow=False).with_allow_statements(allow=False)


def ignore_statistics(session: SessionContext) -> None:
    """Hide the statistics of whole files from later queries: constant columns and numbers of rows.

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
    column of text. That setting must stay: it gives TIMESTAMPTZ its zone, and it is in every fingerprint. Only rules
    that call these functions have another fingerprint than before (see `compiler.engine_sql.corrections`). Whenever
    something is SET in a session, the engine makes its own functions anew, and these have to be registered again.
    """
    plain = SessionContext()
    return tuple(plain.udf(name) for name in ZONELESS)


def qualified_name(name: str, db: str = INPUT_DB) -> str:
    """Return how the engine's registration calls spell an input's name."""
    return f'{db}."{name}"'


@functools.cache
def engine_versions() -> dict[str, str]:
    """Return the versions of the engine's Python package and of the engine inside it, which differ."""
    core = SessionContext().sql("SELECT version()").to_pydict()
    (text,) = next(iter(core.values()))
    return {"package": version("datafusion"), "core": re.sub(r"^\D*([0-9.]+).*$", r"\1", text)}
