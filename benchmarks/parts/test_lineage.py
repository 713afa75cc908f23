"""Column lineage of a whole project: read from the index, and walked up and down."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.parts.built import Built
from graph.lineage import Lineage, Name
from rules.inspect.lineage import trace


@pytest.fixture(scope="session")
def lineage(built: Built) -> Lineage:
    """Return the lineage of the built project."""
    return trace(built.root, print).lineage


def test_trace(benchmark: Any, built: Built, lineage: Lineage) -> None:
    """Read everything from the index."""
    assert benchmark(trace, built.root, print).lineage.columns == lineage.columns


def test_upstream(benchmark: Any, built: Built, lineage: Lineage) -> None:
    """Follow a column of every product to its sources."""
    names = [Name(product, lineage.columns[product][1]) for product in built.prepared.order]
    assert all(benchmark(lambda: [Lineage(lineage.columns, lineage.edges).upstream(name) for name in names]))


def test_downstream(benchmark: Any, lineage: Lineage) -> None:
    """Follow a column of a source to all that is made of it."""
    assert benchmark(lambda: Lineage(lineage.columns, lineage.edges).downstream(Name("s0", "val")))
