"""`rules diff`: edits by meaning since the last build or a commit, what they reach, and what tables became."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cache.filedigest import file_digest
from cache.index import Index
from cache.signatures import signature
from support.inprocess import build, run
from support.projects import SampleProject

ORDERS = {"id": [1, 2, 3, 4], "amount": [10, 20, 30, 40], "status": ["open", "held", "open", None]}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """orders → cleaned → totals → report, and lonely; built and committed, in a folder of the repository."""
    sample = SampleProject(
        tmp_path_factory.mktemp("repository") / "sub" / "project", sources=["orders"], toml="\n[vars]\nleast = 5\n"
    )
    sample.parquet("orders", ORDERS)
    sample.write("rules/staging/cleaned.sql", CLEANED)
    sample.sql("totals", "SELECT c.status, SUM(c.amount) AS total FROM cleaned AS c GROUP BY c.status")
    sample.sql("report", "SELECT MAX(t.total) AS most FROM totals AS t WHERE t.status = 'open'")
    sample.sql("lonely", "SELECT o.id FROM orders AS o")
    build(sample)
    sample.write("../../.gitignore", ".rules\ndata\n")
    git(sample, "init", "-q", "../..")
    commit(sample, "first")
    return sample


CLEANED = """-- /// rule
-- key = ["id"]
-- ///
SELECT o.id, o.amount, o.status FROM orders AS o WHERE o.amount >= $least
"""


@pytest.fixture
def project(built: SampleProject, tmp_path: Path) -> SampleProject:
    copied = SampleProject.__new__(SampleProject)
    copied.root = tmp_path / "repository" / "sub" / "project"
    shutil.copytree(built.root.parents[1], tmp_path / "repository", symlinks=True)
    return copied


def git(project: SampleProject, *words: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *words], cwd=project.root, check=True, capture_output=True, text=True)
    return done.stdout


def commit(project: SampleProject, message: str) -> None:
    git(project, "add", "-A", ":/")
    git(project, "commit", "-q", "-m", message)


def diff(project: SampleProject, *words: str, expect: int = 0) -> dict[str, Any]:
    return run(project, "diff", "--json", *words, expect=expect).document


def classes(document: dict[str, Any]) -> dict[str, str]:
    return {rule["name"]: rule["class"] for rule in document["rules"]}


def edit_everything(project: SampleProject) -> None:
    """A row edit, an additive one, a comment, a rename and a new rule."""
    project.edit("rules/staging/cleaned.sql", "WHERE", "WHERE o.status = 'open' AND")
    project.edit("rules/totals.sql", "AS total", "AS total, COUNT(*) AS orders")
    project.edit("rules/report.sql", "SELECT", "-- the most\nSELECT")
    (project.root / "rules/lonely.sql").rename(project.root / "rules/alone.sql")
    project.sql("fresh", "SELECT c.id FROM cleaned AS c")


def test_nothing_differs(project: SampleProject) -> None:
    document = diff(project, "--exit-code")
    assert (document["against"], document["rules"], document["summary"]["unchanged"]) == ("last build", [], 4)
    assert run(project, "diff").stdout == "no rule differs from its last build (4 rules compared)\n"


@pytest.mark.parametrize("against", [[], ["--against", "HEAD"]])
def test_edits_and_what_they_reach(project: SampleProject, against: list[str]) -> None:
    edit_everything(project)
    before = git(project, "status", "--porcelain", "-z")
    document = diff(project, *against, "--exit-code", expect=1)
    assert git(project, "status", "--porcelain", "-z") == before, "the work tree is left alone"
    assert classes(document) == {
        "alone": "new",
        "cleaned": "row",
        "fresh": "new",
        "totals": "additive",
        "report": "cosmetic",
        "lonely": "removed",
    }
    rules = {rule["name"]: rule for rule in document["rules"]}
    assert rules["cleaned"]["edits"] == ["WHERE: orders.status = 'open' added"]
    assert rules["cleaned"]["columns"] == ["amount", "id", "status"]
    assert {one["product"]: one["columns"] for one in rules["cleaned"]["impact"]} == dict.fromkeys(
        ["fresh", "totals", "report"]
    )
    assert rules["totals"]["edits"] == ["column orders: added, COUNT(*)"]
    assert (rules["totals"]["columns"], rules["totals"]["impact"]) == (["orders"], [])
    assert rules["alone"]["edits"] == ["new rule, with the meaning that lonely had"]
    assert rules["lonely"]["edits"] == ["removed; it is now called alone"]
    assert rules["report"]["edits"] == rules["report"]["impact"] == []
    assert document["summary"] == {
        "new": 2, "removed": 1, "row": 1, "column": 0, "additive": 1, "cosmetic": 1, "unchanged": 0,
    }  # fmt: skip
    text = run(project, "diff", *against).stdout
    assert re.search(r"^row +cleaned +WHERE: orders.status = 'open' added$", text, re.MULTILINE)
    assert re.search(r"^ +reaches fresh, totals, report$", text, re.MULTILINE)
    assert text.splitlines()[-1] == "2 new, 1 removed, 1 row, 1 additive, 1 cosmetic"
    assert run(project, "diff", "-q", *against).stdout.split() == ["alone", "cleaned", "fresh", "totals", "lonely"]


def test_a_column_edit_reaches_what_is_made_of_the_column(project: SampleProject) -> None:
    project.edit("rules/totals.sql", "SUM(c.amount)", "MIN(c.amount)")
    for against in ([], ["--against", "HEAD"]):
        (rule,) = diff(project, *against)["rules"]
        assert (rule["class"], rule["columns"]) == ("column", ["total"])
        assert rule["impact"] == [{"product": "report", "columns": ["most"]}]
    assert re.search("^ +reaches report.most$", run(project, "diff").stdout, re.MULTILINE)


def test_a_commit_leaves_nothing_in_the_store_but_memos(project: SampleProject) -> None:
    project.edit("rules/report.sql", "'open'", "'held'")
    commit(project, "second")
    diff(project)
    before = known_state(project)
    assert diff(project, "--against", "HEAD~1")["summary"]["row"] == 1
    assert known_state(project) == before
    assert not list(Path(tempfile.gettempdir()).glob("rules-*/sub/project")), "the temporary folder is gone"


def known_state(project: SampleProject) -> tuple[Any, ...]:
    """What the index says of the project; the digests of files that it knows must be those of the work tree."""
    with Index(project.root / ".rules" / "index.sqlite") as index:
        compiled = index.snapshot("compiled")
        assert compiled is not None
        for path, (taken, digest) in index.files().items():
            if signature(project.root / path) == taken:
                assert digest == file_digest(project.root / path)
        return index.products(), compiled["products"]


def test_comments_alone_do_not_count(project: SampleProject) -> None:
    project.edit("rules/report.sql", "SELECT", "-- the most\nSELECT")
    assert classes(diff(project, "--exit-code")) == {"report": "cosmetic"}


def test_selection(project: SampleProject) -> None:
    edit_everything(project)
    assert set(classes(diff(project, "totals"))) == {"totals"}
    assert set(classes(diff(project, "-s", "totals+"))) == {"totals", "report"}
    assert set(classes(diff(project, "lonely"))) == {"lonely"}, "what is gone can be named"
    assert set(classes(diff(project, "cleaned lonely", "totals", "--against", "HEAD"))) == {
        "cleaned",
        "lonely",
        "totals",
    }
    error = diff(project, "totls", expect=2)["error"]
    assert (error["code"], error["hint"]) == ("selection", "did you mean 'totals'?")


def test_variables_are_those_of_each_side(project: SampleProject) -> None:
    project.edit("rules.toml", "least = 5", "least = 15")
    for against in ([], ["--against", "HEAD"]):
        (rule,) = diff(project, *against)["rules"]
        assert (rule["name"], rule["edits"]) == ("cleaned", ["WHERE: orders.amount >= 5 → orders.amount >= 15"])


def test_a_commit_further_back_and_a_build_between(project: SampleProject) -> None:
    project.edit("rules/report.sql", "'open'", "'held'")
    commit(project, "second")
    build(project)
    assert diff(project)["rules"] == []
    assert diff(project, "--against", "HEAD")["rules"] == []
    (rule,) = diff(project, "--against", "HEAD~1")["rules"]
    assert rule["edits"] == ["WHERE: totals.status = 'open' → totals.status = 'held'"]
    assert run(project, "build").stdout.startswith("nothing to do"), "comparing has changed nothing in the store"


LATEST = "WITH t AS (SELECT o.status, MAX(o.id) AS last, COUNT(*) AS n FROM orders AS o GROUP BY 1{}) SELECT t.n FROM t"


@pytest.mark.parametrize("branch", ["", " UNION SELECT c.status, c.id, c.amount FROM cleaned AS c"])
def test_an_output_of_a_subquery_is_told_by_what_it_is(project: SampleProject, branch: str) -> None:
    project.sql("lonely", LATEST.format(f"{branch} ORDER BY last LIMIT 2"))
    build(project)
    project.sql("lonely", LATEST.format(f"{branch} ORDER BY n DESC LIMIT 2"))
    (rule,) = diff(project)["rules"]
    assert rule["edits"] == [
        "in a subquery: ORDER BY: COUNT(*) DESC added",
        "in a subquery: ORDER BY: MAX(orders.id) removed",
    ]


def test_sources_are_those_of_the_work_tree(project: SampleProject) -> None:
    project.parquet("orders", {**ORDERS, "extra": [1, 2, 3, 4]})
    project.edit("rules.toml", "[sources.orders]", '[sources.more]\npath = "data/orders.parquet"\n\n[sources.orders]')
    project.edit("rules/lonely.sql", "o.id FROM orders", "o.id, o.extra FROM more")
    (rule,) = diff(project, "--against", "HEAD")["rules"]
    assert (rule["name"], rule["class"]) == ("lonely", "row")


def test_committed_files_are_read_as_committed(project: SampleProject) -> None:
    project.write(".gitattributes", "*.sql export-ignore text eol=crlf\n")
    commit(project, "attributes")
    assert diff(project, "--against", "HEAD")["summary"] == {
        **dict.fromkeys(["new", "removed", "row", "column", "additive", "cosmetic"], 0),
        "unchanged": 4,
    }


def test_inside_a_hook(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/index")
    assert diff(project, "--against", "HEAD")["rules"] == []


def test_what_cannot_be_compared(project: SampleProject, tmp_path: Path) -> None:
    def error(*words: str, expect: int = 2) -> dict[str, Any]:
        return dict(diff(project, *words, expect=expect)["error"])

    assert error("--against", "nope")["message"] == "git knows no commit 'nope'"
    assert error("--against=--all")["code"] == error("--against", "HEAD:sub")["code"] == "unknown-ref"
    assert error("--build", "x")["code"] == "usage"
    assert error("--data", "--build", "x", "--against", "HEAD")["code"] == "usage"
    project.edit("rules/report.sql", "SELECT", "SELEC")
    commit(project, "broken")
    project.edit("rules/report.sql", "SELEC", "SELECT")
    broken = error("--against", "HEAD", expect=1)
    assert broken["where"].startswith("rules/report.sql:")
    assert broken["facts"] == {"commit": "HEAD"}
    (project.root / "rules.toml").rename(tmp_path / "rules.toml")
    commit(project, "no project")
    (tmp_path / "rules.toml").rename(project.root / "rules.toml")
    assert error("--against", "HEAD")["message"] == "HEAD has no sub/project/rules.toml"
    outside = SampleProject.copy_of(project.root, tmp_path / "outside")
    ran = run(outside, "diff", "--against", "HEAD", expect=2)
    assert ran.stderr.startswith(f"error: {outside.root} is not in a git repository\n")


def test_a_rule_that_does_not_compile_there_matters_only_if_asked_for(project: SampleProject) -> None:
    project.edit("rules/lonely.sql", "o.id", "o.nope")
    commit(project, "broken")
    project.edit("rules/lonely.sql", "o.nope", "o.id")
    error = diff(project, "--against", "HEAD", expect=1)["error"]
    assert (error["where"], error["facts"]["commit"]) == ("rules/lonely.sql:1:10", "HEAD")
    assert diff(project, "--against", "HEAD", "+report")["rules"] == []


def data(project: SampleProject, *words: str) -> dict[str, dict[str, Any]]:
    document = diff(project, "--data", *words)
    return {product["name"]: product for product in document["products"]}


def test_tables_matched_by_key(project: SampleProject) -> None:
    project.parquet("orders", {"id": [1, 2, 3, 5], "amount": [10, 21, 30, 50], "status": ["open", "open", None, None]})
    build(project)
    found = data(project)
    assert set(found) == {"cleaned", "totals", "report", "lonely"}
    cleaned = found["cleaned"]
    assert cleaned["matched_by"] == ["id"]
    assert cleaned["rows"] == {"added": 1, "removed": 1, "changed": 2}
    assert {one["name"]: one["rows"] for one in cleaned["columns"]["changed"]} == {"amount": 1, "status": 2}
    amount = next(one for one in cleaned["columns"]["changed"] if one["name"] == "amount")
    assert amount["samples"] == [{"key": {"id": 2}, "before": 20, "after": 21}]
    assert cleaned["samples"]["added"] == [{"id": 5, "amount": 50, "status": None}]
    assert cleaned["samples"]["removed"] == [{"id": 4, "amount": 40, "status": None}]
    totals = found["totals"]
    assert (totals["matched_by"], totals["rows"]["changed"]) == (None, None)
    assert (totals["rows"]["added"], totals["rows"]["removed"]) == (2, 3)
    text = run(project, "diff", "--data", "cleaned", "--limit", "1").stdout
    assert "  rows:    4 → 4: 1 added, 1 removed, 2 changed, matched by id\n" in text
    assert "  status: 2 rows changed\n    id = 2: 'held' → 'open'\n" in text
    assert "  + id = 5, amount = 50, status = NULL\n" in text
    assert run(project, "diff", "--data", "-q", "cleaned", "--exit-code", expect=1).stdout == "cleaned\n"


def test_a_table_of_one_row_needs_no_key(project: SampleProject) -> None:
    project.parquet("orders", {**ORDERS, "amount": [10, 20, 31, 40]})
    build(project)
    report = data(project, "report")["report"]
    assert report["rows"] == {"added": 0, "removed": 0, "changed": 1}
    assert report["columns"]["changed"] == [
        {"name": "most", "rows": 1, "samples": [{"key": {}, "before": 40, "after": 41}]}
    ]


def test_repeated_keys_null_nan_and_nested(project: SampleProject) -> None:
    schema = pa.schema([("id", pa.int64()), ("x", pa.float64()), ("l", pa.list_(pa.string()))])
    project.edit("rules/staging/cleaned.sql", CLEANED.splitlines()[3], "SELECT o.id, o.x, o.l FROM odd AS o")
    project.edit("rules.toml", "[sources.orders]", '[sources.odd]\npath = "data/odd.parquet"\n\n[sources.orders]')
    project.edit("rules/staging/cleaned.sql", '-- key = ["id"]', '-- key = ["id"]\n-- severity = "warn"')
    project.write("rules/totals.sql", "SELECT o.status, o.amount AS total FROM orders AS o")

    def write(rows: list[tuple[Any, ...]]) -> None:
        table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
        project.parquet("odd", table)
        build(project, "-s", "cleaned")

    write([(1, 0.0, ["a"]), (2, math.nan, None), (None, 1.0, []), (7, 1.0, []), (7, 2.0, [])])
    write([(2, math.nan, []), (1, -0.0, ["a"]), (None, 1.0, [None]), (7, 2.0, []), (7, 3.0, []), (7, 2.0, [])])
    found = data(project, "cleaned")["cleaned"]
    assert found["duplicated_keys"] == 1
    assert found["rows"] == {"added": 2, "removed": 1, "changed": 3}
    changed = {one["name"]: [sample["key"]["id"] for sample in one["samples"]] for one in found["columns"]["changed"]}
    assert {name: set(keys) for name, keys in changed.items()} == {"x": {1}, "l": {2, None}}
    text = run(project, "diff", "--data", "cleaned").stdout
    assert "id = 1: 0.0 → -0.0" in text
    assert "id = NULL: [] → [NULL]" in text
    assert "1 key occurs in several rows" in text


def test_columns_that_came_went_and_changed_type(project: SampleProject) -> None:
    project.edit("rules/staging/cleaned.sql", "o.amount, o.status", "CAST(o.amount AS DOUBLE) AS amount, 1 AS one")
    build(project, "-s", "cleaned")
    found = data(project, "cleaned")["cleaned"]
    assert found["columns"] == {
        "added": ["one"],
        "removed": ["status"],
        "retyped": [{"name": "amount", "before": "int64", "after": "float64"}],
        "changed": [],
    }
    assert found["rows"] == {"added": 0, "removed": 0, "changed": 0}
    project.edit("rules/staging/cleaned.sql", "o.id", "CAST(o.id AS TEXT) AS id")
    build(project, "-s", "cleaned")
    found = data(project, "cleaned")["cleaned"]
    assert (found["matched_by"], found["note"]) == (None, "its key id is not in both tables with the same type")


def test_states_to_compare_with(project: SampleProject) -> None:
    first = run(project, "log", "-q").stdout.split()[0]
    assert data(project) == {}, "a first build has nothing before it"
    assert data(project, "lonely")["lonely"]["note"] == "it has never been another table"
    for least in (15, 25):
        project.edit("rules.toml", f"least = {least - 10}", f"least = {least}")
        build(project)
    assert data(project, "cleaned")["cleaned"]["before"]["rows"] == 3
    assert data(project, "--build", first[:-2])["cleaned"]["before"]["rows"] == 4
    against = data(project, "--against", "HEAD", "cleaned", "lonely")
    assert against["cleaned"]["before"] == {**against["cleaned"]["before"], "of": "HEAD", "rows": 4}
    assert against["lonely"]["rows"] == {"added": 0, "removed": 0, "changed": None}
    project.parquet("orders", {**ORDERS, "amount": [1, 2, 3, 4]})
    never = data(project, "--against", "HEAD", "cleaned")["cleaned"]
    assert (never["before"], never["note"]) == (
        None, "what HEAD yields for it has not been computed on these sources"
    )  # fmt: skip
    for file in (project.root / ".rules" / "objects").glob("*/*.parquet"):
        if file.stem not in {link.resolve().stem for link in (project.root / ".rules" / "products").iterdir()}:
            file.unlink()
    gone = data(project, "--build", first, "cleaned")["cleaned"]
    assert gone["note"] == f"its table of {first} is no longer in the store"
    assert diff(project, "--data", "--build", "2000", expect=2)["error"]["code"] == "unknown-build"
    project.sql("fresh", "SELECT 1 AS one")
    assert diff(project, "--data", "fresh", expect=2)["error"]["code"] == "not-built"


def markdown(project: SampleProject, *words: str) -> str:
    return run(project, "diff", "--format", "markdown", *words).stdout


def test_markdown_for_a_pull_request_has_the_edits_and_what_the_tables_became(project: SampleProject) -> None:
    edit_everything(project)
    before = markdown(project, "--against", "HEAD")
    assert "### 6 rules differ from HEAD" in before
    assert "Not built by these rules, so nothing is known of their rows: alone, cleaned, fresh, totals." in before
    build(project)
    lines = markdown(project, "--against", "HEAD").splitlines()
    assert any(re.match(r"\| row \| cleaned \| .*<br>reaches ", line) for line in lines), lines
    assert "<details><summary><b>cleaned</b>: 4 → 2 rows: 0 added, 2 removed, 0 changed</summary>" in lines
    assert not any(line.startswith("Not built") for line in lines)
    assert lines.count("```text") == lines.count("```") == sum(line == "</details>" for line in lines)


def test_markdown_of_what_did_not_change(project: SampleProject) -> None:
    assert markdown(project, "--against", "HEAD") == "### No rule differs from HEAD\n"
    assert markdown(project) == "### No rule differs from its last build\n"


def test_markdown_of_tables_alone(project: SampleProject) -> None:
    project.edit("rules/totals.sql", "SUM(c.amount)", "SUM(c.amount + 1)")
    build(project)
    assert markdown(project, "--data").startswith("### 2 tables differ, 0 are the same\n")
    name = build(project, "--force", "totals").document["build"]
    assert markdown(project, "--data", f"totals@{name}").startswith("### 0 tables differ, 1 is the same\n")


def test_markdown_shows_whatever_a_value_holds_and_obeys_none_of_it(project: SampleProject) -> None:
    hostile = "```</details><script>alert(1)</script> @everyone | a [x](y) ![z](w)"
    project.edit("rules/staging/cleaned.sql", "o.status FROM", f"'{hostile}' AS status FROM")
    build(project)
    text = markdown(project, "--against", "HEAD")
    table, _, block = text.partition("<details>")
    assert "<script>" not in table
    assert "](" not in table
    assert "@everyone" not in table
    fence = re.search("^(`+)text$", block, re.MULTILINE)
    assert fence is not None
    inside = block.split(f"{fence[1]}text\n")[1].split(f"\n{fence[1]}\n")[0]
    assert hostile in inside
    assert fence[1] not in inside


@pytest.mark.slow
def test_markdown_fits_into_a_comment(project: SampleProject) -> None:
    for number in range(300):
        project.sql(f"rule_{number:03}_{'x' * 99}", f"SELECT o.id, {number} AS note FROM orders AS o")
    text = markdown(project, "--against", "HEAD")
    assert len(text) < 65_536
    assert re.search(r"\n… and \d+ more rules, which this comment has no room for\n", text)


def test_markdown_and_json_exclude_each_other(project: SampleProject) -> None:
    ran = run(project, "diff", "--json", "--format", "markdown", expect=2)
    assert "--json cannot hold --format markdown" in ran.stdout


@pytest.mark.slow
def test_every_process_says_the_same_of_an_edit(project: SampleProject) -> None:
    """Sets of strings have another order in each process, if nothing else fixes that."""
    for number in range(4):
        project.sql(
            f"t{number}", f"SELECT o.id, o.amount AS a{number}, o.status FROM orders AS o WHERE o.id > {number}"
        )
    project.sql("wide", "SELECT t.id FROM t0 AS t")
    build(project)
    joins = " ".join(f"JOIN t{number} AS j{number} ON j{number}.id = t.id" for number in range(1, 4))
    outputs = ", ".join(
        f"SUM(j{number}.a{number}) AS s{number}, MIN(j{number}.status) AS m{number}" for number in (1, 2, 3)
    )
    project.sql(
        "wide", f"SELECT t.id, {outputs} FROM t0 AS t {joins} WHERE t.a0 > 1 AND j1.a1 < 9 GROUP BY t.id, t.status"
    )
    code = "from rules.cli import main\nfor name in ('diff', 'plan', 'lineage', 'check'):\n    main([name, '--json'])\n"
    said = []
    for seed in range(3):
        done = subprocess.run(
            [sys.executable, "-P", "-c", code],
            cwd=project.root, env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        said.append(done.stdout.splitlines())
    assert len(said[0]) == 4, said[0]
    assert said[0] == said[1] == said[2]
