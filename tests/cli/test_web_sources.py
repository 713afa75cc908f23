"""Sources on a web server: what is asked of it, what re-runs, and that no fault makes a wrong or short table."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.inprocess import build, run
from support.projects import SampleProject
from support.web import Web, web_server


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server(Web()) as found:
        yield found


def project_of(root: Path, web: Web, name: str, more: str = "") -> SampleProject:
    made = SampleProject(root / "project", toml=f'\n[sources.t]\npath = "{web.url}/{name}"\n{more}')
    made.sql("ids", "SELECT t.id FROM t")
    made.sql("total", "SELECT SUM(t.amount) AS amount FROM t")
    return made


def parquet(ids: list[int], amounts: list[int], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": ids, "amount": amounts}), sink, **options)
    return sink.getvalue()


def amount(project: SampleProject) -> int:
    found: int = project.product("total").to_pylist()[0]["amount"]
    return found


def copies(project: SampleProject) -> list[Path]:
    return sorted((project.root / ".rules/downloads").glob("*/*"))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("t.parquet", parquet([1, 2], [10, 20])),
        ("a b%2B.csv", b"id,amount\n1,10\n2,20\n"),
        ("t.jsonl", b'{"id":1,"amount":10}\n{"id":2,"amount":20}\n'),
    ],
)
def test_a_no_op_is_one_request_and_an_edit_fetches_nothing(tmp_path: Path, web: Web, name: str, data: bytes) -> None:
    plain = name.replace("%2B", "+")
    web.files[plain] = data
    project = project_of(tmp_path, web, name.replace(" ", "%20"), more='format = "json"\n' if "jsonl" in name else "")
    assert build(project).executed == {"ids", "total"}
    assert amount(project) == 30
    assert web.asked() == [f"HEAD {plain}", f"GET {plain}", f"HEAD {plain}"]
    assert run(project, "build").stdout == "nothing to do (2 products up to date)\n"
    assert web.asked() == [f"HEAD {plain}"]
    project.sql("more", "SELECT t.id + 1 AS id FROM t")
    assert build(project).executed == {"more"}
    assert web.asked() == [f"HEAD {plain}"]


def test_a_no_op_imports_a_client_and_nothing_heavy(tmp_path: Path, web: Web) -> None:
    web.files["t.csv"] = b"id,amount\n1,10\n"
    project = project_of(tmp_path, web, "t.csv")
    build(project)
    heavy = ("sqlglot", "ibis", "datafusion", "pyarrow", "networkx", "numpy", "obstore")
    code = f"""import sys
