"""`rules import dbt`: a compiled project becomes one that builds; what was changed, and what is refused."""

from __future__ import annotations

import datetime
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import inprocess
from support.dbt import DBT, UNTRANSLATED, DbtProject, rows, rule
from support.forks import shared
from support.projects import SampleProject

SEED = "id,state\n1,open\n2,paid\n3,\n"


@pytest.fixture
def dbt(tmp_path: Path) -> DbtProject:
    made = DbtProject(tmp_path / "small")
    made.seed("raw", SEED)
    return made


def refused(dbt: DbtProject, *words: str) -> str:
    into = dbt.root.parent / "imported"
    ran = inprocess.run(
        SampleProject.at(dbt.root.parent),
        "import",
        "--json",
        "dbt",
        str(dbt.root),
        "--into",
        str(into),
        *words,
        expect=2,
    )
    error = ran.document["error"]
    return f"{error['message']}; {error['hint']}"


# Real projects of dbt: fixtures/make_dbt.py ran dbt on them, and kept what it compiled and which tables it made


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ledger", "shop"])  # of PostgreSQL and DuckDB; tests/services run dbt on all
def test_a_project_that_dbt_built_has_the_same_tables_here(name: str, tmp_path: Path) -> None:
    into = tmp_path / "imported"
    here = SampleProject.at(tmp_path)
    warehouse = str(DBT / name / "warehouse")
    ran = inprocess.run(
        here, "import", "--json", "dbt", str(DBT / name), "--into", str(into), "--verify", warehouse, expect=None
    )
    document = ran.document
    assert document["status"] == "ok", document["verify"]["different"]
    stubs = {one["name"] for one in document["rules"] if one["stub"]}
    assert stubs == UNTRANSLATED[name]
    assert all(one["reasons"] for one in document["verify"]["different"])
    assert len(document["verify"]["same"]) >= 9
    assert not document["missing"]
    lost = {one["name"]: one["lost"] for one in document["tests"] if one["lost"]}
    assert not lost
    tested = {one["name"]: one["lost"] or one["status"] for one in document["unit_tests"]}
    assert tested == ({"known_customers": "passed"} if name == "shop" else {})
    report = SampleProject.at(into).read("import-report.md")
    assert all(one["path"] in report for one in document["rules"] + document["sources"])
    again = inprocess.run(SampleProject.at(into), "build", "--json", expect=None)
    assert not again.executed


# What is refused


def test_a_project_without_compiled_sql_is_told_to_compile(dbt: DbtProject) -> None:
    dbt.model("one", None)
    dbt.compile()
    assert refused(dbt) == (
        "no compiled SQL of 1 node in target/manifest.json: one; compile all of the project: dbt compile --full-refresh"
    )
    shutil.rmtree(dbt.root / "target")
    assert "target/manifest.json is missing" in refused(dbt)
    (dbt.root / "dbt_project.yml").unlink()
    assert "there is no dbt project" in refused(dbt)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"metadata": {}, "nodes": {}}', '{"metadata": 1}'])
def test_what_is_no_manifest_is_refused(dbt: DbtProject, text: str) -> None:
    dbt.compile()
    (dbt.root / "target" / "manifest.json").write_text(text, encoding="utf-8")
    assert "not a manifest" in refused(dbt)


def test_an_incremental_model_must_be_compiled_as_a_full_query(dbt: DbtProject) -> None:
    asking: dict[str, Any] = {
        "config": {"materialized": "incremental"},
        "depends_on": {"macros": ["macro.small.newer"], "nodes": []},
    }
    dbt.model("daily", 'SELECT * FROM "w"."main"."raw" WHERE id > (SELECT max(id) FROM "w"."main"."daily")', **asking)
    dbt.more["macros"] = {"macro.small.newer": {"depends_on": {"macros": ["macro.dbt.is_incremental"]}}}
    dbt.compile(full=False)
    said = refused(dbt)
    assert said.startswith("compiled SQL of incremental models may hold only new rows: daily")
    assert "dbt compile --full-refresh" in said
    for text in (
        "[]",
        '{"metadata": [], "args": {}}',
        '{"metadata": {"invocation_id": "one"}, "args": 1}',
        "[" * 100_000,
    ):
        (dbt.root / "target" / "run_results.json").write_text(text, encoding="utf-8")
        assert refused(dbt) == said


def test_nothing_is_overwritten_and_nothing_half_is_left(dbt: DbtProject) -> None:
    dbt.model("one", 'SELECT id FROM "w"."main"."raw"')
    dbt.compile()
    into = dbt.root.parent / "imported"
    into.mkdir()
    (into / "mine.txt").write_text("mine", encoding="utf-8")
    assert "is not empty" in refused(dbt)
    assert [one.name for one in into.iterdir()] == ["mine.txt"]
    (into / "mine.txt").unlink()
    (dbt.root / "seeds" / "raw.csv").write_bytes(b"\xff\xfe,\n")
    assert "is no CSV file in UTF-8" in refused(dbt)
    assert sorted(one.name for one in dbt.root.parent.iterdir()) == ["imported", "small"]


