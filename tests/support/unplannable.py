"""A corpus of queries that are wrong in some way, as far as the engine is concerned: each class of error, many times.

Not every one is refused: `sum(TRUE)` is, `upper(1)` is not. What the tests ask of a refusal holds for all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pyarrow as pa

from compiler.sql.catalogue import FUNCTIONS

TABLES = {
    "t": pa.schema([
        ("i", pa.int64()), ("k", pa.int32()), ("f", pa.float64()), ("s", pa.string()), ("d", pa.date32()),
        ("ts", pa.timestamp("us")), ("z", pa.timestamp("us", "UTC")), ("h", pa.time64("us")), ("o", pa.bool_()),
        ("n", pa.decimal128(10, 2)), ("a", pa.list_(pa.int64())), ("st", pa.struct([("x", pa.int64())])),
        ("bin", pa.binary()),
    ]),
    "u": pa.schema([("i", pa.int64()), ("k", pa.int32()), ("s", pa.string()), ("d", pa.date32())]),
}  # fmt: skip
"""What the queries read: a column of each type, and a second table."""

COLUMNS = (
    "t.i",
    "t.f",
    "t.s",
    "t.d",
    "t.ts",
    "t.h",
    "t.o",
    "t.n",
    "t.a",
    "t.st",
    "t.bin",
    "NULL",
    "'x'",
    "INTERVAL '1 day'",
)
_OPERATORS = (
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "&",
    "|",
    "<<",
    "=",
    "<",
    "AND",
    "LIKE",
    "~",
    "SIMILAR TO",
    "IS DISTINCT FROM",
    "@>",
)
_UNARY = ("NOT {}", "-{}", "{} IS TRUE", "CASE WHEN {} THEN 1 END", "CASE 1 WHEN {} THEN 1 END", "{}[1]", "{}['x']")
_PAIRS = (
    "CASE WHEN t.o THEN {} ELSE {} END", "COALESCE({}, {})", "{} IN ({}, {})", "{} BETWEEN {} AND {}",
    "nullif({}, {})", "greatest({}, {})", "[{}, {}]", "{} IN (SELECT {} FROM u AS t2)", "{} = (SELECT {} FROM u)",
    "NVL({}, {})",
)  # fmt: skip
_TYPES = (
    "INT",
    "DOUBLE",
    "DATE",
    "TIMESTAMP",
    "TIME",
    "BOOLEAN",
    "DECIMAL(10, 2)",
    "BYTEA",
    "INTERVAL",
    "INT[]",
    "TEXT",
)


def calls(kinds: frozenset[str] = frozenset({"scalar", "aggregate", "window"})) -> Iterator[str]:
    """Yield calls of every function of the catalogue with arguments of each number and of many types."""
    names = sorted({name for (kind, _), words in FUNCTIONS.items() if kind in kinds for name in words.split()})
    for name in names:
        yield f"SELECT {name}() AS x FROM t"
        for column in COLUMNS:
            yield f"SELECT {name}({column}) AS x FROM t"
        for first, second in itertools.product(("t.i", "t.s", "t.d", "t.a", "t.o"), ("t.i", "t.s", "t.ts", "t.st")):
            yield f"SELECT {name}({first}, {second}) AS x FROM t"
        yield f"SELECT {name}(t.s, t.i, t.d) AS x FROM t"
        yield f"SELECT {name}(t.i, 1, 2, 3, 4, 5, 6) AS x FROM t"
        yield f"SELECT {name}(DISTINCT t.s) AS x FROM t"
        yield f"SELECT {name}(t.s ORDER BY t.i) AS x FROM t"
        yield f"SELECT {name}(t.s) FILTER (WHERE t.o) AS x FROM t"
        yield f"SELECT {name}(t.s) OVER (ORDER BY t.i) AS x FROM t"
        yield f"SELECT {name}(t.i, 'x') OVER (PARTITION BY t.s ORDER BY t.i) AS x FROM t"
        yield f"SELECT t.i FROM t WHERE {name}(t.s)"


def operators() -> Iterator[str]:
    """Yield operators and constructs over operands of all pairs of types, and casts."""
    for first, second in itertools.product(COLUMNS, COLUMNS):
        for operator in _OPERATORS:
            yield f"SELECT {first} {operator} {second} AS x FROM t"
        for pair in _PAIRS:
            holes = pair.count("{}")
            yield f"SELECT {pair.format(*(first, second, second)[:holes])} AS x FROM t"
        yield f"SELECT {first} AS x FROM t UNION ALL SELECT {second} FROM t"
        if "." not in first + second:
            yield f"SELECT v.x FROM (VALUES ({first}), ({second})) AS v(x)"
        yield f"SELECT t.i FROM t JOIN t AS r ON {first} = {second.replace('t.', 'r.')}"
    for column in COLUMNS:
        for unary in _UNARY:
            yield f"SELECT {unary.format(column)} AS x FROM t"
        for kind in _TYPES:
            yield f"SELECT CAST({column} AS {kind}) AS x FROM t"
        for part in ("year", "hour", "epoch", "nonsense", "timezone"):
            yield f"SELECT EXTRACT({part} FROM {column}) AS x FROM t"
        yield f"SELECT t.i FROM t WHERE {column}"
        yield f"SELECT t.i FROM t JOIN u ON {column}"
        yield f"SELECT COUNT(*) AS x FROM t GROUP BY t.i HAVING {column}"
        yield f"SELECT t.i FROM t LIMIT {column}"
        yield f"SELECT t.i FROM t ORDER BY t.i LIMIT 1 OFFSET {column}"
        yield f"SELECT {column} AS x FROM t ORDER BY {column}"
        yield f"SELECT {column} AS x, COUNT(*) AS c FROM t GROUP BY {column}"
        yield f"SELECT DISTINCT {column} AS x FROM t"
        yield f"SELECT SUM(t.i) OVER (ORDER BY {column} RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS x FROM t"
        yield f"SELECT SUM(t.i) OVER (ORDER BY t.i ROWS BETWEEN {column} PRECEDING AND CURRENT ROW) AS x FROM t"
        yield f"SELECT x FROM (SELECT unnest({column}) AS x FROM t) AS q"
        yield f"SELECT g.x FROM t, unnest({column}) AS g(x)"
        yield f"SELECT g.value FROM generate_series({column}, 3) AS g"


def casts() -> Iterator[str]:
    """Yield casts of literals that cannot be cast."""
    literals = (
        "'x'",
        "'2024-13-01'",
        "'25:00'",
        "''",
        "'1e999'",
        "'99999999999999999999'",
        "-1",
        "1.5e300",
        "TRUE",
        "X'00'",
    )
    for literal in literals:
        for kind in (
            *_TYPES,
            "SMALLINT",
            "REAL",
            "DECIMAL(3, 1)",
            "TIMESTAMPTZ",
            "nonsense",
            "DECIMAL(80, 2)",
            "DECIMAL(3, 9)",
            "UUID",
            "JSON",
            "XML",
        ):
            yield f"SELECT CAST({literal} AS {kind}) AS x FROM t"
            yield f"SELECT t.i FROM t WHERE CAST({literal} AS {kind}) IS NULL"
    for word in ("x", "2024-13-01", "25:00", ""):
        for kind in ("DATE", "TIMESTAMP", "TIME", "INTERVAL"):
            yield f"SELECT {kind} '{word}' AS x FROM t"
        for column in COLUMNS[:7]:
            yield f"SELECT t.i FROM t WHERE {column} = '{word}'"
            yield f"SELECT t.i FROM t WHERE {column} IN ('{word}', '1')"
    for interval in ("1 fortnight", "1", "one day", "1 day 2", "1-2", "99999999999999 years", "1 month 1 nonsense"):
        yield f"SELECT t.d + INTERVAL '{interval}' AS x FROM t"
        yield f"SELECT INTERVAL '{interval}' AS x FROM t"


SHAPES = """
SELECT t.i FROM t WHERE SUM(t.i) > 1
SELECT SUM(SUM(t.i)) AS x FROM t
SELECT SUM(t.i + AVG(t.f)) AS x FROM t GROUP BY t.s
SELECT t.i, SUM(t.f) AS x FROM t
SELECT t.i + t.k AS y, SUM(t.f) AS x FROM t GROUP BY t.i
SELECT q.i, SUM(q.f) AS x FROM (SELECT * FROM t) AS q GROUP BY q.s
SELECT t.s, SUM(t.f) AS x FROM t GROUP BY t.s ORDER BY t.i
SELECT t.s, SUM(t.f) AS x FROM t GROUP BY t.s HAVING t.i > 1
SELECT DISTINCT t.s FROM t ORDER BY t.i
SELECT t.i FROM t WHERE ROW_NUMBER() OVER (ORDER BY t.i) = 1
SELECT COUNT(*) AS x FROM t GROUP BY RANK() OVER (ORDER BY t.i)
SELECT COUNT(*) AS x FROM t GROUP BY SUM(t.i)
SELECT COUNT(*) AS x FROM t GROUP BY t.s HAVING RANK() OVER (ORDER BY t.s) = 1
SELECT SUM(RANK() OVER (ORDER BY t.i)) AS x FROM t
SELECT RANK() OVER (ORDER BY RANK() OVER (ORDER BY t.i)) AS x FROM t
SELECT SUM(t.i) OVER w AS x FROM t
SELECT SUM(t.i) OVER (w ORDER BY t.i) AS x FROM t WINDOW w AS (PARTITION BY t.s ORDER BY t.k)
SELECT SUM(t.i) OVER (ORDER BY t.i ROWS BETWEEN CURRENT ROW AND 1 PRECEDING) AS x FROM t
SELECT SUM(t.i) OVER (ORDER BY t.i ROWS BETWEEN UNBOUNDED FOLLOWING AND CURRENT ROW) AS x FROM t
SELECT SUM(t.i) OVER (RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS x FROM t
SELECT SUM(t.i) OVER (ORDER BY t.i, t.k RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) AS x FROM t
SELECT SUM(t.i) OVER (ORDER BY t.i ROWS BETWEEN -1 PRECEDING AND CURRENT ROW) AS x FROM t
SELECT SUM(t.i) OVER (GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) AS x FROM t
SELECT SUM(t.i) OVER (ORDER BY t.i ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) AS x FROM t
SELECT COUNT(DISTINCT t.i) OVER (PARTITION BY t.s) AS x FROM t
SELECT t.i FROM t QUALIFY t.i > 1
SELECT t.i FROM t QUALIFY COUNT(*) > 1
SELECT t.s, RANK() OVER (ORDER BY t.s) AS i FROM t QUALIFY i > 1
SELECT t.i AS k, RANK() OVER (ORDER BY t.k) AS i FROM t QUALIFY i = 1 AND k > 2
SELECT COUNT(*) AS x FROM t GROUP BY ()
SELECT 1 AS x FROM t GROUP BY ()
SELECT COUNT(*) AS x FROM t GROUP BY (), ()
SELECT COUNT(*) AS x FROM t GROUP BY () HAVING COUNT(*) > 1
SELECT t.s, COUNT(*) AS x FROM t GROUP BY (), t.s
SELECT t.s, COUNT(*) AS x FROM t GROUP BY ()
SELECT t.i FROM t HAVING t.i > 1
SELECT 1 AS x FROM t HAVING COUNT(*) > 1
SELECT GROUPING(t.i) AS x FROM t
SELECT GROUPING(t.k) AS x FROM t GROUP BY ROLLUP (t.i)
SELECT t.s, GROUPING(t.s, t.i) AS x FROM t GROUP BY t.s
SELECT GROUPING() AS x FROM t GROUP BY t.s
SELECT t.s, COUNT(*) AS x FROM t WHERE GROUPING(t.s) = 0 GROUP BY ROLLUP (t.s)
SELECT t.s, COUNT(*) AS x FROM t GROUP BY CUBE (t.s, t.i, t.k, t.f, t.d, t.ts, t.z, t.h, t.o, t.n, t.bin)
SELECT t.s, COUNT(*) AS x FROM t GROUP BY GROUPING SETS ((t.s), ())
SELECT t.s, COUNT(*) AS x FROM t GROUP BY GROUPING SETS (t.s, ROLLUP (t.i))
SELECT t.s, COUNT(*) AS x FROM t GROUP BY ROLLUP (t.s), CUBE (t.i)
SELECT t.s, COUNT(*) AS x FROM t GROUP BY ALL
SELECT t.s, t.i FROM t GROUP BY 3
SELECT t.s, COUNT(*) AS x FROM t GROUP BY 2
SELECT t.s FROM t ORDER BY 0
SELECT EXISTS (SELECT 1 FROM u WHERE u.i = t.i) AS x FROM t
SELECT NOT EXISTS (SELECT 1 FROM u WHERE u.i = t.i) AS x FROM t
SELECT EXISTS (SELECT 1 FROM u) AS x FROM t
SELECT t.i IN (SELECT u.i FROM u) AS x FROM t
SELECT t.i NOT IN (SELECT u.i FROM u) AS x FROM t
SELECT t.i IN (SELECT u.i FROM u WHERE u.k = t.k) AS x FROM t
SELECT t.i NOT IN (SELECT u.i FROM u WHERE u.k = t.k) AS x FROM t
SELECT CASE WHEN EXISTS (SELECT 1 FROM u WHERE u.i = t.i) THEN 1 ELSE 0 END AS x FROM t
SELECT CASE WHEN t.i IN (SELECT u.i FROM u) THEN 1 ELSE 0 END AS x FROM t
SELECT SUM(CASE WHEN t.i IN (SELECT u.i FROM u) THEN 1 ELSE 0 END) AS x FROM t
SELECT SUM(CASE WHEN EXISTS (SELECT 1 FROM u WHERE u.i = t.i) THEN 1 ELSE 0 END) AS x FROM t
SELECT COUNT(*) FILTER (WHERE t.i IN (SELECT u.i FROM u)) AS x FROM t
SELECT COUNT(*) AS x FROM t GROUP BY t.i IN (SELECT u.i FROM u)
SELECT t.i FROM t ORDER BY EXISTS (SELECT 1 FROM u WHERE u.i = t.i)
SELECT t.i FROM t ORDER BY (SELECT MAX(u.k) FROM u WHERE u.i = t.i)
SELECT COUNT(*) AS x FROM t GROUP BY t.s HAVING EXISTS (SELECT 1 FROM u WHERE u.s = t.s)
SELECT COUNT(*) AS x FROM t GROUP BY t.s HAVING COUNT(*) > (SELECT MAX(u.k) FROM u WHERE u.s = t.s)
SELECT t.s FROM t GROUP BY t.s HAVING t.s IN (SELECT u.s FROM u)
SELECT t.i FROM t WHERE t.i NOT IN (SELECT u.i FROM u WHERE u.k > t.k)
SELECT t.i FROM t WHERE t.i IN (SELECT u.i FROM u WHERE u.k > t.k)
SELECT t.i FROM t WHERE t.i IN (SELECT u.i FROM u) OR t.k > 1
SELECT t.i FROM t WHERE t.i IN (SELECT u.i FROM u WHERE u.k = t.k) OR t.k > 1
SELECT t.i FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.i = t.i) OR t.k > 1
SELECT t.i FROM t WHERE (t.i IN (SELECT u.i FROM u)) IS NULL
SELECT t.i FROM t WHERE (t.i, t.k) IN (SELECT u.i, u.k FROM u)
SELECT t.i FROM t WHERE t.i IN (SELECT u.i, u.k FROM u)
SELECT t.i FROM t WHERE t.i = (SELECT u.i, u.k FROM u)
SELECT t.i FROM t WHERE t.i = (SELECT u.i FROM u WHERE u.k = t.k)
SELECT t.i FROM t WHERE t.i = (SELECT u.i FROM u WHERE u.k = t.k LIMIT 1)
SELECT t.i FROM t WHERE t.i = (SELECT u.i FROM u WHERE u.k = t.k ORDER BY u.i LIMIT 1)
SELECT t.i FROM t WHERE t.i = (SELECT MAX(u.i) FROM u WHERE u.k > t.k)
SELECT t.i FROM t WHERE t.i = (SELECT MAX(u.i) FROM u WHERE u.k = t.k AND u.i > t.i)
SELECT t.i FROM t WHERE t.i = (SELECT COUNT(*) FROM u WHERE u.k = t.k GROUP BY u.s)
SELECT t.i FROM t WHERE t.i = (SELECT RANK() OVER (ORDER BY u.i) FROM u WHERE u.k = t.k)
SELECT t.i FROM t WHERE t.i = (SELECT t.k + MAX(u.i) FROM u)
SELECT (SELECT u.i FROM u WHERE u.k = t.k) AS x FROM t
SELECT (SELECT MAX(u.i) FROM u WHERE u.k < t.k) AS x FROM t
SELECT (SELECT t.i) AS x FROM t
SELECT (SELECT t.i FROM u) AS x FROM t
SELECT (SELECT MAX(t.i) FROM u) AS x FROM t
SELECT (SELECT array_agg(u.i) FROM u WHERE u.k = t.k) AS x FROM t
SELECT (SELECT COUNT(*) FROM u WHERE u.k = t.k UNION ALL SELECT 1) AS x FROM t
SELECT (SELECT DISTINCT u.i FROM u WHERE u.k = t.k) AS x FROM t
SELECT SUM((SELECT MAX(u.i) FROM u WHERE u.k = t.k)) AS x FROM t
SELECT t.s, (SELECT MAX(u.i) FROM u WHERE u.s = t.s) AS x, COUNT(*) AS c FROM t GROUP BY t.s
SELECT RANK() OVER (ORDER BY (SELECT MAX(u.i) FROM u WHERE u.k = t.k)) AS x FROM t
SELECT t.i FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.i = t.i AND EXISTS (SELECT 1 FROM u AS v WHERE v.i = t.i))
SELECT t.i FROM t WHERE EXISTS (SELECT 1 FROM u WHERE EXISTS (SELECT 1 FROM u AS v WHERE v.i = t.i AND v.k = u.k))
SELECT t.i FROM t WHERE t.i = (SELECT MAX(u.i) FROM u WHERE u.k = (SELECT MAX(v.k) FROM u AS v WHERE v.i = t.i))
SELECT t.i FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.i = t.i LIMIT 1)
SELECT t.i FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.i = t.i OFFSET 1)
SELECT t.i FROM t WHERE EXISTS (SELECT COUNT(*) FROM u WHERE u.i = t.i)
SELECT t.i FROM t WHERE EXISTS (SELECT u.k FROM u WHERE u.i = t.i GROUP BY u.k HAVING COUNT(*) > 1)
SELECT t.i FROM t WHERE EXISTS (SELECT u.k FROM u WHERE u.i = t.i UNION ALL SELECT 1)
SELECT t.i FROM t WHERE EXISTS (SELECT 1 FROM (SELECT * FROM u WHERE u.i = t.i) AS q)
SELECT t.i FROM t WHERE EXISTS (SELECT 1 FROM u LEFT JOIN u AS v ON v.i = t.i)
SELECT t.i FROM t WHERE EXISTS (SELECT 1 FROM u JOIN u AS v ON v.i = t.i AND u.k = v.k)
SELECT t.i FROM t WHERE EXISTS (SELECT 1 FROM unnest(t.a) AS g(x) WHERE g.x > 1)
SELECT t.i FROM t WHERE t.i > ALL (SELECT u.i FROM u)
SELECT t.i FROM t WHERE t.i = ANY (SELECT u.i FROM u WHERE u.k = t.k)
SELECT t.i FROM t WHERE t.i = ANY (t.a)
SELECT t.i FROM t WHERE t.i > ALL (t.a)
SELECT t.i FROM t JOIN u ON t.i IN (SELECT v.i FROM u AS v WHERE v.k = u.k)
SELECT t.i FROM t JOIN u ON EXISTS (SELECT 1 FROM u AS v WHERE v.k = u.k)
SELECT t.i FROM t LEFT JOIN u ON t.i = (SELECT MAX(v.i) FROM u AS v WHERE v.k = u.k)
SELECT t.i FROM t LEFT JOIN u ON t.i IN (SELECT v.i FROM u AS v)
SELECT q.i FROM (SELECT i FROM t UNION ALL SELECT i FROM u) AS q JOIN u ON q.i IN (SELECT v.i FROM u v WHERE v.k = u.k)
SELECT q.i FROM (SELECT i FROM t UNION ALL SELECT i FROM u) AS q JOIN u ON u.i IN (SELECT v.i FROM u v WHERE v.k = q.i)
SELECT t.i, l.k FROM t, LATERAL (SELECT u.k FROM u WHERE u.i = t.i) AS l
SELECT t.i, l.k FROM t, LATERAL (SELECT u.k FROM u WHERE u.i = t.i LIMIT 1) AS l
SELECT t.i, l.k FROM t, LATERAL (SELECT u.k FROM u WHERE u.i = t.i ORDER BY u.k LIMIT 1) AS l
SELECT t.i, l.k FROM t LEFT JOIN LATERAL (SELECT u.k FROM u WHERE u.i = t.i) AS l ON TRUE
SELECT t.i, l.k FROM t LEFT JOIN LATERAL (SELECT MAX(u.k) AS k FROM u WHERE u.i = t.i) AS l ON TRUE
SELECT t.i, l.k FROM t CROSS JOIN LATERAL (SELECT u.k FROM u WHERE u.i > t.i) AS l
SELECT t.i, l.k FROM t CROSS JOIN LATERAL (SELECT u.k FROM u WHERE u.i > t.i UNION ALL SELECT 1) AS l
SELECT t.i, l.k FROM t RIGHT JOIN LATERAL (SELECT u.k FROM u WHERE u.i = t.i) AS l ON TRUE
SELECT t.i, l.x FROM t CROSS JOIN LATERAL (SELECT t.i + 1 AS x) AS l
SELECT t.i, l.x FROM t CROSS JOIN LATERAL unnest(t.a) AS l(x)
SELECT t.i, q.k FROM t, (SELECT u.k FROM u WHERE u.i = t.i) AS q
WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT r.x + 1 FROM r WHERE r.x < 5) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT 'a' FROM r) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT r.x, 2 FROM r) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT r.x FROM r) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT r.x FROM r UNION ALL SELECT 1 AS x) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT 1 AS x UNION SELECT r.x + 1 FROM r WHERE r.x < 5) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT 1 AS x INTERSECT SELECT r.x + 1 FROM r) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT a.x + 1 FROM r AS a JOIN r AS b ON a.x = b.x) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT MAX(r.x) + 1 FROM r) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT 1 FROM u WHERE u.i IN (SELECT r.x FROM r)) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT r.x + 1 FROM r UNION ALL SELECT r.x + 2 FROM r) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT 1 AS x UNION ALL SELECT r.x + 1 FROM r ORDER BY x LIMIT 3) SELECT r.x FROM r
WITH RECURSIVE r AS (SELECT t.i AS x FROM t UNION ALL SELECT q.x FROM (SELECT r.x FROM r) AS q) SELECT r.x FROM r
SELECT t.i FROM t UNION SELECT u.i, u.k FROM u
SELECT t.i FROM t UNION ALL SELECT u.d FROM u
SELECT t.d AS x FROM t UNION ALL SELECT u.s FROM u
SELECT t.a AS x FROM t EXCEPT SELECT u.s FROM u
SELECT t.st AS x FROM t INTERSECT SELECT u.i FROM u
SELECT t.o AS x FROM t UNION SELECT u.d FROM u ORDER BY 1
SELECT t.i FROM t ORDER BY i LIMIT 1 UNION ALL SELECT u.i FROM u
SELECT v.a FROM (VALUES (1), ('x'), (DATE '2024-01-01')) AS v(a)
SELECT v.a FROM (VALUES (1, 2), (3)) AS v(a, b)
SELECT v.a FROM (VALUES (1)) AS v(a, b)
SELECT v.a FROM (VALUES ([1]), (2)) AS v(a)
SELECT q.a FROM (SELECT 1, 2) AS q(a)
SELECT t.i FROM t NATURAL JOIN u
SELECT i FROM t JOIN u USING (nope)
SELECT i FROM t JOIN u USING (i) JOIN u AS w USING (s)
SELECT t.i FROM t JOIN u ON t.i
SELECT t.i FROM t JOIN u ON SUM(t.i) = u.i
SELECT t.i FROM t JOIN u ON RANK() OVER (ORDER BY t.i) = u.i
SELECT t.i FROM t FULL JOIN u ON t.i > u.i
SELECT t.i FROM t LEFT SEMI JOIN u ON t.i = u.i
SELECT t.i FROM t FULL JOIN u ON t.i IN (SELECT v.i FROM u AS v)
SELECT t.i FROM t ASOF JOIN u ON t.i >= u.i
SELECT t.i FROM t LIMIT t.i
SELECT t.i FROM t LIMIT -1
SELECT t.i FROM t LIMIT 1 + 1
SELECT t.i FROM t LIMIT (SELECT 1)
SELECT t.i FROM t LIMIT 1.5
SELECT t.i FROM t LIMIT 'x'
SELECT t.i FROM t OFFSET -1
SELECT t.i FROM t FETCH FIRST 3 ROWS WITH TIES
SELECT t.i FROM t LIMIT 10 PERCENT
SELECT t.st.y AS x FROM t
SELECT t.st['y'] AS x FROM t
SELECT t.s['x'] AS x FROM t
SELECT t.i[1] AS x FROM t
SELECT t.a['x'] AS x FROM t
SELECT t.a[1:2] AS x FROM t
SELECT unnest(t.st) AS x FROM t
SELECT unnest(t.a) + unnest(t.a) AS x FROM t
SELECT unnest(unnest(t.a)) AS x FROM t
SELECT SUM(unnest(t.a)) AS x FROM t
SELECT t.i FROM t WHERE unnest(t.a) = 1
SELECT t.i FROM t GROUP BY unnest(t.a)
SELECT t.i FROM t ORDER BY unnest(t.a)
SELECT t.i FROM t JOIN u ON unnest(t.a) = u.i
SELECT COUNT(*) OVER (ORDER BY unnest(t.a)) AS x FROM t
SELECT {'a': t.i} AS x FROM t
SELECT struct(t.i, t.s) = struct(t.s, t.i) AS x FROM t
SELECT (t.i, t.s) = (t.i, t.d) AS x FROM t
SELECT (t.i, t.s) < (1, 2) AS x FROM t
SELECT t.i FROM t WHERE (t.i, t.k) = (1, 'x')
SELECT t.i FROM t WHERE (t.i, t.k) IN ((1, 2), (3, 4))
SELECT t.ts AT TIME ZONE 'nowhere' AS x FROM t
SELECT t.i AT TIME ZONE 'UTC' AS x FROM t
SELECT t.s AT TIME ZONE t.s AS x FROM t
SELECT date_trunc('nonsense', t.ts) AS x FROM t
SELECT date_part('nonsense', t.ts) AS x FROM t
SELECT date_bin('1 day', t.ts) AS x FROM t
SELECT date_bin(INTERVAL '1 month', t.ts, t.s) AS x FROM t
SELECT to_timestamp(t.s, t.i) AS x FROM t
SELECT to_char(t.s, 'YYYY') AS x FROM t
SELECT to_date(t.a) AS x FROM t
SELECT t.d + 1.5 AS x FROM t
SELECT t.d - t.s AS x FROM t
SELECT t.ts + t.ts AS x FROM t
SELECT t.h + t.h AS x FROM t
SELECT t.d * 2 AS x FROM t
SELECT INTERVAL '1 day' * t.s AS x FROM t
SELECT t.s + 1 AS x FROM t
SELECT t.i || t.a AS x FROM t
SELECT NOT t.i AS x FROM t
SELECT -t.s AS x FROM t
SELECT -t.d AS x FROM t
SELECT t.i AND t.o AS x FROM t
SELECT t.i LIKE '1%' AS x FROM t
SELECT t.d LIKE t.a AS x FROM t
SELECT t.s ~ '(' AS x FROM t
SELECT regexp_replace(t.s, '(', 'x') AS x FROM t
SELECT t.s LIKE 'a' ESCAPE 'bc' AS x FROM t
SELECT t.i IS TRUE AS x FROM t
SELECT t.s IS NOT FALSE AS x FROM t
SELECT round(t.s) AS x FROM t
SELECT round(t.f, t.s) AS x FROM t
SELECT upper(t.i, t.s) AS x FROM t
SELECT substr(t.s) AS x FROM t
SELECT COUNT(*, t.i) AS x FROM t
SELECT COUNT(DISTINCT *) AS x FROM t
SELECT SUM(*) AS x FROM t
SELECT SUM(DISTINCT t.s) AS x FROM t
SELECT SUM(t.o) AS x FROM t
SELECT AVG(t.d) AS x FROM t
SELECT MAX(t.a) AS x FROM t
SELECT MAX(t.st) AS x FROM t
SELECT MIN() AS x FROM t
SELECT string_agg(t.s) AS x FROM t
SELECT string_agg(t.s, t.s) AS x FROM t
SELECT string_agg(t.i, ',') AS x FROM t
SELECT approx_percentile_cont(t.f, 2) AS x FROM t
SELECT approx_percentile_cont(t.f, t.f) AS x FROM t
SELECT approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY t.s) AS x FROM t
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t.d) AS x FROM t
SELECT percentile_cont(1.5) WITHIN GROUP (ORDER BY t.f) AS x FROM t
SELECT percentile_cont(t.f) WITHIN GROUP (ORDER BY t.f) AS x FROM t
SELECT SUM(t.i) WITHIN GROUP (ORDER BY t.i) AS x FROM t
SELECT nth_value(t.i, 0) OVER (ORDER BY t.i) AS x FROM t
SELECT nth_value(t.i, t.k) OVER (ORDER BY t.i) AS x FROM t
SELECT ntile(0) OVER (ORDER BY t.i) AS x FROM t
SELECT ntile(t.i) OVER (ORDER BY t.i) AS x FROM t
SELECT lag(t.i, t.s) OVER (ORDER BY t.i) AS x FROM t
SELECT lag(t.i, 1, 'x') OVER (ORDER BY t.i) AS x FROM t
SELECT lead(t.d, 1, 0) OVER (ORDER BY t.i) AS x FROM t
SELECT lag(t.i, t.k) OVER (ORDER BY t.i) AS x FROM t
SELECT ROW_NUMBER() AS x FROM t
SELECT RANK(t.i) OVER (ORDER BY t.i) AS x FROM t
SELECT RANK() OVER (ORDER BY t.i) FILTER (WHERE t.o) AS x FROM t
SELECT upper(t.s) OVER (ORDER BY t.i) AS x FROM t
SELECT upper(t.s) FILTER (WHERE t.o) AS x FROM t
SELECT upper(DISTINCT t.s) AS x FROM t
SELECT SUM(t.i) FILTER (WHERE t.i) AS x FROM t
SELECT SUM(t.i) FILTER (WHERE SUM(t.i) > 1) AS x FROM t
SELECT SUM(t.i) FILTER (WHERE RANK() OVER (ORDER BY t.i) = 1) AS x FROM t
SELECT first_value(t.i IGNORE NULLS) OVER (ORDER BY t.i) AS x FROM t
SELECT SUM(t.i) IGNORE NULLS AS x FROM t
SELECT g.x FROM generate_series(1, 'a') AS g(x)
SELECT g.x FROM generate_series(t.i, 3) AS g(x)
SELECT g.x FROM t, generate_series(1, t.i) AS g(x)
SELECT g.value FROM generate_series(1) AS g
SELECT g.value FROM generate_series() AS g
SELECT g.value FROM range(1, 2, 3, 4) AS g
SELECT g.x FROM nonsense(1) AS g(x)
SELECT nonsense(t.i) AS x FROM t
SELECT arrow_cast(t.i, 'Nonsense') AS x FROM t
SELECT arrow_cast(t.i, t.s) AS x FROM t
SELECT arrow_cast(t.s, 'Dictionary(Int32, Utf8)') AS x FROM t
SELECT arrow_cast(t.a, 'Int64') AS x FROM t
SELECT make_array(t.i, t.s, t.a) AS x FROM t
SELECT array_concat(t.a, t.s) AS x FROM t
SELECT array_has(t.a, t.d) AS x FROM t
SELECT map(t.i, t.s) AS x FROM t
SELECT named_struct('a', t.i, 'a', t.k) AS x FROM t
SELECT named_struct(t.s, t.i) AS x FROM t
SELECT struct(t.i AS a, t.k AS a) AS x FROM t
SELECT get_field(t.st, 'y') AS x FROM t
SELECT get_field(t.i, 'x') AS x FROM t
SELECT t.f::DATE AS x FROM t
SELECT t.o::DATE AS x FROM t
SELECT t.a::INT AS x FROM t
SELECT t.st::TEXT AS x FROM t
SELECT t.h::DATE AS x FROM t
SELECT t.d::TIME AS x FROM t
SELECT t.bin::INT AS x FROM t
SELECT CAST(t.i AS INTERVAL) AS x FROM t
SELECT INTERVAL '1 day' AS x FROM t
SELECT t.ts - t.ts AS x FROM t
SELECT NULL AS x FROM t
SELECT 1 / 0 AS x FROM t
SELECT 1 % 0 AS x FROM t
SELECT 9223372036854775807 + 1 AS x FROM t
SELECT 99999999999999999999999999999999999999999999999 AS x FROM t
SELECT 1e999 AS x FROM t
SELECT CAST(1 AS DECIMAL(38, 38)) AS x FROM t
SELECT CAST(t.n AS DECIMAL(38, 37)) * CAST(t.n AS DECIMAL(38, 37)) AS x FROM t
SELECT t.n * 1e300 AS x FROM t
SELECT * FROM t JOIN u ON t.i = u.i ORDER BY i
SELECT q.i FROM (SELECT t.i, u.i FROM t JOIN u ON t.i = u.i) AS q
SELECT t.i AS x, t.k AS x FROM t
SELECT CASE t.i WHEN 'a' THEN 1 ELSE 'b' END AS x FROM t
SELECT CASE WHEN t.o THEN t.a ELSE t.i END AS x FROM t
SELECT CASE WHEN t.o THEN t.d ELSE t.i END AS x FROM t
SELECT t.i FROM t WHERE CASE WHEN t.o THEN 1 ELSE 0 END
SELECT COALESCE() AS x FROM t
SELECT COALESCE(t.a, t.i) AS x FROM t
SELECT COALESCE(t.d, t.i) AS x FROM t
SELECT t.i BETWEEN t.a AND t.s AS x FROM t
SELECT t.d IN (1, t.o) AS x FROM t
SELECT t.i IN (t.a, 2) AS x FROM t
SELECT t.i IN () AS x FROM t
SELECT nullif(t.i) AS x FROM t
SELECT greatest() AS x FROM t
SELECT greatest(t.i, t.a) AS x FROM t
SELECT position(t.i IN t.a) AS x FROM t
SELECT substring(t.i FROM t.s) AS x FROM t
SELECT trim(t.a) AS x FROM t
SELECT overlay(t.s PLACING t.i FROM 1) AS x FROM t
SELECT concat() AS x FROM t
SELECT concat(t.a, t.s) AS x FROM t
SELECT digest(t.s, 'nonsense') AS x FROM t
SELECT encode(t.s, 'nonsense') AS x FROM t
SELECT lpad(t.s, t.s) AS x FROM t
SELECT t.s COLLATE "nowhere" AS x FROM t
SELECT t.i FROM t TABLESAMPLE (10 PERCENT)
SELECT * FROM t PIVOT (SUM(i) FOR s IN ('a', 'b')) AS p
SELECT t.i FROM t FOR UPDATE
SELECT TOP 3 t.i FROM t
SELECT DISTINCT ON (t.s) t.i FROM t ORDER BY t.i
SELECT DISTINCT ON (t.s, t.i) t.i FROM t ORDER BY t.k
SELECT DISTINCT ON (SUM(t.i)) t.s FROM t GROUP BY t.s
SELECT GROUPING(t.s) AS x, t.s FROM t GROUP BY ROLLUP (t.s) ORDER BY GROUPING(t.s), RANK() OVER (ORDER BY t.s)
SELECT SUM(t.i) AS x FROM t ORDER BY t.i
SELECT SUM(t.i) AS x FROM t ORDER BY SUM(SUM(t.i))
SELECT t.i FROM t ORDER BY SUM(t.i)
SELECT t.i AS x FROM t WHERE x > 1
SELECT SUM(t.i) AS x FROM t WHERE x > 1
SELECT SUM(t.i) AS x, x + 1 AS y FROM t
""".strip().splitlines()
SHAPES.append(
    "WITH q AS (SELECT t.i, MAX(t.k) AS m FROM t GROUP BY t.i UNION ALL SELECT u.i, u.k FROM u WHERE false)"
    " SELECT q.i FROM q WHERE q.i IN (SELECT u.i FROM u WHERE u.k = q.m)"
)
"""Clauses, subqueries, recursion, windows: one query a line."""
