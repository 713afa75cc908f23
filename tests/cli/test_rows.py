"""`rules show`: each format says what the product holds, and reading it back gives the same values."""

import csv
import io
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from rules.cli import main
from rules.formats import cells
from rules.report import rows
from support.forks import shared
from support.projects import SampleProject
from support.terminal import run_on_terminal

AWKWARD = ['comma, quote " and\nnewline', "", None, "NULL", " padded ", "tab\tü€ 日本"]
TABLE = pa.table(
    {
        "id": pa.array([1, 2, 3, 4, 5, 2**62], pa.int64()),
        "text": pa.array(AWKWARD, pa.string()),
        "price": pa.array(
            [Decimal("1.50"), None, Decimal("-0.01"), Decimal("0.00"), Decimal("99999.99"), Decimal("2.00")]
        ),
        "ratio": pa.array([0.1, None, -1e300, 1e-7, 3.0, 0.30000000000000004], pa.float64()),
        "flag": pa.array([True, False, None, True, True, False]),
        "day": pa.array(
            [date(2026, 1, 31), None, date(1969, 12, 31), date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)]
        ),
        "at": pa.array(
            [
                datetime.fromisoformat("2026-01-31 09:00:00.500"),
                None,
                datetime.fromisoformat("1969-12-31"),
                *[datetime.fromisoformat("2000-01-01")] * 3,
            ]
        ),
        "zoned": pa.array([datetime(2026, 7, 1, 12, tzinfo=UTC), *[None] * 5], pa.timestamp("us", "UTC")),
        "nested": pa.array([[1, None], [], None, [2], [3, 4], [5]], pa.list_(pa.int64())),
        "pair": pa.array([{"a": 1, "b": "x"}, {"a": None, "b": None}, None, *[{"a": 2, "b": 'q"'}] * 3]),
    }
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """A product of awkward values, one without rows, and one of 30 rows; built once, only read by the tests."""
    sample = SampleProject(tmp_path_factory.mktemp("rows") / "sample", sources=["raw", "many"])
    sample.parquet("raw", TABLE)
    sample.parquet("many", {"n": list(range(30)), "text": [f"{'long ' * 30}{n}" for n in range(30)]})
    sample.sql("awkward", f"SELECT {', '.join(f'r.{name}' for name in TABLE.column_names)} FROM raw AS r ORDER BY r.id")
    sample.sql("nothing", "SELECT r.id, r.text FROM raw AS r WHERE r.id < 0")
    sample.sql("lines", "SELECT m.n, m.text FROM many AS m ORDER BY m.n")
    sample.build()
    return sample


def raw(project: SampleProject, *words: str) -> bytes:
    """The bytes that `rules show` writes."""
    done = shared().run(project.root, "show", *words)
    assert (done.code, done.err) == (0, b"")
    return done.out


def test_arrow_is_the_product(project: SampleProject) -> None:
    stored = project.product("awkward")
    read = pa.ipc.open_stream(raw(project, "awkward", "--format", "arrow")).read_all()
    assert read.equals(stored)
    assert read.cast(TABLE.schema).equals(TABLE)
    limited = pa.ipc.open_stream(raw(project, "awkward", "--format", "arrow", "--limit", "2")).read_all()
    assert limited.equals(stored.slice(0, 2))
    for words in (["nothing"], ["awkward", "--limit", "0"]):
        empty = pa.ipc.open_stream(raw(project, *words, "--format", "arrow")).read_all()
        assert (empty.num_rows, empty.schema) == (0, project.product(words[0]).schema)


def test_csv_reads_back_as_it_was(project: SampleProject) -> None:
    data = raw(project, "awkward", "--format", "csv")
    flat = ["id", "text", "price", "ratio", "flag", "day", "at", "zoned"]
    types = {name: TABLE.schema.field(name).type for name in flat} | {"nested": pa.string(), "pair": pa.string()}
    options = pa_csv.ConvertOptions(
        column_types=types,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        true_values=["true"],
        false_values=["false"],
    )
    read = pa_csv.read_csv(
        io.BytesIO(data), pa_csv.ReadOptions(), pa_csv.ParseOptions(newlines_in_values=True), options
    )
    assert read.select(flat).to_pylist() == TABLE.select(flat).to_pylist()
    for name in ("nested", "pair"):
        assert [json.loads(text) if text else None for text in read[name].to_pylist()] == TABLE[name].to_pylist()


def test_csv_limits_and_empty_products(project: SampleProject) -> None:
    assert raw(project, "nothing", "--format", "csv") == b'"id","text"\n'
    assert raw(project, "lines", "--format", "csv", "-n", "0") == b'"n","text"\n'
    assert len(raw(project, "lines", "--format", "csv", "-n", "7").splitlines()) == 8
    assert len(raw(project, "lines", "--format", "csv").splitlines()) == 31


def test_json_reads_back_as_it_was(project: SampleProject) -> None:
    read = [json.loads(line) for line in raw(project, "awkward", "--format", "json").splitlines()]
    expected = TABLE.to_pylist()
    for name in ("id", "text", "ratio", "flag", "nested", "pair"):
        assert [row[name] for row in read] == [row[name] for row in expected], name
    assert [row["price"] for row in read] == ["1.50", None, "-0.01", "0.00", "99999.99", "2.00"]
    assert [row["day"] for row in read] == ["2026-01-31", None, "1969-12-31", "0001-01-01", "9999-12-31", "2024-02-29"]
    assert [row["at"] for row in read][:3] == ["2026-01-31 09:00:00.5", None, "1969-12-31 00:00:00"]
    assert read[0]["zoned"] == "2026-07-01 12:00:00Z"
    assert raw(project, "nothing", "--format", "json") == b""


