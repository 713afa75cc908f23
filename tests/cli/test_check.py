"""`rules check`: what it reports, of which files, how it ends; and what it does without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.inprocess import Ran, run
from support.projects import SampleProject


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "sample", sources=["orders"], toml="\n[vars]\nleast = 3\n")
    sample.parquet("orders", {"id": [1, 2, 3], "amount": [10, 20, 30]})
    sample.sql("large", "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > $least")
    sample.sql("total", "SELECT SUM(l.amount) AS total FROM large AS l")
    return sample


def codes(ran: Ran) -> list[tuple[str, str, int, int]]:
    return [(one["code"], one["path"], one["line"], one["column"]) for one in ran.document["findings"]]


def check(project: SampleProject, *arguments: str, expect: int = 0) -> Ran:
    return run(project, "check", "--json", *arguments, expect=expect)


def test_a_clean_project_has_no_findings(project: SampleProject) -> None:
    ran = check(project)
    assert ran.document == {"format": 1, "command": "check", "status": "ok", "checked": 3, "findings": []}
    assert run(project, "check").stdout == "no findings (3 files checked)\n"


def test_the_document_of_a_finding(project: SampleProject) -> None:
    project.sql("total", "SELECT\n  -- of all\n  SUM(amount) AS total\nFROM large AS l")
    assert check(project, expect=1).document["findings"] == [
        {
            "code": "R001",
            "rule": "unqualified-column",
            "path": "rules/total.sql",
            "line": 3,
            "column": 7,
            "end_line": 3,
            "end_column": 13,
            "severity": "warning",
            "message": "column 'amount' has no table before it",
            "hint": "write l.amount",
            "fix": "write l.amount",
        }
    ]


def test_text_shows_the_line_with_a_mark(project: SampleProject) -> None:
    project.sql("total", "SELECT SUM(amount) AS total FROM large AS l")
    assert run(project, "check", expect=1).stdout == (
        "rules/total.sql:1:12: R001 column 'amount' has no table before it\n"
        "  1 | SELECT SUM(amount) AS total FROM large AS l\n"
        "    |            ^^^^^^\n"
        "    = fix: write l.amount\n"
        "\n"
        "1 finding in 1 file; 1 can be fixed: rules check --fix\n"
    )
    concise = run(project, "check", "--format", "concise", expect=1).stdout
    assert concise == "rules/total.sql:1:12: R001 column 'amount' has no table before it\n"


def test_what_does_not_compile_is_a_finding_and_the_others_are_checked(project: SampleProject) -> None:
    project.sql("broken", "SELECT 'x FROM orders AS o")
    project.sql("lost", "SELECT x.a FROM nowhere AS x")
    project.sql("2many", "SELECT 1 AS a")
    project.sql("total", "SELECT SUM(amount) AS total, o.nope FROM large AS o")
    project.write("rules/binary.sql", "")
    (project.root / "rules/binary.sql").write_bytes(b"SELECT 1\n\xff\xfe\x00")
    assert codes(check(project, expect=1)) == [
        ("R903", "rules/2many.sql", 1, 1),
        ("R903", "rules/binary.sql", 2, 1),
        ("R900", "rules/broken.sql", 1, 8),
        ("R004", "rules/lost.sql", 1, 17),
        ("R001", "rules/total.sql", 1, 12),
        ("R003", "rules/total.sql", 1, 32),
    ]


def test_a_circle_is_a_finding(project: SampleProject) -> None:
    project.sql("large", "SELECT t.total AS id, t.total AS amount FROM total AS t")
    assert ("R902", "rules/large.sql", 1, 46) in codes(check(project, expect=1))


def test_a_key_that_is_no_output_is_a_finding_at_the_option(project: SampleProject) -> None:
    project.sql("total", '-- /// rule\n-- key = ["totl"]\n-- ///\nSELECT SUM(l.amount) AS total FROM large AS l')
    assert codes(check(project, expect=1)) == [("R902", "rules/total.sql", 2, 4)]


def test_variables_and_sources_that_nothing_uses(project: SampleProject) -> None:
    project.sql("large", "SELECT 1 AS id, 2 AS amount")
    assert codes(check(project, expect=1)) == [("R015", "rules.toml", 4, 10), ("R014", "rules.toml", 8, 1)]
    project.edit("rules.toml", "least = 3", "least = 3  # rules: ignore[R014]")
    project.edit("rules.toml", "[sources.orders]", "[sources.orders]  # rules: ignore[unused-input]")
    assert codes(check(project)) == []


def test_a_project_without_data_is_checked_by_declared_or_remembered_columns(project: SampleProject) -> None:
    (project.root / "data/orders.parquet").unlink()
    project.sql("large", "SELECT o.id, amount, o.nope FROM orders AS o WHERE o.id > $least")
    unknown = run(project, "check", "--format", "concise", expect=1)
    assert [line.split(": ")[1][:4] for line in unknown.stdout.splitlines()] == ["R001"]
    assert "warning: what reads orders is checked without its columns" in unknown.stderr
    project.edit("rules.toml", '.parquet"\n', '.parquet"\ncolumns = { id = "bigint", amount = "bigint" }\n')
    declared = check(project, expect=1)
    assert [code for code, *_ in codes(declared)] == ["R001", "R003"]
    project.parquet("orders", {"id": [1], "amount": [10], "nope": [1]})
    assert [code for code, *_ in codes(check(project, expect=1))] == ["R001"]
    (project.root / "data/orders.parquet").unlink()
    remembered = check(project, expect=1)
    assert [code for code, *_ in codes(remembered)] == ["R001"]
    assert remembered.stderr == ""


def loads_the_engine(project: SampleProject, command: str) -> bool:
    script = "import sys; from rules.cli import main; main(sys.argv[1:]); print('datafusion' in sys.modules)"
    words = [sys.executable, "-P", "-c", script, command]
    done = subprocess.run(words, cwd=project.root, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1] == "True"


@pytest.mark.slow
def test_the_engine_is_loaded_only_for_what_nobody_remembers(project: SampleProject) -> None:
    assert loads_the_engine(project, "check")
    assert not loads_the_engine(project, "check")
    project.write("rules.toml", project.read("rules.toml") + "# another\n")
    assert not loads_the_engine(project, "check")
    project.sql("large", "SELECT o.id, o.amount FROM orders AS o WHERE o.amount >= $least")
    assert loads_the_engine(project, "build")
    assert not loads_the_engine(project, "check"), "a compiled rule is known to be good"


def test_an_unchanged_project_is_answered_without_parsing(project: SampleProject) -> None:
    project.sql("total", "SELECT SUM(amount) AS total FROM large AS l")
    first = check(project, expect=1)
    script = (
        "import sys; from rules.cli import main; code = main(sys.argv[1:]);"
        "print([name for name in ('sqlglot', 'pyarrow', 'networkx', 'numpy') if name in sys.modules])"
    )
    words = ["check", "--json"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, *words], cwd=project.root, capture_output=True, text=True, check=True
    )
    document, imported = done.stdout.splitlines()
    assert (json.loads(document), imported) == (first.document, "[]")


def test_an_edit_is_noticed_and_so_is_one_upstream(project: SampleProject) -> None:
    check(project)
    project.sql("large", "SELECT o.id, o.amount AS amt FROM orders AS o WHERE o.amount > $least")
    assert codes(check(project, expect=1)) == [("R003", "rules/total.sql", 1, 14)]
    project.sql("large", "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > $least")
    assert codes(check(project)) == []
    project.sql("more", "SELECT id FROM large")
    assert codes(check(project, expect=1)) == [("R001", "rules/more.sql", 1, 8)]


def test_the_policy_selects(project: SampleProject) -> None:
    project.sql("total", "SELECT SUM(amount) AS total FROM large AS l")
    project.sql("all", "SELECT * FROM large AS l")
    assert [code for code, *_ in codes(check(project, expect=1))] == ["R005", "R001"]
    assert [code for code, *_ in codes(check(project, "--ignore", "select-star", expect=1))] == ["R001"]
    assert codes(check(project, "--select", "R013,r009")) == []
    policy = '\n[policy]\nselect = ["DEFAULT", "R017"]\nignore = ["R005"]\nqualify = "joins"\n'
    project.write("rules.toml", project.read("rules.toml") + policy)
    assert codes(check(project, expect=1)) == [("R017", "rules/total.sql", 1, 8)]
    project.write("rules.toml", project.read("rules.toml") + '[policy.per_file_ignores]\n"total.*" = ["R017"]\n')
    assert codes(check(project)) == []


@pytest.mark.parametrize(
    ("line", "message", "where"),
    [
        ('selct = ["R001"]', "unknown key 'selct' in [policy]", "rules.toml:11:1"),
        ('ignore = ["R05"]', "there is no code 'R05'", "rules.toml:11:11"),
        ('qualify = "never"', "'qualify' cannot be 'never'", "rules.toml:11:1"),
    ],
)
def test_a_wrong_policy_is_an_error(project: SampleProject, line: str, message: str, where: str) -> None:
    project.write("rules.toml", f"{project.read('rules.toml')}\n[policy]\n{line}\n")
    error = check(project, expect=2).document["error"]
    assert (error["message"], error["where"]) == (message, where)


def test_paths_choose_what_is_reported(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project.sql("total", "SELECT SUM(amount) AS total FROM large AS l")
    project.write("rules/staging/other.sql", "SELECT id FROM large AS l\n")
    monkeypatch.chdir(project.root)
    assert [path for _, path, *_ in codes(check(project, "rules/staging", expect=1))] == ["rules/staging/other.sql"]
    assert [path for _, path, *_ in codes(check(project, "rules/total.sql", expect=1))] == ["rules/total.sql"]
    assert check(project, "rules/large.sql").document["checked"] == 1
    assert check(project, "rules/nothing.sql", expect=2).document["error"]["code"] == "usage"
    project.write("loose.sql", "SELECT a FROM t\n")
    assert check(project, "loose.sql", expect=2).document["error"]["message"] == "loose.sql is no rule of this project"


def test_without_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = SampleProject(tmp_path / "none")
    (sample.root / "rules.toml").unlink()
    sample.write("one.sql", "SELECT a FROM t\n")
    sample.write("deep/two.sql", "SELECT a, t.b, x.c AS d FROM t JOIN x ON x.i = t.i LIMIT $n\n")
    monkeypatch.chdir(sample.root)
    found = [("R001", "deep/two.sql", 1, 8), ("R007", "deep/two.sql", 1, 59), ("R001", "one.sql", 1, 8)]
    ran = check(sample, "--no-project", expect=1)
    assert codes(ran) == found
    assert [one["fix"] for one in ran.document["findings"]] == [None, None, "write t.a"]
    assert not (sample.root / ".rules").exists()
    assert codes(check(sample, "--no-project", "--fix", "one.sql")) == []
    assert sample.read("one.sql") == "SELECT t.a FROM t\n"
