"""Timestamps: every function on every type as the engine by itself has it, but for what docs/semantics.md lists."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datafusion import SessionConfig, SessionContext

from compiler.errors import SqlError
from rules.config.profiles import PROFILES
from rules.engine.execute import open_frame
from rules.engine.protocol import EngineInput, EngineQuery
from rules.storage.types import stored_schema, to_schema
from support.compiling import TestCompiler
from support.direct import build, run
from support.projects import SampleProject

ROOT = Path(__file__).resolve().parents[2]
NOON = dt.datetime(2024, 2, 29, 12, 34, 56, 789012)
EARLY = dt.datetime(1969, 7, 20, 20, 17, 40, 1)
LAST, FIRST = dt.datetime(9999, 12, 31, 23, 59, 59, 999999), dt.datetime(1, 1, 1)
FORMATS = "'%Y-%m-%d %H:%M:%S%.f', '%Y-%m-%d'"

FUNCTIONS = [
    "to_timestamp({})",
    "to_timestamp_seconds({})",
    "to_timestamp_millis({})",
    "to_timestamp_micros({})",
    "to_timestamp_nanos({})",
    f"to_timestamp({{}}, {FORMATS})",
    f"to_timestamp_seconds({{}}, {FORMATS})",
    f"to_timestamp_millis({{}}, {FORMATS})",
    f"to_timestamp_micros({{}}, {FORMATS})",
    f"to_timestamp_nanos({{}}, {FORMATS})",
    "to_date({})",
    f"to_date({{}}, {FORMATS})",
    "to_unixtime({})",
    "from_unixtime({})",
    "from_unixtime({}, 'Europe/Berlin')",
    "to_char({}, '%Y-%m-%d')",
    "date_format({}, '%H:%M')",
    "to_local_time({})",
    "to_time({})",
    "date_trunc('month', {})",
    "date_trunc('hour', {})",
    "date_bin(INTERVAL '1 day', {})",
    "date_bin(INTERVAL '1 month', {})",
    "date_bin(INTERVAL '15 minutes', {}, TIMESTAMP '2001-01-01')",
    "date_part('year', {})",
    "EXTRACT(EPOCH FROM {})",
    "CAST({} AS TIMESTAMP)",
    "CAST({} AS TIMESTAMPTZ)",
    "CAST({} AS TIMESTAMP(3))",
    "TRY_CAST({} AS TIMESTAMP(6))",
    "CAST({} AS DATE)",
    "CAST({} AS TIME)",
    "CAST({} AS VARCHAR)",
    "CAST({} AS BIGINT)",
    "{} AT TIME ZONE 'Europe/Berlin'",
    "arrow_cast({}, 'Timestamp(Millisecond, None)')",
    "{} + INTERVAL '1 month'",
    "{} - INTERVAL '1 hour'",
    "{} > '2024-01-01'",
    "{} = TIMESTAMP '2024-02-29 12:34:56.789012'",
    "{} BETWEEN DATE '1960-01-01' AND '2024-03-01'",
    "date_trunc('day', to_timestamp({}))",
    "date_part('hour', to_timestamp({}))",
    "date_bin(INTERVAL '1 day', to_timestamp({}))",
    "to_timestamp({}) + INTERVAL '1 day'",
    "to_timestamp({}) < TIMESTAMP '2024-01-01'",
    "to_timestamp_millis({}) > now()",
    "date_part('hour', CAST({} AS TIMESTAMPTZ))",
    "coalesce(to_timestamp_micros({}), TIMESTAMP '2024-01-01')",
]


def _zoned(zone: str) -> list[Any]:
    return [one and one.replace(tzinfo=dt.UTC) for one in (NOON, None, EARLY)] if zone else [NOON, None, EARLY]


TYPES: dict[str, pa.Array] = {
    "int32": pa.array([1711846923, None, -14182940], pa.int32()),
    "int64": pa.array([1711846923, None, -14182940], pa.int64()),
    "uint32": pa.array([1711846923, None, 0], pa.uint32()),
    "float": pa.array([1711846923.5, None, -1.25], pa.float64()),
    "decimal": pa.array([Decimal("1711846923.500"), None, Decimal("-1.250")], pa.decimal128(20, 3)),
    "string": pa.array(["2024-02-29 12:34:56.789012", None, "1969-07-20"], pa.string()),
    "large string": pa.array(["2024-02-29 12:34:56.789012", None, "1969-07-20"], pa.large_string()),
    "zoned string": pa.array(["2024-02-29T12:34:56+02:00", None, "1969-07-20T00:00:00Z"], pa.string_view()),
    "date": pa.array([NOON.date(), None, EARLY.date()], pa.date32()),
    "date64": pa.array([NOON.date(), None, EARLY.date()], pa.date64()),
    **{
        f"timestamp {unit}{' ' if zone else ''}{zone}": pa.array(_zoned(zone), pa.timestamp("us", zone or None)).cast(
            pa.timestamp(unit, zone or None), safe=False
        )
        for unit in ("s", "ms", "us", "ns")
        for zone in ("", "UTC", "Europe/Berlin")
    },
    "null": pa.nulls(3, pa.string()),
}
LITERALS = [
    "0",
    "1711846923",
    "-1",
    "1.5",
    "CAST(1.5 AS DECIMAL(5, 1))",
    "DATE '2024-02-29'",
    "TIMESTAMP '2024-02-29 12:34:56.789012'",
    "'2024-02-29 12:34:56.789012'",
    "'2024-02-29T12:34:56+02:00'",
    "'1969-07-20'",
    "NULL",
    "arrow_cast('2024-02-29', 'LargeUtf8')",
    "arrow_cast('2024-02-29T00:00:00Z', 'Timestamp(Millisecond, Some(\"UTC\"))')",
]


def spelled(column: Any) -> tuple[str, list[str]]:
    """Return a result's type and values, strings of any layout alike."""
    kind = column.type
    if pa.types.is_string_view(kind) or pa.types.is_large_string(kind):
        kind = pa.string()
    plain = column
    if pa.types.is_temporal(kind):  # of any year, which Python's own are not
        plain = column.cast(pa.int32() if kind in {pa.date32(), pa.time32("s"), pa.time32("ms")} else pa.int64())
    return str(kind), [str(one) for one in plain.to_pylist()]


