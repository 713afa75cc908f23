"""Planning a project in which the rule that most depends on was edited; nothing is compiled any more."""

from __future__ import annotations

from typing import Any

from benchmarks.parts.built import Built
from graph.dag import Dag
from graph.plan import Plan, make_plan
from rules.build import prepare
from rules.config.project import load_project
from rules.planning.prepared import Request


def test_order(benchmark: Any, built: Built) -> None:
    """Order the products."""
    assert benchmark(lambda: Dag(built.prepared.session.dag.inputs).order) == built.prepared.session.dag.order


def test_plan(benchmark: Any, built: Built) -> None:
    """Judge every product."""
    prepared = built.prepared
    nodes = {name: prepared.compiled.rules[name].node for name in prepared.order}

    def plan() -> Plan:
        return make_plan(nodes, prepared.contents, prepared.known, built.store.content, frozenset())

    assert benchmark(plan).judgements[built.edited].verdict == "run"


def test_prepare(benchmark: Any, built: Built) -> None:
    """All that comes before execution: load, look up what is compiled, plan."""
    project = load_project(built.root)
    assert benchmark(prepare, project, Request(), built.store).plan.summary == built.prepared.plan.summary
