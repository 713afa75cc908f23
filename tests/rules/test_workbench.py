"""What the language server knows of a project: by which names it knows files, and rules in other dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lsprotocol import types as lsp

from rules.errors import UserError
from rules.lsp.previews import preview
from rules.lsp.server import file_of, path_within
from rules.lsp.workbench import Workbench
from support.inprocess import run
from support.projects import SampleProject

if TYPE_CHECKING:
    from pathlib import Path


def checked(sample: SampleProject) -> Workbench:
    bench = Workbench(sample.root, runs_python=False)
    bench.check(lambda _: None)
    return bench


@pytest.fixture
def sample(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "project", sources=["orders"])
    sample.parquet("orders", {"id": [1, 2, 3]})
    return sample


def test_a_file_in_a_linked_folder_has_the_path_of_its_rule(sample: SampleProject, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/linked.sql").write_text("SELECT o.idd FROM orders AS o")
    (sample.root / "rules/more").symlink_to(tmp_path / "shared")
    (tmp_path / "alias").symlink_to(sample.root)
    bench = checked(sample)
    assert bench.known is not None
    assert list(bench.known.findings) == ["rules/more/linked.sql"]
    for root in (sample.root, tmp_path / "alias"):
        assert path_within(sample.root, f"{root}/rules/more/linked.sql") == "rules/more/linked.sql"
        assert path_within(sample.root, f"{root}/rules/../rules/./a.sql") == "rules/a.sql"
    assert path_within(sample.root, f"{tmp_path}/shared/other.sql") is None
    bench.open("rules/more/linked.sql", "SELECT o.id FROM orders AS o")
    assert not bench.check(lambda _: None).findings


@pytest.mark.parametrize("uri", ["", "untitled:a.sql", "file:///a%00b.sql", "file://[x", "git:/a/b.sql"])
def test_what_names_no_file_has_no_path(uri: str) -> None:
    assert file_of(uri) == ""


def test_a_text_that_was_never_opened_may_be_changed(sample: SampleProject) -> None:
    bench = checked(sample)
    bench.change("rules/new.sql", [lsp.TextDocumentContentChangeWholeDocument("SELECT o.id FROM orders AS o")])
    assert bench.text("rules/new.sql") == "SELECT o.id FROM orders AS o"


def test_unsaved_texts_are_held_to_what_files_are(sample: SampleProject) -> None:
    sample.sql("product", "SELECT o.id FROM orders AS o\n-- \0")
    bench = checked(sample)
    assert bench.known is not None
    saved = bench.known.findings
    bench.open("rules/product.sql", "SELECT o.id FROM orders AS o\n-- \0 ")
    assert bench.check(lambda _: None).findings == saved


def test_a_preview_of_another_dialect_has_the_rows_of_the_product(sample: SampleProject) -> None:
    options = '-- /// rule\n-- dialect = "spark"\n-- ///\n'
    sample.sql("product", f'{options}SELECT "id" AS word, o.id / 2 AS half FROM orders AS o')
    run(sample, "build")
    bench = checked(sample)
    shown = preview(bench, "rules/product.sql", None)
    assert list(shown.rows) == sample.product("product").to_pylist()
    bench.open("rules/product.sql", f"{options}SELECT no_such_call(o.id) AS x FROM orders AS o")
    with pytest.raises(UserError, match="no_such_call"):
        preview(bench, "rules/product.sql", None)


def test_names_in_another_dialect_are_not_taken_for_ours(sample: SampleProject) -> None:
    sample.sql("product", '-- /// rule\n-- dialect = "spark"\n-- ///\nSELECT "id" AS word FROM orders AS o')
    bench = checked(sample)
    assert bench.outline("rules/product.sql") is None
    bench.open("rules/product.sql", 'SELECT "id" AS word FROM orders AS o')
    assert bench.outline("rules/product.sql") is not None
