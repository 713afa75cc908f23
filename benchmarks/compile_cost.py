"""What compiling one rule costs, step by step, over the TPC-DS and the TPC-H queries.

Usage, from the root: python -m benchmarks.compile_cost [--runs 5] [--passes 10] [--queries]

Every query is compiled `--runs` times; its cost is the median of the runs, and the tables show the mean and the median
of that over the queries, in milliseconds of processor time (so that a busy machine shows the same). Nothing is
remembered between runs: this is what a cold build pays.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import pyarrow as pa

from compiler import compile as compiling
from compiler.canonical import form as canonical_form
from rules.cli import GARBAGE
from rules.engine.planner import EnginePlanner

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

Costs = dict[str, float]  # milliseconds, by step or by pass

STEPS = {  # of compiler.compile, by the functions it calls
    "parse": ("parse",),
    "bind": ("bind_tables", "bind_variables", "volatile_calls"),
    "qualify": ("qualified", "pruned"),
    "read sets": ("read_sets",),
    "lineage": ("column_edges",),
    "canonical": ("canonical",),
    "traits and shape": ("Types", "traits", "shape"),
    "encode": ("encode",),
    "fingerprint": ("digest_of", "fingerprint"),
    "render": ("render",),
}
PLAN = "engine's plan"


def timed(work: Callable[..., Any], costs: Costs, name: str) -> Callable[..., Any]:
    """Return `work` in a form that adds what each call takes to `costs[name]`."""

    def measured(*arguments: object, **options: object) -> object:
        start = process_time()
        try:
            return work(*arguments, **options)
        finally:
            costs[name] += 1000 * (process_time() - start)

    return measured


def watch_steps(costs: Costs) -> None:
    """Time the steps of every compilation from now on."""
    for step, functions in STEPS.items():
        for function in functions:
            setattr(compiling, function, timed(getattr(compiling, function), costs, step))
    EnginePlanner.plan_schema = timed(EnginePlanner.plan_schema, costs, PLAN)  # type: ignore[method-assign]


def watch_passes(costs: Costs) -> None:
    """Time the passes of the canonical form from now on."""
    canonical_form.PASSES = tuple(timed(one, costs, one.__name__) for one in canonical_form.PASSES)


def measure(texts: Mapping[str, str], tables: Mapping[str, pa.Schema], runs: int, steps: Costs) -> dict[str, Costs]:
    """Return, for each query, the median cost of every step."""
    from support.compiling import TestCompiler

    compiler = TestCompiler(tables)
    measured: dict[str, list[Costs]] = {name: [] for name in texts}
    for _ in range(runs + 1):
        for name, text in texts.items():
            steps.clear()
            start = process_time()
            compiler.compile(text)
            total = 1000 * (process_time() - start)
            costs = {step: steps[step] for step in (*STEPS, PLAN)}
            measured[name].append(costs | {"the rest": total - sum(costs.values()), "total": total})
    # The first round imports, fills caches and warms the processor.
    return {name: _medians(costs[1:]) for name, costs in measured.items()}


def report(title: str, measured: Mapping[str, Costs]) -> None:
    """Print one table: a line a step."""
    print(f"\n{title}: {len(measured)} queries, milliseconds a query")
    print(f"{'':24}{'mean':>9}{'median':>9}{'most':>9}")
    for step in next(iter(measured.values())):
        values = {name: costs[step] for name, costs in measured.items()}
        most = max(values, key=values.__getitem__)
        mean, median = statistics.mean(values.values()), statistics.median(values.values())
        print(f"{step:24}{mean:9.2f}{median:9.2f}{values[most]:9.2f}  {most}")


def report_passes(title: str, costs: Costs, compilations: int, most: int) -> None:
    """Print the dearest passes."""
    print(f"\n{title}: the {most} dearest of {len(costs)} passes of canonical, mean milliseconds a query")
    for name in sorted(costs, key=costs.__getitem__, reverse=True)[:most]:
        print(f"{name:32}{costs[name] / compilations:9.2f}")


def _medians(runs: Sequence[Costs]) -> Costs:
    return {step: statistics.median(run[step] for run in runs) for step in runs[0]}


def _tpcds_schemas() -> dict[str, pa.Schema]:
    from support.tpcds import schemas

    return schemas()


def _tpch_schemas() -> dict[str, pa.Schema]:
    """Return the schemas of the sample project's own generator, which is a script and no module of a package."""
    spec = importlib.util.spec_from_file_location("tpch_generate", ROOT / "fixtures" / "tpch" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {table: pa.schema(list(columns.items())) for table, columns in module.SCHEMAS.items()}


def _texts(folder: Path) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Measure what compiling one rule costs, step by step.")
    parser.add_argument("--runs", type=int, default=5, help="of which the median counts (%(default)s)")
    parser.add_argument("--passes", type=int, default=0, metavar="N", help="also show the N dearest passes")
    parser.add_argument("--queries", action="store_true", help="also show each query's total")
    options = parser.parse_args()
    gc.set_threshold(GARBAGE)  # as the command line does
    suites = {
        "TPC-DS": (_texts(ROOT / "fixtures" / "tpcds" / "rules"), _tpcds_schemas()),
        "TPC-H": (_texts(ROOT / "fixtures" / "tpch" / "rules"), _tpch_schemas()),
    }
    steps: Costs = defaultdict(float)
    passes: Costs = defaultdict(float)
    watch_steps(steps)
    if options.passes:
        watch_passes(passes)
    for title, (texts, tables) in suites.items():
        passes.clear()
        measured = measure(texts, tables, options.runs, steps)
        report(title, measured)
        if options.queries:
            print(" ".join(f"{name} {costs['total']:.0f}" for name, costs in measured.items()))
        if options.passes:
            report_passes(title, passes, (options.runs + 1) * len(texts), options.passes)


if __name__ == "__main__":
    main()
