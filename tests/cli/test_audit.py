"""`rules audit` and `rules build --audit`: a wrong artifact behind a skipped product is found, and nothing else is."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.digests import TableDigester
from cache.filedigest import file_digest
from support.projects import FIXTURES, SampleProject


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    project = SampleProject.copy_of(FIXTURES / "flights", tmp_path_factory.mktemp("built") / "flights")
    project.build()
    return project


@pytest.fixture
def project(built: SampleProject, tmp_path: Path) -> SampleProject:
    copied = SampleProject.__new__(SampleProject)
    copied.root = tmp_path / "flights"
    shutil.copytree(built.root, copied.root, symlinks=True)
    return copied


def make_stale(project: SampleProject, name: str) -> None:
    """Put another table in the place of a product's artifact, in a store that is sound in itself."""
    index = sqlite3.connect(project.root / ".rules" / "index.sqlite")
    (artifact,) = index.execute("SELECT artifact FROM products WHERE name = ?", (name,)).fetchone()
    (columns,) = index.execute("SELECT columns FROM artifacts WHERE artifact = ?", (artifact,)).fetchone()
    table = pq.read_table(project.root / ".rules" / "products" / f"{name}.parquet")
    wrong = pa.concat_tables([table.slice(1), table.slice(2, 1)])
    digester = TableDigester(wrong.schema)
    for batch in wrong.to_batches():
        digester.update(batch)
    digest = digester.finish()
    path = project.root / ".rules" / "objects" / digest.table[:2] / f"{digest.table[2:]}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(wrong, path)
    types = {column: kind for column, (kind, _) in json.loads(columns).items()}
    facts = {column: [types[column], value] for column, value in digest.columns.items()}
    row = (digest.table, wrong.num_rows, path.stat().st_size, file_digest(path), json.dumps(facts), "test")
    with index:
        index.execute("REPLACE INTO artifacts VALUES (?,?,?,?,?,?)", row)
        for table_name in ("products", "actions"):
            index.execute(f"UPDATE {table_name} SET artifact = ? WHERE artifact = ?", (digest.table, artifact))
        index.execute("DELETE FROM snapshots")


def test_an_honest_store_passes(project: SampleProject) -> None:
    document = project.json("audit")
    assert document["status"] == "ok"
    assert len(document["checked"]) == 50
    assert document["differing"] == []
    text = project.cli("audit", "--sample", "10%")
    assert text.stdout.strip() == "audit: 5 skipped products run again; every result is the same"


def test_a_build_audits_a_share_of_what_it_skips(project: SampleProject) -> None:
    project.edit("rules/staging/clean_planes.sql", "FROM planes AS p", "FROM planes AS p\nWHERE p.seats > 0")
    document = project.build("--audit", "0.1")
    assert SampleProject.executed(document) == {"clean_planes"}
    assert len(document["audit"]["checked"]) == 5
    assert "clean_planes" not in document["audit"]["checked"]
    again = project.build("--audit", "all")
    assert len(again["audit"]["checked"]) == 50
    assert project.cli("build").stdout.startswith("nothing to do")


def test_a_stale_product_is_found(project: SampleProject) -> None:
    make_stale(project, "clean_airports")
    assert project.build()["summary"]["executed"] > 0, "its readers read what changed"
    assert project.cli("build").stdout.startswith("nothing to do")
    done = project.cli("build", "--audit", "100%")
    assert done.returncode == 1
    assert "error: the result of clean_airports is not what its rule yields" in done.stderr
    assert "other values in" in done.stderr
    document = project.json("audit", expect=1)
    assert [entry["name"] for entry in document["differing"]] == ["clean_airports"]
    project.build("--force", "clean_airports")
    assert project.json("audit")["differing"] == []


@pytest.mark.parametrize("share", ["0", "101%", "many", "-1", "1.5"])
def test_a_share_is_checked(built: SampleProject, share: str) -> None:
    done = built.cli("audit", f"--sample={share}")
    assert done.returncode == 2
    assert "must be a share such as 5%" in done.stderr