def test_the_document_holds_the_same_rows(project: SampleProject) -> None:
    lines = [json.loads(line) for line in raw(project, "awkward", "--format", "json").splitlines()]
    shown = project.json("show", "awkward")
    assert (shown["product"], shown["rows"], shown["data"]) == ("awkward", 6, lines)
    assert project.json("show", "awkward", "-n", "1")["data"] == lines[:1]
    assert project.json("show", "lines", "--limit", "0") | {"data": None} == {
        "format": 1,
        "command": "show",
        "status": "ok",
        "product": "lines",
        "rows": 30,
        "data": None,
    }


def test_a_table_piped_is_never_cut(project: SampleProject) -> None:
    lines = raw(project, "lines").decode().splitlines()
    assert (len(lines), lines[-1]) == (22, "(20 of 30 rows)")
    assert lines[0] == " n  text"
    assert lines[1] == f" 0  {'long ' * 30}0"
    assert lines[11] == f"10  {'long ' * 30}10"
    assert raw(project, "lines", "-n", "0").decode() == "n  text\n(0 of 30 rows)\n"
    assert raw(project, "nothing").decode() == "id  text\n(0 rows)\n"
    assert len(raw(project, "lines", "-n", "30").splitlines()) == 32


def test_a_table_escapes_what_would_break_it(project: SampleProject) -> None:
    text = raw(project, "awkward").decode()
    assert 'comma, quote " and\\nnewline' in text
    assert "tab\\tü€ 日本" in text
    assert len(text.splitlines()) == 8
    assert '{"a": 1, "b": "x"}' in text


def test_a_table_fits_a_terminal(project: SampleProject) -> None:
    seen = run_on_terminal(project.root, "show", "lines", "-n", "2", columns=40).screen
    assert seen == ["n  text", f"0  {('long ' * 30)[:36]}…", f"1  {('long ' * 30)[:36]}…", "(2 of 30 rows)"]
    seen = run_on_terminal(project.root, "show", "awkward", columns=60).screen
    assert all(len(line) <= 60 for line in seen[:-1])
    assert "did not fit: " in " ".join(seen)
    assert " ".join(seen).endswith("nested, pair)")


@pytest.mark.parametrize(
    ("array", "plain"),
    [
        (pa.array([float("nan"), float("inf"), float("-inf"), -0.0]), ["NaN", "Infinity", "-Infinity", -0.0]),
        (pa.array([0.1], pa.float32()), [0.1]),
        (pa.array([1_000_000_001, None], pa.timestamp("ns")), ["1970-01-01 00:00:01.000000001", None]),
        (pa.array([253_402_300_800], pa.timestamp("s")), ["10000-01-01 00:00:00"]),
        (pa.array([time(1, 2, 3, 4)], pa.time64("us")), ["01:02:03.000004"]),
        (pa.array([time(23, 59)], pa.time32("s")), ["23:59:00"]),
        (pa.array([timedelta(days=1, seconds=1.5), timedelta(seconds=-1)]), ["24:00:01.5", "-00:00:01"]),
        (pa.array([3_000_000_001], pa.duration("ns")), ["00:00:03.000000001"]),
        (pa.array([b"\x00\xff", None]), ["00ff", None]),
        (pa.array([Decimal("0E-10"), Decimal(1)], pa.decimal128(20, 10)), ["0.0000000000", "1.0000000000"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array([None, None], pa.null()), [None, None]),
        (pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())), [{"k": 1}, None, {}]),
        (pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), [[1, 2], None]),
        (pa.array([[[date(2026, 1, 1)], None], None]), [[["2026-01-01"], None], None]),
        (pa.array([{"a": [{"b": Decimal("1.0")}]}, None]), [{"a": [{"b": "1.0"}]}, None]),
        (pa.array([[1], [2, 3], None, [4]]).slice(1), [[2, 3], None, [4]]),
        (pa.array([{"a": 1}, None, {"a": 3}]).slice(1), [None, {"a": 3}]),
        (pa.array([[("k", 1)], [("l", 2)]], pa.map_(pa.string(), pa.int64())).slice(1), [{"l": 2}]),
        (
            pa.array([datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2026-01-02")]).slice(1),
            ["2026-01-02 00:00:00"],
        ),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_values_of_every_type(array: pa.Array, plain: list[object], tmp_path: Path) -> None:
    assert cells.plain(array) == plain
    assert json.loads(json.dumps(cells.plain(array), allow_nan=False)) == plain
    pq.write_table(pa.table({"x": array}), tmp_path / "x.parquet")
    out = io.BytesIO()
    with cells.stored_rows(tmp_path / "x.parquet", None) as stored:
        rows.write_csv(stored, out)
    assert len(list(csv.reader(io.StringIO(out.getvalue().decode())))) == len(array) + 1


def test_show_reads_no_more_than_it_prints(project: SampleProject, capsys: pytest.CaptureFixture[str]) -> None:
    with cells.stored_rows(project.root / ".rules" / "products" / "lines.parquet", 3) as stored:
        read = [batch.num_rows for batch in stored.batches]
    assert read == [3]
    assert main(["-C", str(project.root), "show", "lines", "-n", "3", "--format", "json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
