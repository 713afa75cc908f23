"""What a store has to be like after a command that was killed, interrupted, or out of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from cache.digests import TableDigester, ingested_digest
from cache.index import Index
from support.inprocess import run
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path

    from support.forks import Ended


def check_after_end(root: Path, ended: Ended, before: dict[str, list[str]], expected: dict[str, list[str]]) -> None:
    """Check that the store is consistent and keeps what is committed, and that the next build ends what was begun.

    This process looks and builds: it is another one than that which ended.

    before, expected: what products show after the last build and after a whole one; nothing that was committed runs
    twice.
    """
    project, at = SampleProject.at(root), f"ended {ended.steps[-1]}, step {len(ended.steps)}"
    kept = committed(root)
    if (root / ".rules" / "products").exists():
        for name, rows in tables(root).items():
            assert rows in (before.get(name), expected.get(name)), (at, name)
    assert_objects_whole(root)
    for name in list(kept)[:1]:
        shown = run(project, "show", name, "--json", expect=None)
        assert shown.code == 0, (at, shown.stderr)
    build = run(project, "build", "--json", expect=None)
    assert build.code == 0, (at, build.stderr)
    assert "warning" not in build.stderr, (at, build.stderr)
    done = {product["name"]: product for product in build.document["products"]}
    again = {
        name for name, product in done.items() if product["status"] == "executed" and kept.get(name) == product["key"]
    }
    assert not again, (at, "committed, and yet executed again", again)
    assert tables(root) == expected, at
    noop = build.document["build"] == ""  # killed after the last commit: there is no work left, and no one to sweep
    assert noop or not list((root / ".rules" / "tmp").iterdir()), at
    assert "nothing to do" in run(project, "build").stdout, at


def tables(root: Path) -> dict[str, list[str]]:
    """What the products folder shows: each product's rows, in no order."""
    found = {}
    for link in sorted((root / ".rules" / "products").iterdir()):
        found[link.stem] = sorted(str(row) for row in pq.read_table(link).to_pylist())
    return found


def committed(root: Path) -> dict[str, str]:
    """What the index says of products, product → key; every one of them must have its object."""
    path = root / ".rules" / "index.sqlite"
    if not path.exists():
        return {}
    with Index(path) as index:
        products = index.products()
        artifacts = index.artifacts(product.artifact for product in products.values())
    for product in products.values():
        name = product.artifact
        for one in artifacts[name].parts or (name,):
            place = root / ".rules" / "objects" / one[:2] / f"{one[2:]}.parquet"
            assert place.is_file()
            assert place.stat().st_size == artifacts[name].bytes or artifacts[name].parts
    return {name: product.key for name, product in products.items()}


def assert_objects_whole(root: Path) -> None:
    """Every object holds the very table after which it is named, and cannot be written to."""
    for path in (root / ".rules" / "objects").glob("*/*"):
        if path.is_dir():  # of a table in parts: links to the objects of these, which come before it
            assert list(path.iterdir())
            assert all(link.is_symlink() and link.is_file() for link in path.iterdir())
            continue
        table = pq.read_table(path)
        digester = TableDigester(table.schema)
        for batch in table.to_batches():
            digester.update(batch)
        digest = digester.finish()
        ingested = ingested_digest(
            digest.rows, {name: (_type(table, name), value) for name, value in digest.columns.items()}
        )
        assert path.parent.name + path.stem in {digest.table, ingested}
        assert path.stat().st_mode & 0o777 == 0o444


def _type(table: pa.Table, name: str) -> str:
    from cache.levels import type_name

    return type_name(table.schema.field(name).type)
