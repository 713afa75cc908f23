"""Whether the engine's plan of a query keeps rows in an order: tier 1 is refused where an operator would break it."""

from __future__ import annotations

from datafusion import ExecutionPlan

from rules.engine.protocol import EngineError

_BREAKING = {
    "UnionExec": "UNION ALL, whose branches run side by side",
    "InterleaveExec": "UNION ALL, whose branches run side by side",
    "RepartitionExec": "a distribution of rows among partitions",
    "CoalescePartitionsExec": "a merger of partitions, which takes rows as they come",
}
_SORTING = ("SortExec", "SortPreservingMergeExec")


def require_in_order(plan: ExecutionPlan) -> None:
    """Raise `EngineError`, which names the operator, if rows can come in another order from run to run.

    What is below a sort does not matter.
    """
    name = plan.display().partition(":")[0].strip()
    if name in _SORTING:
        return
    children = plan.children()
    several = len(children) > 1 or any(child.partition_count > 1 for child in children) or plan.partition_count > 1
    if name in _BREAKING and several:
        raise EngineError(f"tier 1 cannot be kept: {_BREAKING[name]}, breaks the order of rows")
    for child in children:
        require_in_order(child)
