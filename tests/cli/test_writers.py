"""[writer]: how a product's published file is written, which changes no table, digest or key, and re-runs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.inprocess import build, run
from support.projects import SampleProject

ROWS = 5000
TEXT = "SELECT r.id, r.word, r.amount, r.many FROM raw AS r"


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    made = SampleProject(tmp_path / "sample", sources=["raw"])
    columns = {
        "id": pa.array([(n * 7919) % ROWS for n in range(ROWS)], pa.int64()),
        "word": [None if n % 11 == 0 else f"w{n % 37}" for n in range(ROWS)],
        "amount": [n / 7 for n in range(ROWS)],
        "many": [[n] for n in range(ROWS)],
    }
    made.parquet("raw", columns)
    made.sql("top", TEXT)
    made.sql("below", "SELECT SUM(t.amount) AS total FROM top AS t")
    return made


def wish(project: SampleProject, toml: str) -> None:
    block = "".join(f"-- {line}\n" for line in toml.strip().splitlines())
    project.sql("top", f"-- /// rule\n-- [writer]\n{block}-- ///\n{TEXT}")


def published(project: SampleProject, name: str = "top") -> Path:
    return (project.root / ".rules/products" / f"{name}.parquet").resolve()


def metadata(project: SampleProject) -> pq.FileMetaData:
    return pq.read_metadata(published(project))


def column(project: SampleProject, name: str) -> Any:
    found = metadata(project)
    return next(one for at in range(found.num_columns) if (one := found.row_group(0).column(at)).path_in_schema == name)


def test_a_dictionary_may_be_wished_of_all_columns(project: SampleProject) -> None:
    """Also of those that are stored as differences, when all of these are."""
    build(project)
    assert "DELTA_BINARY_PACKED" in column(project, "id").encodings
    wish(project, "dictionary = true")
    assert build(project).executed == set()
    assert column(project, "id").has_dictionary_page


def test_changed_wishes_write_the_file_and_run_nothing(project: SampleProject) -> None:
    first = build(project).document["products"]
    plain, stored = project.product("top"), published(project)
    before = stored.read_bytes()
    for toml in ('compression = "snappy"', 'compression = "gzip"\ncompression_level = 9', "row_group_rows = 100"):
        wish(project, toml)
        done = build(project)
        assert done.executed == set()
        assert [one["artifact"] for one in done.document["products"]] == [one["artifact"] for one in first]
        assert [one["key"] for one in done.document["products"]] == [one["key"] for one in first]
        assert published(project) != stored
        assert project.product("top").equals(plain)
        assert len(list((project.root / ".rules/written").iterdir())) == 1
    assert metadata(project).num_row_groups == 50
    assert stored.read_bytes() == before
    project.sql("top", TEXT)
    assert build(project).executed == set()
    assert published(project) == stored
    assert list((project.root / ".rules/written").iterdir()) == []


def test_a_no_op_looks_at_the_file(project: SampleProject) -> None:
    wish(project, "row_group_rows = 100")
    build(project)
    assert "nothing to do" in run(project, "build").stdout
    file = published(project)
    before = file.read_bytes()
    file.unlink()
    assert build(project).executed == set()
    assert published(project).read_bytes() == before
    file.chmod(0o644)
    file.write_bytes(b"damaged")
    assert build(project).executed == set()
    assert published(project).read_bytes() == before


def test_every_option(project: SampleProject) -> None:
    wish(
        project,
        """
