"""The store of tables in parts: several builders, orphans, and parts that are lost or damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support.inprocess import build, run
from support.projects import RULES, SampleProject

TOML = """
[sources.orders]
path = "data/orders"
[sources.visits]
path = "data/visits.csv"
[parts]
min_rows = 8
"""


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "project", toml=TOML)
    for number in range(5):
        made.parquet(
            f"orders/{number}", {"id": [number * 100 + n for n in range(10)], "amount": [n % 7 for n in range(10)]}
        )
    made.write("data/visits.csv", "city,visits\n" + "".join(f"{'ABD'[n % 3]},{n}\n" for n in range(24)))
    made.sql("big", "SELECT o.id, o.amount FROM orders AS o WHERE o.amount > 1")
    made.sql("total", "SELECT b.amount, COUNT(*) AS n FROM big AS b GROUP BY b.amount")
    made.sql("visited", "SELECT v.city, SUM(v.visits) AS visits FROM visits AS v GROUP BY v.city")
    return made


def folders(project: SampleProject) -> list[Path]:
    return [path for path in (project.root / ".rules/objects").glob("*/*.parquet") if path.is_dir()]


def rows(project: SampleProject) -> dict[str, list[str]]:
    return {name: sorted(map(repr, project.product(name).to_pylist())) for name in ("big", "total", "visited")}


@pytest.mark.slow
def test_builders_at_once_ingest_and_execute_each_part_once(project: SampleProject, tmp_path: Path) -> None:
    alone = SampleProject.copy_of(project.root, tmp_path / "alone")
    build(alone)
    builds = [
        subprocess.Popen(
            [str(RULES), "build", "--json"], cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    ran = []
    for one in builds:
        out, err = one.communicate(timeout=120)
        assert one.returncode == 0, err
        ran += [product["name"] for product in json.loads(out)["products"] if product["status"] == "executed"]
    assert sorted(ran) == ["big", "total", "visited"]
    assert rows(project) == rows(alone)
    assert run(project, "cache", "verify").code == 0


def test_orphans_of_tables_in_parts_are_collected(project: SampleProject) -> None:
    build(project)
    before = rows(project)
    kept = folders(project)
    assert len(kept) >= 2  # a source of text, and a product
    # As a build leaves that was killed before it recorded the table.
    orphan = project.root / ".rules/objects/ab" / f"{'0' * 30}.parquet"
    orphan.parent.mkdir(exist_ok=True)
    shutil.copytree(kept[0], orphan, symlinks=True)
    stamp = kept[0].stat()
    os.utime(orphan, ns=(stamp.st_mtime_ns, stamp.st_mtime_ns))
    run(project, "gc")
    assert not orphan.exists()
    assert set(folders(project)) == set(kept)
    assert rows(project) == before
    assert build(project).executed == set()


@pytest.mark.slow
def test_a_table_that_a_build_lets_go_goes_with_its_parts(project: SampleProject) -> None:
    """What was left of one would count as corrupt. The bytes of its parts are all that a table in parts takes up."""
    for number in range(5):
        ids = [number * 1000 + n for n in range(500)]
        project.parquet(f"orders/{number}", {"id": ids, "amount": [n % 97 for n in ids]})
    build(project)
    before = rows(project)
    for least in range(2, 12):
        project.edit("rules/big.sql", f"> {least - 1}", f"> {least}")
        build(project)
        assert {link.resolve().is_file() for folder in folders(project) for link in folder.iterdir()} == {True}
    assert run(project, "cache", "verify").code == 0
    project.edit("rules/big.sql", "> 11", "> 1")
    build(project)
    assert rows(project) == before


@pytest.mark.parametrize("harm", ["removed", "cut short", "changed under its stamp", "link removed", "folder removed"])
def test_a_harmed_part_is_made_again(project: SampleProject, harm: str) -> None:
    build(project)
    before = rows(project)
    folder = (project.root / ".rules/products/big.parquet").resolve()
    (link, *_) = sorted(folder.iterdir())
    part = link.resolve()
    if harm == "removed":
        part.unlink()
    elif harm == "cut short":
        part.chmod(0o644)
        part.write_bytes(part.read_bytes()[:-3])
    elif harm == "changed under its stamp":
        stamp, data = part.stat(), bytearray(part.read_bytes())
        data[len(data) // 2] ^= 1
        part.chmod(0o644)
        part.write_bytes(data)
        part.chmod(0o444)
        os.utime(part, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    elif harm == "link removed":
        link.unlink()
    else:
        shutil.rmtree(folder)
    project.sql("more", "SELECT b.id FROM big AS b WHERE b.amount > 3")
    project.sql("placed", "SELECT b.id, ROW_NUMBER() OVER (ORDER BY b.amount, b.id) AS place FROM big AS b")
    build(project)
    assert rows(project) == before
    assert project.product("placed").num_rows == len(before["big"])
    assert pq.read_table(project.root / ".rules/products/big.parquet").num_rows == len(before["big"])
    assert run(project, "cache", "verify").code == 0
    assert build(project).executed == set()


@pytest.mark.parametrize("words", [["build"], ["cache", "verify", "--repair"]])
def test_a_copy_of_objects_that_followed_links_is_put_right(
    project: SampleProject, tmp_path: Path, words: list[str]
) -> None:
    build(project)
    copy = SampleProject.at(shutil.copytree(project.root, tmp_path / "copy", symlinks=True))
    shutil.rmtree(copy.root / ".rules/objects")
    shutil.copytree(project.root / ".rules/objects", copy.root / ".rules/objects", symlinks=False)
    assert any(path.is_file() and not path.is_symlink() for place in folders(copy) for path in place.iterdir())
    run(copy, *words, expect=None)  # what verify has repaired was bad
    assert build(copy, expect=0).document["summary"]["failed"] == 0
    assert rows(copy) == rows(project)
    assert all(path.is_symlink() for place in folders(copy) for path in place.iterdir())
    assert run(copy, "cache", "verify").code == 0
    assert build(copy).executed == set()
