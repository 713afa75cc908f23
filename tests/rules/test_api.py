"""The Python API: what programs and notebooks see of a project."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from rules import Project, UserError, UserErrors
from support.memory import PEAK
from support.projects import WITHOUT_PANDAS, SampleProject


@pytest.fixture
def sample(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    sample.parquet("orders", {"id": [1, 2, 3], "region": ["EU", "US", "EU"], "amount": [10.5, 20.0, 30.0]})
    sample.sql("large", "SELECT o.id, o.region, o.amount FROM orders AS o WHERE o.amount > 10")
    sample.sql("total", "SELECT l.region, SUM(l.amount) AS total FROM large AS l GROUP BY l.region")
    return sample


def test_build_plan_and_read(sample: SampleProject) -> None:
    project = Project.open(sample.root / "rules")  # from any folder of the project
    assert project.plan().dirty == ["large", "total"]
    build = project.build("large")
    assert (build.ok, build.results["large"].rows) == (True, 3)
    assert project.products() == ["large"]
    assert project.build().summary["executed"] == 1
    assert project.plan().dirty == []
    reader = project.read("large", ["amount", "id"])
    assert isinstance(reader, pa.RecordBatchReader)
    assert reader.read_all().to_pydict() == {"amount": [10.5, 20.0, 30.0], "id": [1, 2, 3]}
    assert project.read("total").schema.names == ["region", "total"]


def test_tables_run_on_our_engine(sample: SampleProject) -> None:
    project = Project(sample.root)
    project.build()
    large, total = project.table("large"), project.table("total")
    joined = large.join(total, "region").mutate(share=ibis._.amount / ibis._.total).order_by("id").select("id", "share")
    assert joined.to_pyarrow().column("share").to_pylist() == [10.5 / 40.5, 1.0, 30 / 40.5]
    assert large.count().execute() == 3
    assert large.amount.max().to_pyarrow().as_py() == 30.0
    assert sorted(large.region.to_pyarrow().to_pylist()) == ["EU", "EU", "US"]
    assert [batch.num_rows for batch in large.limit(2).to_pyarrow_batches()] == [2]


def test_tables_become_pandas_objects_and_files(sample: SampleProject) -> None:
    project = Project(sample.root)
    project.build()
    large = project.table("large")
    assert large.order_by("id").to_pandas()["amount"].tolist() == [10.5, 20.0, 30.0]
    assert large.amount.max().execute() == 30.0
    assert [len(frame) for frame in large.to_pandas_batches()] == [3]
    assert large.to_pyarrow().schema.field("region").type == pa.string()
    large.to_parquet(sample.root / "large.parquet")
    assert pq.read_table(sample.root / "large.parquet").num_rows == 3
    large.order_by("id").select("id", "region").to_csv(sample.root / "large.csv")
    assert sample.read("large.csv") == '"id","region"\n1,"EU"\n2,"US"\n3,"EU"\n'


@pytest.mark.slow
def test_without_pandas_tables_say_what_to_install(sample: SampleProject) -> None:
    script = f"""{WITHOUT_PANDAS}
from rules import Project, UserError
project = Project()
project.build()
print(project.table("large").amount.max().execute(), project.table("large").to_pyarrow().num_rows)
try:
    project.table("large").to_pandas()
except UserError as error:
    print(error.message, "|", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=sample.root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "30.0 3",
        "pandas is not installed | pip install 'leastwork-rules[pandas]', or ask for Arrow: .to_pyarrow()",
    ]


def test_a_table_is_written_as_any_kind_of_file(sample: SampleProject, tmp_path: Path) -> None:
    project = Project(sample.root)
    project.build()
    table = project.table("large")
    expected = table.to_pyarrow()
    table.to_parquet(tmp_path / "one.parquet")
    table.to_parquet_dir(tmp_path / "many")
    table.to_csv(tmp_path / "one.csv")
    table.to_json(tmp_path / "one.json")
    table.limit(0).to_json(tmp_path / "none.json")
    assert pq.read_table(tmp_path / "one.parquet") == expected
    assert pq.read_table(tmp_path / "many") == expected
    assert csv.read_csv(tmp_path / "one.csv") == expected
    assert json.loads((tmp_path / "one.json").read_text()) == expected.to_pylist()
    assert json.loads((tmp_path / "none.json").read_text()) == []
    for refuse in (table.to_polars, lambda: table.to_xlsx("x.xlsx")):
        with pytest.raises(UserError) as caught:
            refuse()
        assert caught.value.hint


