"""What an execution leaves behind: the plan that ran, what each of its operators did, the settings in force.

The engine has metrics of a plan once its stream is drained, and tells them of the same frame: nothing runs again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
from datafusion import DataFrame, SessionContext
from datafusion.plan import ExecutionPlan, MetricsSet
from datafusion.substrait import Producer

from rules.config.profiles import Profile
from rules.engine.protocol import EngineQuery, Observation, Operator
from rules.engine.session import engine_versions, make_session

_LONGEST_DETAIL = 500
"""The most characters of an operator's own text in a summary. A list of literals can be of any length."""
_NANO = 1e-9


def observe(
    session: SessionContext, frame: DataFrame, plan: ExecutionPlan, query: EngineQuery, planned: float
) -> Observation:
    """Return what happened when `frame` was drained. planned: the seconds before that. Raises the engine's exceptions.

    plan: the frame's, which ran. query: the one that the session was made for.
    """
    profile = query.profile
    full = profile.evidence == "full"
    listed = list(_listed(plan, 0))
    operators = tuple(_operator(node, depth, _LONGEST_DETAIL) for node, depth in listed)
    if not full:
        return Observation(operators, planned, _usual_settings(profile, query.partitions), _versions())
    texts = {
        "logical.txt": frame.logical_plan().display_indent(),
        "optimised.txt": frame.optimized_logical_plan().display_indent(),
        "physical.txt": plan.display_indent(),
        "metrics.json": json.dumps([_metrics(node, depth) for node, depth in listed], indent=1),
    }
    substrait, refusal = _substrait(session, frame)
    if refusal:
        texts["substrait.txt"] = refusal
    return Observation(operators, planned, _settings(session), _versions(), texts, substrait)


def spilled_bytes(plan: ExecutionPlan) -> int:
    """Return how much the operators of an executed plan have spilled."""
    found = (node.metrics() for node, _ in _listed(plan, 0))
    return sum(one.spilled_bytes or 0 for one in found if one is not None)


def _listed(plan: ExecutionPlan, depth: int) -> Iterator[tuple[ExecutionPlan, int]]:
    """Yield a plan's operators from the top, each before its inputs."""
    left = [(plan, depth)]
    while left:
        node, level = left.pop()
        yield node, level
        left += [(child, level + 1) for child in reversed(node.children())]


def _operator(node: ExecutionPlan, depth: int, longest: int) -> Operator:
    text = node.display().strip()
    name, _, detail = text.partition(":")
    name, detail = name.strip(), detail.strip()
    if len(detail) > longest:
        detail = f"{detail[:longest]}…"
    found = node.metrics()
    if found is None:
        return Operator(name, detail, depth)
    return Operator(
        name=name,
        detail=detail,
        depth=depth,
        rows=found.output_rows,
        seconds=_seconds(found),
        spills=found.spill_count or 0,
        spilled_bytes=found.spilled_bytes or 0,
    )


def _seconds(found: MetricsSet) -> float | None:
    """Return the seconds of computing. A scan counts them under a name of its own, and so does a repartition."""
    spent = [found.elapsed_compute, *map(found.sum_by_name, ("time_elapsed_processing", "repartition_time"))]
    known = [one for one in spent if one is not None]
    return sum(known) * _NANO if known else None


def _metrics(node: ExecutionPlan, depth: int) -> dict[str, object]:
    """Return all that the engine counts of an operator, partition by partition."""
    found = node.metrics()
    counted = [
        {"name": one.name, "partition": one.partition, "value": _plain(one.value), "labels": one.labels()}
        for one in (found.metrics() if found is not None else ())
    ]
    return {"operator": node.display().strip(), "depth": depth, "metrics": counted}


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int) else str(value)


def _substrait(session: SessionContext, frame: DataFrame) -> tuple[bytes, str]:
    """Return the optimised plan as Substrait, or the engine's reason why there is none.

    The bytes of one plan differ from time to time, so nothing may be keyed by them.
    """
    try:
        return Producer.to_substrait_plan(frame.optimized_logical_plan(), session).encode(), ""
    except Exception as error:  # noqa: BLE001 — of any type; a plan without Substrait is not a failure
        return b"", f"{error}\n"


def _settings(session: SessionContext) -> dict[str, str | None]:
    """Return all settings of a session, by key. Queries that are planned in it later may see these as tables."""
    session.sql("SET datafusion.catalog.information_schema = true").collect()
    found: dict[str, str | None] = {}
    for batch in session.sql("SELECT name, value FROM information_schema.df_settings ORDER BY name").collect():
        found.update(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))
    found["datafusion.catalog.information_schema"] = "false"
    return found


_usual: dict[tuple[bytes, int | None], dict[str, str | None]] = {}


def _usual_settings(profile: Profile, partitions: int | None) -> dict[str, str | None]:
    """Return the settings with which sessions of a profile begin. To ask each session costs a fifth of a small run."""
    key = msgspec.json.encode(profile), partitions
    if key not in _usual:
        _usual[key] = _settings(make_session(profile, partitions=partitions))
    return _usual[key]


def _versions() -> dict[str, str]:
    """Return the versions of the engine: of its Python package, and of the core in it, which is another."""
    known = engine_versions()
    return {"datafusion": known["package"], "datafusion core": known["core"]}
