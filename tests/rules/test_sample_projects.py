"""Every product of the sample projects is what the bare engine gives for the authored SQL."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from support.databases import same_table
from support.flights import built_flights
from support.projects import SampleProject
from support.reference import execute_reference
from support.tpcds import make_project as make_tpcds
from support.tpch import make_project


@pytest.fixture(scope="module")
def tpch(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return SampleProject.at(make_project(tmp_path_factory.mktemp("tpch") / "project"))


@pytest.fixture(scope="module")
def tpcds(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return SampleProject.at(make_tpcds(tmp_path_factory.mktemp("tpcds") / "project"))


@pytest.mark.slow
def test_flights(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    flights, document = built_flights(tmp_path_factory, tmp_path / "flights")
    assert len(document["products"]) >= 25
    assert document["summary"]["executed"] == len(document["products"])
    _compare(flights)
    _second_build_is_a_noop(flights)


@pytest.mark.slow
def test_tpch(tpch: SampleProject) -> None:
    document = tpch.build()
    assert document["summary"]["executed"] == 22
    _compare(tpch)
    _second_build_is_a_noop(tpch)


@pytest.mark.soak
def test_tpcds(tpcds: SampleProject) -> None:
    document = tpcds.build()
    assert document["summary"]["executed"] == 99
    _compare(tpcds)
    _second_build_is_a_noop(tpcds)


def _compare(project: SampleProject) -> None:
    expected = execute_reference(project.root)
    in_sql = {one["name"] for one in project.json("ls")["products"] if one["path"].endswith(".sql")}
    assert in_sql == set(expected)
    different = [name for name, table in expected.items() if not _same(table, project.product(name))]
    assert different == []


def _same(expected: pa.Table, product: pa.Table) -> bool:
    product = _plain_strings(product)
    if expected.cast(product.schema).equals(product):  # quick, and true of nearly all: one partition keeps the order
        return True
    # Sums of floats differ in their last bits where a UNION ALL hands rows over in the order in which they come.
    return same_table(expected, product, ordered=False, float_tolerance=1e-12)


def _plain_strings(table: pa.Table) -> pa.Table:
    """Views and large strings as strings, every column nullable: layouts that say nothing about a query."""
    texts = (pa.string_view(), pa.large_string())
    fields = [pa.field(field.name, pa.string() if field.type in texts else field.type) for field in table.schema]
    return table.cast(pa.schema(fields))


def _second_build_is_a_noop(project: SampleProject) -> None:
    done = project.cli("build")
    assert done.returncode == 0
    assert done.stdout.startswith("nothing to do (")
    assert SampleProject.executed(project.build()) == set()