def test_expressions_are_executed_around_faults_of_the_engine(sample: SampleProject) -> None:
    sample.sql("many", "SELECT s.v % 2 AS v, s.v AS w FROM generate_series(1, 5) AS s(v)")
    project = Project(sample.root)
    project.build()
    many = project.table("many").select("v")
    once = many.distinct()
    left = many.difference(once, distinct=False).to_pyarrow().column("v").to_pylist()
    assert sorted(left) == [0, 1, 1]  # EXCEPT ALL takes a row away for each; the engine takes all that are equal
    both = many.intersect(many, distinct=False).to_pyarrow().num_rows
    assert both == 5
    reused = many.group_by("v").aggregate(n=many.count())
    assert reused.join(reused.view(), "v").to_pyarrow().num_rows == 2
    assert many.alias("m").sql("SELECT COUNT(*) AS n FROM m").to_pyarrow().to_pylist() == [{"n": 5}]


def test_lineage_and_diff(sample: SampleProject) -> None:
    project = Project(sample.root)
    project.build()
    assert project.lineage("total.total").sources == ["orders.amount", "orders.region"]
    assert not project.diff()
    sample.edit("rules/large.sql", "> 10", "> 15")
    diff = project.diff()
    assert diff
    assert diff.rules == {"large": "row"}
    assert "amount > 15" in repr(diff)


def test_errors_say_where(sample: SampleProject) -> None:
    project = Project(sample.root)
    with pytest.raises(UserError, match="there is no product 'totl'") as caught:
        project.read("totl")
    assert caught.value.hint == "rules build -s +totl"
    sample.edit("rules/large.sql", "o.amount > 10", "o.amont > 10")
    with pytest.raises(UserErrors, match="unknown column 'amont'") as several:
        project.build()
    assert "rules/large.sql:1:" in several.value.__notes__[0]
    with pytest.raises(UserError, match=r"no rules.toml"):
        Project.open(sample.root.parent)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"force": True}, "force takes selectors, each a text, not True"),
        ({"exclude": ["total", 5]}, "exclude takes selectors, each a text, not 5"),
        ({"jobs": 0}, "jobs must be a whole number of at least 1, not 0"),
        ({"jobs": "2"}, "jobs must be a whole number of at least 1, not '2'"),
    ],
)
def test_a_wrong_argument_is_a_user_error(sample: SampleProject, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        Project(sample.root).build(**options)
    with pytest.raises(UserError, match="select takes selectors"):
        Project(sample.root).plan(["total"])  # type: ignore[arg-type]


def test_one_column_is_named_by_a_text(sample: SampleProject) -> None:
    project = Project(sample.root)
    project.build()
    assert project.read("large", "amount").schema.names == project.read("large", ["amount"]).schema.names


def test_a_failed_product_is_in_the_result(sample: SampleProject) -> None:
    sample.sql("bad", "SELECT CAST(o.region AS INT) AS n FROM orders AS o")
    build = Project(sample.root).build(keep_going=True)
    assert not build.ok
    assert build.results["bad"].error is not None
    assert build.results["total"].status == "executed"
    assert "error: " in repr(build)


def test_notebook_forms(sample: SampleProject) -> None:
    project = Project(sample.root)
    assert "<td>large</td><td>run</td><td>new rule</td>" in project.plan()._repr_html_()
    assert "<td>total</td><td>executed</td><td>2</td>" in project.build()._repr_html_()
    assert "<pre>total.total" in project.lineage("total.total")._repr_html_()
    assert repr(project) == "<project project>"
    assert "nothing" in repr(project.build()) or "2 clean" in repr(project.build())


@pytest.mark.slow
def test_reading_streams(sample: SampleProject) -> None:
    """A product of 160 MB is read within 100 MB more than what the libraries take."""
    rows = 5_000_000
    numbers = np.random.default_rng(1).integers(0, 1 << 60, size=(4, rows))
    sample.parquet("orders", {f"c{number}": column for number, column in enumerate(numbers)})
    sample.write("rules/large.sql", "SELECT * FROM orders AS o")
    (sample.root / "rules" / "total.sql").unlink()
    Project(sample.root).build()
    script = f"""{PEAK}
from rules import Project
reader = Project().read("large")
before = peak()
print(sum(batch.num_rows for batch in reader), peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=sample.root, capture_output=True, text=True, check=True)
    count, more = map(int, done.stdout.split())
    assert count == rows
    assert more < 100_000


def test_importing_the_package_is_cheap() -> None:
    script = "import sys, rules; print([n for n in ('msgspec', 'ibis', 'pyarrow', 'rules.api') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
