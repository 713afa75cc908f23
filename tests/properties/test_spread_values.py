"""Values and constructs that could show how rows were dealt out among partitions: they do not, or are refused."""

from __future__ import annotations

import math
from decimal import Decimal

import pyarrow as pa
import pytest

from compiler.compiled import Options
from rules.engine.protocol import EngineError
from support.compiling import TestCompiler
from support.spread import SpreadRunner, proved

MOST = 2**63 - 1
ROWS = 60
TABLE = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int64()),
        "k": pa.array([None if n % 7 == 6 else n % 5 for n in range(ROWS)], pa.int32()),
        "big": pa.array([(MOST, -MOST, 1, 2, None)[n % 5] for n in range(ROWS)], pa.int64()),
        "wide": pa.array([Decimal((10**38 - 1) * (-1 if n % 3 else 1)) for n in range(ROWS)], pa.decimal128(38, 0)),
        "x": pa.array([(0.0, -0.0, math.nan, -math.inf, math.inf, None, 1.5)[n % 7] for n in range(ROWS)]),
        "word": pa.array([("", " ", "a", "A", "ä", "a\u0308", None)[n % 7] for n in range(ROWS)]),
        "coded": pa.array([str(n % 4) for n in range(ROWS)]).dictionary_encode().cast(pa.string()),
        "at": pa.array([n % 3 * 10**6 for n in range(ROWS)], pa.timestamp("us", tz="UTC")),
        "raw": pa.array([bytes([n % 3]) for n in range(ROWS)], pa.binary()),
    }
)
SPREAD = {
    "sums of integers wrap": "SELECT t.k, SUM(t.big) AS s FROM t GROUP BY t.k",
    "sums of decimals wrap": "SELECT SUM(t.wide) AS s FROM t",
    "sums of the widest decimals by group": "SELECT t.word, SUM(t.wide) AS s, COUNT(*) AS n FROM t GROUP BY t.word",
    "distinct values": (
        "SELECT COUNT(DISTINCT t.word) AS w, COUNT(DISTINCT t.big) AS b, COUNT(DISTINCT t.at) AS a FROM t"
    ),
    "distinct sums": "SELECT t.k, SUM(DISTINCT t.big) AS s FROM t GROUP BY t.k",
    "an order by one of two columns": "SELECT t.k, t.word FROM t ORDER BY t.k LIMIT 30",
    "a condition on floats": "SELECT t.k, COUNT(*) AS n FROM t WHERE t.x <= 0.0 OR t.x > 1 GROUP BY t.k",
    "a join that keeps what has no match": (
        "SELECT a.k, COUNT(b.id) AS n FROM t AS a LEFT JOIN t AS b ON a.k = b.id GROUP BY a.k"
    ),
    "NOT IN with NULL": "SELECT COUNT(*) AS n FROM t AS a WHERE a.id NOT IN (SELECT b.k FROM t AS b)",
    "grouping sets": (
        "SELECT t.k, t.word, COUNT(*) AS n FROM t GROUP BY GROUPING SETS ((t.k), (t.word), (t.k, t.word), ())"
    ),
    "a cube": "SELECT t.k, t.coded, SUM(t.id) AS s, GROUPING(t.k) AS g FROM t GROUP BY CUBE (t.k, t.coded)",
    "extremes of words": "SELECT t.k, MIN(t.word) AS lo, MAX(t.word) AS hi, MAX(t.raw) AS r FROM t GROUP BY t.k",
    "bits": "SELECT t.k, BIT_XOR(t.id) AS x, BIT_AND(t.big) AS a, BOOL_OR(t.id > 50) AS o FROM t GROUP BY t.k",
    "distinct rows": "SELECT DISTINCT t.k, t.word FROM t",
    "distinct rows, some of them": "SELECT DISTINCT t.k, t.word FROM t ORDER BY t.word LIMIT 4",
    "a set": "SELECT a.k FROM t AS a UNION SELECT b.id % 3 FROM t AS b",
    "groups of moments": "SELECT t.at, t.raw, COUNT(*) AS n FROM t GROUP BY t.at, t.raw",
    "of no rows": "SELECT COUNT(*) AS n, SUM(t.big) AS s, MAX(t.word) AS w FROM t WHERE t.id < 0",
    "a total that HAVING drops": "SELECT COUNT(*) AS n FROM t HAVING COUNT(*) < 0",
    "a subquery for each row": (
        "SELECT a.k, COUNT(*) AS n FROM t AS a WHERE a.id > (SELECT MIN(b.id) FROM t AS b WHERE b.k = a.k) GROUP BY a.k"
    ),
}
REFUSED = {
    "an order by floats": "SELECT t.id, t.k FROM t ORDER BY t.x LIMIT 20",
    "an order by a float of groups": "SELECT t.k, SUM(t.id) * 0.5 AS h FROM t GROUP BY t.k ORDER BY h, t.k",
    "a join by floats": "SELECT COUNT(*) AS n FROM t AS a JOIN t AS b ON a.x = b.x",
    "floats looked up": "SELECT COUNT(*) AS n FROM t AS a WHERE a.x IN (SELECT b.x FROM t AS b)",
    "floats looked up for each row": (
        "SELECT COUNT(*) AS n FROM t AS a WHERE EXISTS (SELECT 1 FROM t AS b WHERE b.x = a.x)"
    ),
    "sums of floats": "SELECT SUM(t.x) AS s FROM t",
    "means of integers": "SELECT AVG(t.big) AS m FROM t",
    "groups of floats": "SELECT t.x, COUNT(*) AS n FROM t GROUP BY t.x",
    "groups of what is made of floats": "SELECT t.x * 2 AS x, COUNT(*) AS n FROM t GROUP BY t.x * 2",
    "groups of a float below": "SELECT q.y, COUNT(*) AS n FROM (SELECT t.x + 1 AS y FROM t) AS q GROUP BY q.y",
    "extremes of floats": "SELECT MIN(t.x) AS lo FROM t",
    "distinct floats": "SELECT COUNT(DISTINCT t.x) AS n FROM t",
    "any value": "SELECT t.k, ANY_VALUE(t.id) AS v FROM t GROUP BY t.k",
    "the last value": "SELECT LAST_VALUE(t.id) AS v FROM t",
    "lists": "SELECT t.k, ARRAY_AGG(t.id) AS v FROM t GROUP BY t.k",
    "numbers of tied rows": (
        "SELECT q.n, MAX(q.id) AS i FROM (SELECT t.id, ROW_NUMBER() OVER (ORDER BY t.k) AS n FROM t) AS q GROUP BY q.n"
    ),
    "the first of a group": "SELECT DISTINCT ON (t.k) t.k, t.id FROM t",
    "some rows": "SELECT t.id FROM t LIMIT 3",
    "some groups": "SELECT t.k, COUNT(*) AS n FROM t GROUP BY t.k LIMIT 3",
    "rows that a float tells apart": "SELECT t.k, t.x FROM t ORDER BY t.k LIMIT 3",
}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> SpreadRunner:
    return SpreadRunner({"t": TABLE}, tmp_path_factory.mktemp("values") / "t")


KNOWN = TestCompiler({"t": TABLE.schema})


@pytest.mark.parametrize("sql", SPREAD.values(), ids=SPREAD)
def test_values_that_do_not_show_it(runner: SpreadRunner, sql: str) -> None:
    compiled = KNOWN.compile(sql, Options())
    found = proved(KNOWN, compiled)
    assert found.sql is not None, found.reason
    bag = runner.plain(compiled)
    first = runner.run(found, compiled, 1)
    assert all(runner.run(found, compiled, partitions) == first for partitions in (2, 3, 4))
    if "LIMIT" not in sql:
        assert first[1] == bag


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED)
def test_values_that_might_show_it_stay_on_one_partition(sql: str) -> None:
    assert proved(KNOWN, KNOWN.compile(sql, Options())).sql is None


def test_what_fails_on_some_rows_fails_on_any_number_of_partitions(runner: SpreadRunner) -> None:
    compiled = KNOWN.compile("SELECT CAST(t.word AS INT) AS n, t.id FROM t ORDER BY t.id LIMIT 1", Options())
    found = proved(KNOWN, compiled)
    assert found.sql is not None
    assert found.looks_ahead
    for partitions in (2, 4):
        with pytest.raises(EngineError):
            runner.run(found, compiled, partitions)
