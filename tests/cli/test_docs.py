"""`rules docs`: the site as files, without a browser; `tests/services/test_site.py` opens it in one."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rules.site.serving import address_of, server_of
from support.inprocess import run
from support.projects import RULES, SampleProject

HOSTILE = "</script><script>alert(1)</script>\u202e"


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    toml = '\n[vars]\nlimit_of = 1\napi_token = "hunter2-hunter2"\n'
    sample = SampleProject(tmp_path / "project", sources=["raw"], toml=toml)
    sample.parquet("raw", {"id": [1, 2, 3], "amount": [10, 20, 30], "status": ["paid", "open", "paid"]})
    front = '-- /// rule\n-- description = "Orders </script><b> & co"\n-- tags = ["ops"]\n-- key = ["id"]\n-- ///\n'
    sample.sql("orders", f"{front}SELECT r.id, r.amount * 2 AS amount FROM raw AS r WHERE r.status = 'paid'")
    sample.sql("totals", "SELECT SUM(o.amount) AS total FROM orders AS o WHERE o.id >= $limit_of")
    return sample


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def data(folder: Path, path: str) -> dict[str, Any]:
    """Read the document of a data file; its outermost keys are the only thing in it that is no JSON."""
    text = (folder / "data" / path).read_text(encoding="utf-8")
    found = re.fullmatch(r'site\.receive\("[^"]*",(\{.*\})\);\n', text, re.DOTALL)
    assert found, text
    document: dict[str, Any] = json.loads(found[1])
    return document


def test_it_says_what_the_project_and_its_store_say(project: SampleProject) -> None:
    run(project, "build")
    written = run(project, "docs", "build", "--json").document
    folder = Path(written["folder"])
    assert (folder, written["tables"]) == (project.root / "site", 3)
    index = data(folder, "index.js")
    tables = {one["name"]: one for one in index["tables"]}
    assert [tables[name]["status"] for name in ("raw", "orders", "totals")] == ["source", "executed", "executed"]
    assert (tables["orders"]["rows"], tables["orders"]["description"]) == (2, "Orders </script><b> & co")
    assert [index["tables"][at]["name"] for at in tables["totals"]["inputs"]] == ["orders"]
    assert [(one["table"], one["name"], one["failing"]) for one in index["checks"]] == [("orders", "key", 0)]
    assert [one["status"] for one in index["builds"]] == ["ok"]
    orders = data(folder, "tables/table-orders.js")
    assert orders["columns"] == [["id", "int64", ""], ["amount", "int64", ""]]
    assert orders["reads"] == {"raw": ["amount", "id", "status"]}
    assert orders["readers"] == ["totals"]
    assert "r.amount * 2 AS amount" in orders["authored"]
    assert orders["executed"] != orders["authored"]
    assert [event[1] for event in orders["history"]] == ["executed"]
    assert data(folder, "tables/table-totals.js")["variables"] == {"limit_of": "1"}
    lineage = data(folder, "lineage.js")
    names = [one["name"] for one in index["tables"]]
    into_amount = [names.index("raw"), 1, names.index("orders"), 1, 1]
    assert into_amount in [link[:5] for link in lineage["links"]]


def test_equal_states_give_equal_bytes(project: SampleProject) -> None:
    run(project, "build")
    run(project, "docs", "build")
    before = files(project.root / "site")
    again = run(project, "docs", "build", "--json").document
    assert (again["written"], again["removed"]) == (0, 0)
    elsewhere = run(project, "docs", "build", "--out", str(project.root / "other"), "--json").document
    assert files(Path(elsewhere["folder"])) == before
    assert str(project.root).encode() not in b"".join(before.values())


def test_no_path_of_the_machine_is_in_it(project: SampleProject) -> None:
    project.sql("failing", "SELECT CAST('x' || o.id AS INT) AS y FROM orders AS o")
    elsewhere = project.root / "elsewhere.parquet"
    project.edit("rules.toml", "[vars]", f'[sources.outside]\npath = "{elsewhere}"\n[vars]')
    project.sql("lost", "SELECT o.id FROM outside AS o")
    run(project, "build", "-k", expect=1)
    run(project, "docs", "build")
    made = files(project.root / "site")
    assert str(project.root).encode() not in b"".join(made.values())
    assert data(project.root / "site", "tables/table-outside.js")["path"] == "./elsewhere.parquet"
    assert data(project.root / "site", "tables/table-failing.js")["reason"]


def test_a_change_writes_only_what_it_changes_and_drops_what_is_gone(project: SampleProject) -> None:
    run(project, "build")
    run(project, "docs", "build")
    site = project.root / "site"
    (site / "CNAME").write_text("docs.example.org\n")
    before = files(site)
    (project.root / "rules" / "totals.sql").unlink()
    run(project, "build")
    assert run(project, "docs", "build", "--json").document["removed"] == 1
    after = files(site)
    assert after["CNAME"] == before["CNAME"]
    assert set(before) - set(after) == {"data/tables/table-totals.js"}
    assert {name for name in after if name.startswith("assets/") and after[name] != before[name]} == set()


def test_secrets_and_hostile_texts(project: SampleProject) -> None:
    project.edit("rules.toml", "[vars]", '[sources.far]\npath = "https://127.0.0.1:1/x.csv"\n[vars]')
    quoted = HOSTILE.replace("'", "''")
    project.sql("odd", f"SELECT r.id AS \"a</script>\", '{quoted}' AS b, $api_token AS c FROM raw AS r")
    run(project, "build", "-s", "odd", expect=None)
    run(project, "docs", "build")
    made = files(project.root / "site")
    for path, content in made.items():
        text = content.decode()
        assert "hunter2" not in text, path
        if path.startswith("data/"):
            assert "<" not in text, path
            assert "\u202e" not in text, path
    page = made["index.html"].decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]
    assert not re.search(
        r"https?://(?!www\.w3\.org/2000/svg)",
        "".join(made[one].decode() for one in made if not one.startswith("data/")),
    )


def test_a_secret_that_is_a_name_too_breaks_no_link(project: SampleProject) -> None:
    project.edit("rules.toml", "hunter2-hunter2", "orders")
    project.edit("rules.toml", "limit_of = 1", "limit_of = 1\ntoken_count = 1")
    run(project, "docs", "build")
    index = data(project.root / "site", "index.js")
    assert [one["name"] for one in index["tables"]] == ["raw", "•••", "totals"]
    for one in index["tables"]:
        assert data(project.root / "site", f"tables/table-{one['file']}.js")["columns"]


def test_what_does_not_compile_is_there_with_its_error(project: SampleProject) -> None:
    project.sql("broken", "SELECT r.nothing FROM raw AS r")
    project.sql("above", "SELECT b.nothing FROM broken AS b")
    project.write("rules/9 odd.sql", "SELECT 1 AS x\n")
    run(project, "docs", "build")
    index = data(project.root / "site", "index.js")
    tables = {one["name"]: one for one in index["tables"]}
    assert {tables[name]["status"] for name in ("broken", "above", "rules/9 odd.sql")} == {"broken"}
    assert tables["orders"]["status"] == "new"
    assert "nothing" in data(project.root / "site", "tables/table-broken.js")["error"]["message"]
    odd = tables["rules/9 odd.sql"]["file"]
    assert data(project.root / "site", f"tables/table-{odd}.js")["error"]["where"].startswith("rules/9 odd.sql")


def test_an_edit_that_was_not_built_is_marked(project: SampleProject) -> None:
    run(project, "build")
    project.edit("rules/totals.sql", "SUM", "MAX")
    run(project, "docs", "build")
    tables = {one["name"]: one for one in data(project.root / "site", "index.js")["tables"]}
    assert [tables[name]["edited"] for name in ("orders", "totals")] == [False, True]


@pytest.mark.parametrize("place", ["occupied", ".rules", "file", "."])
def test_a_place_that_is_not_for_a_site(project: SampleProject, place: str) -> None:
    run(project, "build")
    project.write("occupied/mine.txt", "mine\n")
    project.write("file", "mine\n")
    ran = run(project, "docs", "build", "--out", str(project.root / place), expect=2)
    assert ran.stderr.startswith("error: ")
    assert project.read("occupied/mine.txt") == project.read("file") == "mine\n"


def test_links_in_the_folder_are_not_followed(project: SampleProject, tmp_path: Path) -> None:
    run(project, "docs", "build")
    outside = tmp_path / "outside"
    outside.mkdir()
    page = project.root / "site" / "index.html"
    page.unlink()
    page.symlink_to(outside / "page.html")
    assert run(project, "docs", "build", expect=1).stderr.startswith("error: ")
    assert list(outside.iterdir()) == []


def test_serving(project: SampleProject) -> None:
    run(project, "docs", "build")
    with server_of(project.root / "site", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            port = server.server_address[1]
            assert address_of(server) == f"http://127.0.0.1:{port}/"

            def ask(path: str, host: str) -> tuple[int, bytes]:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request("GET", path, headers={"Host": host})
                answer = connection.getresponse()
                return answer.status, answer.read()

            assert ask("/", f"localhost:{port}") == (200, (project.root / "site" / "index.html").read_bytes())
            assert ask("/data/index.js", f"127.0.0.1:{port}")[0] == 200
            assert ask("/data/", f"127.0.0.1:{port}")[0] == 404
            assert ask("/../rules.toml", f"127.0.0.1:{port}")[0] == 404
            assert ask("/", "evil.example:80")[0] == 421
        finally:
            server.shutdown()
            thread.join()


def test_a_project_without_rules_and_rules_in_a_circle(tmp_path: Path) -> None:
    empty = SampleProject(tmp_path / "empty")
    run(empty, "docs", "build")
    assert data(empty.root / "site", "index.js")["tables"] == []
    empty.sql("a", "SELECT b.x FROM b")
    empty.sql("b", "SELECT a.x FROM a")
    run(empty, "docs", "build")
    assert [one["status"] for one in data(empty.root / "site", "index.js")["tables"]] == ["broken", "broken"]
    assert "circle" in data(empty.root / "site", "tables/table-a.js")["error"]["message"]


@pytest.mark.slow
def test_the_command_serves_until_it_is_ended(project: SampleProject) -> None:
    command = [str(RULES), "docs", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = urlsplit(json.loads(process.stdout.readline())["url"])
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)
        connection.request("GET", "/")
        answer = connection.getresponse()
        assert (answer.status, b"Content-Security-Policy" in answer.read()) == (200, True)
        connection.close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["error"]["code"]) == (130, "interrupted")
    assert b"Traceback" not in err


def test_options_that_do_not_fit(project: SampleProject) -> None:
    assert "--port is an option of rules docs serve" in run(project, "docs", "build", "--port", "1", expect=2).stderr
    assert "ACTION" in run(project, "docs", "bild", expect=2).stderr