class Both:
    """The engine by itself, and a rule's way to it, over the same Parquet file."""

    def __init__(self, folder: Path, columns: dict[str, pa.Array]) -> None:
        """Name the columns c0, c1, …."""
        folder.mkdir(exist_ok=True)
        self.names = list(columns)
        self.file = folder / "t.parquet"
        pq.write_table(pa.table({f"c{place}": values for place, values in enumerate(columns.values())}), self.file)
        self.bare = SessionContext(SessionConfig().with_target_partitions(1))
        schema = stored_schema(pq.read_schema(self.file))
        self.bare.register_parquet("t", str(self.file), schema=schema)
        self.schema = to_schema(schema)
        self.compiler = TestCompiler({"t": schema})
        self.folder = folder

    def plainly(self, expressions: list[str]) -> list[Any] | None:
        """Return what the engine makes of expressions, None if it fails."""
        try:
            table = self.bare.sql(f"SELECT {_listed(expressions)} FROM t").to_arrow_table()
        except Exception:  # noqa: BLE001 — the engine raises what it likes
            return None
        if any(pa.types.is_interval(column.type) for column in table.columns):
            return None  # which no product holds
        return [spelled(column) for column in table.columns]

    def ruled(self, expressions: list[str]) -> list[Any] | None:
        """Return what a rule yields, None if it fails."""
        try:
            compiled = self.compiler.compile(f"SELECT {_listed(expressions)} FROM t")
            shown = EngineInput("t", (self.file,), self.schema, compiled.scans["t"])
            query = EngineQuery(compiled.sql, (shown,), PROFILES["prod_fast"])
            table = open_frame(query, self.folder).to_arrow_table()
        except Exception:  # noqa: BLE001 — the engine raises what it likes
            return None
        return [spelled(column) for column in table.columns]

    def differing(self, template: str, arguments: dict[str, str]) -> dict[str, tuple[Any, Any]]:
        """Return where a rule yields anything else than the engine, of what that can do, by argument."""
        known = {name: found for name, one in arguments.items() if (found := self.plainly([template.format(one)]))}
        ruled = self.ruled([template.format(arguments[name]) for name in known]) if known else []
        if ruled is None:  # one of them fails
            each = {name: self.ruled([template.format(arguments[name])]) for name in known}
        else:
            each = {name: [found] for name, found in zip(known, ruled, strict=True)}
        return {name: (known[name], each[name]) for name in known if known[name] != each[name]}