compression = "zstd"
compression_level = 7
row_group_rows = 1000
dictionary = false
statistics = "page"
bloom_filters = ["word", "id"]
sort_by = ["word desc", "id"]
[writer.columns.word]
compression = "brotli"
dictionary = true
[writer.columns.id]
encoding = "delta"
statistics = false
[writer.columns.amount]
encoding = "byte_stream_split"
compression = "none"
""",
    )
    build(project)
    found = metadata(project)
    assert [found.row_group(at).num_rows for at in range(found.num_row_groups)] == [1000] * 5
    word, key, amount = (column(project, name) for name in ("word", "id", "amount"))
    assert (word.compression, key.compression, amount.compression) == ("BROTLI", "ZSTD", "UNCOMPRESSED")
    assert "RLE_DICTIONARY" in word.encodings
    assert "DELTA_BINARY_PACKED" in key.encodings
    assert "BYTE_STREAM_SPLIT" in amount.encodings
    assert (word.is_stats_set, key.is_stats_set, amount.is_stats_set) == (True, False, False)
    assert word.has_column_index
    assert [one.bloom_filter_offset is not None for one in (word, key, amount)] == [True, True, False]
    assert (
        [one.bloom_filter_offset is not None for one in (word, key, amount)] == [True, True, False]
        if hasattr(word, "bloom_filter_offset")
        else True
    )
    assert [(one.column_index, one.descending) for one in found.row_group(0).sorting_columns] == [(1, True), (0, False)]
    read = pq.read_table(published(project)).select(["id", "word"]).to_pylist()
    expected = pq.read_table(project.root / "data/raw.parquet").select(["id", "word"]).to_pylist()
    words = sorted({row["word"] for row in expected if row["word"]}, reverse=True)
    rank = {word: at for at, word in enumerate(words)} | {None: len(words)}
    assert read == sorted(expected, key=lambda row: (rank[row["word"]], row["id"]))


def test_equal_wishes_give_equal_bytes(project: SampleProject, tmp_path: Path) -> None:
    wish(project, 'row_group_bytes = 20000\nsort_by = ["word"]')
    build(project)
    other = SampleProject.copy_of(project.root, tmp_path / "other")
    build(other)
    assert published(other).read_bytes() == published(project).read_bytes()
    assert metadata(project).num_row_groups > 3


def test_a_changed_table_is_written_anew(project: SampleProject) -> None:
    wish(project, "row_group_rows = 1000")
    build(project)
    project.edit("rules/top.sql", "raw AS r", "raw AS r WHERE r.id < 10")
    assert build(project).executed == {"top", "below"}
    assert metadata(project).num_rows == 10
    assert len(list((project.root / ".rules/written").iterdir())) == 1
    (project.root / "rules/top.sql").unlink()
    project.sql("below", "SELECT 1 AS total")
    build(project)
    assert list((project.root / ".rules/written").iterdir()) == []


def test_a_product_without_rows(project: SampleProject) -> None:
    wish(project, 'compression = "gzip"\nsort_by = ["id"]\nbloom_filters = ["id"]')
    project.edit("rules/top.sql", "raw AS r", "raw AS r WHERE r.id < 0")
    build(project)
    assert metadata(project).num_rows == 0


def test_a_profile_and_a_rule(project: SampleProject) -> None:
    text = project.read("rules.toml")
    project.write(
        "rules.toml",
        f'{text}\n[profiles.prod_fast.writer]\ncompression = "gzip"\ncompression_level = 9\nrow_group_rows = 2000\n',
    )
    wish(project, 'compression = "snappy"')
    build(project)
    assert (column(project, "id").compression, metadata(project).num_row_groups) == ("SNAPPY", 3)
    below = pq.read_metadata(published(project, "below")).row_group(0).column(0)
    assert below.compression == "GZIP"
    assert build(project, "--profile", "memory_tight").executed == {"below"}
    assert published(project, "below").parent.name != "written"


def test_in_python(project: SampleProject) -> None:
    rule = '@rule(writer={"compression": "snappy", "sort_by": ["id"]})\ndef made(raw):\n    return raw.select(raw.id)\n'
    project.write("rules/made.py", f"from rules import rule\n\n\n{rule}")
    build(project)
    assert pq.read_table(published(project, "made"))["id"].to_pylist() == list(range(ROWS))
    project.edit("rules/made.py", '"sort_by": ["id"]', '"sort_by": ["idd"]')
    error = run(project, "plan", "--json", expect=1).document["error"]
    assert (error["message"], error["hint"]) == ("the product has no column 'idd'", "did you mean 'id'?")
    assert error["where"].startswith("rules/made.py:4")
    project.edit("rules/made.py", '"sort_by": ["idd"]', '"sorted_by": ["id"]')
    error = run(project, "plan", "--json", expect=1).document["error"]
    assert (error["message"], error["hint"]) == ("unknown key 'sorted_by' in [writer]", "did you mean 'sort_by'?")


@pytest.mark.parametrize(
    ("toml", "line", "told"),
    [
        ('compresion = "zstd"', 3, "unknown key 'compresion' in [writer]; did you mean 'compression'?"),
        ('compression = "zst"', 3, "'compression' cannot be 'zst'; did you mean 'zstd'?"),
        ("compression_level = 40", 3, "levels of zstd are 1 to 22, not 40"),
        ('compression = "snappy"\ncompression_level = 1', 4, "snappy has no levels"),
        ("row_group_rows = 0", 3, "'row_group_rows' must be at least 1"),
        ('statistics = "pages"', 3, "'statistics' cannot be 'pages'; did you mean 'page'?"),
        ('sort_by = ["id", "wrd desc"]', 3, "the product has no column 'wrd'; did you mean 'word'?"),
        ('sort_by = ["many"]', 3, "column 'many' is of type"),
        ('bloom_filters = ["idd"]', 3, "the product has no column 'idd'; did you mean 'id'?"),
        ('bloom_filters = ["many"]', 3, "column 'many' is of type"),
        ('partition_by = ["word"]', 3, "'partition_by' makes a folder; rules export NAME DEST --partition-by"),
        ("[writer.columns.wrod]\ndictionary = true", 3, "the product has no column 'wrod'; did you mean 'word'?"),
        ('[writer.columns.word]\nencoding = "delta"', 4, "a column of type"),
        ("[writer.columns.word]\ndictionry = true", 4, "unknown key 'dictionry' in [writer.columns.word]"),
        ("[writer.columns.amount]\nstatistics = true", 4, "statistics of 'amount', a column of floats"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(project: SampleProject, toml: str, line: int, told: str) -> None:
    wish(project, toml)
    error = run(project, "plan", "--json", expect=1).document["error"]
    message, _, hint = told.partition("; ")
    assert error["message"].startswith(message)
    assert (error["hint"] or "").startswith(hint)
    assert error["where"].startswith(f"rules/top.sql:{line}:")
    [finding] = run(project, "check", "--json", "--select", "R902,R903", expect=1).document["findings"]
    assert (finding["line"], finding["message"]) == (line, error["message"])


def test_a_profile_names_no_columns(project: SampleProject) -> None:
    text = project.read("rules.toml")
    for toml, told in (
        ('sort_by = ["id"]', "'sort_by' names columns, which not every product has"),
        ("compression_lvl = 3", "unknown key 'compression_lvl' in [writer]"),
        ("compression_level = 99", "levels of zstd are 1 to 22, not 99"),
    ):
        project.write("rules.toml", f"{text}\n[profiles.prod_fast.writer]\n{toml}\n")
        error = run(project, "plan", "--json", expect=2).document["error"]
        assert error["message"].startswith(told)
        assert error["where"].startswith("rules.toml:8:")


def test_a_link_in_place_of_the_folder_is_refused(project: SampleProject, tmp_path: Path) -> None:
    build(project)
    (tmp_path / "elsewhere").mkdir()
    (project.root / ".rules/written").symlink_to(tmp_path / "elsewhere")
    wish(project, "row_group_rows = 10")
    assert "is a link, which is not followed" in run(project, "build", expect=2).stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []
