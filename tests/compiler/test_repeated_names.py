"""A name that a derived table or CTE yields twice is refused where it is read, and harmless where it is not."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from compiler.errors import SqlError
from support.compiling import TestCompiler
from support.projects import FIXTURES, SampleProject

COLUMNS = {
    "t": {"i": pa.int64(), "s": pa.string(), "v": pa.int64()},
    "u": {"i": pa.int64(), "s": pa.string(), "w": pa.int64()},
}
TEXT = (FIXTURES / "sql" / "repeated_names.sql").read_text(encoding="utf-8")
CASES: dict[str, tuple[str, str]] = {
    sql: (kind, expected) for kind, expected, sql in re.findall(r"(?m)^-- (reads|error): (.*)\n([^;]+);", TEXT)
}


@pytest.mark.parametrize(("sql", "expected"), CASES.items(), ids=range(len(CASES)))
def test_reads_and_refusals(sql: str, expected: tuple[str, str]) -> None:
    compiler = TestCompiler({name: pa.schema(columns) for name, columns in COLUMNS.items()})
    kind, text = expected
    if kind == "error":
        with pytest.raises(SqlError) as refused:
            compiler.compile(sql)
        assert f"{refused.value.line}:{refused.value.column} {refused.value.message}" == text
        return
    compiled = compiler.compile(sql)
    reads = sorted(zip(compiled.inputs, compiled.reads, strict=True))
    assert "; ".join(" ".join([name, *columns]) for name, columns in reads) == text


@pytest.mark.slow
def test_check_plan_and_build_say_the_same(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["t", "u"])
    project.parquet("t", {"i": [1, 2], "s": ["t1", "t2"]})
    project.parquet("u", {"i": [1, 2], "s": ["u1", "u2"]})
    project.sql("twice", "WITH x AS (\n    SELECT * FROM t JOIN u ON t.i = u.i\n)\nSELECT x.s FROM x")
    message = "column 's' is ambiguous, 'x' has 2 columns of that name: t.s by * at 2:12 and u.s by * at 2:12"
    for command in ("check", "plan", "build"):
        done = project.cli(command)
        assert done.returncode == 1, done.stdout
        said = done.stdout + done.stderr
        assert message in said
        assert "twice.sql:4:8" in said
        assert "list the columns instead of *" in said


@pytest.mark.slow
def test_an_unread_name_costs_nothing(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["t", "u"])
    project.parquet("t", {"i": [1, 2], "s": ["t1", "t2"], "v": [10, 20]})
    project.parquet("u", {"i": [1, 2], "s": ["u1", "u2"]})
    project.sql("once", "WITH x AS (SELECT * FROM t JOIN u ON t.i = u.i) SELECT x.v FROM x")
    assert SampleProject.executed(project.build()) == {"once"}
    project.parquet("t", {"i": [1, 2], "s": ["other", "t2"], "v": [10, 20]})
    project.parquet("u", {"i": [1, 2], "s": ["u1", "other"]})
    assert SampleProject.executed(project.build()) == set()
    project.parquet("t", {"i": [1, 2], "s": ["other", "t2"], "v": [11, 20]})
    assert SampleProject.executed(project.build()) == {"once"}
