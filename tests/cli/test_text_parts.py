"""A text source that grows costs what grew: new files and new blocks of a large file are ingested, and no others."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from support.inprocess import Ran, build, run
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

TOML = """
[sources.sales]
path = "{0}"
[parts]
min_rows = {1}
"""
RULES = {
    "totals": "SELECT s.shop, COUNT(*) AS n, SUM(s.amount) AS amount FROM sales AS s GROUP BY s.shop",
    "floats": "SELECT s.shop, SUM(s.weight) AS weight FROM sales AS s GROUP BY s.shop",
    "large": "SELECT s.day, s.amount, s.note FROM sales AS s WHERE s.amount > 50",
}


def rows(number: int, count: int = 40) -> list[dict[str, Any]]:
    return [
        {
            "day": number,
            "shop": f"shop {n * number % 7}",
            "amount": (n * 37 + number * 13) % 101,
            "weight": (n + number * 100) / 8,
            "note": 'a "quoted"\nline, and more' if n % 5 == 0 else f"note {n}",
        }
        for n in range(count)
    ]


def as_csv(found: list[dict[str, Any]], *, header: bool = True) -> str:
    def cell(value: Any) -> str:
        text = str(value)
        return '"' + text.replace('"', '""') + '"' if '"' in text or "\n" in text or "," in text else text

    lines = [",".join(map(cell, row.values())) for row in found]
    return "".join(f"{line}\n" for line in ([",".join(found[0]), *lines] if header else lines))


def as_json(found: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in found)


LEAST = 200
"""Files of 40 rows are parts then, and no blocks."""


def made(root: Path, path: str, min_rows: int) -> SampleProject:
    project = SampleProject(root, toml=TOML.format(path, min_rows))
    for name, sql in RULES.items():
        project.sql(name, sql)
    return project


def parts(ran: Ran) -> dict[str, tuple[int, int]]:
    return {
        one["name"]: (one["parts"]["total"], one["parts"]["run"]) for one in ran.document["products"] if "parts" in one
    }


def require_clean_build(project: SampleProject, ran: Ran, other: Path) -> None:
    """A build in an empty store gives the same tables, to the last bit; without parts it gives the same rows."""
    for least in (None, 10**9):
        shutil.rmtree(other, ignore_errors=True)
        fresh = SampleProject.copy_of(project.root, other)
        if least is not None:
            toml = fresh.read("rules.toml").splitlines()
            fresh.write("rules.toml", "\n".join(f"min_rows = {least}" if "min_rows" in line else line for line in toml))
        clean = build(fresh)
        for name in RULES:
            one, two = fresh.product(name), project.product(name)
            assert one.schema == two.schema, name
            assert sorted(map(repr, one.to_pylist())) == sorted(map(repr, two.to_pylist())), name
            if least is None and name != "large":  # a table whose rows only moved stays the one that it was
                assert one.equals(two), name
        if least is None:
            whole = {one["name"]: one["artifact"] for one in clean.document["products"]}
            assert {one["name"]: one["artifact"] for one in ran.document["products"]} == whole


def objects(project: SampleProject) -> set[str]:
    return {path.name for path in (project.root / ".rules/objects").glob("*/*.parquet") if path.is_file()}


FORMATS: dict[str, tuple[str, Callable[[list[dict[str, Any]]], bytes]]] = {
    "csv": ("csv", lambda found: as_csv(found).encode()),
    "csv with CRLF": ("csv", lambda found: as_csv(found).replace("\n", "\r\n").encode()),
    "compressed": ("csv.gz", lambda found: gzip.compress(as_csv(found).encode(), mtime=0)),
    "json": ("jsonl", lambda found: as_json(found).encode()),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", FORMATS)
def test_a_new_file_is_ingested_and_no_other(tmp_path: Path, kind: str) -> None:
    extension, written = FORMATS[kind]
    project = made(tmp_path / "project", "data/sales", LEAST)
    folder = project.root / "data/sales"
    folder.mkdir(parents=True)
    for number in range(1, 8):
        (folder / f"{number:03d}.{extension}").write_bytes(written(rows(number)))
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (7, 7)), kind
    assert build(project).executed == set()
    (folder / f"008.{extension}").write_bytes(written(rows(8)))
    before = objects(project)
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (8, 1))
    assert len(objects(project) - before) <= 1 + 2 * len(RULES)  # the part, partial results, products
    require_clean_build(project, ran, tmp_path / "clean")
    (folder / f"003.{extension}").unlink()
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (7, 0))
    require_clean_build(project, ran, tmp_path / "clean")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "csv with CRLF", "json"])
def test_a_large_file_is_read_from_where_it_changed(tmp_path: Path, kind: str) -> None:
    extension, written = FORMATS[kind]
    project = made(tmp_path / "project", f"data/sales.{extension}", 200)
    path = project.root / f"data/sales.{extension}"
    path.parent.mkdir()
    found = [row for number in range(1, 60) for row in rows(number)]
    path.write_bytes(written(found))
    ran = build(project)
    ((total, first),) = set(parts(ran).values())
    assert total == first > 10

    def changed(most: int) -> int:
        path.write_bytes(written(found))
        ran = build(project)
        total, new = max(parts(ran).values())
        assert new <= most
        require_clean_build(project, ran, tmp_path / "clean")
        return total

    found += rows(60)
    assert changed(most=3) >= total
    del found[1000:1010]  # rows are taken out of the middle
    changed(most=3)
    found[0]["shop"] = "another shop"
    changed(most=2)
    del found[1500:]  # the file was truncated
    changed(most=1)
    path.write_bytes(written(found).rstrip(b"\r\n"))  # and its last line is without an end
    ran = build(project)
    require_clean_build(project, ran, tmp_path / "clean")


@pytest.mark.slow
def test_types_follow_from_all_rows_and_not_from_blocks(tmp_path: Path) -> None:
    project = made(tmp_path / "project", "data/sales.csv", 200)
    path = project.root / "data/sales.csv"
    path.parent.mkdir()
    found = [row for number in range(1, 60) for row in rows(number)]
    path.write_text(as_csv(found))
    build(project)
    assert str(project.product("large").schema.field("day").type) == "int64"
    path.write_text(as_csv([*found, {**rows(60)[0], "day": "01"}]))
    ran = build(project)
    assert "string" in str(project.product("large").schema.field("day").type)
    require_clean_build(project, ran, tmp_path / "clean")
    path.write_text(as_csv(found))
    ran = build(project)
    assert str(project.product("large").schema.field("day").type) == "int64"
    require_clean_build(project, ran, tmp_path / "clean")


def test_an_error_in_a_block_is_reported_where_it_is_in_the_file(tmp_path: Path) -> None:
    project = made(tmp_path / "project", "data/sales.csv", 200)
    path = project.root / "data/sales.csv"
    path.parent.mkdir()
    found = [row for number in range(1, 60) for row in rows(number)]
    path.write_text(as_csv(found) + "1,2\n")
    error = run(project, "build", "--json", expect=1).document["error"]
    line = as_csv(found).count("\n") + 1
    assert f"data/sales.csv:{line}:" in json.dumps(error)
    project.edit("rules.toml", '"data/sales.csv"', '"data/sales.csv"\ncolumns = { day = "date" }')
    path.write_text(as_csv(found))
    error = run(project, "build", "--json", expect=1).document["error"]
    assert "data/sales.csv:2:1" in json.dumps(error)


def test_what_a_plan_ingests_a_build_does_not_ingest_again(tmp_path: Path) -> None:
    project = made(tmp_path / "project", "data/sales", LEAST)
    (project.root / "data/sales").mkdir(parents=True)
    for number in range(1, 6):
        (project.root / f"data/sales/{number}.csv").write_text(as_csv(rows(number)))
    run(project, "plan")
    before = objects(project)
    assert len(before) == 5
    build(project)
    assert before <= objects(project)


@pytest.mark.slow
def test_a_damaged_part_of_a_source_is_ingested_again(tmp_path: Path) -> None:
    project = made(tmp_path / "project", "data/sales", LEAST)
    folder = project.root / "data/sales"
    folder.mkdir(parents=True)
    for number in range(1, 6):
        (folder / f"{number}.csv").write_text(as_csv(rows(number)))
    run(project, "plan")
    for number, name in enumerate(sorted(objects(project))):
        (path,) = (project.root / ".rules/objects").glob(f"*/{name}")
        path.chmod(0o644)
        if number % 2:
            path.write_bytes(path.read_bytes()[:-1])
        else:
            path.unlink()
    ran = build(project)
    require_clean_build(project, ran, tmp_path / "clean")
    for path in (project.root / ".rules/objects").rglob("*.parquet"):
        if path.is_file():
            pq.read_table(path)


@pytest.mark.slow
def test_a_part_of_a_source_lost_in_the_store_is_found_out_by_the_next_change(tmp_path: Path) -> None:
    project = made(tmp_path / "project", "data/sales", LEAST)
    folder = project.root / "data/sales"
    folder.mkdir(parents=True)
    for number in range(1, 6):
        (folder / f"{number}.csv").write_text(as_csv(rows(number)))
    run(project, "plan")
    whole = objects(project)
    build(project)
    for name in whole:
        (path,) = (project.root / ".rules/objects").glob(f"*/{name}")
        path.unlink()
    (folder / "6.csv").write_text(as_csv(rows(6)))
    ran = build(project)
    require_clean_build(project, ran, tmp_path / "clean")


@pytest.mark.slow
def test_parts_of_sources_that_nothing_reads_are_collected(tmp_path: Path) -> None:
    project = made(tmp_path / "project", "data/sales", LEAST)
    folder = project.root / "data/sales"
    folder.mkdir(parents=True)
    for number in range(1, 6):
        (folder / f"{number}.csv").write_text(as_csv(rows(number)))
    build(project)
    for number in range(1, 6):
        (folder / f"{number}.csv").write_text(as_csv(rows(number + 10)))
    build(project)
    ingested = objects(project)
    run(project, "gc")
    assert objects(project) < ingested
    for link in (project.root / ".rules/objects").rglob("part-*.parquet"):
        assert link.exists(), link
    (project.root / "data/sales/6.csv").write_text(as_csv(rows(6)))
    ran = build(project)
    assert parts(ran) == dict.fromkeys(RULES, (6, 1))
    require_clean_build(project, ran, tmp_path / "clean")
    assert run(project, "cache", "verify").code == 0
