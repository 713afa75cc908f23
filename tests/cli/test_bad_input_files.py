"""Rule files, their names, options and circles, and source files that are wrong: one clear error each, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.projects import SampleProject
from support.refusals import orders_project, refused, refused_rule

QUERY = "SELECT o.order_id FROM orders AS o"

OPTIONS = {
    "never closed": (
        f"«-- /// rule\n-- key = ['order_id']\n{QUERY}",
        "the options block is not closed",
        "end it with a line that reads: -- ///",
    ),
    "misspelt opening": (
        f"«-- /// rules\n-- key = ['order_id']\n-- ///\n{QUERY}",
        "this opens no options block",
        "its first line reads: -- /// rule",
    ),
    "not first": (
        f"-- a comment\n«-- /// rule\n-- key = ['order_id']\n-- ///\n{QUERY}",
        "an options block must be the first thing in its file, and the only one",
        "move it to the first line",
    ),
    "last": (
        f"{QUERY}\n  «-- /// rule\n-- ///\n",
        "an options block must be the first thing in its file, and the only one",
        "move it to the first line",
    ),
    "not TOML": (
        f'-- /// rule\n-- description = "a«\n-- ///\n{QUERY}',
        "options are not valid TOML: unterminated string",
        None,
    ),
    "unknown": (f"-- /// rule\n-- «kye = ['order_id']\n-- ///\n{QUERY}", "unknown option 'kye'", "did you mean 'key'?"),
    "unknown, indented": (
        f"\n  -- /// rule\n  --«nix = 1\n  -- ///\n{QUERY}",
        "unknown option 'nix'",
        (
            "known: checks, columns, description, dialect, exact, fuse_selects, key, normalize, order_by, severity, "
            "tags, tier, volatile, writer"
        ),
    ),
    "unknown, after several lines": (
        f"-- /// rule\n-- description = '''\n-- x\n-- '''\n-- «kye = 1\n-- ///\n{QUERY}",
        "unknown option 'kye'",
        "did you mean 'key'?",
    ),
    "wrong type": (
        f"-- /// rule\r\n-- «key = 'order_id'\r\n-- ///\r\n{QUERY}",
        "'key' must be a list, not a string",
        None,
    ),
    "item of a wrong type": (
        f"-- /// rule\n-- key = ['order_id', «3]\n-- ///\n{QUERY}",
        "'key' must be a string, not an integer",
        None,
    ),
    "tier": (
        f"-- /// rule\n-- «tier = 7\n-- ///\n{QUERY}",
        "'tier' must be 0, 1 or 2",
        "0 unordered, 1 stable within a run, 2 ordered by key",
    ),
    "tier without key": (
        f"-- /// rule\n-- «tier = 2\n-- ///\n{QUERY}",
        "tier 2 orders the product by its key, and no key is declared",
        'add key = ["…"] or order_by = ["…"]',
    ),
    "key that is no output": (
        f"-- /// rule\n-- tags = []\n-- «key = ['ordr_id']\n-- ///\n{QUERY}",
        "key column 'ordr_id' is not an output column",
        "did you mean 'order_id'?",
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    return orders_project(tmp_path)


@pytest.mark.parametrize("case", OPTIONS)
def test_options(project: SampleProject, case: str) -> None:
    text, message, hint = OPTIONS[case]
    refusal = refused_rule(project, text)
    assert (refusal.exit_code, refusal.message, refusal.hint) == (1, message, hint)


def test_circle_is_told_as_a_path(project: SampleProject) -> None:
    project.sql("a", "SELECT b.x FROM b")
    project.sql("b", "SELECT o.order_id, c.x FROM orders AS o\nCROSS JOIN c")
    project.sql("c", "SELECT x FROM a")
    refusal = refused(project, "build")
    assert (refusal.exit_code, refusal.code) == (1, "cycle")
    assert refusal.message == "rules read one another in a circle: a → b → c → a"
    assert refusal.where == "rules/a.sql:1:17"


def test_rule_that_reads_itself(project: SampleProject) -> None:
    refusal = refused_rule(project, "SELECT o.order_id\nFROM orders AS o\nJOIN «Bad AS b ON TRUE")
    assert refusal.message == "rules read one another in a circle: bad → bad"


def test_two_rules_of_one_name_in_any_case(project: SampleProject) -> None:
    project.sql("a/one", "SELECT 1 AS x")
    project.sql("b/One", "SELECT 1 AS x")
    refusal = refused(project, "build")
    assert (refusal.code, refusal.message, refusal.where) == (
        "duplicate-name",
        "two tables are named 'One'",
        "rules/b/One.sql",
    )
    assert "there: rules/a/one.sql" in project.cli("build").stderr


def test_rule_named_like_a_source(project: SampleProject) -> None:
    project.sql("ORDERS", "SELECT 1 AS x")
    refusal = refused(project, "build")
    assert (refusal.message, refusal.where) == ("two tables are named 'ORDERS'", "rules/ORDERS.sql")


def test_file_name_that_is_no_name(project: SampleProject) -> None:
    project.sql("two words", "SELECT 1 AS x")
    refusal = refused(project, "build")
    assert refusal.message.startswith("'two words' is not a usable product name")
    assert (refusal.where, refusal.hint) == ("rules/two words.sql", "rename the file")


@pytest.mark.parametrize(
    ("data", "where"),
    [("SELECT 'é' AS a, ".encode() + b"'\xe9' AS b", "1:19"), ("SELECT 1 AS a".encode("utf-16"), "1:1")],
)
def test_rule_that_is_not_utf8(project: SampleProject, data: bytes, where: str) -> None:
    (project.root / "rules" / "bad.sql").write_bytes(data)
    refusal = refused(project, "build")
    assert (refusal.code, refusal.where) == ("encoding", f"rules/bad.sql:{where}")


def test_byte_order_mark_and_windows_line_ends_are_fine(project: SampleProject) -> None:
    text = b"\xef\xbb\xbf-- /// rule\r\n-- key = ['a']\r\n-- ///\r\nSELECT 1 AS a,\r\n  2 AS b\r\n"
    (project.root / "rules" / "good.sql").write_bytes(text)
    assert project.build()["status"] == "ok"
    assert project.product("good").to_pydict() == {"a": [1], "b": [2]}


SOURCES = {
    "missing": ("none.parquet", None, "does not exist"),
    "glob without a match": ("none_*.parquet", None, "matches no file"),
    "truncated Parquet": ("cut.parquet", "cut", "is not a readable Parquet file"),
    "no Parquet": ("text.parquet", "text", "is not a readable Parquet file"),
    "empty Parquet": ("zero.parquet", "zero", "is empty (0 bytes)"),
    "empty CSV": ("zero.csv", "zero", "is empty (0 bytes)"),
    "ragged CSV": ("ragged.csv", "ragged", "has a row of 1 field, where the first has 2 fields"),
    "cut JSON": ("cut.json", "json", "is not readable as JSON"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_source_that_cannot_be_read(project: SampleProject, case: str) -> None:
    file, kind, problem = SOURCES[case]
    whole = (project.root / "data" / "orders.parquet").read_bytes()
    contents = {
        "cut": whole[: len(whole) // 2],
        "text": b"text" * 50,
        "zero": b"",
        "ragged": b"a,b\n1,2\n3\n",
        "json": b'{"a": 1}\n{"a": ',
    }
    if kind is not None:
        (project.root / "data" / file).write_bytes(contents[kind])
    project.edit("rules.toml", "[vars]", f'[sources.extra]\npath = "data/{file}"\n[vars]')
    project.sql("reader", "SELECT e.* FROM extra AS e")
    refusal = refused(project, "build")
    assert (refusal.exit_code, refusal.code) == (1, "source")
    assert refusal.message.startswith("the source 'extra' ")
    assert problem in refusal.message
    assert refusal.where is not None
    assert refusal.where.startswith(("rules.toml", f"data/{file}"))
    assert project.executed(project.build("-s", "fine")) == set()


def test_source_of_another_type_than_declared(project: SampleProject) -> None:
    project.edit("rules.toml", "[vars]", '[sources.extra]\npath = "data/e.parquet"\ncolumns = { a = "string" }\n[vars]')
    pq.write_table(pa.table({"a": [1]}), project.root / "data" / "e.parquet")
    project.sql("reader", "SELECT e.a FROM extra AS e")
    refusal = refused(project, "build")
    assert refusal.message == "the source 'extra' has type int64 in column 'a', where rules.toml declares string"