def _listed(expressions: list[str]) -> str:
    return ", ".join(f"{one} AS x{place}" for place, one in enumerate(expressions))


def listed_deviations() -> set[str]:
    """Return the expressions in the first column of the table in docs/semantics.md."""
    text = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
    section = text.split("\n## Timestamps\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"(?m)^\| `([^`]+)` \|", section))


def _is_zone_alone(found: tuple[Any, Any]) -> bool:
    """Whether a rule's timestamps only have the zone +00:00 beside those of the engine."""
    (there,), here = found
    return here is not None and there[1] == here[0][1] and here[0][0] == there[0].replace("]", ", tz=+00:00]")


FEW_TYPES = ("int64", "float", "string", "zoned string", "date", "timestamp ms", "timestamp us UTC", "timestamp ns")
FEW_LITERALS = ("1711846923", "'2024-02-29T12:34:56+02:00'", "NULL")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("types", "literals"), [(FEW_TYPES, FEW_LITERALS), pytest.param(TYPES, LITERALS, marks=pytest.mark.soak)]
)
def test_functions_on_types_are_as_the_engine_has_them(tmp_path: Path, types: Any, literals: Any) -> None:
    both = Both(tmp_path, {name: TYPES[name] for name in types})
    columns = {name: f"t.c{place}" for place, name in enumerate(types)}
    found: dict[str, dict[str, tuple[Any, Any]]] = {}
    for template in FUNCTIONS:
        found[template] = both.differing(template, columns | {one: one for one in literals})
    zoned = found.pop("CAST({} AS TIMESTAMPTZ)")
    assert zoned.keys() >= {"string", "date", "timestamp ms"}
    assert all(map(_is_zone_alone, zoned.values())), zoned
    assert {template: one for template, one in found.items() if one} == {}
    now = both.ruled(["now()", "current_timestamp", "current_date", "current_time"])
    assert now is not None
    assert [kind for kind, _ in now] == ["timestamp[ns, tz=+00:00]"] * 2 + ["date32[day]", "time64[ns]"]


# What is beyond nanoseconds, and what a rule makes of it where the engine by itself would do otherwise.
BEYOND: dict[str, pa.Array] = {
    "us": pa.array([LAST, FIRST], pa.timestamp("us")),
    "uz": pa.array([LAST.replace(tzinfo=dt.UTC), FIRST.replace(tzinfo=dt.UTC)], pa.timestamp("us", "UTC")),
    "ms": pa.array([LAST, FIRST], pa.timestamp("us")).cast(pa.timestamp("ms"), safe=False),
    "d": pa.array([LAST.date(), FIRST.date()], pa.date32()),
    "text": pa.array(["9999-12-31 23:59:59.999999", "0001-01-01"], pa.string()),
    "float": pa.array([253402300799.0, -62135596800.0], pa.float64()),
    "n": pa.array([NOON, EARLY], pa.timestamp("ns")),
}
# The first column of the table in docs/semantics.md, and a case of it.
LISTED = {
    "CAST(x AS TIMESTAMPTZ)": "CAST(t.c6 AS TIMESTAMPTZ)",
    "now()": "date_trunc('year', now())",
    "date_trunc('millisecond', c)": "date_trunc('millisecond', CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP(6)))",
    "date_bin(i, x)": "date_bin(INTERVAL '1 day', CAST('2000-01-01' AS TIMESTAMP(6)) + INTERVAL '5000 years')",
    "to_timestamp(x)": "to_timestamp(t.c5)",
    "TIMESTAMP '9999-12-31'": "TIMESTAMP '9999-12-31'",
    "to_timestamp('9999-12-31')": "to_timestamp('9999-12-31')",
    "x > '9999-12-31'": "t.c0 > '9999-12-31'",
    "x > d": "t.c0 > t.c3",
}


def test_each_listed_deviation_is_one_and_all_are_listed(tmp_path: Path) -> None:
    both = Both(tmp_path, BEYOND)
    assert listed_deviations() == LISTED.keys()
    for sql in LISTED.values():
        assert both.plainly([sql]) != both.ruled([sql]), sql


@pytest.mark.slow
def test_what_is_beyond_nanoseconds_is_never_another_value(tmp_path: Path) -> None:
    both = Both(tmp_path, BEYOND)
    columns = {name: f"t.c{place}" for place, name in enumerate(BEYOND)}
    found = {template: both.differing(template, columns) for template in FUNCTIONS}
    deviating = {(template, name): here for template, one in found.items() for name, (_, here) in one.items()}
    binned = {
        (template, name): None
        for template in FUNCTIONS
        if template.startswith("date_bin") and "to_timestamp" not in template
        for name in ("us", "ms")
    }
    casts = {key: here for key, here in deviating.items() if key[0] == "CAST({} AS TIMESTAMPTZ)"}
    floats = {
        (template, "float"): None for template in FUNCTIONS if "to_timestamp({})" in template and "+" not in template
    }
    left = {key: here for key, here in deviating.items() if key not in casts}
    assert left == {**binned, **floats}


COMPUTED = [
    ("x.us > '9999-01-01'", [True, False]),
    ("x.us < '0001-01-02' OR x.us = '9999-12-31 23:59:59.999999'", [True, True]),
    ("x.uz >= '9999-01-01'", [True, False]),
    ("x.us IN ('0001-01-01', '2024-01-01')", [False, True]),
    ("x.us BETWEEN '2024-01-01' AND '9999-12-31 23:59:59.999999'", [True, False]),
    ("x.us BETWEEN x.d AND '9999-12-31'", [False, True]),
    ("x.us = x.d", [False, True]),
    ("x.d < x.us", [True, False]),
    ("x.uz > x.d", [True, False]),
    ("x.ms IS NOT DISTINCT FROM x.d", [False, True]),
    ("x.us > now()", [True, False]),
    ("x.us > TIMESTAMP '9999-12-31'", [True, False]),
    ("x.us < TIMESTAMP '9999-12-31' - INTERVAL '1 day'", [False, True]),
    ("TIMESTAMP '9999-12-31'", [dt.datetime(9999, 12, 31)] * 2),
    ("TIMESTAMPTZ '9999-12-31'", [dt.datetime(9999, 12, 31, tzinfo=dt.UTC)] * 2),
    ("CAST('0001-01-01 00:00:00' AS TIMESTAMP)", [FIRST] * 2),
    ("to_timestamp('9999-12-31')", [dt.datetime(9999, 12, 31)] * 2),
    ("to_timestamp_seconds('9999-12-31T12:00:00')", [dt.datetime(9999, 12, 31, 12)] * 2),
    ("CAST(x.d AS TIMESTAMP(6))", [dt.datetime(9999, 12, 31), FIRST]),
    ("CAST(x.text AS TIMESTAMP(6))", [LAST, FIRST]),
    ("CAST(x.us AS DATE)", [LAST.date(), FIRST.date()]),
    ("CAST(x.us AS VARCHAR)", ["9999-12-31T23:59:59.999999", "0001-01-01T00:00:00"]),
    ("date_part('year', x.us)", [9999, 1]),
    ("date_trunc('day', x.us)", [dt.datetime(9999, 12, 31), FIRST]),
    ("x.us - INTERVAL '1 day' < x.us", [True, True]),
    ("coalesce(x.us, TIMESTAMP '9999-12-31')", [LAST, FIRST]),
    ("CASE WHEN x.us = $never THEN 'open' ELSE 'closed' END", ["open", "closed"]),
]
FAILING = [
    "CAST(x.us AS TIMESTAMP)",
    "CAST(x.d AS TIMESTAMP)",
    "CAST(x.text AS TIMESTAMP)",
    "to_timestamp(x.text)",
    "date_trunc('month', x.us)",
    "date_trunc('day', x.d)",
    "date_bin(INTERVAL '1 day', x.us)",
    "to_timestamp(x.f)",
    "x.us > x.n",
    "x.us = x.n",
    "coalesce(x.us, x.n)",
    "x.n + INTERVAL '400 years'",
    "x.d > x.n",
    "x.us - x.n",
    "TIMESTAMP '9999-12-31 23:59:59.999999999'",
    "greatest(x.n, TIMESTAMP '9999-12-31')",
    "now() + INTERVAL '300 years'",
    "to_unixtime(x.text)",
    "make_array(x.us, x.n)",
    "x.text > TIMESTAMP '2024-01-01'",
]


@pytest.mark.parametrize("deprecated", [False, True], ids=["us", "int96"])
def test_values_beyond_nanoseconds_in_rules(tmp_path: Path, deprecated: bool) -> None:
    project = SampleProject(tmp_path, sources=["x"], toml="\n[vars]\nnever = 9999-12-31T23:59:59.999999\n")
    columns = {"us": BEYOND["us"], "uz": BEYOND["uz"], "ms": BEYOND["ms"], "d": BEYOND["d"], "text": BEYOND["text"]}
    columns |= {"f": BEYOND["float"], "n": BEYOND["n"]}
    project.parquet("x", columns)
    if deprecated:
        project.parquet(
            "x",
            {name: values for name, values in columns.items() if name != "ms"}
            | {"ms": columns["us"].cast("timestamp[ms]", safe=False)},
        )
        old = pa.table({"us": columns["us"]})
        pq.write_table(old, tmp_path / "data" / "old.parquet", use_deprecated_int96_timestamps=True)
        project.edit("rules.toml", "[vars]", '[sources.old]\npath = "data/old.parquet"\n[vars]')
    cases = COMPUTED if not deprecated else [(sql, values) for sql, values in COMPUTED if "x.us" in sql]
    read = "x" if not deprecated else "(SELECT o.us, y.uz, y.ms, y.d FROM old AS o JOIN x AS y ON o.us = y.us) AS x"
    outputs = ",\n  ".join(f"{sql} AS c{place}" for place, (sql, _) in enumerate(cases))
    project.sql(
        "right", f"-- /// rule\n-- volatile = true\n-- ///\nSELECT\n  {outputs}\nFROM {read} ORDER BY x.us DESC"
    )
    build(tmp_path)
    found = project.product("right")
    assert {sql: found.column(f"c{place}").to_pylist() for place, (sql, _) in enumerate(cases)} == dict(cases)


def test_what_does_not_fit_fails_at_its_place(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["x"])
    columns = {"us": BEYOND["us"], "d": BEYOND["d"], "text": BEYOND["text"], "f": BEYOND["float"], "n": BEYOND["n"]}
    project.parquet("x", columns)
    for place, sql in enumerate(FAILING):
        project.sql(f"r{place}", f"-- /// rule\n-- volatile = true\n-- ///\nSELECT x.d,\n  {sql} AS v\nFROM x")
    document = build(tmp_path, "--keep-going", expect=1)
    told = {one["name"]: one for one in document["products"]}
    for place, sql in enumerate(FAILING):
        one = told[f"r{place}"]
        assert one["status"] == "failed", sql
        assert re.match(rf"rules/r{place}\.sql:5:\d+$", one["error"]["where"]), (sql, one["error"])
        assert "nanoseconds" in one["reason"] or "microseconds" in one["reason"], (sql, one["reason"])
        assert "DataFusion" not in str(one), sql
        hint = one["error"].get("hint") or ""
        assert ("CAST(… AS DATE) is the day" in hint) == sql.startswith(("date_trunc", "date_bin")), (sql, hint)


def test_int96_of_ordinary_years_stays_in_nanoseconds(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["x"])
    target = project.root / "data" / "x.parquet"
    target.parent.mkdir()

    def put(values: list[Any], unit: str) -> None:
        pq.write_table(
            pa.table({"a": pa.array(values, pa.timestamp(unit))}), target, use_deprecated_int96_timestamps=True
        )

    project.sql("p", "SELECT x.a FROM x")
    project.sql("q", "SELECT MIN(x.a) AS first, MAX(x.a) AS last FROM x WHERE x.a IS NOT NULL")
    put([1711846923123456789, None], "ns")
    build(tmp_path)
    assert str(project.product("p").schema.field("a").type) == "timestamp[ns]"
    assert project.product("p").column("a").cast(pa.int64()).to_pylist() == [1711846923123456789, None]
    put([LAST, None, FIRST, NOON], "us")
    build(tmp_path)
    assert project.product("p").to_pydict() == {"a": [LAST, None, FIRST, NOON]}
    assert project.product("q").to_pylist() == [{"first": FIRST, "last": LAST}]
    table = pa.table({"a": pa.array([[LAST], []], pa.list_(pa.timestamp("us")))})
    pq.write_table(table, target, use_deprecated_int96_timestamps=True)
    (project.root / "rules" / "q.sql").unlink()
    build(tmp_path)
    assert project.product("p").column("a").to_pylist() == [[LAST], []]


def test_int96_of_both_kinds_is_an_error_at_its_column(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["x"], toml="")
    project.edit("rules.toml", "data/x.parquet", "data/x")
    (tmp_path / "data" / "x").mkdir(parents=True)
    for name, values, unit in (("1", [1711846923123456789], "ns"), ("2", [LAST], "us")):
        table = pa.table({"a": pa.array(values, pa.timestamp(unit))})
        pq.write_table(table, tmp_path / "data" / "x" / f"{name}.parquet", use_deprecated_int96_timestamps=True)
    project.sql("p", "SELECT x.a FROM x")
    error = build(tmp_path, expect=1)["error"]
    assert "column 'a' (INT96)" in error["message"]
    assert error["where"] == "data/x/2.parquet"


def test_which_fingerprints_move() -> None:
    compiler = TestCompiler(
        {"t": pa.schema([("i", pa.int64()), ("us", pa.timestamp("us")), ("n", pa.timestamp("ns"))])}
    )

    def execution(sql: str) -> Any:
        return compiler.compile(f"SELECT {sql} AS v FROM t").parts["execution"]

    plain = execution("t.i")
    unmoved = [
        "CAST('2024-01-01' AS TIMESTAMP)",
        "now()",
        "date_trunc('day', t.us)",
        "t.us > '9999-01-01'",
        "from_unixtime(t.i)",
        "date_bin(INTERVAL '1 day', t.n)",
        "to_unixtime(t.us)",
        "to_date('2024-01-01')",
    ]
    for same in unmoved:
        assert execution(same) == plain
    assert execution("to_timestamp(t.i)") == [plain, "to-timestamp"]
    assert execution("to_timestamp_micros(t.i)") == [plain, "to-timestamp"]
    assert execution("date_bin(INTERVAL '1 day', t.us)") == [plain, "date-bin"]


def test_a_rule_can_read_text_as_timestamps(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["x"])
    project.parquet("x", {"s": ["2024-01-01 10:00:00", "2024-02-01T00:00:00Z", None], "id": [1, 2, 3]})
    project.sql("p", "SELECT to_timestamp(x.s) AS a, to_timestamp_seconds(x.s) AS b FROM x ORDER BY x.id")
    project.sql("q", "SELECT date_trunc('month', p.a) AS m, COUNT(*) AS n FROM p GROUP BY m ORDER BY m")
    build(tmp_path)
    first, second = dt.datetime(2024, 1, 1, 10), dt.datetime(2024, 2, 1)
    assert project.product("p").to_pydict() == {"a": [first, second, None], "b": [first, second, None]}
    assert project.product("q").column("m").to_pylist() == [dt.datetime(2024, 1, 1), second, None]
    assert run(tmp_path, "check")["findings"] == []


def test_the_compiler_refuses_digits_that_would_be_lost() -> None:
    compiler = TestCompiler({"t": pa.schema([("us", pa.timestamp("us"))])})
    with pytest.raises(SqlError, match="digits beyond microseconds") as raised:
        compiler.compile("SELECT t.us\nFROM t WHERE t.us < TIMESTAMP '9999-12-31 23:59:59.999999999'")
    assert raised.value.line == 2


def test_date_bin_of_microseconds_groups_and_filters(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["x"])
    moments = [NOON, NOON + dt.timedelta(minutes=1), EARLY, None]
    project.parquet("x", {"us": pa.array(moments, pa.timestamp("us")), "v": [1, 2, 3, 4]})
    bins = "date_bin(INTERVAL '15 minutes', x.us)"
    project.sql(
        "p", f"SELECT {bins} AS b, SUM(x.v) AS v FROM x WHERE {bins} IS NOT NULL GROUP BY {bins} ORDER BY {bins}"
    )
    project.sql("q", f"SELECT x.v, SUM(x.v) OVER (PARTITION BY {bins}) AS s FROM x ORDER BY x.v")
    build(tmp_path)
    assert project.product("p").to_pylist() == [
        {"b": dt.datetime(1969, 7, 20, 20, 15), "v": 3}, {"b": dt.datetime(2024, 2, 29, 12, 30), "v": 3},
    ]  # fmt: skip
    assert project.product("q").column("s").to_pylist() == [3, 3, 3, 4]


def test_nan_is_no_moment_and_dates_in_milliseconds_do_not_wrap(tmp_path: Path) -> None:
    project = SampleProject(tmp_path, sources=["x"])
    project.parquet("x", {"d": BEYOND["d"].cast(pa.date64()), "id": [1, 2]})
    project.edit("rules.toml", "[sources.x]", '[sources.y]\npath = "data/y.parquet"\n[sources.x]')
    project.parquet("y", {"f": [1.5, float("nan"), 2.5]})
    project.sql("p", "SELECT TRY_CAST(x.d AS TIMESTAMP) AS t, CAST(x.d AS TIMESTAMP(3)) AS u FROM x ORDER BY x.id")
    project.sql("q", "SELECT\n  to_timestamp(y.f) AS t\nFROM y")
    document = build(tmp_path, "--keep-going", expect=1)
    assert project.product("p").column("t").to_pylist() == [None, None]
    assert project.product("p").column("u").to_pylist() == [dt.datetime(9999, 12, 31), FIRST]
    (failed,) = [one for one in document["products"] if one["name"] == "q"]
    assert failed["error"]["where"] == "rules/q.sql:2:3"


CONSTANTS = [
    "CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP(6))",
    "CAST('1969-12-31 23:59:59.999' AS TIMESTAMP(3))",
    "TIMESTAMP '1900-03-01 23:59:59.000000001'",
    "TIMESTAMP '2024-05-05 13:14:15.987654321'",
    "arrow_cast('1969-12-31 23:59:59.999999', 'Timestamp(Microsecond, Some(\"+00:00\"))')",
    "CAST(NULL AS TIMESTAMP)",
]
ARGUMENTS = {
    "alone": "{}",
    "computed": "{} - INTERVAL '1 day'",
    "of a derived table": "(SELECT q.x FROM (SELECT {} AS x) AS q)",
}


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("rows", [1, 2])
def test_single_values_are_truncated_downwards(tmp_path: Path, argument: str, rows: int) -> None:
    """As constants, and as columns of one value, which the engine may take for constants."""
    given = [ARGUMENTS[argument].format(one) for one in CONSTANTS]
    session = SessionContext(SessionConfig().with_target_partitions(1))
    once = session.sql(f"SELECT {_listed(given)}").to_arrow_table().combine_chunks()
    later = [pa.array([dt.datetime(2030, 1, 1)] * 2, pa.timestamp("us")).cast(one.type) for one in once.columns]
    varied = {
        name: pa.concat_arrays([once[name].chunk(0), later[place]]) for place, name in enumerate(once.column_names)
    }
    plain = Both(tmp_path / "plain", varied)
    both = Both(tmp_path / "both", {name: pa.concat_arrays([once[name].chunk(0)] * rows) for name in once.column_names})
    columns = [f"t.c{place}" for place in range(len(given))]
    for unit in ("millisecond", "MICROSECOND", "second"):
        listed = plain.plainly([f"date_trunc('{unit}', {one})" for one in columns])
        assert listed is not None
        wanted = [(kind, values[:1] * rows) for kind, values in listed]
        for expressions in (given, columns):
            assert both.ruled([f"date_trunc('{unit}', {one})" for one in expressions]) == wanted, unit


def test_a_third_argument_is_refused_at_its_place(tmp_path: Path) -> None:
    project = SampleProject(tmp_path / "project")
    project.sql("p", "SELECT\n  date_trunc('millisecond', TIMESTAMP '2024-01-01', 'UTC') AS x")
    error = project.json("build", expect=1)["error"]
    assert error["code"] != "internal"
    assert error["where"].startswith("rules/p.sql")