from rules.cli import main
assert main(["build", "-C", sys.argv[1]]) == 0
print([name for name in {heavy} if name in sys.modules])"""
    ran = subprocess.run([sys.executable, "-c", code, project.root], capture_output=True, text=True, check=True)
    assert ran.stdout == "nothing to do (2 products up to date)\n['obstore']\n"


def test_another_file_runs_what_reads_the_columns_that_changed(tmp_path: Path, web: Web) -> None:
    web.files["t.parquet"] = parquet([1, 2], [10, 20])
    project = project_of(tmp_path, web, "t.parquet")
    build(project)
    web.files["t.parquet"] = parquet([1, 2], [10, 21])
    planned = run(project, "plan", "--json").document["products"]
    assert {one["name"] for one in planned if one["verdict"] == "run"} == {"total"}
    web.asked()
    assert build(project).executed == {"total"}
    assert "GET t.parquet" not in web.asked(), "the plan has fetched it"
    assert amount(project) == 31
    web.files["t.parquet"] = parquet([1, 2], [10, 21], compression="none")
    assert build(project).executed == set()


@pytest.mark.parametrize("tags", [None, "weak", "time"])
def test_a_server_that_promises_little_is_asked_for_the_bytes_while_they_are_young(
    tmp_path: Path, web: Web, tags: str | None
) -> None:
    web.tags, web.written = tags, time.time()
    web.files["t.csv"] = b"id,amount\n1,10\n"
    project = project_of(tmp_path, web, "t.csv")
    build(project)
    web.files["t.csv"] = b"id,amount\n1,11\n"  # of the same size, within the same second
    assert build(project).executed == {"total"}
    assert amount(project) == 11
    web.written -= 3600
    build(project)
    web.asked()
    assert "nothing to do" in run(project, "build").stdout
    assert web.asked() == ["HEAD t.csv"]


def test_no_tag_and_no_time_are_no_proof(tmp_path: Path, web: Web) -> None:
    web.tags, web.written = None, 0
    web.files["t.csv"] = b"id,amount\n1,10\n"
    project = project_of(tmp_path, web, "t.csv")
    build(project)
    web.files["t.csv"] = b"id,amount\n1,11\n"
    assert build(project).executed == {"total"}


@pytest.mark.parametrize("wrong", ["500", "403", "truncated", "longer", "slow", "404", "tag"])
def test_a_server_that_fails_is_one_error_and_loses_nothing(
    tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    web.files["t.csv"] = b"id,amount\n1,10\n"
    project = project_of(tmp_path, web, "t.csv")
    build(project)
    monkeypatch.setattr("rules.sources.object_stores.TIMEOUT", 0.4)
    web.files["t.csv"] = b"id,amount\n1,11\n"
    web.wrong = lambda method, _: wrong if method == "GET" else None
    ran = run(project, "build", expect=1)
    assert ran.stderr.startswith("error: the source 't' "), ran.stderr
    assert f"{web.url}/t.csv" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert amount(project) == 10
    monkeypatch.undo()
    web.wrong = lambda *_: None
    assert build(project).executed == {"total"}
    assert amount(project) == 11


@pytest.mark.slow
def test_a_server_that_is_away(tmp_path: Path) -> None:
    with web_server(Web()) as web:
        web.files["t.csv"] = b"id,amount\n1,10\n"
        project = project_of(tmp_path, web, "t.csv")
        build(project)
    ran = run(project, "build", "--json", expect=1)
    assert "the source 't' cannot be read: it cannot be reached" in ran.document["error"]["message"]
    assert ran.document["error"]["where"] == "rules.toml:5:1"
    assert amount(project) == 10
    # What was there is known: checking, lineage and what was built need no server.
    project.sql("more", "SELECT t.amont FROM t")
    assert "did you mean 'amount'?" in run(project, "check", expect=1).stdout
    (project.root / "rules/more.sql").unlink()
    assert run(project, "check").code == 0
    assert "t.amount" in run(project, "lineage", "total.amount").stdout
    assert "10" in run(project, "show", "total").stdout


def test_a_check_asks_for_columns_once(tmp_path: Path, web: Web) -> None:
    web.files["t.csv"] = b"id,amount\n1,10\n"
    project = project_of(tmp_path, web, "t.csv")
    assert run(project, "check").code == 0
    web.asked()
    project.sql("more", "SELECT t.id + 1 AS id FROM t")
    assert run(project, "check").code == 0
    assert run(project, "check").code == 0
    assert web.asked() == []
    web.files["t.csv"] = b"id,price\n1,10\n"
    assert "amount" in run(project, "build", expect=1).stderr
    assert "amount" in run(project, "check", expect=1).stdout, "the build has seen other columns"


@pytest.mark.slow
def test_faults_never_make_a_wrong_table(tmp_path: Path, web: Web) -> None:
    """30 % of the answers are wrong, or the file is swapped before them; what is built is what the server once had."""
    chance, contents, faults = random.Random(3), set[int](), set[str]()

    def serve(first: int) -> None:
        web.files["t.parquet"] = parquet([1, 2, 3], [first, 20, 30])
        contents.add(first + 50)

    def wrong(method: str, _: str) -> str | None:
        if chance.random() > 0.3:
            return None
        fault = chance.choice(["500", "404", "tag", "swap", "truncated", "longer"])
        if fault == "swap":
            serve(chance.randrange(1000))
            return None
        faults.add(f"{method} {fault}")
        return fault

    project = project_of(tmp_path, web, "t.parquet")
    web.wrong, built, turn = wrong, 0, 0
    while turn < 5 or not (built and {"GET truncated", "GET 500"} <= faults):
        contents.clear()
        turn += 1
        serve(turn)
        if build(project, expect=None).code == 0:
            built += 1
            assert amount(project) in contents
            assert len(project.product("ids")) == 3
    web.wrong = lambda *_: None
    serve(1007)
    build(project)
    assert amount(project) == 1057


def test_copies_are_bounded_and_a_damaged_one_is_fetched_again(tmp_path: Path, web: Web) -> None:
    web.files["t.parquet"] = parquet([1, 2], [10, 20])
    project = project_of(tmp_path, web, "t.parquet")
    build(project)
    (copy,) = copies(project)
    copy.write_bytes(parquet([1, 2], [66, 20]))
    project.sql("more", "SELECT t.amount + 1 AS amount FROM t")
    web.asked()
    build(project)
    assert web.asked().count("GET t.parquet") == 1
    assert project.product("more").to_pylist() == [{"amount": 11}, {"amount": 21}]
    size = copies(project)[0].stat().st_size
    assert run(project, "cache", "stats", "--json").document["download_bytes"] == size
    toml = (project.root / "rules.toml").read_text()
    (project.root / "rules.toml").write_text(f'{toml}\n[store]\ndownloads = "1B"\n')
    dry = run(project, "gc", "--dry-run", "--json").document["downloads"]
    assert dry == {"removed": size, "kept": 0}
    build(project)
    assert copies(project) == []
    (project.root / "rules.toml").write_text(f'{toml}\n[store]\ndownloads = "many"\n')
    assert "'downloads' cannot be 'many'" in run(project, "build", expect=2).stderr


def test_a_copy_that_is_gone_and_a_server_that_fails(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.files["t.parquet"] = parquet([1, 2], [10, 20])
    project = project_of(tmp_path, web, "t.parquet", '\n[store]\ndownloads = "0B"\n')
    build(project)
    project.sql("more", "SELECT t.id + 1 AS id FROM t")
    monkeypatch.setattr("rules.sources.object_stores.TIMEOUT", 1.0)
    web.wrong = lambda method, _: "500" if method == "GET" else None
    ran = run(project, "build", expect=1)
    assert "the source 't' cannot be read: " in ran.stderr
    assert "Traceback" not in ran.stderr
    assert amount(project) == 30
    monkeypatch.undo()
    web.wrong = lambda *_: None
    assert build(project).executed == {"more"}
    assert project.product("more").to_pylist() == [{"id": 2}, {"id": 3}]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("https://user:secret@host/t.csv", "the URL holds a user or a password"),
        ("https://host/t.csv?sig=secret", "the URL has a query or a fragment"),
        ("https://host/days/*.csv", "a web server lists no files"),
        ("https://host", "the URL names no object"),
        ("s3a://bucket/t.csv", "a URL that starts with s3a:// cannot be read"),
        ("ftp://host/t.csv", "a URL that starts with ftp:// cannot be read"),
        ("s3:///t.csv", "the URL names no object"),
        ("s3://bucket/../t.csv", "the URL has an empty part"),
        (
            'https://host/table"\nformat = "delta',
            "a table of the format delta is a folder, and a web server lists no files",
        ),
    ],
)
def test_a_url_that_cannot_be_a_source(tmp_path: Path, path: str, said: str) -> None:
    project = SampleProject(tmp_path / "project", toml=f'\n[sources.t]\npath = "{path}"\n')
    ran = run(project, "build", expect=2)
    assert said in ran.stderr
    assert "rules.toml:5:1" in ran.stderr
    assert "secret" not in ran.stderr
