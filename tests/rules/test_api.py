"""The Python API: what programs and notebooks see of a project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
