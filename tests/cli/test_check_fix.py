"""`rules check --fix` and `--diff`: what they change, and that they change no more than that, and no result."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import tpch
from support.inprocess import build, run
from support.projects import FIXTURES, SampleProject


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "sample", sources=["orders", "customers"])
    sample.parquet("orders", {"id": [1, 2], "größe": [10, 20], "customer": [1, 1], "Order By": ["a", "b"]})
    sample.parquet("customers", {"id": [1], "name": ["x"]})
    sample.sql("other", "SELECT o.id, c.id AS customer FROM orders AS o JOIN customers AS c ON c.id = o.customer")
    return sample


def fingerprints(project: SampleProject) -> dict[str, tuple[str, str]]:
    products = build(project).document["products"]
    return {product["name"]: (product["fingerprint"], product["key"]) for product in products}


ODD = (
    b'\xef\xbb\xbf-- /// rule\r\n-- description = "gr\xc3\xb6\xc3\x9fer"\r\n-- ///\r\n'
    b"SELECT\t/* a; 'b' -- c */\tgr\xc3\xb6\xc3\x9fe  -- 'amount\r\n  ,\"Order By\" AS o,name\r\n"
    b'FROM orders "Die Auftr\xc3\xa4ge" JOIN customers ON customer=customers . id\r\n\r\n'
    b"ORDER BY\r\n name  ;  \r\n -- end"
)


def test_every_byte_but_the_qualifiers_stays(project: SampleProject) -> None:
    """A byte order mark, CR LF, tabs, comments, letters of several bytes, no line end at the end."""
    rule = project.root / "rules/odd.sql"
    rule.write_bytes(ODD)
    before = fingerprints(project)
    ran = run(project, "check", "--fix")
    assert ran.stdout == "4 fixed; no findings (3 files checked)\n"
    item = '"Die Aufträge".'.encode()
    expected = ODD.replace(b"\tgr\xc3\xb6\xc3\x9fe  --", b"\t" + item + b"gr\xc3\xb6\xc3\x9fe  --")
    expected = expected.replace(b',"Order By"', b"," + item + b'"Order By"').replace(b",name", b",customers.name")
    expected = expected.replace(b"ON customer=", b"ON " + item + b"customer=")
    assert rule.read_bytes() == expected
    assert fingerprints(project) == before


def test_a_second_run_changes_nothing(project: SampleProject) -> None:
    project.sql("one", "WITH a AS (SELECT id FROM orders), b AS (SELECT id FROM a) SELECT name FROM customers")
    run(project, "check", "--fix")
    assert project.read("rules/one.sql") == "SELECT customers.name FROM customers\n"
    assert run(project, "check", "--fix").stdout == "no findings (3 files checked)\n"


def test_diff_shows_the_edits_and_makes_none(project: SampleProject) -> None:
    project.sql("one", "SELECT name\nFROM customers AS c")
    ran = run(project, "check", "--diff", expect=1)
    assert ran.stdout == (
        "--- rules/one.sql\n+++ rules/one.sql\n@@ -1,2 +1,2 @@\n-SELECT name\n+SELECT c.name\n FROM customers AS c\n"
    )
    assert ran.stderr == "1 of 3 files would change\n"
    assert project.read("rules/one.sql") == "SELECT name\nFROM customers AS c\n"
    run(project, "check", "--fix")
    assert run(project, "check", "--diff").stdout == ""


def test_what_has_no_fix_is_still_reported(project: SampleProject) -> None:
    project.sql("one", "SELECT name, nope, id FROM customers AS c JOIN orders AS o ON c.id = o.customer")
    document = run(project, "check", "--fix", "--json", expect=1).document
    assert document["fixed"] == 1
    assert [one["code"] for one in document["findings"]] == ["R003", "R002"]
    assert project.read("rules/one.sql").startswith("SELECT c.name, nope, id FROM")


def test_a_link_stays_a_link_and_a_mode_a_mode(project: SampleProject) -> None:
    target = project.write("elsewhere/one.sql", "SELECT name FROM customers\n")
    target.chmod(0o640)
    link = project.root / "rules/one.sql"
    link.symlink_to(target)
    run(project, "check", "--fix")
    assert link.is_symlink()
    assert target.read_text() == "SELECT customers.name FROM customers\n"
    assert target.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["one.sql"]


def test_a_link_out_of_the_project_is_not_followed_by_what_writes(project: SampleProject, tmp_path: Path) -> None:
    outside = tmp_path / "outside.sql"
    outside.write_text("SELECT name FROM customers\n")
    (project.root / "rules/one.sql").symlink_to(outside)
    for command in (["check", "--fix"], ["contract", "one", "--write"]):
        refused = run(project, *command, expect=2)
        assert "rules/one.sql is a link out of the project, which is not written" in refused.stderr
    assert outside.read_text() == "SELECT name FROM customers\n"
    assert (project.root / "rules/one.sql").is_symlink()
    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "rules").symlink_to(tmp_path / "home")
    (tmp_path / "home").mkdir()
    made = run(project, "init", str(tmp_path / "clone"), expect=2)
    assert "is a link out of the project" in made.stderr
    assert list((tmp_path / "home").iterdir()) == []
    assert [path.name for path in (tmp_path / "clone").iterdir()] == ["rules"]


def test_fix_and_diff_exclude_each_other(project: SampleProject) -> None:
    assert "exclude each other" in run(project, "check", "--fix", "--diff", expect=2).stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flights", "tpch"])
def test_sample_projects_have_no_findings_once_fixed_and_mean_the_same(name: str, tmp_path: Path) -> None:
    project = SampleProject.copy_of(FIXTURES / name, tmp_path / name)
    if name == "tpch":
        tpch.make_project(project.root, scale=0.001)
    before = {
        one["name"]: (one["verdict"], one.get("key")) for one in run(project, "plan", "--json").document["products"]
    }
    texts = {path: path.read_text() for path in project.root.rglob("*.sql")}
    assert "no findings" in run(project, "check", "--fix").stdout
    after = {
        one["name"]: (one["verdict"], one.get("key")) for one in run(project, "plan", "--json").document["products"]
    }
    assert after == before
    assert name == "tpch" or {path: path.read_text() for path in texts} != texts
