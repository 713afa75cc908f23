"""Aggregates and window functions in Python: from Ibis and by name from SQL, over groups, partitions and frames."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from support.inprocess import build, run
from support.projects import SampleProject

FUNCTIONS = '''"""Functions of many rows."""

import ibis
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from rules import rule, udf
from weights import scaled

START = 0.0


@udf.agg(any_order=True)
class mean_of:
    """The mean, as avg has it."""

    def __init__(self):
        self.total, self.count = START, 0

    def update(self, values: float) -> None:
        self.total += pc.sum(scaled(values)).as_py() or 0.0
        self.count += len(values) - values.null_count

    def state(self) -> tuple[float, int]:
        return self.total, self.count

    def merge(self, totals, counts):
        self.total += pc.sum(totals).as_py() or 0.0
        self.count += pc.sum(counts).as_py() or 0

    def evaluate(self) -> float | None:
        return self.total / self.count if self.count else None


@udf.agg(inputs=[pa.string(), pa.int64()], output=pa.string(), state=[pa.string(), pa.int64()])
class text_of_last:
    """The text beside the last number that came, whatever its order."""

    def __init__(self):
        self.last = (None, None)

    def update(self, texts, numbers):
        self.merge(texts, numbers)

    def merge(self, texts, numbers):
        if numbers[-1].is_valid:
            self.last = texts[-1].as_py(), numbers[-1].as_py()

    def state(self):
        return self.last

    def evaluate(self):
        return self.last[0]


@udf.window
def rise(values: float) -> float:
    """How much more each value is than the first of its partition."""
    return pc.subtract(values, values[0])


@udf.agg.builtin
def bit_xor(value: int) -> int: ...


@rule
def by_group(t):
    return t.group_by("g").agg(m=mean_of(t.x), b=bit_xor(t.i), few=mean_of(t.x, where=t.i > 2))


@rule
def over_all(t):
    return t.select("i", m=mean_of(t.x).over(group_by="g", order_by="i"), r=rise(_.x).over(group_by="g", order_by="i"))
'''

SQL = {
    "sql_group": "SELECT t.g, mean_of(t.x) AS m, BIT_XOR(t.i) AS b, mean_of(t.x) FILTER (WHERE t.i > 2) AS few"
    " FROM t GROUP BY t.g",
    "sql_over": "SELECT t.i, mean_of(t.x) OVER (PARTITION BY t.g ORDER BY t.i ROWS BETWEEN UNBOUNDED PRECEDING"
    " AND UNBOUNDED FOLLOWING) AS m, rise(t.x) OVER (PARTITION BY t.g ORDER BY t.i) AS r FROM t",
    "running": "SELECT t.i, mean_of(t.x) OVER (ORDER BY t.i) AS m FROM t",
    "nothing": "SELECT mean_of(t.x) AS m FROM t WHERE t.i > 100",
    "last": "SELECT text_of_last(t.g, t.i) AS l FROM t",
    "plain": "SELECT t.i FROM t",
}

WIDE = "\n[profiles.prod_fast]\npartitions = 4\n"


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["t"])
    sample.parquet("t", {"g": ["a", "b", "a", "b", "c"], "i": [1, 2, 3, 4, 5], "x": [1.0, 2.0, None, 6.0, None]})
    sample.write("rules/many.py", FUNCTIONS)
    sample.write(
        "weights.py",
        "FACTOR = 1\n\n\ndef scaled(x):\n    import pyarrow.compute as pc\n\n    return pc.multiply(x, FACTOR)\n",
    )
    for name, text in SQL.items():
        sample.sql(name, text)
    return sample


def test_they_are_called_from_both_languages(project: SampleProject) -> None:
    prints = {one["name"]: one["fingerprint"] for one in build(project).document["products"]}
    assert prints["by_group"] == prints["sql_group"]
    assert prints["over_all"] == prints["sql_over"]
    found = {row["g"]: (row["m"], row["b"], row["few"]) for row in project.product("by_group").to_pylist()}
    assert found == {"a": (1.0, 2, None), "b": (4.0, 6, 6.0), "c": (None, 5, None)}
    rows = sorted((row["i"], row["m"], row["r"]) for row in project.product("over_all").to_pylist())
    assert rows == [(1, 1.0, 0.0), (2, 4.0, 0.0), (3, 1.0, None), (4, 4.0, 4.0), (5, None, None)]
    assert sorted((row["i"], row["m"]) for row in project.product("running").to_pylist()) == [
        (1, 1.0), (2, 1.5), (3, 1.5), (4, 3.0), (5, 3.0),
    ]  # fmt: skip
    assert project.product("nothing").to_pylist() == [{"m": None}]


STATE_FIRST = """    def state(self):
        return self.last

    def evaluate(self):
        return self.last[0]
