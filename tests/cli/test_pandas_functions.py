"""Functions over pandas Series: what they get, what they may give back, and what is said where pandas is missing."""

from __future__ import annotations

import datetime
import decimal
import os
from pathlib import Path

import pyarrow as pa
import pytest

from support.inprocess import build
from support.projects import WITHOUT_PANDAS, SampleProject

COLUMNS = {
    "id": pa.array([3, None, 1], pa.int64()),
    "flag": pa.array([True, None, False]),
    "name": pa.array(["Ada", None, ""]),
    "price": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("-2.00")], pa.decimal128(9, 2)),
    "weight": pa.array([1.5, None, float("nan")]),
    "at": pa.array([datetime.datetime(2024, 1, 31, 23, 59, 59, 999999), None, datetime.datetime(1, 1, 1)]),
    "moment": pa.array([datetime.datetime(2024, 3, 31, 1, 30), None, None], pa.timestamp("us", "UTC")),
    "day": pa.array([datetime.date(2024, 2, 29), None, datetime.date(1900, 1, 1)]),
    "tags": pa.array([["a", None], None, []], pa.list_(pa.string())),
}

HEADER = (
    "import datetime\n\nimport numpy as np\nimport pandas as pd\nimport pyarrow as pa\n\nfrom rules import rule, udf\n"
)


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["t"])
    sample.parquet("t", pa.table(COLUMNS))
    return sample


def test_values_of_every_type_come_and_go_unchanged(project: SampleProject) -> None:
    kinds = {name: str(column.type) for name, column in COLUMNS.items()}
    functions = [
        f"@udf.pandas(inputs=[T[{name!r}]], output=T[{name!r}])\ndef same_{name}(x):\n"
        f'    assert isinstance(x, pd.Series) and x.dtype == pd.ArrowDtype(T["{name}"]), x.dtype\n    return x\n'
        for name in kinds
    ]
    project.write(
        "rules/same.py",
        f"{HEADER}\nT = {{'id': pa.int64(), 'flag': pa.bool_(), 'name': pa.string(), 'price': pa.decimal128(9, 2),"
        " 'weight': pa.float64(), 'at': pa.timestamp('us'), 'moment': pa.timestamp('us', 'UTC'), 'day': pa.date32(),"
        " 'tags': pa.list_(pa.string())}\n\n\n" + "\n\n".join(functions),
    )
    project.sql("same", f"SELECT {', '.join(f'same_{name}(t.{name}) AS {name}' for name in kinds)} FROM t")
    build(project)
    found = project.product("same")
    assert repr(found.to_pylist()) == repr(pa.table(COLUMNS).to_pylist())  # NaN equals itself as text
    assert found.schema.field("price").type == pa.decimal128(9, 2)


BODIES = {
    "an Arrow Series": ("x: int) -> int:\n    return x * 2", "id", [6, None, 2]),
    "integers that NumPy made floats": ("x: int) -> int:\n    return x.astype('float64') + 1", "id", [4, None, 2]),
    "pandas' own integers": ("x: int) -> int:\n    return x.astype('Int64') + 1", "id", [4, None, 2]),
    "an array of NumPy": (
        "x: int) -> bool:\n    return np.where(x.isna(), False, x.fillna(0) > 1)",
        "id",
        [True, False, False],
    ),
    "strings": ("x: str) -> str:\n    return x.str.upper()", "name", ["ADA", None, ""]),
    "objects": ("x: str) -> str:\n    return x.astype(object).where(x.notna(), None)", "name", ["Ada", None, ""]),
    "times": (
        "x: datetime.datetime) -> datetime.date:\n    return x.dt.date",
        "at",
        [datetime.date(2024, 1, 31), None, datetime.date(1, 1, 1)],
    ),
    "rows put back into order": ("x: int) -> int:\n    return x.sort_values().sort_index()", "id", [3, None, 1]),
    "NaN of Arrow is a value": ("x: float) -> float:\n    return x", "weight", "[1.5, None, nan]"),
    "NaN of NumPy is NULL": (
        "x: float) -> float:\n    return x.to_numpy(dtype='float64', na_value=np.nan)",
        "weight",
        [1.5, None, None],
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_what_may_be_given_back(project: SampleProject, case: str) -> None:
    body, column, expected = BODIES[case]
    project.write(
        "rules/f.py",
        f"{HEADER}\n\n@udf.pandas\ndef f({body}\n\n\n@rule\ndef in_ibis(t):\n    return t.select(y=f(t.{column}))\n",
    )
    project.sql("in_sql", f"SELECT f(t.{column}) AS y FROM t")
    document = build(project).document
    assert len({one["fingerprint"] for one in document["products"]}) == 1  # one rule, both ways
    found = project.product("in_sql")["y"].to_pylist()
    assert found == expected or repr(found) == expected


WRONG = {
    "shorter": ("return x.dropna()", "'f' returns 2 values for 3 rows"),
    "longer": ("return pd.concat([x, x])", "'f' returns 6 values for 3 rows"),
    "one value": ("return x.sum()", "'f' returns int, not a pandas Series"),
    "a frame": ("return x.to_frame()", "'f' returns DataFrame, not a pandas Series"),
    "out of order": ("return x.sort_values()", "'f' returns a Series whose index is not that of its input"),
    "of another type": ("return x.astype('string') + '!'", "the result of 'f' is not of the type int64: "),
    "with fractions": ("return x.astype('float64') / 2", "the result of 'f' is not of the type int64: "),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_may_not(project: SampleProject, case: str) -> None:
    body, message = WRONG[case]
    project.write("rules/f.py", f"{HEADER}\n\n@udf.pandas\ndef f(x: int) -> int:\n    {body}\n")
    project.sql("r", "SELECT f(t.id) AS y FROM t")
    (error,) = [one["error"] for one in build(project, expect=1).document["products"]]
    assert error["message"].startswith(message)
    assert error["where"] == "rules/f.py:10"


def test_batches_do_not_show(project: SampleProject) -> None:
    """A type that depends on whether a NULL is among the rows would change from batch to batch."""
    rows = 40_000
    project.parquet("t", {"id": pa.array([None if row == rows - 1 else row for row in range(rows)], pa.int64())})
    project.write("rules/f.py", f"{HEADER}\n\n@udf.pandas\ndef f(x: int) -> str:\n    return x.astype(str)\n")
    project.sql("r", "SELECT f(t.id) AS y FROM t")
    build(project)
    assert project.product("r")["y"].to_pylist()[:2] == ["0", "1"]


@pytest.mark.slow
def test_without_pandas_the_error_says_what_to_install(project: SampleProject) -> None:
    project.write("elsewhere/sitecustomize.py", WITHOUT_PANDAS)
    project.write("rules/f.py", "from rules import udf\n\n\n@udf.pandas\ndef f(x: int) -> int:\n    return x\n")
    project.sql("r", "SELECT f(t.id) AS y FROM t")
    path = os.pathsep.join([str(project.root / "elsewhere"), os.environ.get("PYTHONPATH", "")])
    error = project.build(expect=1, env={"PYTHONPATH": path})["error"]
    assert error["message"] == "pandas is not installed"
    assert error["where"].startswith("rules/f.py:4")
    assert error["hint"] == "pip install 'leastwork-rules[pandas]', or write the function over arrays: @udf.pyarrow"
