"""One line of rules.toml makes a source of each file of a pattern, and a file that comes or goes is noticed."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest

from support.inprocess import build, run
from support.projects import SampleProject
from support.refusals import MARK, place_of_mark

SEEDS = '\n[sources]\n"seed_*" = { path = "seeds/*.csv" }\n'


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    project = SampleProject(tmp_path / "seeded", toml=SEEDS)
    for number in range(20):
        project.write(f"seeds/s{number}.csv", f"id,name\n{number},x\n")
    project.sql("both", "SELECT a.id AS a, b.id AS b FROM seed_s3 AS a CROSS JOIN seed_s17 AS b")
    build(project)
    return project


def snapshot_holds(project: SampleProject) -> bool:
    """Whether the next build has nothing to look at."""
    return build(project).document["build"] == ""


def test_each_file_is_a_source(project: SampleProject) -> None:
    assert project.product("both").to_pylist() == [{"a": 3, "b": 17}]
    assert snapshot_holds(project)
    project.write("seeds/s3.csv", "id,name\n33,x\n")
    assert build(project).executed == {"both"}
    project.write("seeds/s5.csv", "id,name\n55,x\n")
    assert build(project).executed == set()
    assert run(project, "lineage", "both.a", "--json").document["sources"] == ["seed_s3.id"]
    assert run(project, "ls", "--json").document["products"][0]["inputs"] == ["seed_s3", "seed_s17"]


def test_a_file_that_comes_or_goes_is_noticed(project: SampleProject) -> None:
    project.sql("new", "SELECT n.id FROM seed_new AS n")
    told = run(project, "build", "--json", expect=1).document["error"]
    assert told["message"] == "unknown input 'seed_new'"
    assert told["hint"] == "no file of seeds/*.csv is called new" or "did you mean" in told["hint"]
    project.write("seeds/new.csv", "id\n1\n")
    assert build(project).executed == {"new"}
    assert snapshot_holds(project)
    project.write("seeds/other.csv", "id\n1\n")
    assert build(project).document["build"] != ""  # not by the state of the last build
    assert snapshot_holds(project)
    (project.root / "seeds/new.csv").unlink()
    assert run(project, "build", "--json", expect=1).document["error"]["code"] == "unknown-input"


def test_a_file_that_makes_a_name_ambiguous_is_noticed_after_a_build(project: SampleProject) -> None:
    assert snapshot_holds(project)
    project.write("seeds/BOTH.csv", "id\n1\n")
    project.edit("rules.toml", '"seed_*"', '"*"')
    project.sql("both", "SELECT a.id FROM s3 AS a")
    told = run(project, "build", "--json", expect=1).document["error"]
    assert told["message"] == "two tables are named 'both'"
    assert told["facts"]["there"] == 'seeds/BOTH.csv, of [sources."*"] of rules.toml'


def test_check_remembers_what_the_pattern_matched(project: SampleProject) -> None:
    project.sql("new", "SELECT n.id FROM seed_new AS n")
    assert "unknown input 'seed_new'" in run(project, "check", expect=1).stdout
    project.write("seeds/new.csv", "id\n1\n")
    run(project, "check", expect=0)


@pytest.mark.parametrize(
    ("pattern", "path", "files"),
    [
        ("*", "seeds/*.csv", {"airlines": "seeds/airlines.csv"}),
        ("*", "seeds", {"airlines": "seeds/airlines.csv", "ports": "seeds/eu/ports.csv.gz"}),
        ("*", "seeds/**/*.csv", {"ports": "seeds/eu/ports.csv", "airlines": "seeds/airlines.csv"}),
        ("raw_*", "seeds/seed_*.csv", {"raw_a": "seeds/seed_a.csv"}),
        ("*_v1", "seeds/*", {"airlines_v1": "seeds/airlines.csv"}),
    ],
)
def test_names_are_what_the_star_stands_for(tmp_path: Path, pattern: str, path: str, files: dict[str, str]) -> None:
    project = SampleProject(tmp_path / "named", toml=f'\n[sources]\n"{pattern}" = {{ path = "{path}" }}\n')
    for number, (name, file) in enumerate(files.items()):
        target = project.write(file, f"id\n{number}\n")
        if file.endswith(".gz"):
            target.write_bytes(gzip.compress(target.read_bytes()))
        project.sql(f"of_{name}", f"SELECT s.id FROM {name} AS s")
    build(project)
    for number, name in enumerate(files):
        assert project.product(f"of_{name}").to_pydict() == {"id": [number]}


def test_an_entry_of_its_own_wins(project: SampleProject) -> None:
    project.write("seeds/codes.csv", "code\n7\n")
    project.sql("codes", "SELECT c.code FROM seed_codes AS c")
    build(project)
    assert project.product("codes").to_pydict() == {"code": [7]}
    own = '[sources.seed_codes]\ncolumns = { code = "string" }\n'
    project.write("rules.toml", project.read("rules.toml") + own)
    assert build(project).executed == {"codes"}
    assert project.product("codes").to_pydict() == {"code": ["7"]}
    project.write("other.csv", "code\nx\n")
    project.edit("rules.toml", "[sources.seed_codes]", '[sources.seed_codes]\npath = "other.csv"')
    build(project)
    assert project.product("codes").to_pydict() == {"code": ["x"]}


def test_what_a_pattern_says_holds_for_all_and_contracts_for_each(tmp_path: Path) -> None:
    toml = '\n[sources]\n"*" = { path = "seeds/*.csv", delimiter = ";", nulls = ["-"] }\n[contracts.a]\nkey = ["x"]\n'
    project = SampleProject(tmp_path / "options", toml=toml)
    project.write("seeds/a.csv", "x;y\n1;-\n")
    project.write("seeds/b.csv", "x;y\n-;2\n")
    project.sql("p", "SELECT a.x, b.y FROM a CROSS JOIN b")
    build(project)
    assert project.product("p").to_pydict() == {"x": [1], "y": [2]}
    project.write("seeds/a.csv", "x;y\n1;-\n1;-\n")
    assert build(project, "-k", expect=1).statuses == {"p": "skipped"}


REFUSED = {
    "name of a file": (
        '«"*" = { path = "seeds/*.csv" }', ["seeds/raw-orders.csv"],
        "seeds/raw-orders.csv makes no usable name of a source: 'raw-orders'", "rename the file",
    ),
    "digits": (
        '«"*" = { path = "seeds/*.csv" }', ["seeds/2024.csv"],
        "seeds/2024.csv makes no usable name of a source: '2024'", "rename the file",
    ),
    "two formats of one name": (
        '«"*" = { path = "seeds" }', ["seeds/a.csv", "seeds/a.tsv"], "two files make a source 'a'", "rename one",
    ),
    "two folders": (
        '«"*" = { path = "seeds/**/*.csv" }', ["seeds/x/a.csv", "seeds/y/a.csv"], "two files make a source 'a'",
        "rename one",
    ),
    "two patterns": (
        '"*" = { path = "seeds/*.csv" }\n«"a*" = { path = "more/*.csv" }', ["seeds/ab.csv", "more/b.csv"],
        "two tables are named 'ab'", "two patterns name it",
    ),
    "capitals": (
        '«"*" = { path = "seeds/*.csv" }', ["seeds/a.csv", "seeds/A.csv"], "two tables are named 'a'",
        "names do not differ by case alone",
    ),
    "another source in capitals": (
        '«"*" = { path = "seeds/*.csv" }\nA = { path = "x.csv" }', ["seeds/a.csv", "x.csv"], "two tables are named 'a'",
        "names do not differ by case alone",
    ),
    "two stars in the name": (
        '«"*_*" = { path = "seeds/*.csv" }', ["seeds/a.csv"], "'*_*' is not a usable name in [sources]", "",
    ),
    "two stars in the path": (
        '"*" = { «path = "seeds/*_*.csv" }', ["seeds/a_b.csv"],
        "the path of a pattern has one * in the name of the file, not '*_*.csv'", "write path",
    ),
    "URL": ('"*" = { «path = "s3://bucket/*.csv" }', [], "'s3://bucket/*.csv' is a URL", "write path"),
    "no path": ('«"*" = { format = "csv" }', [], "missing key 'path' in [sources.*]", "add path"),
    "unknown key": (
        '"*" = { path = "seeds/*.csv", «delimitr = ";" }', ["seeds/a.csv"], "unknown key 'delimitr'", "did you mean",
    ),
    "entry without a file": (
        '"seed_*" = { path = "seeds/*.csv" }\n«seed_b = { columns = { x = "string" } }', ["seeds/a.csv"],
        "missing key 'path' in [sources.seed_b]: no file of seeds/*.csv makes this source", "it would be called b",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_source_is_an_error_at_its_line(tmp_path: Path, case: str) -> None:
    entries, files, message, hint = REFUSED[case]
    project = SampleProject(tmp_path / "refused", toml=f"\n[sources]\n{entries}\n")
    text = project.read("rules.toml")
    line, column = place_of_mark(text)
    project.write("rules.toml", text.replace(MARK, ""))
    for file in files:
        project.write(file, "x\n1\n")
    project.sql("p", "SELECT 1 AS one")
    for command in ("build", "plan", "ls", "check"):
        error = run(project, command, "--json", expect=2).document["error"]
        assert (error["message"][: len(message)], error["where"]) == (message, f"rules.toml:{line}:{column}"), command
        assert (error["hint"] or "").startswith(hint)


def test_a_file_that_is_declared_by_itself_is_left_to_that(tmp_path: Path) -> None:
    toml = '\n[sources]\n"*" = { path = "seeds/*.csv" }\n[sources.raw_orders]\npath = "seeds/raw-orders.csv"\n'
    project = SampleProject(tmp_path / "own", toml=toml)
    project.write("seeds/raw-orders.csv", "x\n1\n")
    project.write("seeds/b.csv", "x\n2\n")
    project.sql("p", "SELECT r.x AS r, b.x AS b FROM raw_orders AS r CROSS JOIN b")
    build(project)
    assert project.product("p").to_pydict() == {"r": [1], "b": [2]}


def test_a_broken_file_of_a_pattern_is_one_broken_source(project: SampleProject) -> None:
    project.write("seeds/s3.csv", "id,id\n1,2\n")
    project.sql("fine", "SELECT s.id FROM seed_s4 AS s")
    ran = build(project, "-k", expect=1)
    assert ran.statuses == {"both": "skipped", "fine": "executed"}
    (broken,) = ran.document["sources"]
    assert (broken["name"], broken["error"]["where"]) == ("seed_s3", "seeds/s3.csv:1:4")
    assert broken["error"]["facts"]["declared"] == "rules.toml:5:1"


def test_check_says_once_that_nothing_reads_a_pattern(project: SampleProject) -> None:
    project.write("rules.toml", project.read("rules.toml") + '"none_*" = { path = "none/*.csv" }\n')
    found = run(project, "check", "--json", expect=1).document["findings"]
    assert [(one["code"], one["message"], one["line"], one["hint"]) for one in found] == [
        ("R015", "no rule reads a source of 'none_*'", 6, "no file matches none/*.csv")
    ]


def test_an_earlier_commit_is_compared_over_the_files_of_now(project: SampleProject) -> None:
    words = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "rules.toml", "rules"], [*words, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=project.root, check=True)
    assert run(project, "diff", "--against", "HEAD", "--json").document["rules"] == []
    project.sql("both", "SELECT a.id AS a, b.id AS b FROM seed_s3 AS a CROSS JOIN seed_s18 AS b")
    changed = run(project, "diff", "--against", "HEAD", "--json").document["rules"]
    assert [one["name"] for one in changed] == ["both"]