"""
EVALUATE_FIRST = """    def evaluate(self):
        return self.last[0]

    def state(self):
        return self.last
"""
MEANS = {"by_group", "over_all", "running", "nothing"}
EDITS: dict[str, tuple[str, str, str, set[str]]] = {
    "comment": ("rules/many.py", "    def update(self, values", "    # in\n    def update(self, values", set()),
    "docstring": ("rules/many.py", "The mean, as", "A mean, as", set()),
    "parameter": ("rules/many.py", "totals", "sums", set()),
    "order of methods": ("rules/many.py", STATE_FIRST, EVALUATE_FIRST, set()),
    "body": ("rules/many.py", "self.total / self.count if", "2 * self.total / self.count if", MEANS),
    "constant": ("rules/many.py", "START = 0.0", "START = 1.0", MEANS),
    "helper's constant": ("weights.py", "FACTOR = 1", "FACTOR = 2", MEANS),
    "state": ("rules/many.py", "state=[pa.string(), pa.int64()]", "state=[pa.large_string(), pa.int64()]", {"last"}),
    "window": ("rules/many.py", "pc.subtract(values, values[0])", "pc.subtract(values, values[-1])", {"over_all"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_executes_exactly_the_callers(project: SampleProject, edit: str) -> None:
    for name in ("sql_group", "sql_over"):
        (project.root / "rules" / f"{name}.sql").unlink()
    build(project)
    path, old, new, callers = EDITS[edit]
    project.edit(path, old, new)
    assert build(project).executed == callers
    assert run(project, "build").stdout.startswith("nothing to do")


@pytest.mark.slow
def test_partitions_and_batches_merge(project: SampleProject) -> None:
    """Of many batches, in four partitions."""
    rows = 30_000
    x = [None if row % 7 == 0 else float(row) for row in range(rows)]
    project.parquet("t", pa.table({"g": [str(row % 5) for row in range(rows)], "i": list(range(rows)), "x": x}))
    for name in ("over_all", "last", "running", "plain"):
        (project.root / "rules" / f"{name}.sql").unlink(missing_ok=True)
    project.sql("checked", "SELECT t.g, mean_of(t.x) AS own, AVG(t.x) AS engines FROM t GROUP BY t.g")
    project.sql("small", "SELECT t.i % 2000 AS k, mean_of(t.x) AS own, AVG(t.x) AS engines FROM t GROUP BY t.i % 2000")
    project.sql("none", "SELECT mean_of(t.x) AS own, AVG(t.x) AS engines FROM t WHERE t.g = 'x'")
    project.write("rules.toml", project.read("rules.toml") + WIDE)
    build(project, "-s", "checked small none")
    for name in ("checked", "small", "none"):
        table = project.product(name)
        assert table["own"].to_pylist() == table["engines"].to_pylist(), name


def test_the_order_of_rows_is_content_unless_declared_otherwise(project: SampleProject) -> None:
    project.sql("shown", "SELECT o.g, o.i, o.x FROM t AS o")
    project.sql("mean_of_shown", "SELECT mean_of(s.x) AS m FROM shown AS s")
    project.sql("last_of_shown", "SELECT text_of_last(CAST(s.i AS VARCHAR), s.i) AS l FROM shown AS s")
    build(project)
    # Other rows, in another order, that differ only in what the two do not read.
    project.parquet("t", {"g": ["A", "B", "A", "B", "C"], "i": [5, 2, 3, 4, 1], "x": [None, 2.0, None, 6.0, 1.0]})
    assert build(project, "-s", "+mean_of_shown +last_of_shown").executed == {"shown", "last_of_shown"}


REFUSED = {
    "distinct": ("SELECT mean_of(DISTINCT t.x) AS m FROM t", "'mean_of' takes no DISTINCT"),
    "order": ("SELECT mean_of(t.x ORDER BY t.i) AS m FROM t", "'mean_of' takes no ORDER BY"),
    "star": ("SELECT mean_of(*) AS m FROM t", "'mean_of' takes no *"),
    "nulls": (
        "SELECT mean_of(t.x) IGNORE NULLS OVER (ORDER BY t.i) AS m FROM t",
        "'mean_of' takes no IGNORE or RESPECT NULLS",
    ),
    "frame": (
        "SELECT mean_of(t.x) OVER (ORDER BY t.i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS m FROM t",
        "'mean_of' cannot remove the rows that leave this frame",
    ),
    "named frame": (
        "SELECT mean_of(t.x) OVER w AS m FROM t WINDOW w AS (ORDER BY t.i ROWS 1 PRECEDING)",
        "'mean_of' cannot remove the rows that leave this frame",
    ),
    "frame of a window function": (
        "SELECT rise(t.x) OVER (ORDER BY t.i ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS m FROM t",
        "'rise' sees its whole partition, and takes no frame",
    ),
    "no window": ("SELECT rise(t.x) AS m FROM t", "'rise' is a window function, and needs OVER (…)"),
    "filter": ("SELECT rise(t.x) FILTER (WHERE t.i > 1) OVER () AS m FROM t", "'rise' takes no FILTER"),
    "arity": ("SELECT mean_of(t.x, 1) AS m FROM t", "'mean_of' takes 1 argument, not 2"),
    "scalar": ("SELECT one(t.x) OVER () AS m FROM t", "'one' is a function of single rows, and takes no OVER"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_engine_cannot_do_is_refused(project: SampleProject, name: str) -> None:
    sql, message = REFUSED[name]
    project.write("rules/one.py", "from rules import udf\n\n\n@udf.python\ndef one(x: float) -> float:\n    return x\n")
    project.sql("bad", sql)
    error = build(project, expect=1).document["error"]
    assert (error["message"], error["where"]) == (message, "rules/bad.sql:1:8")


def test_an_error_in_an_aggregate_is_located(project: SampleProject) -> None:
    project.edit("rules/many.py", "self.total / self.count if", "self.total / 0 if")
    ran = build(project, "-k", "-s", "nothing running", expect=1)
    failed = {one["name"]: one["error"] for one in ran.document["products"] if one["status"] == "failed"}
    assert set(failed) == {"running"}
    assert failed["running"]["message"] == "ZeroDivisionError: float division by zero"
    assert failed["running"]["where"] == "rules/many.py:33"


@pytest.mark.parametrize(
    ("method", "value", "message"),
    [
        ("evaluate", "'x'", "the result of 'mean_of' is not of the type double: "),
        ("state", "(1.0,)", "the state of 'mean_of' has 2 values, not 1 values"),
    ],
)
def test_wrong_values_are_told(project: SampleProject, method: str, value: str, message: str) -> None:
    old = {"evaluate": "self.total / self.count if self.count else None", "state": "self.total, self.count\n\n"}[method]
    project.edit("rules/many.py", f"return {old}", f"return {value}\n\n")
    rows = 20_000
    project.parquet("t", {"g": ["a"] * rows, "i": list(range(rows)), "x": [1.0] * rows})
    project.write("rules.toml", project.read("rules.toml") + WIDE)
    ran = build(project, "-s", "by_group", expect=1)
    (error,) = [one["error"] for one in ran.document["products"]]
    assert error["message"].startswith(message)


WRONG = {
    "a function": ("@udf.agg\ndef f(x: float) -> float: ...", "@udf.agg must precede a class, not function"),
    "a class": ("@udf.window\nclass f: ...", "@udf.window must precede a function, not type"),
    "no merge": (
        "@udf.agg\nclass f:\n    def update(self, x: float): ...\n    def evaluate(self) -> float: ...\n",
        "'f' has no method 'merge'",
    ),
    "no state": (
        (
            "@udf.agg\nclass f:\n    def update(self, x: float): ...\n    def evaluate(self) -> float: ...\n"
            "    def merge(self, x): ...\n    def state(self): ...\n"
        ),
        "'f' does not declare the types of its state",
    ),
    "not the engine's": ("@udf.agg.builtin\ndef upper(x: str) -> str: ...", "the engine has no aggregate 'upper'"),
    "option": ("@udf.python(any_order=True)\ndef f(x: int) -> int: ...", "@udf.python has no option 'any_order'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_declarations_are_refused(project: SampleProject, name: str) -> None:
    text, message = WRONG[name]
    project.write("rules/wrong.py", f"from rules import udf\n\n{text}\n")
    error = build(project, expect=1).document["error"]
    assert error["message"] == message
    assert error["where"].startswith("rules/wrong.py:")
