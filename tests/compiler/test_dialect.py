"""What is rendered must mean to the engine what the author wrote: every case runs on the real engine, three times."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import threading
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import datafusion
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from compiler.errors import SqlError
from compiler.sql import catalogue, functions
from compiler.sql.dialect import DIALECT, parse, render, variable_name
from compiler.tree.big_stack import RECURSION_LIMIT, with_deep_stack

ROOT = Path(__file__).resolve().parents[2]
CASES_FILE = ROOT / "fixtures" / "sql" / "dialect.sql"
Result = tuple[list[tuple[str, str]], str]


def _cases() -> dict[str, str]:
    parts = re.split(r"(?m)^-- (?=[a-z0-9-]+$)", CASES_FILE.read_text(encoding="utf-8"))[1:]
    pairs = [part.split("\n", 1) for part in parts]
    assert len({name for name, _ in pairs}) == len(pairs), "two cases have the same name"
    return {name: sql.strip().rstrip(";") for name, sql in pairs}


CASES = _cases()


def _tables() -> dict[str, pa.Table]:
    times = [datetime(2024, 1, 1, 10, 11, 12, 123456), None, datetime(2024, 2, 29), datetime(1969, 12, 31, 23, 59, 59)]
    times += [datetime(2024, 7, 1), datetime(2030, 6, 1, 1, 2, 3)]
    amounts = [None if text is None else Decimal(text) for text in ("1.50", "-2.25", None, "0.00", "100.10", "3.33")]
    structs = [{"a": 1, "b": "x"}, {"a": None, "b": "y"}, {"a": 3, "b": "v"}, {"a": 4, "b": None}, {"a": 5, "b": "z"}]
    return {
        "t": pa.table(
            {
                "id": pa.array([1, 2, 3, 4, 5, 6], pa.int64()),
                "k": ["a", "b", "a", None, "abc", "A"],
                "x": pa.array([1.5, -0.0, float("nan"), None, 2.0, 1e308], pa.float64()),
                "b": [True, False, None, True, False, None],
                "d": [
                    date(2024, 1, 1),
                    date(2024, 1, 31),
                    None,
                    date(2024, 2, 29),
                    date(1969, 12, 31),
                    date(2024, 1, 1),
                ],
                "ts": pa.array(times, pa.timestamp("us")),
                "tz": pa.array(times, pa.timestamp("us", "UTC")),
                "amount": pa.array(amounts, pa.decimal128(12, 2)),
                "l": pa.array([[1, 2, 3], [], None, [4, None], [2, 2, 1], [7]], pa.list_(pa.int64())),
                "st": pa.array([*structs, {"a": 6, "b": "w"}], pa.struct([("a", pa.int32()), ("b", pa.string())])),
                "m": pa.array(
                    [[("p", 1)], [("q", 2), ("p", 3)], [], [("r", None)], [("p", 5)], [("s", 6)]],
                    pa.map_(pa.string(), pa.int64()),
                ),
            }
        ),
        "u": pa.table(
            {
                "k": ["a", "b", "zz", None, "a"],
                "w": pa.array([1, 2, 3, 4, 5], pa.int64()),
                "name": ["Anna", "Bob", "Zoe", "Nil", "Ann"],
            }
        ),
        "u2": pa.table({"id": pa.array([7, 8], pa.int64()), "k": ["p", "q"]}),
        "odd": pa.table({"Mixed": [1, 2], "mixed": ["x", "y"]}),
    }


class Engine:
    """One session that knows every table twice: plainly, and in the schema `rules` for the qualified form."""

    def __init__(self) -> None:
        self.context = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(1))
        self.schema = MappingSchema(dialect=DIALECT, normalize=False)
        self.context.sql("CREATE SCHEMA rules").collect()
        for name, table in _tables().items():
            self.context.from_arrow(table, name)
            self.context.sql(f"CREATE TABLE rules.{name} AS SELECT * FROM {name}").collect()
            columns = dict.fromkeys(table.schema.names, "UNKNOWN")
            target = exp.table_(name, db="rules", quoted=True)
            self.schema.add_table(target, columns, dialect=DIALECT, normalize=False, match_depth=False)

    def run(self, sql: str) -> Result:
        """Return (names and types, rows); rows as text, which tells NaN from NULL and -0.0 from 0.0."""
        frame = self.context.sql(sql)
        batches = frame.collect()
        rows = pa.Table.from_batches(batches).to_pylist() if batches else []
        columns = [(field.name, str(field.type)) for field in frame.schema()]
        return columns, repr([list(row.values()) for row in rows])

    def qualified(self, sql: str) -> str:
        return render(qualify(parse(sql), dialect=DIALECT, schema=self.schema, db="rules", identify=True))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 150


@pytest.mark.parametrize("name", CASES)
def test_rendered_and_qualified_forms_run_as_written(engine: Engine, name: str) -> None:
    authored = engine.run(CASES[name])
    assert engine.run(render(parse(CASES[name]))) == authored
    assert engine.run(engine.qualified(CASES[name])) == authored


@pytest.mark.parametrize("name", CASES)
def test_rendering_settles_at_once(name: str) -> None:
    rendered = render(parse(CASES[name]))
    assert render(parse(rendered)) == rendered
    assert render(parse(render(parse(CASES[name]), pretty=True))) == rendered


# Where the qualified form means something else than the same text means to the engine, on purpose: the engine is wrong
# by the SQL standard, and what is executed is always the qualified form. (sql, its rows, the engine's own rows)
DEVIATIONS = {
    # The standard: COALESCE(t.k, u.k). The engine: t.k.
    "SELECT k FROM t RIGHT JOIN u USING (k) ORDER BY k": (
        "[['a'], ['a'], ['a'], ['a'], ['b'], ['zz'], [None]]",
        "[['a'], ['a'], ['a'], ['a'], ['b'], [None], [None]]",
    ),
    "SELECT DISTINCT k FROM t FULL JOIN u USING (k) ORDER BY k": (
        "[['A'], ['a'], ['abc'], ['b'], ['zz'], [None]]",
        "[['A'], ['a'], ['abc'], ['b'], [None]]",
    ),
    # The engine's parser takes AND and OR into the right side of IS [NOT] DISTINCT FROM.
    "SELECT TRUE IS DISTINCT FROM TRUE AND FALSE AS a": ("[[False]]", "[[True]]"),
    "SELECT FALSE IS NOT DISTINCT FROM FALSE OR TRUE AS a": ("[[True]]", "[[False]]"),
}


@pytest.mark.parametrize("sql", DEVIATIONS)
def test_deviations_follow_the_standard(engine: Engine, sql: str) -> None:
    ours, engines = DEVIATIONS[sql]
    assert engine.run(engine.qualified(sql))[1] == ours
    assert engine.run(sql)[1] == engines, "the engine changed its mind: is this still a deviation?"


# What cannot be carried through, with the reason and where the error must point. (line, column, part of the message)
REJECTED = {
    # no query, or more than one
    "": (1, 1, "no query"),
    "  -- only a comment": (1, 1, "no query"),
    ";": (1, 1, "no query"),
    "SELECT 1;\nSELECT 2": (1, 9, "second statement"),
    "CREATE TABLE z AS SELECT 1": (1, 1, "CREATE does not start"),
    "INSERT INTO t VALUES (1)": (1, 1, "INSERT"),
    "UPDATE t SET id = 1": (1, 1, "UPDATE"),
    "DELETE FROM t": (1, 1, "DELETE"),
    "EXPLAIN SELECT 1": (1, 1, "EXPLAIN"),
    "SET x = 1": (1, 1, "SET"),
    "SHOW TABLES": (1, 1, "SHOW"),
    "COPY t TO 'x.csv'": (1, 1, "COPY"),
    "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a": (1, 1, "not a query"),
    # SQL that does not parse: place and one line, no escape codes
    "SELECT id\nFROM t\nWHERE id = ": (3, 10, "expected an expression after ="),
    "SELECT id) FROM t": (1, 10, "unexpected )"),
    "SELECT (id FROM t": (1, 12, ")"),
    "SELECT id FROM": (1, 11, "expected table name"),
    "SELECT 'abc": (1, 8, "never closed"),
    'SELECT id,\n  "abc': (2, 3, "never closed"),
    "SELECT id /* x": (1, 11, "never closed"),
    "SELECT substring('abc' FROM 2": (1, 29, "expected )"),
    "SELECT CAST(1 AS INT": (1, 18, "expected )"),
    # the engine reads it without a word as something else than it says
    "SELECT 'a' 'b'": (1, 12, "adjacent string literals"),  # the second is taken for an alias
    "SELECT 1_000": (1, 8, "not a number"),  # 1 AS _000
    "SELECT 1.5e": (1, 8, "not a number"),  # 1.5 AS e
    "SELECT 10L": (1, 8, "not a number"),
    "SELECT id FROM t TABLESAMPLE (10)": (1, 31, "TABLESAMPLE"),  # ignored
    "SELECT id FROM t FOR UPDATE": (1, 8, "FOR UPDATE"),  # ignored
    "SELECT * ILIKE 'i%' FROM t": (1, 16, "ILIKE"),  # ignored
    "SELECT sum(id) OVER (w ORDER BY id) AS s FROM t WINDOW w AS (PARTITION BY k)": (1, 35, "extends"),  # w is dropped
    "SELECT sum(id) OVER (w) AS s FROM t WINDOW w AS (PARTITION BY k)": (1, 23, "extends"),  # w is dropped
    "SELECT id FROM t CONNECT BY id = id": (1, 29, "CONNECT BY"),  # ignored
    "FROM t": (1, 6, "SELECT list"),  # a query without columns
    # the engine drops the time of day, and yields midnight
    "SELECT to_timestamp(s, '%Y-%m-%d %H') AS a FROM t": (1, 24, "midnight"),
    "SELECT to_timestamp_millis(s, '%Y-%m-%d %H:%M', '%Y %I') AS a FROM t": (1, 49, "midnight"),
    "SELECT to_timestamp(s, '%Y %I:%M') AS a FROM t": (1, 24, "no whole hour"),
    # the engine has it, SQLGlot would change its meaning
    "SELECT MAP {'a': 1}": (1, 8, "MAP {"),
    "SELECT\n1 AS a, $q$it's $$": (2, 9, "the $q$ here is never closed"),
    "SELECT $ abc": (1, 8, "variable"),
    "SELECT E'\\x41'": (1, 8, "escape"),
    "SELECT a <=> 1": (1, 10, "IS NOT DISTINCT FROM"),
    "SELECT k ~~ 'a%' FROM t": (1, 10, "LIKE"),
    "SELECT id FROM t GROUP BY id WITH ROLLUP": (1, 27, "WITH ROLLUP"),
    "SELECT count(t.*) FROM t": (1, 14, "SELECT list"),
    "SELECT max(first_value(id) IGNORE NULLS) OVER () FROM t": (1, 42, "nested"),
    # the engine cannot run it, which would show only when the rule is executed
    "SELECT u.x FROM t, UNNEST(t.l) AS u(x)": (1, 27, "UNNEST"),
    "SELECT * FROM UNNEST([1, 2])": (1, 23, "column names"),  # the engine's name for the column is an expression
    "SELECT id FROM t FETCH FIRST 2 ROWS ONLY": (1, 30, "FETCH"),
    "SELECT CAST(1 AS JSON)": (1, 18, "no type JSON"),
    "SELECT CAST(1 AS UUID)": (1, 18, "no type UUID"),
    "SELECT CAST('2024-01-01' AS DATETIME)": (1, 29, "no type DATETIME"),
    "SELECT INTERVAL '1-2' YEAR TO MONTH": (1, 28, "interval spans"),
    "SELECT INTERVAL '1' QUARTER": (1, 21, "intervals in QUARTER"),
    "SELECT * FROM t PIVOT (sum(id) FOR k IN ('a'))": (1, 24, "PIVOT"),
    "SELECT id FROM t WHERE id = ?": (1, 27, "expected an expression after ="),
    "SELECT public.abs(id) FROM t": (1, 8, "schema"),
    "SELECT * FROM abs(1)": (1, 15, "generate_series"),
    "WITH a AS MATERIALIZED (SELECT 1 AS x) SELECT x FROM a": (1, 6, "MATERIALIZED"),
    "WITH a AS NOT MATERIALIZED (SELECT 1 AS x) SELECT x FROM a": (1, 6, "MATERIALIZED"),
}


@pytest.mark.parametrize("sql", REJECTED)
def test_rejected_with_a_place(sql: str) -> None:
    line, column, part = REJECTED[sql]
    with pytest.raises(SqlError) as caught:
        parse(sql)
    error = caught.value
    assert part in error.message
    assert (error.line, error.column) == (line, column), error.message
    assert "\n" not in error.message
    assert "\x1b" not in error.message


def test_every_error_about_unsupported_sql_has_an_own_code() -> None:
    with pytest.raises(SqlError) as caught:
        parse("SELECT id FROM t TABLESAMPLE (10)")
    assert caught.value.code == "unsupported"
    assert caught.value.hint == "the engine ignores it; filter with WHERE"


# Operators: text without parentheses must group as the engine groups it.

_NUMBERS = st.sampled_from(["1", "2", "3", "7", "id", "-id", "NULL", "5", "(id)", "w", "- 2", "id::BIGINT", "-w::INT"])
_ARITHMETIC = st.sampled_from(["+", "-", "*", "&", "|", "^", "<<", ">>"])
_COMPARE = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
_TESTS = st.sampled_from(
    ["IN (1, 2)", "NOT IN (1, 5)", "BETWEEN 1 AND 1 + 2", "NOT BETWEEN 1 AND 3", "IS NULL", "IS NOT NULL"]
)
_TRUTH = st.sampled_from(
    ["", " IS TRUE", " IS NOT FALSE", " IS NULL", " IS NOT NULL", " IN (TRUE)", " NOT IN (TRUE)", " = TRUE"]
)
_JOIN = st.sampled_from(["AND", "OR"])
_NOT = st.sampled_from(["", "", "NOT "])


@st.composite
def _arithmetic(draw: st.DrawFn) -> str:
    parts = [draw(_NUMBERS)]
    for _ in range(draw(st.integers(0, 3))):
        parts += [draw(_ARITHMETIC), draw(_NUMBERS)]
    return " ".join(parts)


@st.composite
def _condition(draw: st.DrawFn) -> str:
    parts: list[str] = []
    for number in range(draw(st.integers(1, 4))):
        compared = st.builds("{} {} {}".format, _arithmetic(), _COMPARE, _arithmetic())
        tested = st.builds("{} {}".format, _arithmetic(), _TESTS)
        text = draw(st.one_of(compared, tested, st.sampled_from(["b", "TRUE", "k LIKE 'a%'", "k NOT LIKE k || '%'"])))
        parts += [draw(_JOIN)] if number else []
        parts.append(f"{draw(_NOT)}{text}{draw(_TRUTH)}")
    return " ".join(parts)


_OPERATORS = (exp.Binary, exp.Unary, exp.Between, exp.In, exp.Cast)


def _parenthesised(tree: exp.Expr) -> exp.Expr:
    """Put every operator of `tree` in parentheses, so that its grouping no longer depends on any precedence."""
    for node in reversed(list(tree.walk())):
        if isinstance(node, _OPERATORS) and node.parent is not None and not isinstance(node.parent, exp.Paren):
            paren = exp.Paren()
            node.replace(paren)
            paren.set("this", node)
    return tree


@pytest.mark.slow
@settings(max_examples=100)
@given(text=st.one_of(_condition(), _arithmetic()))
def test_operators_group_as_the_engine_groups_them(engine: Engine, text: str) -> None:
    require_grouping(engine, text)


@pytest.mark.soak
@settings(max_examples=5000)
@given(text=st.one_of(_condition(), _arithmetic()))
def test_operators_group_as_the_engine_groups_them_in_many_terms(engine: Engine, text: str) -> None:
    require_grouping(engine, text)


def require_grouping(engine: Engine, text: str) -> None:
    sql = f"SELECT {text} AS v FROM t CROSS JOIN u ORDER BY id, w"
    try:
        authored = engine.run(sql)
    except Exception:  # noqa: BLE001 — a type error of the engine: nothing to compare with
        return
    tree = parse(sql)
    assert engine.run(render(tree)) == authored
    assert engine.run(render(_parenthesised(tree))) == authored


# The catalogue of functions.


def _generator() -> Any:
    path = ROOT / "fixtures" / "make_functions.py"
    spec = importlib.util.spec_from_file_location("make_functions", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_catalogue_is_what_the_engine_says() -> None:
    assert Path(catalogue.__file__).read_text(encoding="utf-8") == _generator().source()
    installed = {key: set(names.split()) for key, names in catalogue.FUNCTIONS.items()}
    assert installed == _generator().catalogue()


def test_catalogue_holds_what_the_session_registers() -> None:
    context = datafusion.SessionContext()
    registered = {*context.udfs(), *context.udafs(), *context.udwfs()}
    assert registered <= set(functions.functions())


@pytest.mark.parametrize("name", sorted(functions.functions()))
def test_every_call_keeps_its_name_and_kind(name: str) -> None:
    kinds = functions.functions()[name].kinds
    tree = parse(f"SELECT {name.upper()}(a) AS c FROM t")
    call = tree.selects[0].this
    sugar = {"trim": "btrim"}
    assert functions.function_name(call) == sugar.get(name, name)
    assert isinstance(call, exp.AggFunc) == ("aggregate" in kinds)
    assert isinstance(call, exp.SET_RETURNING_FUNCTIONS) == (name == "unnest")
    assert repr(parse(render(tree))) == repr(tree)


def test_unknown_functions_stay_as_written_and_count_as_anything() -> None:
    tree = parse('SELECT my_Udf(id, 1) AS a, "Quoted"(id) AS b FROM t')
    assert render(tree) == 'SELECT my_Udf(id, 1) AS a, "Quoted"(id) AS b FROM t'
    for call in tree.find_all(exp.Anonymous):
        assert isinstance(call, exp.SET_RETURNING_FUNCTIONS)
        assert functions.is_volatile(call)
        assert functions.lookup(functions.function_name(call) or "") is None


@pytest.mark.parametrize(
    "name", ["random", "rand", "uuid", "now", "current_date", "current_timestamp", "current_time", "today"]
)
def test_what_changes_between_runs_is_volatile(name: str) -> None:
    assert functions.is_volatile(parse(f"SELECT {name}() AS a").selects[0].this)


@pytest.mark.parametrize("word", ["CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"])
def test_volatile_words_without_parentheses(word: str) -> None:
    assert functions.is_volatile(parse(f"SELECT {word} AS a").selects[0].this)


def test_nothing_else_in_the_cases_is_volatile() -> None:
    expected = {"stable-functions", "volatile-functions"}
    volatile = {name for name in CASES if any(functions.is_volatile(node) for node in parse(CASES[name]).walk())}
    assert volatile == expected


def test_suggestions() -> None:
    assert functions.suggest("array_lenght") == "array_length"
    assert functions.suggest("SUMM") == "sum"
    assert functions.suggest("rount") == "round"
    assert functions.suggest("zzzzzz") is None


@pytest.mark.parametrize(
    ("sql", "dependent"),
    [
        ("sum(x)", False),
        ("count(*)", False),
        ("min(x)", False),
        ("array_agg(k)", True),
        ("array_agg(k ORDER BY id)", True),
        ("array_agg(k ORDER BY k)", False),
        ("array_agg(DISTINCT k ORDER BY k)", False),
        ("string_agg(k, ',' ORDER BY k)", False),
        ("string_agg(k, ',' ORDER BY id)", True),
        ("first_value(id ORDER BY id)", False),
        ("first_value(k ORDER BY id)", True),
        ("first_value(k ORDER BY id) IGNORE NULLS", True),
        ("any_value(k)", True),
        ("approx_median(id)", True),
        ("array_agg(k) FILTER (WHERE b)", True),
        ("row_number() OVER (ORDER BY k)", True),
        ("rank() OVER (ORDER BY k)", False),
        ("lag(id) OVER (ORDER BY k)", True),
        ("abs(x)", False),
    ],
)
def test_order_dependence(sql: str, dependent: bool) -> None:
    assert functions.is_order_dependent(parse(f"SELECT {sql} AS a FROM t").selects[0].this) is dependent


def test_order_dependence_is_real(engine: Engine) -> None:
    """The aggregates called order-dependent are so: two orders of the same rows give two values."""
    values = "array_agg(k) AS a, first_value(id) AS b, string_agg(k, ',') AS c"
    up = f"SELECT {values} FROM (SELECT * FROM t ORDER BY id LIMIT 9) AS q"
    down = f"SELECT {values} FROM (SELECT * FROM t ORDER BY id DESC LIMIT 9) AS q"
    assert engine.run(up) != engine.run(down)


def test_float_sensitivity() -> None:
    sensitive = {"sum", "avg", "mean", "stddev", "var_pop", "corr", "covar_samp", "regr_slope", "AVG"}
    assert all(functions.is_float_sensitive(name) for name in sensitive)
    assert not any(functions.is_float_sensitive(name) for name in ("count", "min", "max", "array_agg", "regr_count"))


# Variables, depth of nesting, what is imported.


def test_variables_keep_their_name() -> None:
    tree = parse("SELECT id FROM t WHERE id >= $min_distance AND x < $MaxX * 2")
    assert [name for node in tree.walk() if (name := variable_name(node))] == ["min_distance", "MaxX"]
    assert render(tree) == "SELECT id FROM t WHERE id >= $min_distance AND x < $MaxX * 2"
    assert render(parse("SELECT $a+$b, f($a,$b), $a /* $a$ */")) == "SELECT $a + $b, f($a, $b), $a"


def test_variables_bind_as_the_engine_binds_them(engine: Engine) -> None:
    sql = "SELECT id FROM t WHERE id >= $low ORDER BY id"
    frame = engine.context.sql(render(parse(sql)), param_values={"low": 5})
    assert [row["id"] for row in frame.to_pylist()] == [5, 6]


def test_comments_are_not_rendered() -> None:
    assert render(parse("SELECT /* a */ id -- b\nFROM t /* c */")) == "SELECT id FROM t"


def test_a_comment_may_be_within_a_keyword_of_two_words() -> None:
    plain = "SELECT SUM(n) OVER (PARTITION BY g) AS s FROM t WHERE s SIMILAR TO 'a' GROUP BY n, g ORDER BY n"
    for words in ("PARTITION BY", "GROUP BY", "ORDER BY", "SIMILAR TO"):
        first, second = words.split()
        for between in (" /* a */ ", " -- a\n", "/* a */ -- b\n /* c */"):
            assert render(parse(plain.replace(words, f"{first}{between}{second}"))) == render(parse(plain))
    assert render(parse('SELECT t.group AS "order" /* a */ FROM t')) == 'SELECT t.group AS "order" FROM t'
    with pytest.raises(SqlError, match="unexpected BY"):
        parse('SELECT n FROM t "GROUP" /* a */ BY n')


NESTED = {
    "parentheses": lambda n: f"SELECT {'(' * n}1{')' * n} AS a",
    "calls": lambda n: f"SELECT {'abs(' * n}1{')' * n} AS a",
    "cases": lambda n: f"SELECT {'CASE WHEN TRUE THEN ' * n}1{' END' * n} AS a",
    "subqueries": lambda n: f"SELECT * FROM {'(SELECT * FROM ' * n}t{')' * n}",
    "arrays": lambda n: f"SELECT {'[' * n}1{']' * n} AS a",
    "nots": lambda n: f"SELECT {'NOT ' * n}TRUE AS a",
    "sums": lambda n: f"SELECT {'1 + ' * n}1 AS a",
    "unions": lambda n: f"SELECT 1 AS a{' UNION ALL SELECT 1' * n}",
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", NESTED)
@pytest.mark.parametrize("depth", [60, 2000])
def test_deep_nesting_parses_and_renders(shape: str, depth: int) -> None:
    sql = NESTED[shape](depth)
    assert parse(render(parse(sql))) is not None
    assert threading.stack_size() == 0
    assert sys.getrecursionlimit() < RECURSION_LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["parentheses", "calls", "cases", "nots"])
def test_nesting_beyond_every_stack_is_a_located_error(shape: str) -> None:
    with pytest.raises(SqlError, match="nested too deeply") as caught:
        parse(NESTED[shape](40_000))
    assert caught.value.code == "too-deep"
    assert caught.value.line == 1
    assert caught.value.column is not None


def test_deep_stack_hands_over_results_and_errors() -> None:
    def inner() -> str:
        return threading.current_thread().name

    assert with_deep_stack(lambda: with_deep_stack(inner)) == "deep-stack"
    with pytest.raises(KeyError, match="gone"):
        with_deep_stack(lambda: dict[str, int]()["gone"])


def test_deep_stacks_in_parallel_keep_the_limit_until_the_last_is_done() -> None:
    usual = sys.getrecursionlimit()
    sql = NESTED["parentheses"](1500)
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(render(parse(sql)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 4
    assert sys.getrecursionlimit() == usual


def test_what_cannot_be_said_is_an_error() -> None:
    pivot = exp.select("a").from_(exp.table_("t"))
    pivot.find(exp.Table).set("pivots", [exp.Pivot(expressions=[exp.Sum(this=exp.column("a"))], fields=[])])  # type: ignore[union-attr]
    with pytest.raises(SqlError, match="cannot be expressed"):
        render(pivot)


def test_import_needs_neither_the_engine_nor_arrow() -> None:
    code = "import sys, compiler.sql.dialect; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"datafusion", "pyarrow", "ibis"} & set(modules.split())


def test_compiled_sqlglot_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sqlglotc").mkdir()
    (tmp_path / "sqlglotc" / "__init__.py").touch()
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import compiler.sql.dialect"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "uninstall sqlglotc" in done.stderr
    assert done.returncode == 1
