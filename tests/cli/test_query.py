"""`rules show "SELECT …"`, `rules query`, `rules show SOURCE`, `rules show RULE.CTE`: rows that nothing stores."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pytest

from support.forks import shared
from support.inprocess import run
from support.projects import RULES, SampleProject


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """sales → large; a source in CSV; an unbuilt rule; a rule that does not parse."""
    sample = SampleProject(
        tmp_path_factory.mktemp("query") / "sample",
        sources=["raw"],
        toml='[sources.people]\npath = "data/people.csv"\n[vars]\nleast = 20\n',
    )
    sample.parquet("raw", {"id": [1, 2, 3, 4], "amount": [10, 20, 30, None], "who": ["a", "b", "a", "b"]})
    sample.write("data/people.csv", "who,name\na,Ada\nb,Grace\n")
    sample.sql(
        "sales",
        "WITH raw AS (SELECT r.id, r.amount, r.who FROM raw AS r WHERE r.amount IS NOT NULL),\n"
        "doubled AS (SELECT r.id, r.amount * 2, r.who FROM raw AS r),\n"
        "ranked AS (WITH inner_ranked AS (SELECT r.id, r.who FROM raw AS r) SELECT i.id FROM inner_ranked AS i),\n"
        "unused AS (SELECT n.x FROM never_built AS n)\n"
        "SELECT r.id, r.amount, r.who FROM raw AS r",
    )
    sample.sql("large", "SELECT s.id, s.amount FROM sales AS s WHERE s.amount >= $least")
    sample.sql("never_built", "SELECT r.id AS x FROM raw AS r")
    sample.edit("rules/sales.sql", ",\nunused AS (SELECT n.x FROM never_built AS n)", "")
    run(sample, "build", "-s", "large", "-s", "sales")
    return sample


def rows(project: SampleProject, *words: str) -> list[dict]:
    return run(project, *words, "--json").document["data"]


def files(project: SampleProject) -> dict[str, tuple[int, int]]:
    """Every file of the store but SQLite's shared memory, which a reader touches, with its size and time."""
    found = (path for path in (project.root / ".rules").rglob("*") if path.is_file() and path.suffix != ".sqlite-shm")
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def test_a_query_over_products_and_sources(project: SampleProject) -> None:
    ran = run(
        project,
        "show",
        "SELECT p.name, SUM(s.amount) AS total FROM sales AS s JOIN people AS p ON p.who = s.who "
        "GROUP BY p.name ORDER BY 1",
        "--json",
    )
    assert ran.document["data"] == [{"name": "Ada", "total": 40}, {"name": "Grace", "total": 20}]
    assert (ran.document["rows"], ran.document["status"]) == (2, "ok")
    assert ran.document["query"].startswith("SELECT p.name")


