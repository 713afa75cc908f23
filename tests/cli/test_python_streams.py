"""Rules over Arrow streams: what they yield, what runs them again, how much memory they take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.inprocess import build, run
from support.memory import PEAK
from support.projects import SampleProject

STREAMS = '''import pyarrow as pa
import pyarrow.compute as pc

from rules import arrow, rule
from shapes import doubled

LEAST = 1


@rule(
    engine="arrow",
    output={"id": pa.int64(), "tag": pa.string()},
    reads={"orders": ["id", "tags"]},
)
def tags(orders):
    """A row for each tag."""
    for batch in orders:
        exploded = arrow.explode(batch, "tags").rename_columns(["id", "tag"])
        yield exploded.filter(pc.greater_equal(exploded["id"], LEAST))


@rule(engine="arrow", output=pa.schema([("id", pa.int64()), ("next", pa.float64())]))
def chained(tags, orders):
    ids = set(pa.Table.from_batches(tags)["id"].to_pylist())
    for batch in orders:
        kept = batch.filter(pc.is_in(batch["id"], pa.array(sorted(ids))))
        yield pa.RecordBatch.from_arrays([kept["id"], doubled(kept["amount"])], ["id", "next"])
'''


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    _orders(sample, amounts=[1.5, 2.5, 3.5])
    sample.write("shapes.py", "import pyarrow.compute as pc\n\n\ndef doubled(x):\n    return pc.multiply(x, 2)\n")
    sample.write("rules/streams.py", STREAMS)
    sample.sql("counted", "SELECT t.tag, COUNT(*) AS n FROM tags AS t GROUP BY t.tag")
    sample.sql("unnested", "SELECT o.id, unnest(o.tags) AS tag FROM orders AS o")
    return sample


def _orders(sample: SampleProject, amounts: list[float]) -> None:
    tags = pa.array([["a", "b"], None, ["a", None]], pa.list_(pa.string()))
    sample.parquet("orders", pa.table({"id": [1, 2, 3], "tags": tags, "amount": amounts}))


def executed(project: SampleProject) -> set[str]:
    found = build(project).executed
    assert run(project, "build").stdout.startswith("nothing to do")
    return found


def test_streams_in_and_out(project: SampleProject) -> None:
    assert executed(project) == {"tags", "chained", "counted", "unnested"}
    rows = [{"id": 1, "tag": "a"}, {"id": 1, "tag": "b"}, {"id": 3, "tag": "a"}, {"id": 3, "tag": None}]
    assert project.product("tags").to_pylist() == rows
    assert project.product("unnested").to_pylist() == rows
    assert project.product("chained").to_pylist() == [{"id": 1, "next": 3.0}, {"id": 3, "next": 7.0}]


EDITS: dict[str, tuple[str, str, str, set[str]]] = {
    "comment": (
        "rules/streams.py",
        "    for batch in orders:\n        exploded",
        "    # all\n    for batch in orders:\n        exploded",
        set(),
    ),
    "local variable": ("rules/streams.py", "exploded", "longer", set()),
    "unrelated function": ("rules/streams.py", "LEAST = 1\n", "LEAST = 1\n\n\ndef unrelated():\n    return 2\n", set()),
    "constant": ("rules/streams.py", "LEAST = 1", "LEAST = 2", {"tags", "counted", "chained"}),
    "constant without effect": ("rules/streams.py", "LEAST = 1", "LEAST = 0", {"tags"}),
    "helper": ("shapes.py", "pc.multiply(x, 2)", "pc.multiply(x, 3)", {"chained"}),
    "type": ("rules/streams.py", '("next", pa.float64())', '("next", pa.float32())', {"chained"}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_executes_what_it_reaches(project: SampleProject, edit: str) -> None:
    build(project)
    path, old, new, reached = EDITS[edit]
    project.edit(path, old, new)
    assert executed(project) == reached


def test_only_declared_columns_count(project: SampleProject) -> None:
    build(project)
    _orders(project, amounts=[1.5, 2.5, 9.5])
    assert executed(project) == {"chained"}


COUNTED = """import pyarrow as pa

from rules import rule


@rule(engine="arrow", output={"n": pa.int64()}, reads={"f": READ})
def n(f):
    yield pa.record_batch({"n": [sum(batch.num_rows for batch in f)]})
