"""Rules in other dialects: read as their dialect does, built with its values, refused at the author's place."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import SampleProject


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "sample", sources=["raw"])
    made.parquet(
        "raw", {"id": [1, 2, 3], "n": [7, 5, None], "m": [2, 2, 1], "s": ["a", "it's", None], "Total": [1.5, 2.5, 3.5]}
    )
    return made


def rows(project: SampleProject, name: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = run(project, "show", name, "--json").document["data"]
    return found


def fingerprints(project: SampleProject) -> dict[str, str]:
    return {one["name"]: one["fingerprint"] for one in run(project, "plan", "--json").document["products"]}


def front(dialect: str, query: str) -> str:
    return f'-- /// rule\n-- dialect = "{dialect}"\n-- ///\n{query}'


def test_a_rule_has_the_values_of_its_dialect(project: SampleProject) -> None:
    project.sql(
        "duck", front("duckdb", "FROM raw SELECT id, n / m AS q, CAST(total AS INT) AS t, n // m AS w ORDER BY n DESC")
    )
    project.sql(
        "big",
        front("bigquery", "SELECT `id`, IF(n > 5, \"big\", 'small') AS size, # a comment\n n / m AS q FROM `raw`"),
    )
    project.sql("post", front("postgres", 'SELECT id, n / m AS q, "Total"::int AS t FROM raw'))
    build(project)
    assert [(row["q"], row["t"], row["w"]) for row in rows(project, "duck")] == [
        (3.5, 2, 3),
        (2.5, 2, 2),
        (None, 4, None),
    ]
    assert [(row["size"], row["q"]) for row in rows(project, "big")] == [("big", 3.5), ("small", 2.5), ("small", None)]
    assert [(row["q"], row["t"]) for row in rows(project, "post")] == [(3, 2), (2, 2), (None, 4)]


def test_a_rule_and_its_translation_are_one(project: SampleProject) -> None:
    project.sql("a", front("duckdb", "SELECT raw.n / raw.m AS q FROM raw"))
    project.sql("b", "SELECT CAST(raw.n AS DOUBLE) / raw.m AS q FROM raw")
    project.sql("c", front("snowflake", "SELECT iff(RAW.N > 1, 'x', 'y') AS Q FROM RAW"))
    project.sql("d", "SELECT CASE WHEN raw.n > 1 THEN 'x' ELSE 'y' END AS q FROM raw")
    found = fingerprints(project)
    assert found["a"] == found["b"]
    assert found["c"] == found["d"]
    assert found["a"] != found["c"]


def test_a_formatting_edit_of_a_foreign_rule_runs_nothing(project: SampleProject) -> None:
    project.sql("a", front("duckdb", "FROM raw SELECT n / m AS q"))
    build(project)
    project.sql("a", front("duckdb", "SELECT n / m AS q -- halves\n  FROM raw"))
    assert build(project).executed == set()
    project.sql("a", "SELECT n / m AS q FROM raw")  # in our SQL it is another rule: a whole division
    assert build(project).executed == {"a"}


def test_the_nearest_place_says_the_dialect(project: SampleProject) -> None:
    project.write("rules/theirs/near.sql", "SELECT n / m AS q FROM raw")
    project.write("rules/theirs/own.sql", front("datafusion", "SELECT n / m AS q FROM raw"))
    project.write("rules/far.sql", "SELECT n / m AS q FROM raw")
    config = project.root / "rules.toml"
    plain = config.read_text()
    config.write_text(f'{plain}\n[folders."rules/theirs"]\ndialect = "duckdb"\n')
    build(project)
    assert [rows(project, name)[0]["q"] for name in ("near", "own", "far")] == [3.5, 3, 3]
    config.write_text(plain.replace("[project]", '[project]\ndialect = "duckdb"'))
    build(project)
    assert [rows(project, name)[0]["q"] for name in ("near", "own", "far")] == [3.5, 3, 3.5]


@pytest.mark.parametrize(
    ("dialect", "query", "place", "hint"),
    [
        ("duckdb", "SELECT id,\n  list_transform([n], x -> x + 1) AS l FROM raw", "5:23", "the elements as rows"),
        ("duckdb", "FROM raw\nSELECT soundex(s) AS z", "5:8", "write levenshtein"),
        ("duckdb", "SELECT n || 1 + 2 AS z FROM raw", "4:13", "write parentheses"),
        ("duckdb", "SELECT nope AS z\nFROM raw", "4:8", "known columns"),
        ("duckdb", "PIVOT raw ON s USING sum(n)", "4:1", "list the values with IN"),
        ("bigquery", 'SELECT "x" AS a,\n  `nope` AS b FROM raw', "5:3", "known columns"),
        ("snowflake", "SELECT v:a.b AS z FROM raw", "4:8", "no JSON functions"),
        ("spark", "SELECT CAST(n AS MAP<INT, INT>) AS z FROM raw", "4:18", "DECIMAL"),
        ("postgres", "SELECT s LIKE s ESCAPE '!' AS z FROM raw", "4:15", None),
        ("redshift", "SELECT avg(n) AS z FROM raw", "4:8", "trunc"),
        ("duckdb", "SELECT (n AS z FROM raw", "4:16", None),
    ],
)  # fmt: skip
def test_what_is_not_known_to_be_equal_is_refused_at_its_place(
    project: SampleProject, dialect: str, query: str, place: str, hint: str | None
) -> None:
    project.sql("bad", front(dialect, query))
    checked = run(project, "check", "--json", expect=1).document["findings"]
    found = [one for one in checked if one["code"] >= "R900" or one["code"] == "R003"]
    assert [f"{one['line']}:{one['column']}" for one in found] == [place]
    assert hint is None or hint in found[0]["hint"]
    failed = run(project, "build", "--json", expect=1).document
    assert f"bad.sql:{place}" in str(failed)


def test_names_keep_the_case_rules_of_their_dialect(project: SampleProject) -> None:
    project.sql("duck", front("duckdb", 'SELECT TOTAL AS "My Total", "ID" AS id2 FROM raw WHERE "my total" > 2'))
    project.sql("snow", front("snowflake", 'SELECT "ID" AS X, "Total" AS Y FROM RAW'))
    build(project)
    assert rows(project, "duck") == [{"My Total": 2.5, "id2": 2}, {"My Total": 3.5, "id2": 3}]
    assert rows(project, "snow")[0] == {"x": 1, "y": 1.5}


def test_lineage_and_explain_and_diff_know_a_foreign_rule(project: SampleProject) -> None:
    project.sql("a", front("duckdb", "FROM raw SELECT n / m AS q"))
    build(project)
    assert "raw.m" in run(project, "lineage", "a.q").stdout
    assert "q: float64" in run(project, "explain", "a").stdout
    project.sql("a", front("duckdb", "FROM raw SELECT n / m AS q WHERE n > 5"))
    assert "a" in run(project, "diff").stdout
    assert rows(project, "a")[0] == {"q": 3.5}


def test_a_translation_is_printed_and_written_and_runs_nothing(project: SampleProject) -> None:
    query = "-- halves\nSELECT raw.n / raw.m AS q, -- of both\n       raw.s ILIKE ANY ('A', 'b!%') AS k\nFROM raw\n"
    project.sql("a", front("duckdb", query))
    build(project)
    path = project.root / "rules" / "a.sql"
    before = path.read_text()
    printed = run(project, "translate", str(path)).stdout
    assert "-- of both" in printed
    assert "CAST(raw.n AS DOUBLE) / raw.m AS q" in printed
    assert "dialect" not in printed
    assert run(project, "translate", str(path), "--diff", expect=1).stdout.startswith("--- rules/a.sql")
    assert run(project, "translate", str(path), "--check").stdout == ""
    assert path.read_text() == before
    run(project, "translate", str(path), "--write")
    assert path.read_text().rstrip("\n") == printed.rstrip("\n")
    assert build(project).executed == set()
    assert run(project, "translate", str(path), expect=2).code == 2


def test_a_folder_is_translated_by_what_the_command_says(project: SampleProject) -> None:
    project.write("rules/theirs/base.sql", "SELECT raw.n / raw.m AS q FROM raw")
    project.write("rules/theirs/top.sql", "SELECT base.q::INT AS w FROM base")
    project.write("rules/theirs/bad.sql", "SELECT soundex(raw.s) AS z FROM raw")
    ran = run(
        project, "translate", str(project.root / "rules" / "theirs"), "--from", "duckdb", "--write", "--json", expect=1
    )
    found = {one["path"]: one["written"] for one in ran.document["files"]}
    assert found == {"rules/theirs/base.sql": True, "rules/theirs/top.sql": True, "rules/theirs/bad.sql": False}
    assert [(one["path"], one["line"], one["column"]) for one in ran.document["findings"]] == [
        ("rules/theirs/bad.sql", 1, 8)
    ]
    assert "round(" in (project.root / "rules/theirs/top.sql").read_text()


def test_a_file_outside_of_the_rules_is_translated_too(project: SampleProject) -> None:
    project.write("queries/q.sql", "SELECT IF(raw.n > 5, 'x', \"y\") AS z FROM raw")
    printed = run(project, "translate", str(project.root / "queries/q.sql"), "--from", "spark").stdout
    assert printed == "SELECT CASE WHEN (raw.n > 5) THEN 'x' ELSE 'y' END AS z FROM raw\n"
    assert run(project, "show", "raw").code == 0


def test_a_cte_of_a_foreign_rule_is_not_shown_as_if_it_were_ours(project: SampleProject) -> None:
    project.sql("a", front("duckdb", "WITH c AS (SELECT raw.n / raw.m AS q FROM raw) SELECT c.q FROM c"))
    build(project)
    assert "another dialect" in run(project, "show", "a.c", "--json", expect=2).document["error"]["message"]


@pytest.mark.parametrize(
    ("query", "translated"),
    [
        ("SELECT a.n FROM (FROM raw) AS a", "SELECT a.n FROM (SELECT * FROM raw) AS a"),
        ("FROM (FROM raw SELECT n, m) AS a SELECT a.n, a.m", "SELECT a.n, a.m FROM (SELECT n, m FROM raw ) AS a "),
        ("WITH c AS (FROM raw) FROM c SELECT DISTINCT n", "WITH c AS (SELECT * FROM raw) SELECT DISTINCT n FROM c "),
        ("SELECT concat(s, ' (', s, ')') AS z, FROM raw", "SELECT concat(s, ' (', s, ')') AS z FROM raw"),
    ],
)
def test_nothing_is_lost_of_nested_queries(project: SampleProject, query: str, translated: str) -> None:
    path = project.write("queries/q.sql", query)
    printed = run(project, "translate", str(project.root / "queries/q.sql"), "--from", "duckdb").stdout
    assert printed.strip() == translated.strip(), path


@pytest.mark.parametrize(
    "query",
    ["SELECT n & m | id AS z FROM raw", "SELECT count(DISTINCT (n, m)) AS a, count(DISTINCT n, m) AS z FROM raw"],
)
def test_what_parsers_and_engines_may_read_in_two_ways_is_refused(project: SampleProject, query: str) -> None:
    project.sql("bad", front("duckdb", query))
    found = run(project, "check", "--json", expect=1).document["findings"]
    assert {one["code"] for one in found} == {"R901"}


@pytest.mark.parametrize("dialect", ["bigquery", "postgres"])
def test_a_doubled_comma_is_refused_in_each_dialect(project: SampleProject, dialect: str) -> None:
    project.sql("r", front(dialect, "SELECT id,, n FROM raw"))
    ran = run(project, "check", "--json", expect=1)
    [found] = ran.document["findings"]
    assert "nothing is between this comma and the one before" in found["message"]
    assert (found["line"], found["column"]) == (4, 11)
