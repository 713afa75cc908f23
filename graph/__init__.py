"""The DAG of a project: order, selection, plan. Plain data, no I/O."""
