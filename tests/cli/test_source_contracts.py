"""Contracts of sources: what breaks one keeps its readers back, and only what changed is verified again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.inprocess import Ran, build, run
from support.projects import SampleProject
from support.refusals import MARK, assert_refused_alike, place_of_mark

CONTRACT = """
[vars]
most = 100

[contracts.raw]
key = ["id"]
[contracts.raw.columns.status]
type = "string"
accepted = ["open", "held"]
severity = "warn"
[contracts.raw.columns.customer]
not_null = true
references = "people.id"
[[contracts.raw.checks]]
name = "small"
sql = "SELECT r.id, r.amount FROM raw AS r WHERE r.amount > $most"
"""
CHECKS = {"raw.key", "raw.accepted.status", "raw.not_null.customer", "raw.references.customer", "raw.small"}
ROWS: dict[str, list[Any]] = {
    "id": [1, 2, 3], "customer": [1, 1, 2], "status": ["open", "held", "open"], "amount": [10, 20, 30],
    "note": ["x", "y", "z"],
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "contracted", sources=["raw", "people"], toml=CONTRACT)
    project.parquet("raw", ROWS)
    project.parquet("people", {"id": [1, 2], "name": ["ada", "bob"]})
    project.sql("notes", "SELECT r.note FROM raw AS r")
    project.sql("loud", "SELECT UPPER(n.note) AS note FROM notes AS n")
    project.sql("folk", "SELECT p.name FROM people AS p")
    build(project)
    return project


def rows(project: SampleProject, **columns: list[Any]) -> None:
    project.parquet("raw", {**ROWS, **columns})


def source(ran: Ran, name: str = "raw") -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in ran.document["sources"] if one["name"] == name)
    return found


def executed(ran: Ran) -> set[str]:
    """Return the checks of sources that a build ran."""
    return {
        check["name"] for one in ran.document["sources"] for check in one["checks"] if check["status"] == "executed"
    }


def test_the_first_build_verifies_all_and_the_next_does_nothing(tmp_path: Path, project: SampleProject) -> None:
    fresh = SampleProject.copy_of(project.root, tmp_path / "fresh")
    first = build(fresh)
    assert executed(first) == CHECKS
    assert (source(first)["status"], first.document["status"]) == ("passed", "ok")
    assert run(fresh, "build").stdout == "nothing to do (3 products up to date)\n"
    idle = build(fresh)
    assert idle.document["build"] == ""
    assert {check["name"]: check["status"] for check in source(idle)["checks"]} == dict.fromkeys(CHECKS, "clean")


@pytest.mark.slow
def test_only_checks_that_read_what_changed_are_run(project: SampleProject) -> None:
    rows(project, note=["x", "y", "q"])
    ran = build(project)
    assert (executed(ran), ran.executed) == (set(), {"notes", "loud"})
    rows(project, note=["x", "y", "q"], amount=[10, 20, 31])
    ran = build(project)
    assert (executed(ran), ran.executed) == ({"raw.small"}, set())
    project.parquet("people", {"id": [1, 2, 3], "name": ["ada", "bob", "eve"]})
    ran = build(project)
    assert (executed(ran), ran.executed) == ({"raw.references.customer"}, {"folk"})
    project.edit("rules.toml", "most = 100", "most = 90")
    assert executed(build(project)) == {"raw.small"}
    project.edit("rules.toml", "most = 90", "most = 100")
    assert executed(build(project)) == set()


BREAKS: dict[str, tuple[dict[str, list[Any]], str, str]] = {
    "key": ({"id": [1, 1, 3]}, "raw.key", "1 value of id is repeated or NULL, for example id = 1, rows = 2"),
    "not null": (
        {"customer": [1, None, 2]}, "raw.not_null.customer",
        "1 value of customer is NULL, for example id = 2, customer = NULL",
    ),
    "reference": (
        {"customer": [1, 1, 7]}, "raw.references.customer",
        "1 value of customer is not in people.id, for example id = 3, customer = 7",
    ),
    "check": ({"amount": [10, 20, 300]}, "raw.small", "1 row is returned, for example id = 3, amount = 300"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", BREAKS)
def test_a_source_that_breaks_its_contract_is_not_read(project: SampleProject, case: str) -> None:
    columns, name, message = BREAKS[case]
    before = project.product("notes")
    rows(project, note=["new", "y", "z"], **columns)
    ran = build(project, "-k", expect=1)
    assert ran.statuses == {"folk": "clean", "notes": "skipped", "loud": "skipped"}
    reasons = {one["name"]: one["reason"] for one in ran.document["products"]}
    assert reasons["notes"] == "its input raw failed"
    found = source(ran)
    assert (found["status"], ran.document["status"]) == ("failed", "failed")
    title = name.partition(".")[2]
    assert found["error"]["message"] == f"the source 'raw' breaks its contract: check {title} failed: {message}"
    assert found["error"]["where"].startswith("rules.toml:")
    assert [check["name"] for check in found["checks"] if not check["passed"]] == [name]
    assert project.product("notes").equals(before)
    assert run(project, "show", name, "--json").document["data"]
    told = run(project, "build", expect=1)
    assert message in told.stderr
    assert "nothing to do" not in told.stdout
    again = build(project, "-k", expect=1)
    assert (executed(again), again.executed) == (set(), set())
    planned = run(project, "plan", "--json").document
    (failing,) = (one for one in source_of(planned)["checks"] if one["failing"])
    assert (failing["name"], failing["failing"]) == (name, 1)
    assert run(project, "plan", "--exit-code", expect=1).stdout.startswith(f"source raw: check {title} fails: 1 row")
    rows(project, note=["new", "y", "z"])
    mended = build(project)
    assert (executed(mended), mended.executed) == (set(), {"notes", "loud"})


def source_of(document: dict[str, Any], name: str = "raw") -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["sources"] if one["name"] == name)
    return found


def test_without_k_nothing_is_started_after_a_source_has_failed(project: SampleProject) -> None:
    rows(project, id=[1, 1, 3])
    assert build(project, "-j", "1", expect=1).document["summary"]["skipped"] >= 2


def test_a_warning_is_repeated_and_keeps_nothing_back(project: SampleProject) -> None:
    rows(project, status=["lost", "held", "open"], note=["x", "y", "q"])
    ran = build(project)
    assert ran.executed == {"notes", "loud"}
    warning = "warning: raw: check accepted.status failed: 1 value of status is none of 'open', 'held'"
    assert warning in ran.stderr
    idle = run(project, "build")
    assert idle.stdout.startswith("nothing to do")
    assert warning in idle.stderr


def test_a_contract_of_what_nothing_reads_is_verified_too(project: SampleProject) -> None:
    for name in ("notes", "loud"):
        (project.root / f"rules/{name}.sql").unlink()
    rows(project, id=[1, 1, 3])
    ran = build(project, "-k", expect=1)
    assert ran.statuses == {"folk": "clean"}
    assert source(ran)["status"] == "failed"
    assert build(project, "-s", "folk").document["sources"] == []


def test_a_selection_verifies_what_it_reads(project: SampleProject) -> None:
    rows(project, id=[1, 1, 3], note=["x", "y", "q"])
    assert build(project, "-s", "folk").document["sources"] == []
    assert build(project, "-s", "notes", expect=1).statuses == {"notes": "skipped"}


def test_a_selection_does_not_mind_contracts_of_what_it_does_not_read(project: SampleProject) -> None:
    project.edit("rules.toml", 'key = ["id"]', 'key = ["nope"]')
    assert run(project, "plan", "-k", "-s", "folk", "--json").document["sources"] == []
    assert build(project, "-k", "-s", "folk").statuses == {"folk": "clean"}
    assert build(project, "-s", "folk").statuses == {"folk": "clean"}
    assert build(project, "-k", "-s", "loud", expect=1).statuses == {"loud": "skipped"}
    assert build(project, "-k", expect=1).statuses == {"folk": "clean", "notes": "skipped", "loud": "skipped"}


def test_a_reference_to_a_product_is_settled_before_readers(project: SampleProject) -> None:
    project.sql("ids", "SELECT p.id FROM people AS p")
    project.edit("rules.toml", '"people.id"', '"ids.id"')
    ran = build(project)
    assert (executed(ran), ran.executed) == (set(), {"ids"})  # it reads the same values
    project.parquet("people", {"id": [1], "name": ["ada"]})
    assert build(project, "-k", expect=1).statuses["notes"] == "skipped"
    project.sql("ids", "SELECT p.nope FROM people AS p")
    ran = build(project, "-k", expect=1)
    assert ran.statuses == {"folk": "clean", "ids": "failed", "notes": "skipped", "loud": "skipped"}


def test_sources_may_refer_to_one_another(project: SampleProject) -> None:
    more = '\n[contracts.people.columns.id]\nreferences = "raw.customer"\n'
    project.write("rules.toml", project.read("rules.toml") + more)
    ran = build(project)
    assert executed(ran) == {"people.references.id"}


def test_without_a_contract_its_states_are_forgotten(project: SampleProject) -> None:
    project.write("rules.toml", project.read("rules.toml").partition("[vars]")[0])
    assert build(project).document["sources"] == []
    idle = build(project)
    assert idle.document["build"] == ""
    assert idle.document["sources"] == []


def test_a_text_source_is_held_to_its_contract(tmp_path: Path) -> None:
    toml = '\n[sources.seed]\npath = "data/seed.csv"\n[contracts.seed]\nkey = ["code"]\n'
    project = SampleProject(tmp_path / "text", toml=toml)
    project.write("data/seed.csv", "code,name\n1,a\n2,b\n")
    project.sql("p", "SELECT s.name FROM seed AS s")
    build(project)
    project.write("data/seed.csv", "code,name\n1,a\n1,b\n")
    assert build(project, expect=1).statuses == {"p": "skipped"}
    project.write("data/seed.csv", "code,name\n1,a\n3,b\n")
    ran = build(project)
    assert (executed(ran), ran.executed) == ({"seed.key"}, set())


def test_audit_runs_checks_of_sources_again(project: SampleProject) -> None:
    ran = run(project, "build", "--audit", "100%", "--json").document
    assert set(ran["audit"]["checked"]) >= CHECKS
    assert ran["audit"]["differing"] == []


WRONG = {
    "no such column": ("[contracts.people.columns.«nam]", "people has no column 'nam', which its contract declares"),
    "no such key": ('[contracts.people]\n«key = ["nam"]', "people has no column 'nam', which its key names"),
    "another type": (
        '[contracts.people.columns.id]\n«type = "string"',
        "people.id is declared as string, but the source has int64",
    ),
    "not exact": (
        "[contracts.people]\n«exact = true\n[contracts.people.columns.id]",
        "people has the column 'name', which its exact contract does not declare",
    ),
    "value of another kind": (
        '[contracts.people.columns.id]\naccepted = [«"x"]',
        "'x' cannot be a value of people.id, which is int64",
    ),
    "no such table": (
        '[contracts.people.columns.id]\n«references = "peopl.id"',
        "check references.id of people: unknown input 'peopl'",
    ),
    "circle of a reference": (
        '[contracts.people.columns.name]\n«references = "folk.name"',
        "check references.name of people: it reads folk, which is made of people itself: people → folk → people",
    ),
    "circle of a query": (
        '[[contracts.people.checks]]\nname = "a"\n«sql = "SELECT f.name FROM folk AS f WHERE f.name IS NULL"',
        "check a of people: it reads folk, which is made of people itself: people → folk → people",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_contract_stands_where_it_is_declared(project: SampleProject, case: str) -> None:
    declared, message = WRONG[case]
    project.sql("notes", "SELECT r.note AS note FROM raw AS r")
    text = f"{project.read('rules.toml')}\n{declared}\n"
    line, column = place_of_mark(text)
    project.write("rules.toml", text.replace(MARK, ""))
    refusal = assert_refused_alike(project)
    assert (refusal.message, refusal.where) == (message, f"rules.toml:{line}:{column}")
    assert refusal.hint
    ran = build(project, "-k", expect=1)
    assert ran.statuses == {"folk": "skipped", "notes": "skipped" if "raw" in message else "clean", "loud": "clean"}
    assert source(ran, "people")["status"] == "failed"


def test_a_query_that_does_not_compile_stands_in_its_text(project: SampleProject) -> None:
    query = '\n[[contracts.people.checks]]\nname = "a"\nsql = "SELECT p.nope FROM people AS p"\n'
    text = project.read("rules.toml") + query
    project.write("rules.toml", text)
    where = f"rules.toml:{text.count(chr(10))}:17"
    error = run(project, "build", "--json", expect=1).document["error"]
    assert (error["message"], error["where"]) == ("check a of people: unknown column 'nope'", where)
    found = run(project, "check", "--json", expect=1).document["findings"]
    told = [
        f"{one['path']}:{one['line']}:{one['column']}" for one in found if one["message"] == "unknown column 'nope'"
    ]
    assert told == [where]


def test_a_circle_over_two_products_is_blamed_on_the_check(project: SampleProject) -> None:
    project.sql("a", "SELECT n.note AS note FROM notes AS n")
    project.sql("b", '-- /// rule\n-- [columns.note]\n-- references = "d.note"\n-- ///\nSELECT a.note AS note FROM a')
    project.sql("c", "SELECT b.note AS note FROM b")
    project.sql("d", "SELECT c.note AS note FROM c")
    refusal = assert_refused_alike(project)
    told = "check references.note of b: it reads d, which is made of b itself: b → d → c → b"
    assert (refusal.message, refusal.where) == (told, "rules/b.sql:3:4")
    planned = run(project, "plan", "-k", "--json", expect=1).document
    verdicts = {one["name"]: one["verdict"] for one in planned["products"]}
    assert verdicts.items() >= {"a": "restore", "b": "failed", "c": "skipped", "d": "skipped", "folk": "clean"}.items()


def test_contract_prints_a_source(project: SampleProject) -> None:
    document = run(project, "contract", "raw", "--json").document
    assert document["key"] == ["id"]
    assert {check["name"] for check in document["checks"]} == CHECKS
    assert document["ddl"] == (
        'CREATE TABLE "raw" (\n  "id" BIGINT NOT NULL,\n  "customer" BIGINT NOT NULL REFERENCES "people" ("id"),\n'
        '  "status" VARCHAR,\n  "amount" BIGINT,\n  "note" VARCHAR,\n  PRIMARY KEY ("id")\n)'
    )
    assert run(project, "contract", "people").stdout.startswith('CREATE TABLE "people" (')


def test_contract_writes_the_types_of_a_source(project: SampleProject) -> None:
    assert run(project, "contract", "people", "--write").stdout == "wrote the types of 2 columns into rules.toml\n"
    assert run(project, "contract", "people", "--write").stdout == "every type is declared in rules.toml\n"
    assert build(project).executed == set()
    project.parquet("people", {"id": ["1", "2"], "name": ["ada", "bob"]})
    told = run(project, "build", expect=1).stderr
    assert "people.id is declared as int64, but the source has string" in told