def test_query_is_the_same_command(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "SELECT l.id FROM large AS l ORDER BY l.id"
    assert rows(project, "query", text) == rows(project, "show", text) == [{"id": 2}, {"id": 3}]
    for command in ("show", "query"):
        monkeypatch.setattr("sys.stdin", standard_input(f"-- a file\n{text}\n".encode()))
        assert rows(project, command, "-") == [{"id": 2}, {"id": 3}]


@pytest.mark.parametrize("command", ["show", "query"])
def test_a_standard_input_that_is_no_text_is_one_clear_error(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("sys.stdin", standard_input(b"SELECT\n  '\xff' AS x"))
    refused = run(project, command, "-", "--json", expect=2).document["error"]
    assert (refused["message"], refused["where"]) == ("not UTF-8: byte 0xff cannot be read", "query:2:4")
    monkeypatch.setattr("sys.stdin", None)
    refused = run(project, command, "-", "--json", expect=2).document["error"]
    assert refused["message"] == "the standard input is closed"


def standard_input(data: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")


def test_what_a_rule_must_have_and_a_query_need_not(project: SampleProject) -> None:
    assert rows(project, "show", "SELECT COUNT(*), 1, 1, random() < 2 AS r FROM sales AS s") == [
        {"COUNT(*)": 3, "1": 1, "1 (2)": 1, "r": True}
    ]
    assert rows(project, "show", "SELECT SUM(s.amount) FROM sales AS s UNION ALL SELECT 7") != []
    assert rows(project, "show", "(SELECT MAX(id) FROM sales)") == [{"MAX(id)": 3}]
    assert rows(project, "show", "VALUES (1), (2)") == [{"column1": 1}, {"column1": 2}]


def test_variables_of_the_project(project: SampleProject) -> None:
    text = "SELECT $least + 1 AS x"
    assert rows(project, "show", text) == [{"x": 21}]
    assert rows(project, "show", text, "--var", "least=1") == [{"x": 2}]


@pytest.mark.slow
def test_every_format(project: SampleProject) -> None:
    text = "SELECT s.id, s.who FROM sales AS s ORDER BY s.id"
    shown = shared().run(project.root, "show", text)
    assert shown.stdout == "id  who\n 1  a\n 2  b\n 3  a\n(3 rows)\n"
    assert shared().run(project.root, "show", text, "-n", "2").stdout.endswith("(the first 2 rows; -n shows others)\n")
    assert shared().run(project.root, "show", text, "-n", "3").stdout.endswith("(3 rows)\n")
    assert shared().run(project.root, "show", text, "-q").stdout == "id  who\n 1  a\n 2  b\n 3  a\n"
    assert shared().run(project.root, "show", text, "--format", "csv").stdout == '"id","who"\n1,"a"\n2,"b"\n3,"a"\n'
    lines = shared().run(project.root, "show", text, "--format", "json", "-n", "1").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [{"id": 1, "who": "a"}]
    arrow = subprocess.run(
        [RULES, "show", text, "--format", "arrow"], cwd=project.root, capture_output=True, check=True
    )
    assert pa.ipc.open_stream(arrow.stdout).read_all().to_pydict() == {"id": [1, 2, 3], "who": ["a", "b", "a"]}
    assert run(project, "show", text, "--json", "-n", "2").document["rows"] is None


def test_the_columns_of_no_rows(project: SampleProject) -> None:
    text = "SELECT s.id, s.who FROM sales AS s WHERE s.id > 9"
    assert run(project, "show", text).stdout == "id  who\n(0 rows)\n"
    assert run(project, "show", text, "--json").document["data"] == []


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("SELECT s.amont FROM sales AS s", "unknown column 'amont'", "query:1:10"),
        ("SELECT 1 AS x\nFROM salez", "unknown input 'salez'", "query:2:6"),
        ("SELECT x.x FROM never_built AS x", "the product 'never_built' has not been built yet", "query:1:17"),
        ("SELECT $nope AS x", "unknown variable '$nope'", "query:1:8"),
        ("SELECT 1 AS x FROM", "near FROM", "query:1:"),
        ("SELECT 1 AS x; SELECT 2 AS y", "a second statement starts after this ;", "query:1:14"),
        ("DELETE FROM sales", "only a query can be run here, and DELETE does not start one", "query:1:1"),
        ("COPY (SELECT 1 AS x) TO 'x.csv'", "only a query can be run here, and COPY does not start one", "query:1:1"),
        ("CREATE TABLE x AS SELECT 1 AS x", "only a query can be run here, and CREATE does not start one", "query:1:1"),
        ("SET x = 1", "only a query can be run here, and SET does not start one", "query:1:1"),
        ("", "this text contains no query", "query:1:1"),
        ("SELECT nope(1) AS x", "unknown function 'nope'", "query:1:8"),
        ("SELECT s.id, s.id FROM sales AS s", "two output columns are named 'id'", "query:1:"),
        ("SELECT 1 / (s.id - 1) AS x FROM sales AS s", "division by zero", "query:1:8"),
        ("SELECT CAST(s.who AS INT) AS x FROM sales AS s", "'a' is not a value of INT", "query:1:13"),
    ],
)
def test_errors_are_those_of_rules_at_their_place(project: SampleProject, text: str, message: str, where: str) -> None:
    ran = run(project, "query", text, "--json", expect=1)
    error = ran.document["error"]
    assert message in error["message"]
    assert str(error["where"]).startswith(where)
    plain = run(project, "query", text, expect=1)
    assert plain.stdout == ""
    assert "Traceback" not in plain.stderr


def test_a_product_that_was_never_built_says_how(project: SampleProject) -> None:
    for words in (["show", "never_built"], ["query", "SELECT * FROM never_built"]):
        ran = run(project, *words, expect=None if words[0] == "query" else 2)
        assert "rules build -s +never_built" in ran.stderr


def test_a_query_reads_what_was_committed_and_a_source_as_it_is(tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"], toml='[sources.people]\npath = "data/people.csv"\n')
    sample.parquet("raw", {"id": [1]})
    sample.write("data/people.csv", "name\nAda\n")
    sample.sql("kept", "SELECT r.id FROM raw AS r")
    # Before any build there is no product, and sources can be looked at.
    assert rows(sample, "show", "people") == [{"name": "Ada"}]
    run(sample, "build")
    sample.parquet("raw", {"id": [5, 6]})
    sample.write("data/people.csv", "name,age\nGrace,50\n")
    sample.sql("kept", "SELECT nonsense FROM nowhere")
    before = files(sample)
    assert rows(sample, "show", "SELECT k.id FROM kept AS k") == [{"id": 1}]
    assert rows(sample, "show", "SELECT r.id FROM raw AS r") == [{"id": 5}, {"id": 6}]
    assert rows(sample, "show", "SELECT p.name, p.age FROM people AS p") == [{"name": "Grace", "age": 50}]
    assert rows(sample, "show", "people") == [{"name": "Grace", "age": 50}]
    assert files(sample) == before


def test_nothing_is_stored(project: SampleProject) -> None:
    before = files(project)
    rows(project, "show", "SELECT s.id, p.name FROM sales AS s JOIN people AS p ON p.who = s.who")
    rows(project, "show", "sales.doubled")
    rows(project, "show", "raw")
    run(project, "query", "SELECT x FROM sales", expect=1)
    assert files(project) == before


def test_names_go_before_queries(tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    sample.parquet("raw", {"id": [1]})
    sample.write("rules/values.sql", "SELECT r.id AS of_the_rule FROM raw AS r\n")
    sample.write("rules/with.sql", "SELECT r.id AS of_with FROM raw AS r\n")
    run(sample, "build")
    assert rows(sample, "show", "values") == [{"of_the_rule": 1}]
    assert rows(sample, "show", "with") == [{"of_with": 1}]
    assert rows(sample, "show", "(VALUES (1))") == [{"column1": 1}]


def test_a_source_by_its_name(project: SampleProject) -> None:
    document = run(project, "show", "people", "--json").document
    assert (document["source"], document["rows"], len(document["data"])) == ("people", 2, 2)
    ran = run(project, "show", "peeple", expect=2)
    assert "did you mean 'people'?" in ran.stderr


# --- CTEs


def test_a_cte_of_a_rule(project: SampleProject) -> None:
    document = run(project, "show", "sales.doubled", "--json").document
    assert document["cte"] == "sales.doubled"
    assert document["data"] == [
        {"id": 1, "r.amount * 2": 20, "who": "a"},
        {"id": 2, "r.amount * 2": 40, "who": "b"},
        {"id": 3, "r.amount * 2": 60, "who": "a"},
    ]


def test_a_cte_that_is_named_as_its_input(project: SampleProject) -> None:
    assert [row["id"] for row in rows(project, "show", "sales.raw")] == [1, 2, 3]
    assert [row["id"] for row in rows(project, "show", "raw")] == [1, 2, 3, 4]


def test_a_cte_inside_of_another(project: SampleProject) -> None:
    inner = [{"id": 1, "who": "a"}, {"id": 2, "who": "b"}, {"id": 3, "who": "a"}]
    assert rows(project, "show", "sales.inner_ranked") == rows(project, "show", "sales.ranked.inner_ranked") == inner
    assert rows(project, "show", "sales.RANKED") == [{"id": 1}, {"id": 2}, {"id": 3}]


CTES = """WITH RECURSIVE up AS (
    SELECT 1 AS n
    UNION ALL
    SELECT u.n + 1 FROM up AS u WHERE u.n < 4
),
same AS (SELECT u.n FROM up AS u),
listed(a, b) AS (SELECT s.n, COUNT(*) FROM same AS s GROUP BY s.n),
broken AS (SELECT o.x FROM other AS o)
SELECT q.n FROM (
    WITH same AS (SELECT s.n * 10 AS n FROM same AS s), deep AS (SELECT s.n + 1 AS n FROM same AS s)
    SELECT d.n FROM deep AS d
) AS q, broken AS x
WHERE EXISTS (WITH mine AS (SELECT q.n AS outer_n) SELECT 1 FROM mine AS m)
"""


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    sample = SampleProject(tmp_path_factory.mktemp("nested") / "p", sources=["raw"])
    sample.parquet("raw", {"id": [1]})
    sample.sql("other", "SELECT r.id AS x FROM raw AS r")
    sample.write("rules/tree.sql", CTES)
    sample.write("rules/one.py", 'from rules import rule\n\n\n@rule\ndef one(raw):\n    return raw.select("id")\n')
    return sample


def test_a_recursive_cte(nested: SampleProject) -> None:
    assert sorted(row["n"] for row in rows(nested, "show", "tree.up")) == [1, 2, 3, 4]


def test_a_cte_with_a_list_of_columns(nested: SampleProject) -> None:
    assert sorted((row["a"], row["b"]) for row in rows(nested, "show", "tree.listed")) == [
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 1),
    ]


def test_a_cte_of_a_subquery_sees_what_is_around_it(nested: SampleProject) -> None:
    assert sorted(row["n"] for row in rows(nested, "show", "tree.deep")) == [11, 21, 31, 41]


def test_ctes_of_one_name_have_to_be_told_apart(nested: SampleProject) -> None:
    ran = run(nested, "show", "tree.same", expect=1)
    assert "the rule has 2 CTEs called 'same'" in ran.stderr
    assert "rules/tree.sql:10:10" in ran.stderr
    assert "same at 6:1, same at 10:10" in ran.stderr


def test_a_cte_that_takes_columns_from_the_query_around_it(nested: SampleProject) -> None:
    ran = run(nested, "show", "tree.mine", expect=1)
    assert ran.stderr.startswith("error: ")
    assert "unknown table or alias 'q'\n  where: rules/tree.sql:13:" in ran.stderr


def test_a_cte_of_inputs_that_were_never_built(nested: SampleProject) -> None:
    ran = run(nested, "show", "tree.broken", expect=1)
    assert "the product 'other' has not been built yet" in ran.stderr
    assert "rules/tree.sql:8:28" in ran.stderr
    assert "rules build -s +other" in ran.stderr


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("tree.dep", 2, "did you mean 'deep'? its CTEs: up, same, listed, broken, deep, mine"),
        ("tree.zzz", 2, "tree has neither a check nor a CTE 'zzz'"),
        ("other.zzz", 2, "other has neither a check nor a CTE 'zzz'\n"),
        ("one.zzz", 2, "one has no check of that name, and only rules in SQL have CTEs"),
        ("nowhere.zzz", 2, "unknown product 'nowhere.zzz'"),
        ("tree.", 2, "tree has no check of that name"),
    ],
)
def test_a_cte_that_is_not_there(nested: SampleProject, name: str, code: int, says: str) -> None:
    assert says in run(nested, "show", name, expect=code).stderr


