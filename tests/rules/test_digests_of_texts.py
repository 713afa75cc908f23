"""The digest of a column of texts is that of its values, whether a file stores them as a dictionary, in part or not."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cache.digests import TableDigester
from rules.formats.parquet_files import column_digests
from rules.formats.row_groups import FileRows
from rules.storage.types import to_schema

ROWS = 60_000
FEW = [None if n % 11 == 0 else ("", "a", "über", "a longer text", "\0")[n % 5] for n in range(ROWS)]
MANY = [f"text number {n * 7919 % ROWS}" for n in range(ROWS)]
TEXTS = {
    "few": FEW,
    "many": MANY,
    "few, then many": FEW[:30_000] + MANY[30_000:],
    "one": ["same"] * ROWS,
    "null": [None] * ROWS,
}
LAYOUTS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string()), pa.binary()]


def digest_of(table: pa.Table) -> dict[str, str]:
    digester = TableDigester(table.schema)
    for batch in table.to_batches():
        digester.update(batch)
    return digester.finish().columns


@pytest.mark.parametrize("texts", TEXTS)
def test_is_that_of_the_values(tmp_path: Path, texts: str) -> None:
    values = TEXTS[texts]
    for number, layout in enumerate(LAYOUTS):
        kind = layout.value_type if pa.types.is_dictionary(layout) else layout
        table = pa.table({"s": pa.array(values, kind), "n": range(ROWS)})
        paths = [tmp_path / f"{number}{name}.parquet" for name in ("dictionary", "plain")]
        stored = table.set_column(0, "s", table["s"].cast(layout)) if layout != kind else table
        pq.write_table(stored.slice(0, 45_000), paths[0], row_group_size=40_000, dictionary_pagesize_limit=1 << 15)
        pq.write_table(stored.slice(45_000), paths[1], use_dictionary=False)
        schema = to_schema(pa.schema({"s": pa.binary() if layout == pa.binary() else pa.string(), "n": pa.int64()}))
        assert column_digests(list(map(FileRows, paths)), ["s", "n"], schema) == digest_of(table), layout
