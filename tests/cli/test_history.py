"""What products were after earlier builds: shown, compared, listed and restored, without executing anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.inprocess import Ran, build, run
from support.projects import SampleProject


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "project", sources=["raw"])
    made.parquet("raw", {"id": [1, 2, 3], "v": [10, 20, 30]})
    made.sql("some", "SELECT r.id, r.v FROM raw AS r WHERE r.id > 0")
    made.sql("total", "SELECT SUM(s.v) AS n FROM some AS s")
    made.sql("other", "SELECT COUNT(*) AS n FROM raw AS r")
    return made


def edit(project: SampleProject, least: int, *words: str) -> str:
    project.sql("some", f"SELECT r.id, r.v FROM raw AS r WHERE r.id > {least}")
    return name_of(build(project, *words))


def name_of(ran: Ran) -> str:
    name = ran.document["build"]
    assert isinstance(name, str)
    return name


def shown(project: SampleProject, name: str) -> list[object]:
    document = run(project, "show", name, "--json").document
    return [list(row.values()) if isinstance(row, dict) else row for row in document["data"]]


def linked(project: SampleProject) -> dict[str, list[object]]:
    folder = project.root / ".rules" / "products"
    return {link.stem: project.product(link.stem).to_pylist() for link in sorted(folder.iterdir())}


def test_a_product_is_shown_as_a_build_left_it(project: SampleProject) -> None:
    first = name_of(build(project))
    second = edit(project, 1)
    third = edit(project, 2, "-s", "some")
    assert [shown(project, f"total@{name}") for name in (first, second, third)] == [[[60]], [[50]], [[50]]]
    assert [len(shown(project, f"some@{name}")) for name in (first, second, third)] == [3, 2, 1]
    document = run(project, "show", f"total@{first}", "--json").document
    assert (document["product"], document["build"], document["rows"]) == ("total", first, 1)
    assert project.cli("show", f"total@{first}", "--format", "csv").stdout.split() == ['"n"', "60"]


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("total@nope", "unknown build 'nope'", 2),
        ("absent@{build}", "there is no such table of absent: it had not been built by {build}", 2),
        ("later@{build}", "there is no such table of later: it had not been built by {build}", 2),
    ],
)
def test_a_state_that_never_was_is_said(project: SampleProject, name: str, message: str, code: int) -> None:
    first = name_of(build(project))
    project.sql("later", "SELECT 1 AS x")
    build(project)
    ran = run(project, "show", name.format(build=first), expect=code)
    assert message.format(build=first) in ran.stderr


def test_a_removed_product_has_no_state_from_then_on(project: SampleProject) -> None:
    first = name_of(build(project))
    (project.root / "rules" / "other.sql").unlink()
    second = name_of(build(project))
    assert shown(project, f"other@{first}") == [[3]]
    assert "it had been removed by" in run(project, "show", f"other@{second}", expect=2).stderr
    states = run(project, "log", "other", "--json").document["states"]
    assert [(one["build"], one["status"]) for one in states] == [(second, "removed"), (first, "executed")]


def test_two_states_are_compared(project: SampleProject) -> None:
    first = name_of(build(project))
    second = edit(project, 1)
    edit(project, 2)
    found = run(project, "diff", "--data", f"some@{first}..{second}", "--json").document
    (one,) = found["products"]
    assert (one["rows"]["removed"], one["before"]["of"], one["after"]["of"]) == (1, first, second)
    (now,) = run(project, "diff", "--data", f"some@{first}", "--json").document["products"]
    assert now["rows"]["removed"] == 2
    (same,) = run(project, "diff", "--data", f"other@{first}..{second}", "--json").document["products"]
    assert same["rows"] == {"added": 0, "removed": 0, "changed": 0}
    assert run(project, "diff", "--data", f"some@{first}..{second}", "--exit-code", expect=1).code == 1
    assert "unknown product 'sum'" in run(project, "diff", "--data", f"sum@{first}", expect=2).stderr
    assert "is about tables" in run(project, "diff", f"some@{first}", expect=2).stderr


def test_log_tells_every_state_and_why(project: SampleProject) -> None:
    first = name_of(build(project))
    second = edit(project, 1)
    build(project, "--force", "other")
    third = edit(project, 0)
    states = run(project, "log", "total", "--json").document["states"]
    assert [(one["build"], one["status"], one["changed"]) for one in states] == [
        (third, "restored", True),
        (second, "executed", True),
        (first, "executed", True),
    ]
    assert "some" in states[1]["reason"]
    assert all(one["stored"] for one in states)
    assert len(run(project, "log", "total", "-v", "--json").document["states"]) == 4
    text = run(project, "log", "total").stdout
    assert text.index(third) < text.index(second) < text.index(first)
    assert "did you mean 'total'?" in run(project, "log", "totl", expect=2).stderr
    run(project, "gc")
    assert [one["stored"] for one in run(project, "log", "total", "--json").document["states"]] == [True, False, True]
    assert "gone" in run(project, "log", "total").stdout


def test_restore_moves_pointers_and_links_and_the_next_build_says_what_it_does(project: SampleProject) -> None:
    build(project)
    first = linked(project)
    before = name_of(build(project, "--force", "other"))
    project.sql("added", "SELECT 1 AS x")
    edit(project, 1)
    now = linked(project)
    found = run(project, "restore", before, "--json").document
    assert {one["name"]: one["status"] for one in found["products"]} == {
        "added": "removed",
        "other": "clean",
        "some": "restored",
        "total": "restored",
    }
    assert linked(project) == first
    assert run(project, "cache", "verify", "--json").document["bad"] == []
    latest = run(project, "log", "--json").document["builds"][0]
    assert (latest["build"], latest["status"]) == (found["build"], "ok")
    states = run(project, "log", "total", "--json").document["states"]
    assert states[0]["reason"] == f"rules restore {before}"
    plan = run(project, "plan", "--json").document
    assert {one["name"]: one["verdict"] for one in plan["products"]} == {
        "added": "restore",
        "some": "restore",
        "total": "restore",
        "other": "clean",
    }
    again = build(project)
    assert again.executed == set()
    assert linked(project) == now
    assert run(project, "restore", found["build"]).stdout.splitlines()[-1].startswith("2 products restored")
    assert linked(project) == first


def test_restored_products_are_up_to_date_with_the_rules_of_their_time(project: SampleProject) -> None:
    before = name_of(build(project))
    edit(project, 1)
    run(project, "restore", before)
    project.sql("some", "SELECT r.id, r.v FROM raw AS r WHERE r.id > 0")
    ran = build(project)
    assert set(ran.statuses.values()) == {"clean"}
    assert run(project, "audit", "--json").document["differing"] == []


def test_after_a_restore_what_runs_is_what_is_not_the_same(project: SampleProject) -> None:
    before = name_of(build(project))
    edit(project, 1)
    run(project, "restore", before)
    project.parquet("raw", {"id": [1, 2, 3], "v": [10, 20, 31]})
    assert build(project).executed == {"some", "total"}
    assert project.product("total").to_pylist() == [{"n": 51}]


def test_nothing_is_restored_where_a_table_is_gone(project: SampleProject) -> None:
    before = name_of(build(project))
    edit(project, 1)
    now = linked(project)
    run(project, "gc")
    ran = run(project, "restore", before, expect=1)
    assert "is no longer in the store, so nothing was restored" in ran.stderr
    assert linked(project) == now
    assert run(project, "build").stdout.startswith("nothing to do")


def test_a_damaged_table_is_not_restored(project: SampleProject) -> None:
    first = build(project)
    edit(project, 1)
    (artifact,) = (one["artifact"] for one in first.document["products"] if one["name"] == "total")
    path = project.root / ".rules" / "objects" / artifact[:2] / f"{artifact[2:]}.parquet"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    now = linked(project)
    assert "is damaged, so nothing was restored" in run(project, "restore", name_of(first), expect=1).stderr
    assert linked(project) == now


def test_a_state_of_which_nobody_knows_how_it_came_is_not_restored(project: SampleProject) -> None:
    before = name_of(build(project))
    edit(project, 1)
    now = linked(project)
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection, connection:
        connection.execute("DELETE FROM states")
    assert "is not recorded, so nothing was restored" in run(project, "restore", before, expect=1).stderr
    assert linked(project) == now
    assert run(project, "build").stdout.startswith("nothing to do")


@pytest.mark.slow
def test_states_outlive_compaction(project: SampleProject) -> None:
    """Rows that repeat go, and what a build left is the same as before."""
    builds = [name_of(build(project))]
    for least in (1, 2, 0, 1, 2) * 3:
        project.write("rules/new.sql", f"SELECT {len(builds)} AS x\n")
        builds.append(edit(project, least, *(("-s", "some") if least == 1 else ())))
    project.write("rules.toml", project.read("rules.toml") + '\n[store]\nkeep = "1d"\n')
    before = {name: shown(project, f"total@{name}") for name in builds}
    misses = run(project, "cache", "stats", "--json").document
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM results").fetchone()
    run(project, "gc", "--json")
    assert {name: shown(project, f"total@{name}") for name in builds} == before
    with closing(sqlite3.connect(project.root / ".rules" / "index.sqlite")) as connection:
        (left,) = connection.execute("SELECT count(*) FROM results").fetchone()
    assert left < rows
    after = run(project, "cache", "stats", "--json").document
    for name in ("hits", "misses", "bytes_saved"):
        assert after[name] == misses[name], name
    assert after["seconds_saved"] == pytest.approx(misses["seconds_saved"], abs=1e-4)


def test_stats_ls_and_rm(project: SampleProject) -> None:
    first = build(project)
    edit(project, 1)
    stats = run(project, "cache", "stats", "--json").document
    files = list((project.root / ".rules" / "objects").glob("*/*.parquet"))
    assert (stats["objects"], stats["bytes"]) == (len(files), sum(path.stat().st_size for path in files))
    assert 0 < stats["live_bytes"] < stats["bytes"]
    assert (stats["hits"], stats["misses"]) == (1, 5)
    assert {one["name"]: one["misses"] for one in stats["products"]} == {"some": 2, "total": 2, "other": 1}
    assert "3 hits" not in run(project, "cache", "stats").stdout
    listed = run(project, "cache", "ls", "total", "--json").document["objects"]
    assert {one["reason"] for one in listed} == {"product", "cache"}
    assert run(project, "cache", "ls").stdout.count("some") == 2
    old = next(one["artifact"] for one in first.document["products"] if one["name"] == "total")
    assert run(project, "cache", "rm", f"total@{name_of(first)}", "--json").document["artifacts"] == [old]
    now = project.product("total").to_pylist()
    (current,) = (one["artifact"] for one in listed if one["reason"] == "product")
    assert "is needed: it is what a product is now" in run(project, "cache", "rm", current[:12], expect=1).stderr
    run(project, "cache", "rm", current, "--force")
    assert build(project).executed == {"total"}
    assert project.product("total").to_pylist() == now
    assert run(project, "cache", "verify", "--json").document["bad"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rm",), "nothing is named"),
        (("rm", "zzzz"), "no stored table is 'zzzz'"),
        (("rm", "../../x"), "no stored table is '../../x'"),
        (("ls", "absent"), "no stored table is of 'absent'"),
        (("stats", "x"), "unexpected argument 'x'"),
        (("ls", "--repair"), "--repair is an option of rules cache verify"),
        (("verify", "--force"), "--force is an option of rules cache rm"),
    ],
)
def test_what_cache_cannot_do_is_said(project: SampleProject, words: tuple[str, ...], message: str) -> None:
    build(project)
    assert message in run(project, "cache", *words, expect=2).stderr
