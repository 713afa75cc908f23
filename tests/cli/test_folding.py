"""A plan of many products: what has one reason is one line, and `-v` lists it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import SampleProject

READERS = tuple(f"reader_{number}" for number in range(6))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """raw → base → six readers → six more; raw → other → lonely; built."""
    sample = SampleProject(tmp_path_factory.mktemp("folding") / "p", sources=["raw"])
    sample.parquet("raw", {"id": [1, 2, 3], "amount": [10, 20, 30]})
    for name in ("base", "other"):
        sample.sql(name, "SELECT r.id, r.amount FROM raw AS r WHERE r.amount > 0")
    for name in READERS:
        sample.sql(name, f"SELECT b.id, b.amount AS {name}_amount FROM base AS b")
        sample.sql(f"of_{name}", f"SELECT MAX(r.{name}_amount) AS most FROM {name} AS r")
    sample.sql("lonely", "SELECT o.id FROM other AS o")
    build(sample)
    return sample


@pytest.fixture
def project(built: SampleProject, tmp_path: Path) -> SampleProject:
    copied = SampleProject.__new__(SampleProject)
    copied.root = tmp_path / "p"
    shutil.copytree(built.root, copied.root, symlinks=True)
    return copied


def lines(project: SampleProject, *options: str) -> list[str]:
    return run(project, "plan", *options).stdout.splitlines()


def test_what_is_below_one_edit_is_one_line(project: SampleProject) -> None:
    project.edit("rules/base.sql", "> 0", "> 5")
    assert lines(project) == [
        "run  base  WHERE: raw.amount > 0 → raw.amount > 5",
        "12 maybe, below base",
        "",
        "1 run, 12 maybe, 2 clean (-v lists them all)",
    ]


def test_verbose_quiet_explain_and_json_leave_nothing_out(project: SampleProject) -> None:
    project.edit("rules/base.sql", "> 0", "> 5")
    everything = {"base", *READERS, *(f"of_{name}" for name in READERS)}
    for options in (["-v"], ["--explain"]):
        told = {line.split()[1] for line in lines(project, *options) if line.startswith(("run", "maybe"))}
        assert told == everything
    assert set(lines(project, "-q")) == everything
    document = run(project, "plan", "--json").document
    reasons = {one["name"]: one["reason"] for one in document["products"] if one["verdict"] == "maybe"}
    assert reasons["of_reader_1"] == "reads reader_1, which may change; it runs if a column it reads does"
    assert len(reasons) == 12


def test_few_are_named_and_each_edit_has_its_own_line(project: SampleProject) -> None:
    project.edit("rules/base.sql", "> 0", "> 5")
    project.edit("rules/other.sql", "> 0", "> 6")
    project.edit("rules/reader_3.sql", "b.amount AS", "b.amount + 1 AS")
    assert [" ".join(line.split()) for line in lines(project)] == [
        "run base WHERE: raw.amount > 0 → raw.amount > 5",
        "run other WHERE: raw.amount > 0 → raw.amount > 6",
        "maybe lonely reads other, which may change; it runs if a column it reads does",
        "run reader_3 column reader_3_amount: base.amount → base.amount + 1",
        "maybe of_reader_3 reads reader_3, which may change; it runs if a column it reads does",
        "10 maybe, below base",
        "",
        "3 run, 12 maybe (-v lists them all)",
    ]


@pytest.mark.slow
def test_new_rules(tmp_path: Path) -> None:
    fresh = SampleProject(tmp_path / "fresh", sources=["raw"])
    fresh.parquet("raw", {"id": [1]})
    for number in range(60):
        fresh.sql(f"r{number}", f"SELECT r.id + {number} AS id FROM raw AS r")
    assert lines(fresh) == ["60 run, new rule", "", "60 run (-v lists them all)"]
    assert len(lines(fresh, "-v")) == 62


def test_many_reasons_that_differ_in_detail_are_folded_too(tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    names = [f"c{number}" for number in range(12)]
    sample.parquet("raw", {name: [1, 2] for name in names})
    for name in names:
        sample.sql(f"of_{name}", f"SELECT r.{name} FROM raw AS r")
        sample.sql(f"below_{name}", f"SELECT o.{name} FROM of_{name} AS o")
    build(sample)
    sample.parquet("raw", {name: [2, 3] for name in names})
    assert lines(sample) == [
        "12 run, reads raw, which changed",
        "12 maybe, below of_c0, of_c1, of_c10 and 9 more",
        "",
        "12 run, 12 maybe (-v lists them all)",
    ]


@pytest.mark.slow
def test_many_rules_that_do_not_compile_are_counted(tmp_path: Path) -> None:
    sample = SampleProject(tmp_path / "p", sources=["raw"])
    sample.parquet("raw", {"id": [1, 2]})
    sample.sql("good", "SELECT r.id FROM raw AS r")
    for number in range(41):
        sample.sql(f"bad_{number:02}", f"SELECT r.idd + {number} AS id FROM raw AS r")
        sample.sql(f"of_bad_{number:02}", f"SELECT b.id FROM bad_{number:02} AS b")
    alone = ("-j", "1")  # without helpers that compile, of which tests/rules/test_ahead.py is
    counted = "error: 41 rules do not compile; `rules check` lists why"
    kept = run(sample, "build", "-k", *alone, expect=1)
    assert re.fullmatch(r"1 executed, 41 failed, 41 skipped in \S+ s\n", kept.stdout)
    assert kept.stderr.splitlines()[-1] == counted
    assert len(kept.stderr.splitlines()) <= 24
    assert kept.stderr.count("unknown column 'idd'") == 5 + 3
    assert run(sample, "plan", expect=1).stderr.splitlines()[-1] == counted
    found = run(sample, "check", "--json", expect=1).document["findings"]
    assert len({one["path"] for one in found if one["severity"] == "error"}) == 41
    document = run(sample, "build", "-k", "--json", *alone, expect=1).document
    assert sum(one["status"] == "failed" and "error" in one for one in document["products"]) == 41
    assert run(sample, "build", "-k", "-v", *alone, expect=1).stderr.count("error: unknown column 'idd'") == 41
