"""`rules check` of data checks: their SQL is held to what rules are held to, at its own place in its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler.lint.check import Checked, World
from rules.lint import rule_records as checking
from support.checked import checked_project
from support.inprocess import run
from support.projects import SampleProject

QUERY = "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > $most"


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = checked_project(tmp_path / "checked")
    run(project, "check", "--fix", "-q", expect=None)
    assert found(project) == []
    return project


def found(project: SampleProject) -> list[str]:
    """Return "path:line:column code text at that place" of each finding."""
    document = run(project, "check", "--format", "json", expect=None).document
    told = []
    for one in document["findings"]:
        lines = (project.root / one["path"]).read_bytes().decode().split("\n")
        text = lines[one["line"] - 1][one["column"] - 1 :].split(" ")[0].strip('",')
        told.append(f"{one['path']}:{one['line']}:{one['column']} {one['code']} {text}")
    return told


def test_a_variable_that_only_a_check_uses_is_used(project: SampleProject) -> None:
    project.edit("rules.toml", "most = 100", "most = 100\nleast = 1")
    assert found(project) == ["rules.toml:12:1 R014 least"]


def test_a_source_that_only_a_check_reads_is_read(project: SampleProject) -> None:
    project.parquet("limits", {"most": [100]})
    project.edit("rules.toml", "[sources.people]", '[sources.limits]\npath = "data/limits.parquet"\n\n[sources.people]')
    assert [one.split(" ")[1:] for one in found(project)] == [["R015", "limits]"]]
    project.edit(
        "rules/orders.sql", QUERY, "SELECT o.id FROM orders AS o CROSS JOIN limits AS l WHERE o.amount > l.most"
    )
    assert [one for one in found(project) if "R015" in one] == []


def test_an_unqualified_column_is_found_where_it_stands(project: SampleProject) -> None:
    project.edit("rules/orders.sql", QUERY, "SELECT o.id FROM orders AS o WHERE amount > $most")
    assert found(project) == ["rules/orders.sql:10:46 R001 amount"]
    assert run(project, "build", "-q").code == 0
    before = project.read("rules/orders.sql")
    run(project, "check", "--fix", expect=1)
    assert project.read("rules/orders.sql") == before, "the string of TOML is left alone"


STRINGS = {
    "escapes": (r'"SELECT \"o\".id\tFROM orders AS \"o\"\u0020WHERE amount > 1 /* \\ */"', 5, "amount"),
    "literal": ("'SELECT o.id FROM orders AS o WHERE amount > 1'", 5, "amount"),
    "lines": ('"""\nSELECT o.id\nFROM orders AS o\nWHERE amount > 1\n"""', 8, "amount"),
    "literal lines": ("'''SELECT o.id\nFROM orders AS o\nWHERE amount > 1'''", 7, "amount"),
    "joined lines": ('"""SELECT o.id \\\n\n    FROM orders AS o \\\n  WHERE amount > 1"""', 8, "amount"),
    "quotes at the end": ('"""SELECT o.id FROM orders AS o WHERE amount > 1 OR o.note = "x""""', 5, "amount"),
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("place", ["rules.toml", "front matter"])
@pytest.mark.parametrize("case", STRINGS)
def test_every_kind_of_string(tmp_path: Path, case: str, place: str, ends: str) -> None:
    written, line, word = STRINGS[case]
    project = checked_project(tmp_path / "checked")
    project.sql("orders", "SELECT r.id, r.amount, r.note FROM raw AS r")
    project.sql("customers", "SELECT p.id FROM people AS p")
    project.sql("totals", "SELECT o.id FROM orders AS o")
    project.edit("rules.toml", "\n[vars]\nmost = 100\n", "")
    check = f'# é\n[[{{}}checks]]\nname = "one"\nsql = {written}\n'
    if place == "rules.toml":
        path, text = "rules.toml", f"{check.format('contracts.orders.')}\n{project.read('rules.toml')}"
        line -= 1
    else:
        path, block = "rules/orders.sql", "".join(f"-- {one}\n" for one in check.format("").splitlines())
        text = f"-- /// rule\n{block}-- ///\n{project.read('rules/orders.sql')}"
    (project.root / path).write_bytes(text.replace("\n", ends).encode())
    (one,) = [one for one in found(project) if "R001" in one]
    assert one.startswith(f"{path}:{line}:")
    assert one.endswith(f" R001 {word}")


def test_suppressions_and_policy_hold_there_too(project: SampleProject) -> None:
    bad = "SELECT o.id FROM orders AS o WHERE amount > $most"
    project.edit("rules/orders.sql", f'"{QUERY}"', f'"{bad}" # rules: ignore[R001]')
    assert found(project) == []
    project.edit("rules/orders.sql", f'"{bad}" # rules: ignore[R001]', f'"{bad}"')
    policy = '\n[policy]\nper_file_ignores = { "rules/orders.sql" = ["R001"] }\n'
    (project.root / "rules.toml").write_text(project.read("rules.toml") + policy)
    assert found(project) == []


def test_a_broken_contract_is_a_finding(project: SampleProject) -> None:
    project.edit("rules/orders.sql", QUERY, "SELECT o.id FROM orders AS o WHERE (o.amount > 1")
    assert [one.split(" ")[0] for one in found(project)] == ["rules/orders.sql:10:58"]
    project.edit("rules/orders.sql", "(o.amount", "o.amount")
    (project.root / "rules.toml").write_text(f"{project.read('rules.toml')}\n[contracts.nothing]\nkey = ['id']\n")
    assert "rules.toml" in found(project)[0]


def test_what_is_known_of_a_query_is_not_found_again(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    check_rule = checking.check_rule

    def noted(text: str, world: World, **more: Any) -> Checked:
        looked.append(text)
        return check_rule(text, world, **more)

    monkeypatch.setattr(checking, "check_rule", noted)
    project.sql("customers", "SELECT p.id FROM people AS p")
    found(project)
    assert [text for text in looked if "most" in text] == []
    assert any("people" in text for text in looked)


def test_a_key_of_rules_toml_is_looked_at_afresh(project: SampleProject) -> None:
    before = project.read("rules.toml")
    (project.root / "rules.toml").write_text(f'{before}\n[contracts.totals]\nkey = ["custmer"]\n')
    line = len(before.splitlines()) + 3
    assert [one.rpartition(":")[0] for one in found(project)] == [f"rules.toml:{line}"]
    project.edit("rules.toml", "custmer", "customer")
    assert found(project) == []
