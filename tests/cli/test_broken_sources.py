"""Broken sources are like broken rules: all are reported at once, at their places, and the rest is built without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.inprocess import Ran, build, run
from support.projects import SampleProject

BROKEN = {
    "headers": ("headers.csv", b"a,b,a\n1,2,3\n", "data/headers.csv:1:5", "has two columns named 'a'"),
    "latin": ("latin.csv", b"a,b\n1,x\n2,M\xe4rz\n", "data/latin.csv:3:4", "column 'b': the text is not UTF-8"),
    "ragged": ("ragged.csv", b"a,b\n1,2\n3,4,5\n", "data/ragged.csv:3:5", "a row of 3 fields, where the first has 2"),
    "lines": ("lines.jsonl", b'{"a": 1}\n{"a": 2\n', "data/lines.jsonl:2:8", "is not readable as JSON lines"),
    "footer": ("footer.parquet", b"PAR1 nothing", "data/footer.parquet", "is not a readable Parquet file"),
    "empty": ("empty.csv", b"", "data/empty.csv", "is empty (0 bytes)"),
    "typed": ("typed.csv", b"a,b\n1,x\n", "rules.toml:«columns»", "has no column 'c', which rules.toml declares"),
    "missing": ("missing.csv", None, "rules.toml:«path»", "does not exist: data/missing.csv"),
    "pattern": ("glob_*.csv", None, "rules.toml:«path»", "matches no file: data/glob_*.csv"),
    "folder": ("folder.csv", "folder", "rules.toml:«path»", "matches no file: data/folder.csv is a folder"),
}


def place(project: SampleProject, name: str, where: str) -> str:
    """Return `where` with the mark replaced by where rules.toml says it."""
    lines = project.read("rules.toml").splitlines()
    at = lines.index(f"[sources.{name}]")
    found = {"«path»": f"{at + 2}:1", "«columns»": f"{at + 3}:13"}
    return next((where.replace(mark, told) for mark, told in found.items() if mark in where), where)


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    """Ten broken sources, each with a reader and a reader of that one, beside one that is sound."""
    toml = "".join(f'\n[sources.{name}]\npath = "data/{file}"\n' for name, (file, *_) in BROKEN.items())
    toml = toml.replace('typed.csv"\n', 'typed.csv"\ncolumns = { c = "string" }\n')
    project = SampleProject(tmp_path / "broken", sources=["good"], toml=toml)
    project.parquet("good", {"id": [1, 2], "amount": [10, 20]})
    for file, content, *_ in BROKEN.values():
        if content == "folder":
            (project.root / "data" / file).mkdir()
        elif isinstance(content, bytes):
            (project.root / "data" / file).write_bytes(content)
    project.sql("fine", "SELECT g.id FROM good AS g")
    for name in BROKEN:
        project.sql(f"of_{name}", f"SELECT t.a FROM {name} AS t")
        project.sql(f"below_{name}", f"SELECT t.a FROM of_{name} AS t")
    return project


def errors(ran: Ran) -> dict[str, dict[str, Any]]:
    """Return all errors of a document, by the source that they are about."""
    return {error["message"].split("'")[1]: error for error in ran.document["errors"]}


@pytest.mark.parametrize("command", ["build", "plan", "diff"])
def test_all_broken_sources_are_reported_at_once(project: SampleProject, command: str) -> None:
    project.sql("wrong", "SELECT g.nope FROM good AS g")
    project.sql("unparsed", "SELECT FROM WHERE")
    ran = run(project, command, "--json", expect=1)
    rules = [error for error in ran.document["errors"] if error["where"].startswith("rules/")]
    assert {error["where"].partition(":")[0] for error in rules} == {"rules/wrong.sql", "rules/unparsed.sql"}
    told = {error["message"].split("'")[1]: error for error in ran.document["errors"] if error not in rules}
    assert told.keys() == BROKEN.keys()
    for name, (_, _, where, words) in BROKEN.items():
        assert words in told[name]["message"], told[name]
        assert told[name]["where"] == place(project, name, where), told[name]
        assert told[name]["hint"]
        if not told[name]["where"].startswith("rules.toml"):
            assert told[name]["facts"]["declared"].startswith("rules.toml:"), told[name]
    text = run(project, command, expect=1)
    assert "Traceback" not in text.stderr
    assert text.stderr.count("error: ") == len(BROKEN) + len(rules)


def test_with_k_only_what_reads_them_is_left_out(project: SampleProject) -> None:
    planned = run(project, "plan", "-k", "--json", expect=1).document
    verdicts = {one["name"]: one["verdict"] for one in planned["products"]}
    skipped = {f"{kind}_{name}" for name in BROKEN for kind in ("of", "below")}
    assert verdicts == {"fine": "run", **dict.fromkeys(skipped, "skipped")}
    assert planned["status"] == "failed"
    assert planned["summary"] == {"clean": 0, "restore": 0, "run": 1, "maybe": 0, "failed": 0, "skipped": len(skipped)}
    assert {one["name"] for one in planned["sources"]} == BROKEN.keys()
    reasons = {one["name"]: one["reason"] for one in planned["products"]}
    assert reasons["of_pattern"] == "its input pattern failed"
    assert reasons["below_pattern"] == "its input of_pattern failed"
    built = build(project, "-k", expect=1)
    assert built.statuses == {"fine": "executed", **dict.fromkeys(skipped, "skipped")}
    assert {one["name"]: one["status"] for one in built.document["sources"]} == dict.fromkeys(BROKEN, "failed")
    assert {one["name"]: one["reason"] for one in built.document["products"]} == {
        **reasons,
        "fine": "new rule",
    }
    assert {one["name"]: one["error"]["where"] for one in built.document["sources"]} == {
        one["name"]: one["error"]["where"] for one in planned["sources"]
    }


def test_plan_shows_rules_that_do_not_compile_and_the_verdicts_of_the_rest(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "repair", sources=["good"])
    project.parquet("good", {"id": [1, 2]})
    project.sql("fine", "SELECT g.id FROM good AS g")
    project.sql("other", "SELECT f.id FROM fine AS f")
    build(project)
    project.sql("fine", "SELECT g.id FROM good AS g WHERE g.id > 1")
    project.sql("wrong", "SELECT g.nope FROM good AS g")
    project.sql("reader", "SELECT w.nope FROM wrong AS w JOIN fine AS f ON TRUE")
    project.sql("circle", "SELECT r.id FROM round AS r")
    project.sql("round", "SELECT c.id FROM circle AS c")
    assert run(project, "plan", "--json", expect=1).document["status"] == "error"
    ran = run(project, "plan", "-k", "--json", expect=1).document
    products = {one["name"]: one for one in ran["products"]}
    verdicts = {name: one["verdict"] for name, one in products.items()}
    circle = {verdicts.pop("circle"), verdicts.pop("round")}
    assert circle == {"failed", "skipped"}
    assert verdicts == {"fine": "run", "other": "maybe", "wrong": "failed", "reader": "skipped"}
    assert products["wrong"]["reason"] == products["wrong"]["error"]["message"] == "unknown column 'nope'"
    assert products["wrong"]["error"]["where"] == "rules/wrong.sql:1:10"
    assert products["reader"]["reason"] == "its input wrong failed"
    text = run(project, "plan", "-k", expect=1)
    assert "failed   wrong   unknown column 'nope'" in text.stdout
    assert "1 run, 1 maybe, 2 failed, 2 skipped" in text.stdout
    assert "error: unknown column 'nope'" in text.stderr
    built = build(project, "-k", expect=1)
    assert built.statuses["other"] == "executed"
    assert {name: built.statuses[name] for name in ("wrong", "reader")} == {"wrong": "failed", "reader": "skipped"}
    for name in ("wrong", "reader", "circle", "round"):
        (project.root / f"rules/{name}.sql").unlink()
    assert run(project, "plan", "-k", "--json").document["status"] == "ok"


def test_names_that_cannot_be_are_broken_rules_too(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "names", sources=["good"])
    project.parquet("good", {"id": [1, 2]})
    project.sql("fine", "SELECT g.id FROM good AS g")
    project.sql("reader", "SELECT f.id FROM fine AS f")
    project.sql("alone", "SELECT 1 AS id")
    project.sql("bad-name", "SELECT g.id FROM good AS g")
    project.sql("later/fine", "SELECT 1 AS id")
    project.sql("Good", "SELECT 1 AS id")
    project.write("rules/more.py", "from rules import rule\n\n\n@rule\ndef fine(good):\n    return good\n")
    told = run(project, "build", "--json", expect=1).document["errors"]
    places = {error["where"].partition(":")[0]: error["code"] for error in told}
    assert places == {
        "rules/bad-name.sql": "rule-name",
        "rules/later/fine.sql": "duplicate-name",
        "rules/Good.sql": "duplicate-name",
        "rules/more.py": "duplicate-name",
    }
    planned = run(project, "plan", "-k", "--json", expect=1).document
    verdicts = {one["name"]: one["verdict"] for one in planned["products"]}
    assert {verdicts.pop(name) for name in ("fine", "rules/bad-name.sql", "rules/later/fine.sql")} == {"failed"}
    assert {name: verdict for name, verdict in verdicts.items() if verdict != "failed"} == {
        "alone": "run",
        "reader": "skipped",  # nobody can tell which of the two is meant
    }
    assert build(project, "-k", expect=1).executed == {"alone"}
    assert "nothing to do" not in run(project, "build", "-k", expect=1).stdout
    found = run(project, "check", "--json", expect=1).document["findings"]
    assert places.keys() <= {one["path"] for one in found}


def test_a_project_under_repair_is_listed_compared_and_traced(project: SampleProject) -> None:
    assert "fine" in run(project, "ls").stdout
    compared = run(project, "diff", "-k")
    assert "new" in compared.stdout
    assert "of_pattern" in compared.stderr
    traced = run(project, "lineage", "fine.id", "--json").document
    assert traced["sources"] == ["good.id"]
    refused = run(project, "lineage", "below_latin.a", expect=1)
    assert "data/latin.csv:3:4" in refused.stderr
    assert run(project, "build", "-s", "fine", "--json").executed == {"fine"}


def test_check_finds_what_is_wrong_with_the_files_of_sources(project: SampleProject) -> None:
    ran = run(project, "check", "--json", expect=1)
    found = {one["message"].split("'")[1]: one for one in ran.document["findings"] if one["path"] == "rules.toml"}
    there = {name for name, (_, content, *_) in BROKEN.items() if isinstance(content, bytes)}
    assert there <= found.keys()
    lines = project.read("rules.toml").splitlines()
    for name in there - {"typed"}:
        assert lines[found[name]["line"] - 1] == f"[sources.{name}]"
        assert BROKEN[name][2] in found[name]["message"]
    again = run(project, "check", "--json", expect=1)
    assert again.document["findings"] == ran.document["findings"]
    (project.root / "data/latin.csv").write_text("a,b\n1,x\n")
    mended = run(project, "check", "--json", expect=1)
    assert "latin" not in {one["message"].split("'")[1] for one in mended.document["findings"] if "'" in one["message"]}


def test_two_sources_of_one_file_are_both_reported(tmp_path: Path) -> None:
    toml = '\n[sources.a]\npath = "data/x.parquet"\n[sources.b]\npath = "data/x.parquet"\n'
    project = SampleProject(tmp_path / "locked", toml=toml)
    target = project.root / "data" / "x.parquet"
    target.parent.mkdir()
    pq.write_table(pa.table({"id": [1]}), target)
    project.sql("p", "SELECT a.id FROM a JOIN b ON a.id = b.id")
    target.unlink()
    os.mkfifo(target)
    told = run(project, "build", "--json", expect=1).document["errors"]
    assert {error["message"].split("'")[1] for error in told} == {"a", "b"}
    assert all("is no regular file" in error["message"] for error in told)
    target.unlink()
    target.symlink_to("nowhere")
    told = run(project, "build", "--json", expect=1).document["errors"]
    assert all("is a link that leads nowhere" in error["message"] for error in told)
    target.unlink()
    target.write_bytes(b"")
    told = run(project, "build", "--json", expect=1).document["errors"]
    assert [error["where"] for error in told] == ["data/x.parquet"] * 2


def test_a_value_far_down_is_found(tmp_path: Path) -> None:
    toml = '\n[sources.s]\npath = "data/s.csv"\ncolumns = { n = "int64" }\n'
    project = SampleProject(tmp_path / "late", toml=toml)
    rows = [f'"a ""quoted"", text",{number}' for number in range(70_000)]
    project.write("data/s.csv", "\n".join(["t,n", *rows[:-1], '"x",seven', ""]))
    project.sql("p", "SELECT s.n FROM s")
    told = run(project, "build", expect=1).stderr
    assert "'seven' is not int64" in told
    assert "data/s.csv:70001:5" in told


def test_what_cannot_be_read_is_listed_with_a_warning(project: SampleProject) -> None:
    project.sql("torn", "SELECT g.id FROM FROM good AS g")
    project.sql("bad-name", "SELECT 1 AS id")
    listed = run(project, "ls", "--json")
    products = {one["name"]: one for one in listed.document["products"]}
    assert {"fine", "torn"} <= products.keys()
    assert "rules/bad-name.sql" not in products
    assert products["torn"]["error"]["where"].startswith("rules/torn.sql:1:")
    assert "error" not in products["fine"]
    assert "warning: rules/torn.sql:1:" in listed.stderr
    assert "warning: rules/bad-name.sql: 'bad-name' is not a usable product name" in listed.stderr
    assert run(project, "ls", "-q", "-s", "fine").stdout.split() == ["fine"]


def test_two_functions_of_one_name_break_what_calls_them(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "functions", sources=["good"])
    project.parquet("good", {"id": [1, 2]})
    code = "from rules import udf\n\n\n@udf.python\ndef twice(x: int) -> int:\n    return x * 2\n"
    project.write("rules/a.py", code)
    project.write("rules/b.py", f"\n{code}")
    project.sql("fine", "SELECT g.id FROM good AS g")
    project.sql("caller", "SELECT twice(g.id) AS id FROM good AS g")
    error = run(project, "build", "--json", expect=1).document["error"]
    assert (error["code"], error["where"]) == ("duplicate-name", "rules/b.py:5")
    assert error["facts"] == {"here": "rules/b.py:5", "there": "rules/a.py:4"}
    built = build(project, "-k", expect=1)
    assert built.statuses == {"fine": "executed", "caller": "failed"}
    project.write("rules/b.py", "")
    assert build(project).executed == {"caller"}


@pytest.mark.parametrize("path", ["data/*.csv", "data/**", "data"])
def test_a_link_to_a_file_that_is_not_there_is_no_row_less(tmp_path: Path, path: str) -> None:
    project = SampleProject(tmp_path / "mounted", toml=f'\n[sources.s]\npath = "{path}"\n')
    project.write("data/1.csv", "k\n1\n")
    project.write("disk/2.csv", "k\n2\n")
    (project.root / "data" / "2.csv").symlink_to("../disk/2.csv")
    project.sql("n", "SELECT COUNT(*) AS n FROM s")
    build(project)
    (project.root / "disk").rename(project.root / "away")
    ran = build(project, expect=1)
    (error,) = ran.document["errors"] if "errors" in ran.document else [ran.document["error"]]
    assert (error["where"], error["message"]) == ("data/2.csv", "the source 's' has a link that leads nowhere")
    assert project.product("n").to_pylist() == [{"n": 2}]
    (project.root / "away").rename(project.root / "disk")
    assert build(project).executed == set()


def test_of_a_column_that_is_damaged_only_readers_are_skipped(tmp_path: Path) -> None:
    toml = '\n[sources.s]\npath = "data/s"\n[sources.t]\npath = "data/t.csv"\n[contracts.t]\nkey = ["k"]\n'
    project = SampleProject(tmp_path / "damaged", toml=toml)
    target = project.root / "data" / "s" / "2.parquet"
    for number in (1, 2):
        project.write(f"data/s/{number}.parquet", "")
        pq.write_table(pa.table({"k": [f"a text {number}"] * 500}), target.with_name(f"{number}.parquet"))
    project.write("data/t.csv", "k\n1\n")
    project.sql("reader", "SELECT s.k FROM s")
    project.sql("further", "SELECT r.k FROM reader AS r")
    project.sql("other", "SELECT t.k FROM t")
    build(project)
    whole = target.read_bytes()
    target.write_bytes(whole[:4] + bytes(byte ^ 0xFF for byte in whole[4:60]) + whole[60:])
    project.write("data/t.csv", "k\n2\n")
    ran = build(project, "--keep-going", expect=1)
    assert ran.statuses == {"reader": "skipped", "further": "skipped", "other": "executed"}
    (source,) = (one for one in ran.document["sources"] if one["name"] == "s")
    assert source["status"] == "failed"
    assert "is damaged" in source["error"]["message"]
    assert source["error"]["where"] == "data/s/2.parquet"
    assert project.product("further").num_rows == 1000
    told = build(project, expect=1).document["error"]
    assert told["where"] == "data/s/2.parquet"
    target.write_bytes(whole)
    assert build(project).executed == set()
