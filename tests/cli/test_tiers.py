"""Determinism tiers: who declares them, what each of them does, and what is said where one cannot be kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from compiler.schema import INPUT_DB
from rules.config import profiles
from rules.config.profiles import PROFILES
from rules.engine.execute import execute
from rules.engine.protocol import EngineError, EngineInput, EngineQuery, Job
from rules.running import query_runner
from rules.storage.types import to_schema
from support import inprocess
from support.projects import SampleProject

ROWS = 20_000
WIDE = "\n[profiles.wide]\npartitions = 3\n"


def project_of(root: Path, toml: str = "") -> SampleProject:
    project = SampleProject(root, sources=["t"], toml=WIDE + toml)
    generator = np.random.default_rng(5)
    columns = {
        "i": generator.permutation(ROWS),
        "k": generator.integers(0, 40, ROWS),
        "x": generator.normal(size=ROWS) * 10.0 ** generator.integers(-8, 9, ROWS),
    }
    project.parquet("t", columns)
    return project


def in_parts(root: Path) -> SampleProject:
    """Return a project whose table is in several files, each of which is a part."""
    project = project_of(root, "[parts]\nmin_rows = 1\n")
    table = pq.read_table(root / "data/t.parquet")
    project.edit("rules.toml", "data/t.parquet", "data/t")
    (root / "data/t").mkdir()
    for number in range(4):
        pq.write_table(table.slice(number * ROWS // 4, ROWS // 4), root / f"data/t/{number}.parquet")
    (root / "data/t.parquet").unlink()
    return project


def rule(project: SampleProject, name: str, query: str, *options: str) -> None:
    block = "".join(f"-- {line}\n" for line in ("/// rule", *options, "///")) if options else ""
    project.sql(name, f"{block}{query}\n")


def tiers(project: SampleProject, *words: str) -> dict[str, int]:
    names = [one["name"] for one in inprocess.run(project, "plan", "--json", *words).document["products"]]
    return {name: inprocess.run(project, "explain", name, "--json", *words).document["rule"]["tier"] for name in names}


def error_of(ran: inprocess.Ran) -> dict[str, Any]:
    document = ran.document
    found = document.get("error") or next(one["error"] for one in document["products"] if one.get("error"))
    return dict(found)


def file_of(project: SampleProject, name: str) -> str:
    return hashlib.sha256((project.root / f".rules/products/{name}.parquet").read_bytes()).hexdigest()


def test_the_nearest_declaration_of_a_tier_counts(tmp_path: Path) -> None:
    toml = '\n[folders.rules]\n[folders."rules/marts"]\ntier = 1\n[profiles.sorted]\ntier = 2\n'
    project = project_of(tmp_path, toml)
    for name, options in (("plain", ()), ("marts/inner", ()), ("marts/own", ("tier = 0",))):
        rule(project, name, "SELECT t.i, t.k FROM t AS t", 'key = ["i"]', *options)
    assert tiers(project) == {"plain": 0, "inner": 1, "own": 0}
    project.edit("rules.toml", "[project]", "[project]\ntier = 1")
    assert tiers(project) == {"plain": 1, "inner": 1, "own": 0}
    assert tiers(project, "--profile", "sorted") == {"plain": 2, "inner": 1, "own": 0}
    assert tiers(project, "--set", "tier=0") == {"plain": 0, "inner": 1, "own": 0}


@pytest.mark.parametrize(
    ("toml", "message", "where"),
    [
        ('[folders."rules/mart"]\ntier = 1', "there is no folder 'rules/mart' in the project", 9),
        ("[folders.rules]\ntier = 3", "'tier' must be 0, 1 or 2", 10),
        ("[folders.rules]\ntear = 1", "unknown key 'tear' in [folders.rules]", 10),
    ],
)
def test_a_wrong_folder_is_an_error_at_its_place(tmp_path: Path, toml: str, message: str, where: int) -> None:
    project = project_of(tmp_path, f"\n{toml}\n")
    rule(project, "one", "SELECT 1 AS x")
    error = error_of(inprocess.build(project, expect=2))
    line = 1 + project.read("rules.toml").split("\n").index(toml.split("\n", maxsplit=1)[0])
    assert error["message"] == message
    assert error["where"].startswith(f"rules.toml:{line + (where == 10)}:")


@pytest.mark.parametrize("command", ["build", "plan"])
def test_tier_1_is_refused_where_a_profile_has_several_partitions(tmp_path: Path, command: str) -> None:
    project = project_of(tmp_path)
    rule(project, "stable", "SELECT t.i, t.x FROM t AS t", "tier = 1")
    error = error_of(inprocess.run(project, command, "--json", "--profile", "wide", expect=1))
    message = "stable has tier 1, whose order of rows the 3 partitions of profile 'wide' would break"
    assert (error["message"], error["where"]) == (message, "rules/stable.sql:2:4")
    assert inprocess.build(project).executed == {"stable"}


def test_tier_1_keeps_the_order_of_the_scan_whatever_the_profile_pushes_down(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    query = "SELECT t.i, t.k FROM t AS t WHERE t.k > 30 AND t.i % 2 = 0"
    rule(project, "stable", query, "tier = 1")
    rule(project, "loose", query)
    pushed = ("--set", "pushdown_filters=true", "--set", "reorder_filters=true", "--set", "evidence=full")
    ran = inprocess.build(project, *pushed)
    rows = zip(*(pq.read_table(project.root / "data/t.parquet").column(name).to_pylist() for name in "ik"), strict=True)
    assert project.product("stable").column("i").to_pylist() == [i for i, k in rows if k > 30 and i % 2 == 0]
    settings = (project.root / ".rules/evidence" / ran.document["build"] / "stable/settings.json").read_text()
    assert '"pushdown_filters": false' in settings


def test_a_product_of_tier_1_follows_its_source_into_another_order(tmp_path: Path) -> None:
    """One of tier 0 over the same rows stays what it was; a reader of that has the order of what it reads."""
    project = SampleProject(tmp_path, sources=["t"])
    project.parquet("t", {"a": [1, 2, 3, 4]})
    rule(project, "bag", "SELECT t.a FROM t")
    rule(project, "stable", "SELECT t.a FROM t WHERE t.a > 1", "tier = 1")
    rule(project, "reader", "SELECT stable.a + 1 AS a FROM stable", "tier = 1")
    rule(project, "of_bag", "SELECT bag.a * 2 AS a FROM bag", "tier = 1")
    inprocess.build(project)
    project.parquet("t", {"a": [4, 3, 2, 1]})
    ran = inprocess.build(project)
    assert ran.executed == {"bag", "stable", "reader"}
    assert project.product("bag")["a"].to_pylist() == [1, 2, 3, 4]
    assert project.product("stable")["a"].to_pylist() == [4, 3, 2]
    assert project.product("reader")["a"].to_pylist() == [5, 4, 3]
    rule(project, "bag", "SELECT t.a FROM t", "tier = 1")
    assert inprocess.build(project).executed == {"bag", "of_bag"}
    assert project.product("of_bag")["a"].to_pylist() == [8, 6, 4, 2]


def test_tier_1_names_the_operator_that_would_break_it(tmp_path: Path) -> None:
    table = pa.table({"i": pa.array(range(100), pa.int64())})
    pq.write_table(table, tmp_path / "t.parquet")
    (tmp_path / "tmp").mkdir()
    schema = to_schema(table.schema)
    entry = EngineInput("t", (tmp_path / "t.parquet",), schema, ("i",))
    sql = f'SELECT i FROM "{INPUT_DB}"."t" UNION ALL SELECT i FROM "{INPUT_DB}"."t"'
    stable = PROFILES["prod_fast"].of_tier(1, sensitive=False)

    def run(sql: str) -> None:
        execute(Job(EngineQuery(sql, (entry,), stable), schema, tmp_path / "tmp/out.parquet"))

    with pytest.raises(EngineError, match="tier 1 cannot be kept: UNION ALL, whose branches run side by side"):
        run(sql)
    run(f"SELECT i FROM ({sql}) AS q ORDER BY i")


def test_tier_0_is_a_bag_of_rows(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    rule(project, "rows", "SELECT t.k, t.i FROM t AS t WHERE t.i % 3 = 0")
    rule(project, "counts", "SELECT r.k, COUNT(*) AS n, SUM(r.i) AS total FROM rows AS r GROUP BY r.k")
    rule(project, "first", "SELECT r.k, r.i FROM rows AS r LIMIT 7")
    first = inprocess.build(project).document["products"]
    turned = project.root / "data" / "t.parquet"
    pq.write_table(pq.read_table(turned).take(np.arange(ROWS)[::-1]), turned)
    again = inprocess.build(project)
    assert again.executed <= {"rows"}
    assert [one["artifact"] for one in again.document["products"]] == [one["artifact"] for one in first]
    assert "order" in next(one["reason"] for one in again.document["products"] if one["name"] == "rows")
    rule(project, "rows", "SELECT t.k, t.i FROM t AS t WHERE t.i % 3 = 0 ORDER BY t.k, t.i DESC")
    third = inprocess.build(project)
    assert third.executed == {"rows", "first"}, "the order that a rule asks for is content"


def test_tier_2_is_the_same_file_at_any_number_of_partitions(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    rule(project, "rows", "SELECT t.k, t.i, t.x FROM t AS t WHERE t.i % 3 = 0", "tier = 2", 'order_by = ["k", "i"]')
    rule(project, "sums", "SELECT t.k, SUM(t.x) AS total FROM t AS t GROUP BY t.k", "tier = 2", 'key = ["k"]')
    first = inprocess.build(project)
    files = {name: file_of(project, name) for name in ("rows", "sums")}
    for words in (("--profile", "wide"), ("--set", "partitions=2"), ("--set", "partitions=7")):
        assert set(inprocess.build(project, *words).statuses.values()) == {"clean"}, "its key has no partitions"
        again = inprocess.build(project, *words, "--force", "*")
        assert [one["artifact"] for one in again.document["products"]] == [
            one["artifact"] for one in first.document["products"]
        ]
    assert {name: file_of(project, name) for name in files} == files
    product = project.product("rows")
    pairs = list(zip(product.column("k").to_pylist(), product.column("i").to_pylist(), strict=True))
    assert pairs == sorted(pairs)


def test_an_order_that_is_not_total_names_a_column_that_would_make_it_so(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    rule(project, "rows", "SELECT t.k, 1 AS one, t.i, t.x FROM t AS t", "tier = 2", 'order_by = ["k"]')
    error = error_of(inprocess.build(project, expect=1))
    assert error["message"] == "tier 2 cannot be kept: rows 1 and 2 are tied in k, and differ in i"
    assert (error["hint"], error["where"]) == ("add i to order_by", "rules/rows.sql:3:4")
    project.edit("rules/rows.sql", '["k"]', '["k", "i"]')
    assert inprocess.build(project).executed == {"rows"}


def test_partial_results_need_no_total_order(tmp_path: Path) -> None:
    """They have other columns than the product, and what is tied in one of these may be told apart in the product."""
    project = in_parts(tmp_path)
    total = "SELECT t.k AS g, SUM(t.x) AS total FROM t AS t GROUP BY t.k"
    rule(project, "renamed", total, "tier = 2", 'order_by = ["g"]')
    named = "SELECT t.k, t.i AS k0, SUM(t.x) AS total FROM t AS t GROUP BY t.k, t.i"
    rule(project, "named_alike", named, "tier = 2", 'order_by = ["k0"]')
    ran = inprocess.build(project)
    assert ran.executed == {"renamed", "named_alike"}
    assert all(one["parts"]["run"] > 1 for one in ran.document["products"])
    assert project.product("named_alike").column("k0").to_pylist() == list(range(ROWS))


def test_a_tie_is_found_among_the_rows_of_the_product_and_not_of_a_part(tmp_path: Path) -> None:
    project = in_parts(tmp_path)
    rule(project, "rows", "SELECT t.k, t.x AS x, t.i FROM t AS t", "tier = 2", 'order_by = ["k"]')
    error = error_of(inprocess.build(project, expect=1))
    assert error["message"] == "tier 2 cannot be kept: rows 1 and 2 are tied in k, and differ in x"


@pytest.mark.parametrize("cores", [1, 2])
def test_a_tie_is_found_on_any_number_of_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    monkeypatch.setattr(profiles, "usable_cores", lambda: cores)
    monkeypatch.setattr(query_runner, "SPREAD_ROWS", 0)
    project = project_of(tmp_path)
    query = "SELECT t.k % 2 AS odd, t.k, COUNT(*) AS n FROM t AS t GROUP BY t.k % 2, t.k"
    rule(project, "groups", query, "tier = 2", 'order_by = ["odd"]')
    error = error_of(inprocess.build(project, expect=1))
    assert error["message"] == "tier 2 cannot be kept: rows 1 and 2 are tied in odd, and differ in k"


def test_rows_that_are_alike_are_no_tie(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    rule(project, "rows", "SELECT t.k, t.k + 1 AS next FROM t AS t", "tier = 2", 'order_by = ["k"]')
    assert inprocess.build(project).executed == {"rows"}


def test_a_tie_across_batches_and_row_groups_is_found(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    query = "SELECT r.value AS n, r.value % 2 AS odd FROM range(0, 140000) AS r"
    tied = (
        "SELECT CASE WHEN r.value = 65536 THEN 65535 ELSE r.value END AS n, r.value AS was FROM range(0, 140000) AS r"
    )
    rule(project, "total", query, "tier = 2", 'order_by = ["n"]')
    rule(project, "tied", tied, "tier = 2", 'order_by = ["n"]')
    ran = inprocess.build(project, "-k", expect=1)
    assert ran.statuses == {"total": "executed", "tied": "failed"}
    assert "rows 65,536 and 65,537 are tied in n, and differ in was" in error_of(ran)["message"]


@pytest.mark.parametrize(
    ("options", "message", "hint", "where"),
    [
        (
            ("tier = 2",),
            "tier 2 orders the product by its key, and no key is declared",
            'add key = ["…"] or order_by = ["…"]',
            "2:4",
        ),
        (
            ("tier = 2", 'order_by = ["ii"]'),
            "order_by column 'ii' is not an output column",
            "did you mean 'i'?",
            "3:4",
        ),
        (('order_by = ["i"]',), "order_by orders products of tier 2, and rows has tier 0", "add tier = 2", "2:4"),
    ],
)
def test_an_order_that_cannot_be(tmp_path: Path, options: tuple[str, ...], message: str, hint: str, where: str) -> None:
    project = project_of(tmp_path)
    rule(project, "rows", "SELECT t.i, t.k FROM t AS t", *options)
    error = error_of(inprocess.build(project, expect=1))
    assert (error["message"], error["hint"], error["where"]) == (message, hint, f"rules/rows.sql:{where}")


def test_a_rule_in_python_declares_its_order(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    text = 'from rules import rule\n\n@rule(tier=2, order_by=["k", "i"])\ndef rows(t):\n    return t.select("i", "k")\n'
    project.write("rules/rows.py", text)
    inprocess.build(project)
    product = project.product("rows")
    pairs = list(zip(product.column("k").to_pylist(), product.column("i").to_pylist(), strict=True))
    assert pairs == sorted(pairs)


@pytest.mark.parametrize(
    ("toml", "words", "declared"),
    [
        ("[folders.rules]\ntier = 2\n", [], "rules.toml:10:1"),
        ("[profiles.prod_fast]\ntier = 2\n", [], "rules.toml:10:1"),
        ("", ["--set", "tier=2"], "--set tier=2"),
    ],
)
def test_a_tier_for_many_names_the_rules_without_a_key(
    tmp_path: Path, toml: str, words: list[str], declared: str
) -> None:
    project = project_of(tmp_path, toml)
    rule(project, "keyed", "SELECT t.i FROM t", 'key = ["i"]')
    rule(project, "one", "SELECT t.k FROM t")
    rule(project, "two", "SELECT t.i FROM t")
    errors = inprocess.build(project, *words, expect=1).document["errors"]
    assert [(error["where"], error["facts"]["declared"]) for error in errors] == [
        ("rules/one.sql:1:1", declared),
        ("rules/two.sql:1:1", declared),
    ]
    assert errors[0]["message"] == "one has tier 2, which orders it by its key, and no key is declared"