def test_a_cte_of_the_text_as_it_is_now(tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    sample.parquet("raw", {"id": [1, 2]})
    sample.sql("kept", "WITH a AS (SELECT r.id FROM raw AS r) SELECT a.id FROM a")
    run(sample, "build")
    assert run(sample, "show", "kept.a").stderr == ""
    sample.sql("kept", "WITH a AS (SELECT r.id + 5 AS id FROM raw AS r) SELECT a.id FROM a")
    ran = run(sample, "show", "kept.a", "--json")
    assert [row["id"] for row in ran.document["data"]] == [6, 7]
    assert "rules/kept.sql was edited since kept was last built" in ran.stderr
    assert rows(sample, "show", "kept") == [{"id": 1}, {"id": 2}]
    sample.sql("kept", "WITH a AS (SELECT r.idd FROM raw AS r) SELECT a.id FROM a")
    assert "rules/kept.sql:1:21" in run(sample, "show", "kept.a", expect=1).stderr


def test_a_check_goes_before_a_cte(tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    sample.parquet("raw", {"id": [1, 1]})
    sample.sql(
        "kept",
        '-- /// rule\n-- key = ["id"]\n-- severity = "warn"\n-- ///\n'
        "WITH key AS (SELECT r.id FROM raw AS r) SELECT k.id FROM key AS k",
    )
    run(sample, "build")
    assert run(sample, "show", "kept.key", "--json").document["product"] == "kept.key"


# --- Functions of the project, streams


def test_functions_of_the_project(tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    sample.parquet("raw", {"id": [1, 2]})
    sample.write(
        "rules/functions.py",
        "from rules import udf\n\n\n@udf.python\ndef twice(x: int) -> int:\n    return 10 // (x - 5) * 0 + x * 2\n",
    )
    assert rows(sample, "show", "SELECT twice(r.id) AS x FROM raw AS r") == [{"x": 2}, {"x": 4}]
    ran = run(sample, "show", "SELECT twice(r.id + 4) AS x FROM raw AS r", expect=1)
    assert "rules/functions.py:6" in ran.stderr
    sample.edit("rules/functions.py", "import udf", "import nothing_like_it, udf")
    ran = run(sample, "show", "SELECT twice(r.id) AS x FROM raw AS r", expect=1)
    assert "rules/functions.py cannot be read, which may declare it" in ran.stderr


def large(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    sample.parquet("raw", {"id": list(range(300_000)), "text": [f"row {n}" for n in range(300_000)]})
    return sample


def test_rows_behind_a_limit_are_not_computed(tmp_path: Path) -> None:
    sample = large(tmp_path)
    text = "SELECT 100 / (200000 - r.id) AS x FROM raw AS r"
    assert len(rows(sample, "show", text, "-n", "5")) == 5
    assert "division by zero" in run(sample, "show", text, "--json", expect=1).document["error"]["message"]


@pytest.mark.slow
def test_a_reader_who_goes(tmp_path: Path) -> None:
    sample = large(tmp_path)
    command = (
        f"{RULES} query 'SELECT r.id, g.value FROM raw AS r CROSS JOIN generate_series(1, 1000) AS g' --format csv"
    )
    ran = subprocess.run(
        ["bash", "-c", f"{command} | head -2; exit ${{PIPESTATUS[0]}}"],
        cwd=sample.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    assert ran.stdout == '"id","value"\n0,1\n'


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow
def test_an_interrupt(tmp_path: Path) -> None:
    sample = large(tmp_path)
    text = (
        "SELECT SUM(a.value * b.value % 7) AS s "
        "FROM generate_series(1, 200000) AS a(value) CROSS JOIN generate_series(1, 200000) AS b(value)"
    )
    with subprocess.Popen(
        [RULES, "query", text], cwd=sample.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        while _cpu_seconds(running.pid) < 2.5:  # all is imported by then, and the engine at work
            assert running.poll() is None
            time.sleep(0.05)
        os.kill(running.pid, signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert err.startswith("error: interrupted")
