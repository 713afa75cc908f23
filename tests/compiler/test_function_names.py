"""Names of functions of a project: refused where we or the engine would read a call of them as something else."""

from __future__ import annotations

import pyarrow as pa
import pytest
import sqlglot
from datafusion import SessionContext, udf

from compiler.errors import SqlError
from compiler.sql import functions
from compiler.sql.dialect import DIALECT, parse, render
from compiler.sql.function_names import is_callable

CALLS = (
    "SELECT {0}(t.x) AS y FROM t",
    "SELECT t.x, {0}(t.x) AS y FROM t",
    "SELECT t.x AS y FROM t WHERE t.x > 0 AND {0}(t.x) > 0",
    "SELECT DISTINCT 0 + {0}({0}(t.x)) AS y FROM t ORDER BY 1",
    "SELECT CASE WHEN {0}(t.x) > 0 THEN {0}(t.x) END AS y FROM t",
)
DIALECTS = (
    DIALECT(),
    *map(sqlglot.Dialect.get_or_raise, ("duckdb", "snowflake", "bigquery", "oracle", "hive")),
)
KEYWORDS = {word.lower() for dialect in DIALECTS for word in dialect.tokenizer_class.KEYWORDS}
WORDS = sorted(
    word
    for word in KEYWORDS | {"minus", "user", "any", "some", "top", "sort"}
    if word.isidentifier() and functions.lookup(word) is None
)


@pytest.mark.slow
def test_every_other_keyword_is_called_by_its_name() -> None:
    """By us and by the engine, wherever a value may be."""
    callable_words = [word for word in WORDS if is_callable(word)]
    assert len(callable_words) > 100
    for word in callable_words:
        session = SessionContext()
        session.register_udf(udf(lambda array: array, [pa.int64()], pa.int64(), "immutable", word))
        session.from_arrow(pa.table({"x": pa.array([1], pa.int64())}), name="t")
        for text in CALLS:
            sql = render(parse(text.format(word)))
            assert session.sql(sql).to_pydict()["y"] == [1], sql


@pytest.mark.parametrize(
    "word", ["minus", "user", "exists", "group", "begin", "when", "type", "default", "select", "null", "true", "not"]
)
def test_these_are_not(word: str) -> None:
    assert not is_callable(word)


@pytest.mark.parametrize("name", ["grade", "my_minus", "value", "key", "index", "id", "status", "label", "größe"])
def test_these_are(name: str) -> None:
    assert is_callable(name)


@pytest.mark.parametrize("word", ["begin", "type", "default", "semi", "percent"])
@pytest.mark.parametrize("text", ["SELECT t.x, {0}(t.x) AS y FROM t", "SELECT t.x FROM t WHERE t.x > {0}(t.x)"])
def test_a_query_that_calls_one_says_so(word: str, text: str) -> None:
    with pytest.raises(SqlError) as raised:
        parse(text.format(word))
    assert raised.value.hint == f"'{word}' is a reserved word, so no function can be called by that name"
    assert raised.value.line == 1


@pytest.mark.parametrize(
    "text", ["SELECT CAST(t.x) FROM t", "SELECT t.x FROM t WHERE (t.x > 1 AND (t.x", "SELECT t.x IN ("]
)
def test_other_parentheses_have_other_hints(text: str) -> None:
    with pytest.raises(SqlError) as raised:
        parse(text)
    assert "no function" not in (raised.value.hint or "")
