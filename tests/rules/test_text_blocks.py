"""Blocks of a file of text: read one by one they are the file, and they follow from its bytes alone."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from rules.formats import csv_text, json_text, text_blocks
from rules.formats.contract import IngestError
from rules.formats.source import Source
from rules.formats.text_blocks import blocks_of
from rules.formats.text_file import ChangedFileError, TextFile

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = Source("t.csv", options={"header": True, "nulls": ("",), "delimiter": ","})
BARE = Source("t.csv", options={"header": False, "nulls": ("",), "delimiter": ","})
FIELDS = [
    "1",
    "-2",
    "",
    "x",
    '"a,b"',
    '"a ""b"" c"',
    '"two\nlines"',
    '""',
    '5" disk',
    '"\r\n"',
    '"a"b"c',
    "ä",
    '"""x"""',
    "\ufeff",
]
ENDS = ["\n", "\r\n"]


def text_of(chance: random.Random, width: int, *, header: bool) -> str:
    end = chance.choice(ENDS)
    pool = chance.sample(FIELDS, chance.randint(2, len(FIELDS)))
    rows = [",".join(chance.choice(pool) for _ in range(width)) for _ in range(chance.randint(1, 60))]
    if width > 1 and chance.random() < 0.3:
        rows.insert(chance.randint(0, len(rows)), "")
    names = [",".join(chance.choice([f"c{n}", f'"c {n}"']) for n in range(width))] if header else []
    mark = "\ufeff" if chance.random() < 0.2 else ""
    return mark + end.join([*names, *rows]) + (end if chance.random() < 0.7 else "")


def rows_of(files: list[TextFile], source: Source, schema: pa.Schema) -> list[dict[str, object]]:
    batches = [batch for file in files for batch in csv_text.batches(file, source, schema, 1 << 20)]
    found: list[dict[str, object]] = pa.Table.from_batches(batches, schema).to_pylist()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_blocks_of_csv_are_the_file(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance, cut = random.Random(seed), 0
    for number in range(120):
        monkeypatch.setattr(text_blocks, "_CHUNK", chance.choice([7, 64, 1 << 20]))
        header, path = chance.random() < 0.7, tmp_path / f"{number}.csv"
        text = text_of(chance, chance.randint(1, 3), header=header)
        path.write_bytes(text.encode())
        source = SOURCE if header else BARE
        blocks = blocks_of(path, chance.choice([1, 2, 5]), delimiter=",", header=header)
        if len(blocks) < 2:
            continue
        assert [one.start for one in blocks[1:]] == [one.end for one in blocks[:-1]], text
        assert (blocks[0].start, blocks[-1].end) == (blocks[0].head, len(text.encode())), text
        whole = TextFile(path, 0, ",")
        pieces = [TextFile(path, 0, ",", block) for block in blocks]
        try:
            look = csv_text.look(whole, source, {}, 1 << 20)
        except IngestError:
            continue
        try:
            looks = [csv_text.look(piece, source, {}, 1 << 20) for piece in pieces]
            schema = csv_text.schema_of([(piece, one) for piece, one in zip(pieces, looks, strict=True)], {})
        except IngestError:  # a block of blank lines without a header: the file is read whole then
            assert not header, text
            continue
        cut += 1
        assert schema == csv_text.schema_of([(whole, look)], {}), text
        assert sum(one["rows"] for one in looks) == look["rows"], text
        assert rows_of(pieces, source, schema) == rows_of([whole], source, schema), text
    assert cut > 30


VALUES = [1, 2.5, 12345678901234567890, None, "x", "2024-01-01T00:00:00", "2024-01-02", [1], {"a": 1}, True, 0.1, 1e300]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_json_lines_have_the_types_of_the_file(tmp_path: Path, seed: int) -> None:
    chance, cut = random.Random(seed), 0
    declared = {"text": pa.string()}
    for number in range(60):
        pools = {name: chance.sample(VALUES, chance.randint(1, 2)) for name in "abc"}
        rows: list[dict[str, object]] = [
            {name: chance.choice(pool) for name, pool in pools.items() if chance.random() < 0.8}
            for _ in range(chance.randint(3, 40))
        ]
        for row in rows:
            row["text"] = chance.choice(["y", 7, 12345678901234567.25]) if number % 3 == 0 else "z"
        path = tmp_path / f"{number}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        whole = TextFile(path, 0, "")
        pieces = [TextFile(path, 0, "", block) for block in blocks_of(path, 2)]
        source = Source("t.json", columns={"text": "string"})
        try:
            look = json_text.look(whole, source, declared, 1 << 20)
            looks = [json.loads(json.dumps(json_text.look(piece, source, declared, 1 << 20))) for piece in pieces]
        except IngestError:
            continue
        schema = json_text.schema_of(looks, declared)
        expected = json_text.schema_of([look], declared)
        assert sum(one["rows"] for one in looks) == look["rows"] == len(rows)
        mixed = any(len({type(value) for value in pool if value is not None}) > 1 for pool in pools.values())
        if mixed:  # an error when it is read, in either case
            continue
        cut += len(pieces) > 1
        both = [{field.name: field.type for field in one if field.name != "text"} for one in (schema, expected)]
        assert both[0] == both[1], rows
        assert set(schema.names) == set(expected.names), rows
    assert cut > 10


def test_a_change_moves_the_blocks_beside_it_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{n},{n * 7919 % 1000},text {n % 17}\n" for n in range(20_000)]

    def digests() -> list[str]:
        path.write_text("a,b,c\n" + "".join(rows))
        return [one.digest for one in blocks_of(path, 200, delimiter=",", header=True)]

    first = digests()
    assert len(first) > 20
    rows.append("20000,1,appended\n")
    appended = digests()
    assert appended[: len(first) - 1] == first[:-1]
    rows.insert(10_000, "x,2,inserted\n")
    inserted = digests()
    assert 1 <= len(set(inserted) - set(appended)) <= 3
    del rows[:5000]
    assert len(set(digests()) - set(inserted)) <= 3


def test_a_block_that_is_not_what_it_was_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "".join(f"{n}\n" for n in range(100, 900)))
    block = blocks_of(path, 20, delimiter=",", header=True)[2]
    data = bytearray(path.read_bytes())
    data[block.start] = ord("8")
    path.write_bytes(data)
    with pytest.raises(ChangedFileError):
        csv_text.look(TextFile(path, 0, ",", block), SOURCE, {}, 1 << 20)
    with pytest.raises(ChangedFileError):
        list(csv_text.batches(TextFile(path, 0, ",", block), SOURCE, pa.schema([("a", pa.int64())]), 1 << 20))


@pytest.mark.parametrize("text", ["a,b\r1,2\r3,4\n", "a,b", '"a\n', "\n\n\r\n"])
def test_a_file_whose_header_is_not_certain_is_not_cut(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    assert len(blocks_of(path, 1, delimiter=",", header=True)) < 2
