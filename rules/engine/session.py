"""Engine sessions: one fresh, fully configured session for each query, in which only its inputs exist."""

from __future__ import annotations

import re

from datafusion import RuntimeEnvBuilder, SessionConfig, SessionContext
from datafusion.catalog import Schema as CatalogSchema

from compiler.resolve import INPUT_DB
from rules.engine.settings import RESULT_SETTINGS
from rules.profiles import Profile

_NESTING = "5000"
"""Levels the engine's parser takes, 50 by default; beyond 5,000 its own stack would be at risk."""


class EngineError(Exception):
    """The engine refused or failed a query; the message is the engine's, on one line."""


def make_session(profile: Profile) -> SessionContext:
    """Return a session with an empty schema for inputs."""
    config = SessionConfig().with_target_partitions(profile.partitions).with_batch_size(profile.batch_size)
    for key, value in RESULT_SETTINGS.items():
        config = config.set(key, value)
    config = config.set("datafusion.sql_parser.recursion_limit", _NESTING)
    if profile.sorted_at_once is not None:
        config = config.set("datafusion.execution.sort_in_place_threshold_bytes", str(profile.sorted_at_once))
    runtime = RuntimeEnvBuilder()
    if profile.memory_limit_mb is not None:
        runtime = runtime.with_disk_manager_os().with_fair_spill_pool(profile.memory_limit_mb * 1024 * 1024)
    session = SessionContext(config, runtime)
    session.catalog().register_schema(INPUT_DB, CatalogSchema.memory_schema())
    return session


def qualified_name(name: str, db: str = INPUT_DB) -> str:
    """Return how the engine's registration calls spell an input's name."""
    return f'{db}."{name}"'


def clean_message(error: BaseException) -> str:
    """Return the engine's message on one line, without the names of its internals."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    while True:
        shorter = re.sub(
            r"^(DataFusion error|Error during planning|Schema error|Arrow error|Execution error"
            r"|Optimizer rule '\w+' failed|caused by"
            r"|External error|type_coercion|Parquet error|This feature is not implemented|Context): ?",
            "",
            text,
        )
        if shorter == text:
            return text
        text = shorter