@pytest.mark.slow
def test_a_killed_import_leaves_nothing_that_the_next_one_does_not_clear(dbt: DbtProject) -> None:
    dbt.seed("raw", "id\n1\n2\n")
    dbt.model("one", 'SELECT id FROM "w"."main"."raw"')
    dbt.compile()
    folder = dbt.root.parent
    words = ("import", "dbt", str(dbt.root), "--into", str(folder / "imported"))
    steps = shared().run(folder, *words, kill_at=-1).steps
    shutil.rmtree(folder / "imported")
    for at in (len(steps) // 4, len(steps) // 2, len(steps) - 4):
        assert shared().run(folder, *words, kill_at=at).killed
        assert len(list(folder.iterdir())) > 1
    if not (folder / "imported").exists():
        assert shared().run(folder, *words).code == 0
    assert sorted(one.name for one in folder.iterdir()) == ["imported", "small"]


def test_an_unknown_adapter_is_refused(tmp_path: Path) -> None:
    dbt = DbtProject(tmp_path / "small", adapter="sqlserver")
    dbt.compile()
    assert "the adapter 'sqlserver'" in refused(dbt)


# Names


def text(project: SampleProject, name: str) -> str:
    return project.read(f"rules/{name}.sql")


def test_relation_names_are_plain_outside_of_strings_and_comments(dbt: DbtProject) -> None:
    dbt.model("one", """SELECT "raw".id, '"w"."main"."raw"' AS said -- "w"."main"."raw"\nFROM "w"."main"."raw";""")
    dbt.model("two", "SELECT main.one.id, w.main.one.said FROM main.one")
    dbt.model("three", "SELECT 1 AS a,\n\n\n\n'x\n\n\n\ny' AS b")
    project, _ = dbt.imported()
    assert text(project, "one") == """SELECT "raw".id, '"w"."main"."raw"' AS said -- "w"."main"."raw"\nFROM raw\n"""
    assert text(project, "two") == "SELECT one.id, one.said FROM one\n"
    inprocess.build(project)
    assert rows(project, "three") == [(1, "x\n\n\n\ny")]
    assert rows(project, "two")[0] == (1, '"w"."main"."raw"')


@pytest.mark.slow
@pytest.mark.parametrize(("adapter", "quote"), [("duckdb", '"'), ("postgres", '"'), ("bigquery", "`")])
def test_names_that_are_words_of_sql_are_quoted(tmp_path: Path, adapter: str, quote: str) -> None:
    dbt = DbtProject(tmp_path / "small", adapter=adapter)
    dbt.seed("raw", SEED)
    words = ("select", "order", "from", "with", "Upper", "my-table")
    for number, word in enumerate(words):
        name = f"{quote}{word}{quote}"
        dbt.model(word, f"SELECT id FROM {quote}main{quote}.{quote}raw{quote}")
        dbt.model(f"of_{number}", f"SELECT {name}.id FROM {quote}main{quote}.{name}")
        cte = f"WITH {name} AS (SELECT id + 1 AS id FROM {quote}main{quote}.{name})"
        dbt.model(f"beside_{number}", f"{cte} SELECT id FROM {name} UNION ALL SELECT id FROM main.{name}")
    project, document = dbt.imported()
    assert not [one["stub"] for one in document["rules"] if one["stub"]]
    assert text(project, "of_1") == 'SELECT "order".id FROM "order"\n'
    inprocess.build(project)
    for number in range(len(words)):
        assert rows(project, f"of_{number}") == [(1,), (2,), (3,)]
        assert rows(project, f"beside_{number}") == [(1,), (2,), (2,), (3,), (3,), (4,)]


def test_a_comment_that_looks_like_options_stays_a_comment(dbt: DbtProject) -> None:
    dbt.model("one", "-- first\n  -- /// rule of thumb ///\n--/// rule\nSELECT 1 AS a")
    dbt.model("two", "-- /// two\nSELECT 2 AS a")
    dbt.model("three", "-- plain\nSELECT '-- /// x' AS a")
    project, document = dbt.imported()
    assert not [one["name"] for one in document["rules"] if one["stub"]]
    assert text(project, "two") == "--- /// two\nSELECT 2 AS a\n"
    assert text(project, "three") == "-- plain\nSELECT '-- /// x' AS a\n"
    inprocess.build(project)
    assert [rows(project, name) for name in ("one", "two", "three")] == [[(1,)], [(2,)], [("-- /// x",)]]


def test_a_table_is_not_taken_for_a_cte_of_its_name(dbt: DbtProject) -> None:
    dbt.model(
        "one",
        'WITH raw AS (SELECT id FROM "w"."main"."raw" WHERE id > 1), '
        'two AS (SELECT count(*) AS n FROM "w"."main"."raw"), '
        'three AS (WITH two AS (SELECT 7 AS m) SELECT m, (SELECT count(*) FROM "w"."main"."raw") AS k FROM two) '
        "SELECT r.id, t.n, h.m, h.k FROM raw AS r CROSS JOIN two AS t CROSS JOIN three AS h",
    )
    project, document = dbt.imported()
    inprocess.build(project)
    assert rows(project, "one") == [(2, 3, 7, 3), (3, 3, 7, 3)]
    assert "beside the CTE of its name" in rule(document, "one")["changes"][0]


def test_equal_names_in_two_schemas_are_told_apart(dbt: DbtProject) -> None:
    first = dbt.model("orders", 'SELECT id FROM "w"."main"."raw"')
    other = dbt.model("old", 'SELECT state FROM "w"."main"."raw"', schema="legacy", alias="orders")
    outside = dbt.source("shop", "orders")
    dbt.model(
        "all_of_them", f"SELECT a.id, (SELECT count(*) FROM {other}) AS n FROM {first} a JOIN {outside} o USING (id)"
    )
    dbt.model("qualified", f"SELECT orders.state FROM {other}")
    pq.write_table(pa.table({"ID": [1, 2]}), dbt.root / "raw_orders.parquet")
    project, document = dbt.imported("--data", str(dbt.root))
    assert {one["name"] for one in document["rules"]} == {"orders", "legacy_orders", "all_of_them", "qualified"}
    assert "shop_orders" in {one["name"] for one in document["sources"]}
    inprocess.build(project)
    assert rows(project, "all_of_them") == [(1, 3), (2, 3)]
    assert len(rows(project, "qualified")) == 3


def test_ephemeral_models_are_rules(dbt: DbtProject) -> None:
    dbt.model("low", 'SELECT id FROM "w"."main"."raw" WHERE id < 3', config={"materialized": "ephemeral"})
    inlined = 'WITH __dbt__cte__low AS (\nSELECT id FROM "w"."main"."raw" WHERE id < 3\n)'
    dbt.model("alone", f"{inlined} -- all\nSELECT __dbt__cte__low.id FROM __dbt__cte__low")
    dbt.model("first", f"{inlined}, more AS (SELECT id + 1 AS id FROM __dbt__cte__low) SELECT id FROM more")
    dbt.model(
        "last", inlined.replace("WITH", "WITH more AS (SELECT 9 AS id),") + " SELECT m.id FROM more m, __dbt__cte__low"
    )
    project, _ = dbt.imported()
    assert text(project, "alone") == "-- all\nSELECT __dbt__cte__low.id FROM low AS __dbt__cte__low\n"
    inprocess.build(project)
    assert [rows(project, name) for name in ("alone", "first", "last")] == [[(1,), (2,)], [(2,), (3,)], [(9,), (9,)]]


def test_an_ephemeral_model_and_a_cte_may_have_one_name(dbt: DbtProject) -> None:
    dbt.model("low", 'SELECT id FROM "w"."main"."raw" WHERE id < 3', config={"materialized": "ephemeral"})
    inlined = 'WITH __dbt__cte__low AS (SELECT id FROM "w"."main"."raw" WHERE id < 3)'
    asked = "SELECT l.id, o.id AS own FROM __dbt__cte__low AS l CROSS JOIN low AS o"
    dbt.model("first", f"{inlined}, low AS (SELECT 7 AS id) {asked}")
    dbt.model("last", f"{inlined.replace('WITH', 'WITH low AS (SELECT 7 AS id),')} {asked}")
    dbt.model("recursive", f"{inlined.replace('WITH', 'WITH RECURSIVE')}, low AS (SELECT 7 AS id) {asked}")
    project, document = dbt.imported()
    assert not [one["name"] for one in document["rules"] if one["stub"]]
    inprocess.build(project)
    assert [rows(project, name) for name in ("first", "last", "recursive")] == [[(1, 7), (2, 7)]] * 3


def test_a_column_that_parquet_cannot_hold_is_left_out_of_a_last_table(dbt: DbtProject, tmp_path: Path) -> None:
    dbt.model("ages", None, language="python", raw_code="def model(dbt, session): ...")
    dbt.model("reads", 'SELECT a.id FROM "w"."main"."ages" AS a')
    with duckdb.connect(tmp_path / "w.duckdb") as database:
        database.execute("CREATE TABLE ages AS SELECT 1 AS id, INTERVAL 3 DAY AS age, {'i': INTERVAL 1 DAY} AS deep")
    project, document = dbt.imported("--data", str(tmp_path / "w.duckdb"))
    (source,) = [one for one in document["sources"] if one["name"] == "ages_table"]
    assert any("age (month_day_nano_interval)" in one and "deep (" in one for one in source["changes"])
    inprocess.build(project)
    assert rows(project, "reads") == [(1,)]


def test_names_in_capitals_have_one_spelling(dbt: DbtProject) -> None:
    dbt.seed("capitals", 'Id,"Full Name"\n1,Ada\n')
    dbt.model("one", 'SELECT ID AS "Key", "FULL NAME" AS "Name" FROM "w"."main"."capitals"')
    dbt.model("two", 'SELECT key, "NAME" FROM "w"."main"."one" AS "O" WHERE o.Key = 1')
    project, document = dbt.imported()
    inprocess.build(project)
    assert rows(project, "two") == [(1, "Ada")]
    assert "quoted names are in lower case: Key, FULL NAME, Name" in rule(document, "one")["changes"]


def test_the_case_of_quoted_names_counts_in_postgresql(tmp_path: Path) -> None:
    dbt = DbtProject(tmp_path / "small", adapter="postgres")
    dbt.seed("raw", SEED)
    dbt.model("one", 'SELECT id AS "Key", ID AS key FROM "w"."main"."raw"')
    dbt.model("two", 'SELECT "Key" + key AS both FROM "w"."main"."one"')
    project, _ = dbt.imported()
    inprocess.build(project)
    assert rows(project, "two") == [(2,), (4,), (6,)]


def test_names_in_capitals_are_those_without_quotes_in_snowflake(tmp_path: Path) -> None:
    dbt = DbtProject(tmp_path / "small", adapter="snowflake")
    dbt.seed("RAW", "ID,STATE\n1,open\n2,paid\n")
    dbt.model("one", 'SELECT id AS "id", "STATE" AS "Label", State AS S FROM W.MAIN.RAW')
    dbt.model("two", 'SELECT "id" + 1 AS N, "Label", s FROM w.main."one" ORDER BY n')
    dbt.model("order_of_a_column", 'SELECT 9 - id AS "id" FROM w.main.raw ORDER BY id')
    dbt.model("order_of_the_alias", 'SELECT 9 - id AS "id" FROM w.main.raw ORDER BY "id"')
    dbt.model("both", 'SELECT id + 1 AS "id", id FROM w.main.raw')
    project, document = dbt.imported()
    stubs = {one["name"]: one["stub"] for one in document["rules"] if one["stub"]}
    assert stubs.pop("order_of_a_column") == (
        "it sorts by ID, and has id as well, which differs by case alone: names are in lower case here"
    )
    assert set(stubs) == {"both"}
    inprocess.build(project, "-s", "+two order_of_the_alias")
    assert rows(project, "two") == [(2, "open", "open"), (3, "paid", "paid")]
    assert rows(project, "order_of_the_alias") == [(7,), (8,)]


# Clocks and chance


def test_clocks_are_variables_and_chance_is_volatile(dbt: DbtProject) -> None:
    dbt.model("one", "SELECT id, current_date AS d, now() AS n, 'now()' AS said, today() AS t FROM raw")
    dbt.model("two", "SELECT id, random() AS r FROM raw")
    dbt.model("three", 'SELECT id AS now, id AS "today" FROM raw')
    project, document = dbt.imported()
    assert "today = 2026-03-04\n" in project.read("rules.toml")
    assert "now = 2026-03-04 05:06:07+00:00\n" in project.read("rules.toml")
    assert "volatile = true" in text(project, "two")
    assert text(project, "three") == 'SELECT id AS now, id AS "today" FROM raw\n'
    assert any("rows stay those of that moment" in one for one in rule(document, "one")["risks"])
    inprocess.build(project)
    assert rows(project, "one", ["said", "d"])[0][0] == "now()"


# Files


def test_files_that_sql_names_are_sources(dbt: DbtProject) -> None:
    data = dbt.root / "data"
    data.mkdir()
    (data / "visits.csv").write_text("Id;Day\n1;2026-01-01\n2;\n", encoding="utf-8")
    pq.write_table(pa.table({"id": [1, 5]}), data / "other.parquet")
    pq.write_table(pa.table({"id": [1]}), data / "listed.parquet")
    declared = dbt.source("lake", "listed", config={"meta": {"external_location": "data/{name}.parquet"}})
    del declared
    dbt.model("one", "SELECT v.id, day FROM read_csv('data/visits.csv', delim = ';', header = true) AS v")
    dbt.model("two", "SELECT id, 'data/other.parquet' AS said FROM 'data/other.parquet'")
    dbt.model(
        "three", "SELECT other.id FROM read_parquet('data/other.parquet') other JOIN 'data/listed.parquet' USING (id)"
    )
    project, document = dbt.imported()
    assert {one["name"] for one in document["sources"]} == {"visits_files", "other", "listed", "raw"}
    inprocess.build(project)
    assert [row[0] for row in rows(project, "one")] == [1, 2]
    assert rows(project, "two")[1] == (5, "data/other.parquet")
    assert rows(project, "three") == [(1,)]


def test_tables_that_are_no_files_come_from_the_warehouse(dbt: DbtProject, tmp_path: Path) -> None:
    events = dbt.source("app", "events")
    history = dbt.snapshot("raw_history", "SELECT 1 AS id")
    dbt.source("app", "unread")
    dbt.model("ranked", None, language="python", raw_code="def model(dbt, session): ...")
    dbt.model(
        "one",
        f"SELECT e.id, h.dbt_valid_to, place FROM {events} e JOIN {history} h USING (id) JOIN main.ranked USING (id)",
    )
    tables = tmp_path / "tables"
    tables.mkdir()
    pq.write_table(pa.table({"id": [1, 2]}), tables / "raw_events.parquet")
    pq.write_table(pa.table({"id": [1], "dbt_valid_to": ["x"]}), tables / "main_raw_history.parquet")
    pq.write_table(pa.table({"id": [1], "place": [7]}), tables / "ranked.parquet")
    project, document = dbt.imported("--data", str(tables))
    assert "unread" not in {one["name"] for one in document["sources"]}
    assert rule(document, "ranked")["stub"] == "a model in Python"
    assert project.read("not_imported/ranked.py").startswith("def model")
    inprocess.build(project)
    assert rows(project, "one") == [(1, "x", 7)]


def test_without_a_warehouse_the_report_says_which_rows_are_missing(dbt: DbtProject) -> None:
    events = dbt.source("app", "events")
    dbt.model("one", f"SELECT id FROM {events}")
    project, document = dbt.imported()
    assert document["missing"] == {"events": "w.raw.events"}
    assert "`data/events.parquet`: the rows of w.raw.events, as Parquet" in project.read("import-report.md")
    project.parquet("events", {"id": [1]})
    inprocess.build(project)
    assert rows(project, "one") == [(1,)]


def test_without_rows_a_query_stays_in_its_dialect(dbt: DbtProject) -> None:
    events = dbt.source("app", "events")
    dbt.model("one", f"SELECT id / 2 AS half FROM {events}")
    dbt.model("two", "SELECT half / 2 AS quarter FROM main.one")
    for kind in ("unique", "not_null"):
        dbt.generic(kind, "model.small.one", "Half", f"SELECT half AS {kind} FROM main.one WHERE half IS NULL")
    project, document = dbt.imported()
    assert any("rules translate --write" in risk for risk in rule(document, "two")["risks"])
    assert {one["became"] for one in document["tests"]} == {"one.key"}
    project.parquet("events", {"id": [7]})
    inprocess.build(project)
    assert rows(project, "two") == [(1.75,)]
    inprocess.run(project, "translate", "--write", str(project.root / "rules"))
    assert not inprocess.build(project).executed


def test_what_a_materialization_of_the_project_does_is_not_here(dbt: DbtProject) -> None:
    dbt.model("one", "SELECT id FROM raw", config={"materialized": "view"})
    dbt.model("two", "SELECT id FROM raw", config={"materialized": "insert_by_period"})
    _, document = dbt.imported()
    assert not rule(document, "one")["risks"]
    assert "it is kept by insert_by_period" in rule(document, "two")["risks"][0]


def test_what_cannot_be_run_here_reads_its_last_table(dbt: DbtProject, tmp_path: Path) -> None:
    dbt.model("one", "SELECT id, list_transform([id], x -> x + 1) AS l FROM raw")
    dbt.model("two", "SELECT id FROM main.one WHERE id > 1")
    tables = tmp_path / "tables"
    tables.mkdir()
    pq.write_table(pa.table({"id": [1, 2]}), tables / "one.parquet")
    pq.write_table(pa.table({"id": [2]}), tables / "two.parquet")
    project, document = dbt.imported("--verify", str(tables))
    assert rule(document, "one")["stub"]
    assert not rule(document, "two")["stub"]
    assert document["verify"]["same"] == ["two"]
    assert document["verify"]["not_compared"] == {"one": "it reads its last table"}
    assert "list_transform" in project.read("not_imported/one.sql")


# Tests


def contract(project: SampleProject, name: str) -> str:
    return inprocess.run(project, "contract", name).stdout


def test_tests_of_dbt_become_promises(dbt: DbtProject) -> None:
    one = dbt.model("one", "SELECT id, state, id AS other, id > 1 AS late FROM raw")
    dbt.model("two", "SELECT id FROM main.one WHERE id < 3")
    for kind in ("unique", "not_null"):
        dbt.generic(kind, "model.small.one", "id", f"SELECT id AS {kind} FROM {one} WHERE id IS NULL")
        dbt.generic(kind, "model.small.one", "other", f"SELECT id AS {kind} FROM {one} WHERE other IS NULL")
    dbt.generic(
        "accepted_values", "model.small.one", "state", f"SELECT state FROM {one} WHERE state NOT IN ('open', 'paid')",
        kwargs={"values": ["open", "paid"]}, config={"severity": "WARN"},
    )  # fmt: skip
    dbt.generic(
        "accepted_values", "model.small.one", "late", f"SELECT late FROM {one} WHERE late NOT IN (true, false)",
        kwargs={"values": ["true", "false"]},
    )  # fmt: skip
    dbt.generic(
        "relationships", "model.small.two", "id", f"SELECT id FROM main.two WHERE id NOT IN (SELECT id FROM {one})",
        kwargs={"to": "ref('one')", "field": "id"},
    )  # fmt: skip
    project, document = dbt.imported()
    became = {one["name"]: one["became"] for one in document["tests"]}
    assert became == {
        "unique_one_id": "one.key",
        "not_null_one_id": "one.key",
        "unique_one_other": "one.unique_other",
        "not_null_one_other": "one.not_null.other",
        "accepted_values_one_state": "one.accepted.state",
        "accepted_values_one_late": "one.accepted.late",
        "relationships_two_id": "two.references.id",
    }
    inprocess.build(project)


def test_a_test_that_looks_up_the_graph_is_one_of_the_later_table(dbt: DbtProject) -> None:
    dbt.model("one", "SELECT id FROM raw WHERE id < 3")
    dbt.generic(
        "relationships", "seed.small.raw", "id", "SELECT id FROM main.raw WHERE id NOT IN (SELECT id FROM main.one)",
        kwargs={"to": "ref('one')", "field": "id"},
    )  # fmt: skip
    project, document = dbt.imported()
    assert document["tests"][0]["became"] == "one.relationships_id"
    failed = inprocess.build(project, expect=1).document["products"][0]
    assert "check relationships_id failed: 1 row" in failed["error"]["message"]


def test_tests_of_two_tables_in_one_another_make_no_circle(dbt: DbtProject) -> None:
    dbt.model("one", "SELECT id FROM raw")
    dbt.model("two", "SELECT id FROM raw")
    for table, other in (("one", "two"), ("two", "one")):
        sql = f"SELECT id FROM main.{table} WHERE id NOT IN (SELECT id FROM main.{other})"
        kwargs = {"to": f"ref('{other}')", "field": "id"}
        dbt.generic("relationships", f"model.small.{table}", "id", sql, kwargs=kwargs)
        dbt.test(f"{table}_in_{other}", sql)
    project, document = dbt.imported()
    assert {one["became"].partition(".")[0] for one in document["tests"]} == {"one"}
    built = inprocess.build(project).document["products"]
    assert {one["name"]: len(one["checks"]) for one in built} == {"one": 4, "two": 0}


def test_a_test_that_the_project_wrote_itself_is_a_check_whatever_it_is_called(dbt: DbtProject) -> None:
    dbt.model("one", "SELECT id FROM raw")
    dbt.generic("unique", "model.small.one", "id", "SELECT id FROM main.one WHERE id = 3", namespace="small")
    project, document = dbt.imported()
    assert document["tests"][0]["became"] == "one.unique_id"
    inprocess.build(project, expect=1)


@pytest.mark.parametrize(
    ("config", "failing", "warning"),
    [
        ({}, True, False),
        ({"severity": "warn"}, False, True),
        ({"error_if": "> 2", "warn_if": "> 1"}, False, True),
        ({"error_if": "> 1", "warn_if": "> 1"}, True, False),
        ({"error_if": "> 1", "limit": 1}, False, True),
        ({"fail_calc": "max(id)", "error_if": "> 3"}, False, True),
        ({"fail_calc": "max(id)", "error_if": ">= 3", "warn_if": ">= 3"}, True, False),
        ({"fail_calc": "sum(CASE WHEN id > 9 THEN 1 ELSE 0 END)"}, False, False),
    ],
)
def test_conditions_of_tests_are_honoured(
    dbt: DbtProject, config: dict[str, Any], *, failing: bool, warning: bool
) -> None:
    dbt.model("one", "SELECT id FROM raw")
    dbt.test("late", "SELECT id FROM main.one WHERE id > 1", config=config)
    project, _ = dbt.imported()
    built = inprocess.build(project, expect=None).document["products"][0]
    assert (built["status"] == "failed") == failing
    warned = [one for one in built["checks"] if one["failing"] and one["severity"] == "warn"]
    assert bool(warned) == warning


def test_tests_whose_columns_have_no_names_are_checks(dbt: DbtProject) -> None:
    dbt.model("one", "SELECT id, state FROM raw")
    dbt.test("nameless", "SELECT 1, count(*) FROM main.one WHERE id > 9 GROUP BY id")
    dbt.test("twice", "SELECT * FROM main.one a JOIN main.one b USING (id) WHERE id > 2")
    dbt.test("dotted", "SELECT a.*, b.* FROM main.one a JOIN main.one b ON a.id = b.id WHERE a.id > 9")
    project, document = dbt.imported()
    assert not [one for one in document["tests"] if one["lost"]]
    checks = {
        one["name"]: one["failing"] for one in inprocess.build(project, expect=1).document["products"][0]["checks"]
    }
    assert checks == {"one.nameless": 0, "one.twice": 1, "one.dotted": 0}


def test_tests_of_sources_are_contracts_of_sources(dbt: DbtProject, tmp_path: Path) -> None:
    events = dbt.source("app", "events")
    dbt.model("one", f"SELECT id FROM {events}")
    dbt.generic("not_null", "", "id", f"SELECT id FROM {events} WHERE id IS NULL")
    test = dbt.nodes["test.small.not_null__id"]
    test |= {"attached_node": None, "depends_on": {"macros": ["macro.dbt.test_not_null"], "nodes": [*dbt.sources]}}
    tables = tmp_path / "tables"
    tables.mkdir()
    pq.write_table(pa.table({"id": [1, None]}), tables / "events.parquet")
    project, document = dbt.imported("--data", str(tables))
    assert document["tests"][0]["became"] == "events.not_null.id"
    assert "[contracts.events.columns.id]" in project.read("rules.toml")
    assert inprocess.build(project, expect=1).statuses == {"one": "skipped"}


def test_values_of_a_test_that_are_a_template_are_taken_from_what_was_compiled(dbt: DbtProject) -> None:
    dbt.model("one", "SELECT id, state FROM raw WHERE state IS NOT NULL")
    dbt.generic(
        "accepted_values", "model.small.one", "state", "SELECT state FROM main.one WHERE state NOT IN ('open', 'paid')",
        kwargs={"values": "{{ var('states') }}", "model": "{{ get_where_subquery(ref('one')) }}"},
    )  # fmt: skip
    dbt.generic(
        "relationships", "model.small.one", "id", "SELECT id FROM main.one WHERE id NOT IN (SELECT id FROM main.raw)",
        kwargs={"to": "ref('raw')", "field": "{{ var('key') }}"},
    )  # fmt: skip
    project, document = dbt.imported()
    assert {one["became"] for one in document["tests"]} == {"one.accepted_values_state", "one.relationships_id"}
    inprocess.build(project)


def test_a_source_that_is_the_table_of_a_seed_or_model_is_that_table(dbt: DbtProject) -> None:
    source = dbt.source("landed", "raw", schema="main")
    dbt.source("landed", "one_again", identifier="one", schema="main")
    dbt.model("one", f"SELECT id FROM {source}")
    dbt.model("two", "SELECT id + 1 AS id FROM main.one")
    dbt.generic("not_null", "source.small.landed.raw", "id", "SELECT id FROM main.raw WHERE id IS NULL")
    dbt.unit_test("adds", "one", {"source('landed', 'raw')": [{"id": 4}]}, [{"id": 4}])
    project, document = dbt.imported()
    assert not document["missing"]
    assert document["unit_tests"][0]["status"] == "passed"
    assert [one["became"] for one in document["tests"]] == ["raw.not_null.id"]
    inprocess.build(project)
    assert rows(project, "two") == [(2,), (3,), (4,)]
    assert "the source landed.raw is this table" in project.read("import-report.md")
    project.edit("seeds/raw.csv", "3,", "7,")
    assert inprocess.build(project).executed == {"one", "two"}


def test_a_model_that_reads_its_own_table_as_a_source_makes_no_circle(dbt: DbtProject, tmp_path: Path) -> None:
    before = dbt.source("before", "one", schema="main")
    dbt.model("one", f"SELECT r.id FROM raw AS r LEFT JOIN {before} AS o ON o.id = r.id")
    dbt.model("two", "SELECT id FROM main.one")
    tables = tmp_path / "tables"
    tables.mkdir()
    pq.write_table(pa.table({"id": [1, 2]}), tables / "one.parquet")
    project, document = dbt.imported("--data", str(tables))
    (stub,) = [one for one in document["rules"] if one["stub"]]
    assert stub["name"] == "one"
    inprocess.build(project)
    assert rows(project, "two") == [(1,), (2,)]


def test_a_statement_that_is_no_query_is_named(dbt: DbtProject) -> None:
    dbt.model("wide", "PIVOT main.raw ON state IN ('open', 'paid') USING count(*)")
    dbt.model("long", "UNPIVOT main.raw ON id INTO NAME n VALUE v")
    dbt.model("two", "SELECT 1 AS a; SELECT 2 AS a")
    _, document = dbt.imported()
    assert {one["name"]: one["stub"] for one in document["rules"]} == {
        "wide": "the statement PIVOT is no query here",
        "long": "the statement UNPIVOT is no query here",
        "two": "it is not a single query",
    }


def test_what_a_macro_asks_while_it_is_compiled_is_told(dbt: DbtProject) -> None:
    def macro(sql: str, *macros: str) -> dict[str, Any]:
        return {"macro_sql": sql, "depends_on": {"macros": list(macros)}}

    dbt.more["macros"] = {
        "macro.dbt.run_query": macro("{% if execute %}{% endif %}", "macro.dbt.statement"),
        "macro.dbt.hash": macro("{{ target.type }} {{ var('none') }}"),
        "macro.small.states": macro("{% set found = run_query('SELECT 1') %}", "macro.dbt.run_query"),
        "macro.small.label": macro("'{{ var(\"label\") }}' || '{{ target.name }}'"),
        "macro.small.outer": macro(
            "{% if execute %}{{ label() }}{% endif %}", "macro.small.label", "macro.small.outer"
        ),
    }
    for name, called in (("asks", "small.states"), ("says", "small.outer"), ("plain", "dbt.hash")):
        dbt.model(name, "SELECT id FROM raw", depends_on={"macros": [f"macro.{called}"]})
    _, document = dbt.imported()
    end = "the value that it had when it was compiled is in the text"
    assert rule(document, "asks")["risks"] == [f"its template used a query that ran while it was compiled: {end}"]
    assert rule(document, "says")["risks"] == [f"its template used var, target: {end}"]
    assert rule(document, "plain")["risks"] == []


def test_constraints_of_an_enforced_contract_are_promises(dbt: DbtProject) -> None:
    of_state = [
        {"type": "check", "expression": "state <> 'paid'"},
        {"type": "foreign_key", "to": '"w"."main"."states"', "to_columns": ["state"]},
    ]
    columns = {
        "id": {"name": "id", "data_type": "integer", "constraints": [{"type": "primary_key"}]},
        "state": {"name": "state", "data_type": "varchar", "constraints": of_state},
    }
    dbt.seed("states", "state\nopen\npaid\n")
    config = {"contract": {"enforced": True}}
    dbt.model("one", "SELECT id, state FROM raw", columns=columns, config=config)
    whole = [{"type": "check", "expression": "id < 3", "name": "few"}, {"type": "unique", "columns": ["id", "state"]}]
    dbt.model("two", "SELECT id, state FROM raw", columns={}, config=config, constraints=whole)
    dbt.model("lax", "SELECT id, state FROM raw", columns=columns)
    project, document = dbt.imported()
    became = {one["became"] for one in document["tests"]}
    assert became == {"one.key", "one.check_state", "one.references.state", "two.few", "two.unique_id_state"}
    built = {one["name"]: one for one in inprocess.build(project, expect=1).document["products"]}
    assert "check check_state failed: 1 row" in built["one"]["error"]["message"]
    assert "check few failed: 1 row" in built["two"]["error"]["message"]
    assert built["lax"]["status"] == "executed"


def test_constraints_that_a_warehouse_only_writes_down_are_listed(tmp_path: Path) -> None:
    dbt = DbtProject(tmp_path / "small", "snowflake")
    dbt.seed("raw", SEED)
    kinds = [{"type": "not_null"}, {"type": "unique"}]
    columns = {"id": {"name": "id", "data_type": "integer", "constraints": kinds}}
    config = {"contract": {"enforced": True}}
    dbt.model("one", "SELECT id FROM raw", columns=columns, config=config)
    _, document = dbt.imported()
    assert [one["became"] for one in document["tests"]] == ["one.not_null.id"]
    assert document["left_out"] == {"constraints that snowflake does not enforce": ["one: unique of id"]}


def test_what_is_not_carried_over_is_listed(dbt: DbtProject) -> None:
    dbt.model("one", "SELECT id FROM raw", config={"post-hook": [{"sql": "GRANT"}]})
    dbt.more = {
        "exposures": {"exposure.small.board": {}},
        "metrics": {"metric.small.revenue": {}, "metric.small.orders": {}},
        "unit_tests": {"unit_test.small.one.adds": {}},
    }
    never = {"warn_after": {"count": None}, "error_after": None}
    dbt.source("shop", "events", freshness={**never, "warn_after": {"count": 12, "period": "hour"}})
    dbt.source("shop", "others", freshness=never)
    project, document = dbt.imported()
    assert document["left_out"] == {
        "exposures": ["board"], "metrics": ["revenue", "orders"], "hooks": ["one: 1"],
        "source freshness": ["events"],
    }  # fmt: skip
    assert [one["lost"] for one in document["unit_tests"]] == ["the manifest says nothing of it"]
    assert "* metrics (2): revenue, orders" in project.read("import-report.md")


def test_folders_tags_and_descriptions_are_kept(dbt: DbtProject) -> None:
    dbt.model(
        "one", "SELECT id FROM raw", path="staging/shop/one.sql", tags=["daily", "web"],
        description='Says "hi"\\and\nmore: \'\'\'', columns={"ID": {"name": "ID", "description": "Its id"}},
    )  # fmt: skip
    project, _ = dbt.imported()
    ran = inprocess.run(project, "ls", "--json").document["products"][0]
    assert (ran["path"], ran["tags"]) == ("rules/staging/shop/one.sql", ["daily", "web"])
    assert 'description = "Its id"' in project.read("rules/staging/shop/one.sql")
    inprocess.build(project)


def test_an_ephemeral_model_that_cannot_be_run_stays_a_cte(dbt: DbtProject, tmp_path: Path) -> None:
    low = "SELECT id FROM raw WHERE list_transform([id], x -> x + 1)[1] > 0"
    dbt.model("low", low, config={"materialized": "ephemeral"})
    dbt.model("one", f"WITH __dbt__cte__low AS (\n{low}\n) SELECT id FROM __dbt__cte__low")
    tables = tmp_path / "tables"
    tables.mkdir()
    pq.write_table(pa.table({"id": [1, 2]}), tables / "one.parquet")
    project, document = dbt.imported("--data", str(tables))
    assert [one["name"] for one in document["rules"]] == ["one"]
    assert rule(document, "one")["stub"]
    inprocess.build(project)


# What dbt's own macros make


def test_dateadd_of_duckdb_is_an_interval(dbt: DbtProject) -> None:
    dbt.model(
        "one", "SELECT id, CAST((DATE '2026-01-31' + cast(1 as bigint) * interval 1 month) AS date) AS d FROM raw"
    )
    dbt.model("two", "SELECT id, CAST((DATE '2026-01-31' + cast(id as bigint) * interval 1 day) AS date) AS d FROM raw")
    project, _ = dbt.imported()
    inprocess.build(project)
    assert {str(row[1]) for row in rows(project, "one")} == {"2026-02-28"}
    assert [str(row[1]) for row in rows(project, "two")] == ["2026-02-01", "2026-02-02", "2026-02-03"]


def test_table_functions_have_the_columns_that_they_have_there(dbt: DbtProject) -> None:
    dbt.model("one", "SELECT range AS n, r.generate_series AS m FROM range(2) CROSS JOIN generate_series(5, 6) AS r")
    project, _ = dbt.imported()
    inprocess.build(project)
    assert rows(project, "one") == [(0, 5), (0, 6), (1, 5), (1, 6)]


# The warehouse


def test_a_duckdb_file_is_read_with_the_views_that_read_files(dbt: DbtProject, tmp_path: Path) -> None:
    import duckdb

    (dbt.root / "day.csv").write_text("id\n7\n", encoding="utf-8")
    file = tmp_path / "w.duckdb"
    with duckdb.connect(str(file)) as database:
        database.execute("CREATE SCHEMA app; CREATE TABLE app.events AS SELECT 1::HUGEINT AS \"Id\", 'a' AS word")
        database.execute(f"SET file_search_path = '{dbt.root}'; CREATE VIEW two AS SELECT * FROM 'day.csv'")
    events = dbt.source("app", "events", schema="app")
    dbt.model("one", f"SELECT id, word FROM {events}")
    dbt.model("two", "SELECT id FROM 'day.csv'")
    _, document = dbt.imported("--verify", str(file))
    assert document["verify"]["same"] == ["two"]
    assert document["verify"]["not_compared"] == {"one": "the warehouse has no table w.main.one"}


def test_without_the_package_the_hint_names_both_ways(
    dbt: DbtProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dbt.compile()
    (tmp_path / "w.duckdb").touch()
    monkeypatch.setitem(sys.modules, "duckdb", None)
    said = refused(dbt, "--verify", str(tmp_path / "w.duckdb"))
    assert "is read with the Python package duckdb, which is not installed" in said
    assert "pip install 'leastwork-rules[duckdb]'" in said
    assert "EXPORT DATABASE" in said


@pytest.mark.parametrize("place", ["nowhere", "empty", "broken.duckdb"])
def test_what_is_no_warehouse_is_refused(dbt: DbtProject, tmp_path: Path, place: str) -> None:
    dbt.compile()
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.duckdb").write_bytes(b"no database" * 900)
    assert place in refused(dbt, "--verify", str(tmp_path / place))


# Seeds


def test_seeds_have_the_types_that_dbt_gives_them(dbt: DbtProject) -> None:
    dbt.seed(
        "typed",
        "whole,part,day,moment,iso,flag,word,empty,given,mixed\n"
        "1,1.5,2026-01-02,2026-01-02 03:04:05,2026-01-02T03:04:05Z,true,a,,01,1\n"
        "2,,2026-01-03,2026-01-02 03:04:06,2026-01-02T03:04:05,FALSE,,,02,x\n",
        column_types={"given": "varchar", "whole": "decimal(10,2)"},
    )
    dbt.seed("tabbed", "a|b\n1|2\n", delimiter="|")
    project, _ = dbt.imported()
    toml = project.read("rules.toml")
    assert (
        'columns = { whole = "decimal(10, 2)", part = "double", day = "date", moment = "timestamp", iso = "timestamp", '
        'flag = "boolean", word = "string", empty = "int32", given = "string", mixed = "string" }'
    ) in toml
    assert 'delimiter = "|"' in toml
    project.sql("all_of_it", "SELECT t.whole, t.iso, t.flag FROM typed AS t")
    inprocess.build(project)
    assert len(rows(project, "all_of_it")) == 2


def test_seeds_have_the_values_that_dbt_gives_them(dbt: DbtProject) -> None:
    dbt.seed(
        "spelled",
        '"k","day","moment","whole","part","word","none"\r\n'
        '"1"," 2024-1-5","2024-01-01T10:00:00+02:00","1_000","5%"," 2024-1-5",""\r\n'
        '"2","2024-01-06","2024-01-01T10:00:00","-3e2","-.5","1,5",""\r\n'
        '"3","","","","","",""\r\n',
        column_types={"word": "varchar"},
    )
    dbt.model("one", "SELECT * FROM main.spelled")
    project, _ = dbt.imported()
    inprocess.build(project)
    day = datetime.date(2024, 1, 5)
    morning = datetime.datetime(2024, 1, 1, 8)
    assert rows(project, "one") == [
        (1, day, morning, 1000, 5.0, " 2024-1-5", None),
        (2, day + datetime.timedelta(days=1), morning + datetime.timedelta(hours=2), -300, -0.5, "1,5", None),
        (3, None, None, None, None, None, None),
    ]
    report = project.read("import-report.md")
    assert " 2024-1-5 is 2024-01-05" in report
    assert "its NULLs are without quotes" in report


@pytest.mark.parametrize(
    ("adapter", "number", "moment"),
    [
        ("duckdb", "int32", "timestamp"),
        ("postgres", "int32", "timestamp"),
        ("redshift", "int32", "timestamp"),
        ("snowflake", "int64", "timestamp"),
        ("bigquery", "int64", "timestamp"),
        ("spark", "int64", "timestamp[us, tz=UTC]"),
    ],
)
def test_seeds_have_the_types_of_the_adapter(tmp_path: Path, adapter: str, number: str, moment: str) -> None:
    dbt = DbtProject(tmp_path / "small", adapter=adapter)
    dbt.seed("typed", "n,t,given\n1,2026-01-02 03:04:05,1\n", column_types={"given": "smallint"})
    project, _ = dbt.imported()
    given = "int64" if adapter in ("snowflake", "bigquery") else "int16"
    assert f'columns = {{ n = "{number}", t = "{moment}", given = "{given}" }}' in project.read("rules.toml")


def test_unnest_of_bigquery_is_refused_as_it_is_written(tmp_path: Path) -> None:
    dbt = DbtProject(tmp_path / "small", adapter="bigquery")
    dbt.model("one", "SELECT d + 1 AS n FROM UNNEST([1, 2]) AS d")
    project, document = dbt.imported()
    assert rule(document, "one")["stub"].startswith("UNNEST in FROM needs column names (R901)")
    assert project.read("not_imported/one.sql") == "SELECT d + 1 AS n FROM UNNEST([1, 2]) AS d\n"


# Verify


@pytest.fixture
def verified(dbt: DbtProject, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Import one model with a table there, compare, and return what differs."""

    def verify(sql: str, table: pa.Table, *, key: bool = False, same: bool = False) -> dict[str, Any]:
        dbt.model("one", sql)
        for kind in ("unique", "not_null") if key else ():
            dbt.generic(kind, "model.small.one", "id", f"SELECT id FROM {kind}")
        tables = tmp_path / "tables"
        tables.mkdir()
        pq.write_table(table, tables / "main_one.parquet")
        _, document = dbt.imported("--verify", str(tables), expect=0 if same else 1)
        found = document["verify"]
        assert (found["same"] == ["one"]) == same
        return {} if same else found["different"][0]

    return verify


def test_a_row_that_differs_is_shown_by_its_key(verified: Callable[..., dict[str, Any]]) -> None:
    there = pa.table({"id": [3, 2, 1], "state": [None, "PAID", "open"], "n": [9, 9, 9]})
    found = verified("SELECT id, state, 9 AS n FROM raw", there, key=True)
    assert found["difference"] == "rows: 1 other, first in state"
    assert found["column"] == "state"
    assert found["rows"] == ["id = 2, state = PAID there, state = paid here"]


def test_tables_without_a_key_are_bags(verified: Callable[..., dict[str, Any]]) -> None:
    found = verified("SELECT 1 AS a, state FROM raw", pa.table({"a": [1, 1], "state": ["open", "paid"]}))
    assert found["difference"] == "rows: 1 only here"
    assert found["rows"] == ["only here:  a = 1, state = NULL"]


def test_other_columns_differ(verified: Callable[..., dict[str, Any]]) -> None:
    found = verified("SELECT id, state FROM raw", pa.table({"id": [1, 2, 3], "size": [1, 2, 3]}))
    assert found["difference"] == "no column size here; no column state there"


def test_equal_values_of_other_types_are_the_same(verified: Callable[..., dict[str, Any]]) -> None:
    there = pa.table(
        {
            "ID": pa.array([1, 2, 3], pa.decimal128(38, 0)),
            "x": pa.array([0.1 + 0.2, 0.3, 0.3]),
            "State": pa.array(["open", "paid", None]).dictionary_encode(),
        }
    )
    verified("SELECT id, 0.3 AS x, state FROM raw", there, same=True)


def test_products_behind_a_failing_check_are_compared_too(dbt: DbtProject, tmp_path: Path) -> None:
    dbt.model("one", "SELECT id, state FROM raw")
    dbt.model("two", "SELECT count(*) AS n FROM main.one")
    dbt.test("nobody", "SELECT id FROM main.one")
    tables = tmp_path / "tables"
    tables.mkdir()
    pq.write_table(pa.table({"id": [1, 2, 3], "state": ["open", "paid", None]}), tables / "one.parquet")
    pq.write_table(pa.table({"n": [3]}), tables / "two.parquet")
    _, document = dbt.imported("--verify", str(tables))
    assert document["verify"]["same"] == ["one", "two"]
    assert document["verify"]["failing_checks"][0].startswith("one: check nobody failed")
