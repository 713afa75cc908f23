"""A project whose rules lie in its own folder, `rules = ["."]`: their paths are as everybody writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.inprocess import InProcess, build, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def sample(tmp_path: Path) -> InProcess:
    sample = InProcess(tmp_path, sources=["orders"])
    sample.edit("rules.toml", 'name = "sample"', 'name = "sample"\nrules = ["."]')
    sample.parquet("orders", {"id": [1, 2, 3]})
    sample.write("first.sql", "WITH c AS (SELECT o.id FROM orders AS o) SELECT c.id FROM c")
    sample.write("folder/second.sql", "SELECT f.id / 2 AS half FROM first AS f")
    return sample


def test_their_paths_are_relative_to_it(sample: InProcess) -> None:
    assert {one["path"] for one in run(sample, "ls", "--json").document["products"]} == {
        "first.sql",
        "folder/second.sql",
    }
    sample.write("third.sql", "SELECT f.idd FROM first AS f")
    found = run(sample, "check", "--json", expect=1).document["findings"]
    assert {one["path"] for one in found} == {"folder/second.sql", "third.sql"}
    (sample.root / "third.sql").unlink()
    build(sample)
    assert run(sample, "show", "first.c", "--json").document["rows"] == 3


def test_settings_of_folders_are_those_of_the_rules_in_them(sample: InProcess) -> None:
    sample.write("rules.toml", sample.read("rules.toml") + '\n[folders.folder]\ndialect = "spark"\n')
    build(sample)
    assert sample.product("second")["half"].to_pylist() == [0.5, 1.0, 1.5]  # as Spark divides


def test_what_comes_and_goes_is_seen(sample: InProcess) -> None:
    build(sample)
    assert "nothing to do" in run(sample, "build").stdout
    sample.write("folder/third.sql", "SELECT f.id + 1 AS next FROM first AS f")
    assert build(sample).executed == {"third"}
    (sample.root / "folder/third.sql").unlink()
    assert {one["name"] for one in run(sample, "plan", "--json").document["products"]} == {"first", "second"}
