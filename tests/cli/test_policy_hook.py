"""[policy] on_qualify: a function of the project that rejects names of tables, each with a finding at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.inprocess import run
from support.projects import SampleProject

POLICY = """from layers import ALLOWED


def layers(name):
    if name.kind == "source" and name.tags != ALLOWED:
        return f"only staging rules read sources, and {name.rule} is none"
"""


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "sample", sources=["raw"], toml='\n[policy]\non_qualify = "policy.py:layers"\n')
    made.parquet("raw", {"id": [1], "name": ["x"]})
    made.write("policy.py", POLICY)
    made.write("layers.py", 'ALLOWED = ("staging",)\n')
    made.sql("stg", '-- /// rule\n-- tags = ["staging"]\n-- ///\nSELECT r.id, r.name FROM raw AS r')
    made.sql(
        "top", "WITH raw2 AS (SELECT s.id FROM stg AS s)\nSELECT t.id\nFROM raw2 AS t\nJOIN RAW AS r ON r.id = t.id"
    )
    return made


def found(project: SampleProject, *words: str) -> list[tuple[str, str, int, int, str]]:
    findings = run(project, "check", "--json", *words, expect=None).document["findings"]
    return [(one["code"], one["path"], one["line"], one["column"], one["message"]) for one in findings]


def test_a_name_is_rejected_at_its_place_each_time(project: SampleProject) -> None:
    wanted = [("R023", "rules/top.sql", 4, 6, "raw: only staging rules read sources, and top is none")]
    assert found(project) == wanted
    assert found(project) == wanted
    run(project, "build")
    assert found(project) == wanted
    project.write("layers.py", "ALLOWED = ()\n")
    assert found(project) == [("R023", "rules/stg.sql", 4, 26, wanted[0][4].replace("top", "stg"))]


def test_it_is_a_finding_like_others(project: SampleProject) -> None:
    assert found(project, "--ignore", "rejected-name") == []
    project.edit("rules/top.sql", "ON r.id = t.id", "ON r.id = t.id  -- rules: ignore[R023]")
    assert found(project) == []
    shown = run(project, "check", "--select", "R023", expect=None).stdout
    assert "R019" not in shown


def test_rules_in_python(project: SampleProject) -> None:
    project.write("rules/made.py", "from rules import rule\n\n\n@rule\ndef made(raw):\n    return raw.select(raw.id)\n")
    assert [one[:4] for one in found(project)] == [("R023", "rules/made.py", 4, 1), ("R023", "rules/top.sql", 4, 6)]


def test_only_check_imports_it(project: SampleProject) -> None:
    project.write("policy.py", "raise SystemError('imported')\n")
    for command in ("plan", "build", "ls"):
        run(project, command)
    [(code, path, line, _, message)] = found(project)
    assert (code, path, line) == ("R902", "policy.py", 1)
    assert "imported" in message


@pytest.mark.parametrize(
    ("policy", "told", "where"),
    [
        ("def layers(name):\n    return name.tabel\n", "tabel", "policy.py:2"),
        ("def layers(name):\n    return 3\n", "policy.py:layers returns int, not a text or None", "policy.py:1"),
        ("def layer(name):\n    return None\n", "policy.py has no function 'layers'", "rules.toml:"),
    ],
)
def test_a_hook_that_fails_is_a_finding(project: SampleProject, policy: str, told: str, where: str) -> None:
    project.write("policy.py", policy)
    [(_, path, line, _, message)] = found(project)
    assert told in message
    assert f"{path}:{line}".startswith(where)


def test_a_hook_that_is_not_there(project: SampleProject) -> None:
    (project.root / "policy.py").unlink()
    [(_, path, _, _, message)] = found(project)
    assert (path, message) == ("rules.toml", "there is no file policy.py")
    project.edit("rules.toml", "policy.py:layers", "layers")
    error = run(project, "check", "--json", expect=2).document["error"]
    assert error["message"] == "'on_qualify' must name a file and a function in it, not 'layers'"
    assert error["where"].startswith("rules.toml:8:")
