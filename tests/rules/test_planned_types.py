"""The types that a rule is planned with are those of the table that the engine makes."""

from __future__ import annotations

import pyarrow as pa
import pytest

from compiler.schema import Schema
from rules.config.profiles import PROFILES
from rules.engine.planner import EnginePlanner
from rules.engine.session import make_session, plan_query, qualified_name
from rules.storage.types import storable_schema, to_schema

PROFILE = PROFILES["prod_fast"]
TABLE = pa.schema(
    {
        "small": pa.int32(),
        "big": pa.int64(),
        "price": pa.decimal128(10, 2),
        "word": pa.string_view(),
        "day": pa.date32(),
        "words": pa.list_(pa.string_view()),
    }
)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT t.small AS x FROM t UNION ALL SELECT t.big AS x FROM t",
        "SELECT t.big AS x FROM t UNION ALL SELECT t.small AS x FROM t",
        "SELECT SUM(t.price) AS x, COUNT(DISTINCT t.word) AS n FROM t",  # in two steps
        "SELECT SUM(t.price) AS x, COUNT(t.word) AS n FROM t",
        "SELECT AVG(t.price) AS x, SUM(t.small) AS y, MIN(t.word) AS z FROM t",
        "SELECT COALESCE(t.small, t.big) AS x, t.day + INTERVAL '1 day' AS y, t.word || 'a' AS z FROM t",
        "SELECT array_agg(t.word) AS x, array_agg(t.small) AS y FROM t",
        "SELECT t.words AS x, t.words[1] AS y, CASE WHEN t.big > 1 THEN 'a' END AS z, NULL AS n FROM t",
        "SELECT t.word AS x FROM t WHERE t.word = 'a' UNION SELECT 'b' AS x",
        "SELECT rank() OVER (ORDER BY t.day) AS x, lag(t.price) OVER (ORDER BY t.day) AS y FROM t",
    ],
)
def test_planned_types_are_those_of_the_result(query: str) -> None:
    sql = query.replace("FROM t", 'FROM "input"."t" AS t')
    learned: dict[str, Schema] = {}
    planner = EnginePlanner(PROFILE, learned.__setitem__)
    planned = planner.plan_schema(sql, {"t": (to_schema(TABLE), frozenset(TABLE.names))}, "key")
    session = make_session(PROFILE)
    session.register_record_batches(qualified_name("t"), [[pa.RecordBatch.from_pylist([], TABLE)]])
    made = plan_query(session, sql).to_arrow_table().schema
    assert planned == to_schema(storable_schema(made))
    assert learned == {"key": planned}