"""


@pytest.mark.parametrize("read", [[], ["day"], ["day", "a"]])
def test_rows_are_there_whatever_is_read_of_them(tmp_path: Path, read: list[str]) -> None:
    """Of no column, or of one that is in the names of folders, too."""
    sample = SampleProject(tmp_path, toml='\n[sources.f]\npath = "f/**/*.parquet"\n')
    for day, rows in (("1", 3), ("2", 4)):
        (tmp_path / "f" / f"day={day}").mkdir(parents=True)
        pq.write_table(pa.table({"a": range(rows)}), tmp_path / "f" / f"day={day}" / "part.parquet", row_group_size=2)
    sample.write("rules/n.py", COUNTED.replace("READ", repr(read)))
    build(sample)
    assert sample.product("n")["n"].to_pylist() == [7]


def test_lineage_is_that_of_what_is_declared(project: SampleProject) -> None:
    upstream = run(project, "lineage", "tags.tag", "--json").document["upstream"]
    assert {(one["column"], one["kind"]) for one in upstream} >= {("orders.id", "value"), ("orders.tags", "value")}
    assert "orders.amount" not in {one["column"] for one in upstream}
    assert "executed SQL" in run(project, "explain", "-v", "tags").stdout


WRONG = {
    "no output": ("@rule(engine='arrow')\ndef x(orders): ...", "a rule over streams must declare its output", 4),
    "output of Ibis": (
        "@rule(output={'a': pa.int64()})\ndef x(orders): ...",
        "'output' and 'reads' are only for rules over streams",
        4,
    ),
    "unknown column": (
        "@rule(engine='arrow', output={'a': pa.int64()}, reads={'orders': ['nothing']})\ndef x(orders): ...",
        "unknown column 'nothing'",
        4,
    ),
    "unknown input": (
        "@rule(engine='arrow', output={'a': pa.int64()}, reads={'order': ['id']})\ndef x(orders): ...",
        "'reads' names 'order', which is not an input",
        4,
    ),
    "nothing": (
        "@rule(engine='arrow', output={'a': pa.int64()})\ndef x(orders): ...",
        "the rule returns nothing, not batches",
        4,
    ),
    "other columns": (
        "@rule(engine='arrow', output={'a': pa.int64()})\ndef x(orders):\n    yield from orders",
        "the rule yields columns other than those it declares",
        4,
    ),
    "raises": (
        "@rule(engine='arrow', output={'a': pa.int64()})\ndef x(orders):\n    yield 1 / 0",
        "ZeroDivisionError: division by zero",
        6,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_located(project: SampleProject, name: str) -> None:
    text, message, line = WRONG[name]
    project.write("rules/bad.py", f"import pyarrow as pa\nfrom rules import rule\n\n{text}\n")
    document = build(project, expect=1).document
    failed = [one["error"] for one in document.get("products", []) if one["status"] == "failed"]
    error = failed[0] if failed else document["error"]
    assert (error["message"], error["where"]) == (message, f"rules/bad.py:{line}")


@pytest.mark.slow
def test_five_million_rows_stay_within_bounds(tmp_path: Path) -> None:
    """A rule over 5 million rows, 120 MB in and out, takes at most 100 MB more than one over 50,000 (measured: 50)."""
    taken = [_peak(tmp_path / str(rows), rows) for rows in (50_000, 5_000_000)]
    assert taken[1] - taken[0] < 100 * 1024


def _peak(root: Path, rows: int) -> int:
    """Return the most memory that a build took, in KiB."""
    sample = SampleProject(root, sources=["numbers"])
    numbers = np.random.default_rng(1).integers(0, 1 << 60, size=(3, rows))
    sample.parquet("numbers", {f"c{number}": column for number, column in enumerate(numbers)})
    sample.write(
        "rules/streamed.py",
        "import pyarrow as pa\nfrom rules import rule\n\n\n"
        "@rule(engine='arrow', output={'c0': pa.int64(), 'c1': pa.int64(), 'c2': pa.int64()})\n"
        "def streamed(numbers):\n    yield from numbers\n",
    )
    script = f"{PEAK}\nfrom rules.cli import main\ncode = main(['build', '-q'])\nprint(code, peak())"
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True)
    code, peak = map(int, done.stdout.split())
    assert code == 0
    assert sample.product("streamed").num_rows == rows
    return peak
