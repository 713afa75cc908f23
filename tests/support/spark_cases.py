# ruff: noqa: E501 — a table of values and texts, a row a line
"""Expressions over values that go wrong easily: each entry of the allow list of `compiler.spark`, by examples."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa

LAST, FIRST = (1 << 63) - 1, -(1 << 63)


def nasty() -> pa.Table:
    """Return rows of NULLs, ends of ranges, strings beyond ASCII, dates of other centuries, NaN and both zeros."""
    days = [datetime.date(1, 1, 1), datetime.date(1582, 10, 10), datetime.date(1900, 2, 28), datetime.date(1969, 12, 31),
            datetime.date(2000, 2, 29), datetime.date(2024, 12, 31), datetime.date(9999, 12, 31), None]  # fmt: skip
    moments = [datetime.datetime(1, 1, 1), datetime.datetime(1582, 10, 4, 23, 59, 59, 999999),
               datetime.datetime(1582, 10, 10, 12), datetime.datetime(1677, 9, 21, 0, 12, 43, 145223),
               datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.datetime(1970, 1, 1), None,
               datetime.datetime(2000, 2, 29, 12, 34, 56, 789012), datetime.datetime(2020, 12, 31, 1),
               datetime.datetime(2021, 1, 3, 5), datetime.datetime(2024, 3, 31, 2, 30), datetime.datetime(2024, 12, 30),
               datetime.datetime(2262, 4, 11, 23, 47, 16, 854776), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
               datetime.datetime(9999, 1, 1), None]  # fmt: skip
    texts = [
        "",
        "a",
        "A",
        "a%b",
        "a_b",
        "a\\b",
        "ü",
        "😀x",
        "e\u0301",
        " a ",
        "\x00",
        "it's",
        "${x}",
        None,
        "\uffff",
        "ß",
    ]
    return pa.table(
        {
            "id": pa.array(range(16), pa.int64()),
            "n": pa.array([0, 1, -1, 2, 7, -7, LAST, FIRST, LAST - 1, None, 3, 3, 100, -100, 1 << 53, None], pa.int64()),
            "m": pa.array([1, 0, LAST, FIRST, 2, 2, 1, -1, LAST, 5, None, 3, 10, 3, 1, None], pa.int64()),
            "i": pa.array([0, 1, -1, 2**31 - 1, -(2**31), 5, None, 7, 9, 3, 3, 2, 1, 0, -5, None], pa.int32()),
            "h": pa.array([0, 1, -1, 2**15 - 1, -(2**15), 5, None, 7, 9, 3, 3, 2, 1, 0, -5, None], pa.int16()),
            "s": pa.array(texts, pa.string()),
            "r": pa.array(texts[8:] + texts[:8], pa.string()),
            "b": pa.array([True, False, None, True] * 4, pa.bool_()),
            "c": pa.array([True, None, None, False] * 4, pa.bool_()),
            "d": pa.array(days * 2, pa.date32()),
            "e": pa.array(days[3:] + days[:3] + days, pa.date32()),
            "t": pa.array(moments, pa.timestamp("us")),
            "u": pa.array(moments[3:] + moments[:3], pa.timestamp("us")),
            "v": pa.array(moments, pa.timestamp("us", "UTC")),
            "p": pa.array([Decimal(x) if x else None for x in
                           ["0.00", "0.05", "-0.05", "9999999999999.99", "-9999999999999.99", None, "0.07", "0.06", "1",
                            "2", "3", "1.10", "1.1", "100", "-3", None]], pa.decimal128(15, 2)),
            "q": pa.array([Decimal(x) for x in
                           ["0", "1", "-1", "999999", "-999999", "0.5", "0.007", "3", "1", "2", "3", "4", "5", "6", "7",
                            "8"]], pa.decimal128(9, 3)),
            "w": pa.array([Decimal(9 * 10**25 + x) for x in range(15)] + [None], pa.decimal128(30, 4)),
            "z": pa.array([Decimal(x) if x else None for x in
                           ["0", "1e-10", "-1e-10", "123e-10", "1e-6", "9.99e-7", "-1e-7", "1.5", "-2", None, "1e-9",
                            "9" * 18, "-" + "9" * 18 + ".9999999999", "123456789012345678.5", "7", "-0.0000012"]],
                          pa.decimal128(38, 10)),
            "x": pa.array([0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e308, 5e-324, 0.1, 1 / 3, None, 1.5, -2.5,
                           1e16, 123456789.123, -1e-300, 2.0], pa.float64()),
            "y": pa.array([1.0, -1.0, 0.0, 0.0, 2.0, 10.0, 0.5, 0.2, 3.0, 1.0, None, -0.0, 1.0, 1e-5, 1e-300, 2.0],
                          pa.float64()),
        }
    )  # fmt: skip


ROWS: dict[str, tuple[str, ...]] = {
    "Column": ("n", "m", "i", "h", "s", "b", "d", "p", "q", "w", "x", "t", "v"),
    "Literal": ("'it''s \\ ${x} %'", "'ü😀'", "9223372036854775807", "1.5", "'a\nb'"),
    "Null": ("CASE WHEN b THEN n ELSE NULL END",),
    "Boolean": ("b AND TRUE", "b OR FALSE"),
    "Paren": ("(n + 1) * 2",),
    "And": ("b AND c",),
    "Or": ("b OR c",),
    "Not": ("NOT b", "NOT (n > 1)"),
    "Is": ("n IS NULL", "b IS NOT TRUE", "x IS NULL"),
    "Between": ("n BETWEEN m AND 7", "p BETWEEN 0.05 AND 0.07", "p BETWEEN 0.06 - 0.01 AND 0.06 + 0.01", "d BETWEEN DATE '1900-01-01' AND e", "s BETWEEN 'A' AND 'b'",
                "t BETWEEN u AND CAST('2024-12-30 00:00:00' AS TIMESTAMP(6))", "v BETWEEN v AND v", "d BETWEEN '1582-10-10' AND e"),
    "In": ("n IN (1, 2, NULL)", "s IN ('a', 'ü', '')", "n NOT IN (1, NULL)", "i IN (1, 2147483648)",
           "t IN (u, CAST('1970-01-01 00:00:00' AS TIMESTAMP(6)), NULL)", "d IN ('2000-02-29', '1900-02-28')"),
    "Like": ("s LIKE 'a%'", "s LIKE '_'", "s LIKE '%b'", "s NOT LIKE 'a_b'", "s LIKE ''"),
    "EQ": ("n = m", "s = r", "d = e", "p = q", "i = n", "b = c", "p = 0.05", "n = q", "t = u", "t = d", "v = v"),
    "NEQ": ("n <> m", "s <> r", "p <> 0.07", "t <> u"),
    "LT": ("n < m", "s < r", "d < e", "p < q", "p < 0.06", "i < h", "p < 0.06 + 0.01", "i < 1.5", "p < 0.1 * i", "0.5 * n < i",
           "p < 0.333333333333333 * q", "n < 0.1 * p", "t < u", "t < CAST('1582-10-10 12:00:00.000001' AS TIMESTAMP(6))", "d < '1900-02-28'",
           "EXTRACT(EPOCH FROM t) < 0.5"),
    "LTE": ("n <= m", "s <= r"),
    "GT": ("n > m", "s > r", "p > 0.05"),
    "GTE": ("n >= m", "s >= r", "d >= DATE '1582-10-10'", "t >= TIMESTAMP '2024-03-31 02:30:00'", "v >= TIMESTAMP '1970-01-01 00:00:00'"),
    "NullSafeEQ": ("n IS NOT DISTINCT FROM m", "s IS NOT DISTINCT FROM r"),
    "NullSafeNEQ": ("n IS DISTINCT FROM m",),
    "Add": ("n + m", "i + i", "h + h", "i + 1", "p + q", "p + 1", "x + y", "i + h", "p + 1.5", "x + n",
            "d + INTERVAL '90' DAY", "d + INTERVAL '3' MONTH", "d + INTERVAL '1' YEAR",
            "t + INTERVAL '90' DAY", "t + INTERVAL '1' MONTH", "t + INTERVAL '36' HOUR", "t + INTERVAL '90' SECOND", "v + INTERVAL '1' YEAR"),
    "Sub": ("n - m", "i - i", "h - h", "1 - p", "q - p", "x - y", "x - z", "d - INTERVAL '1' MONTH", "d - INTERVAL '90' DAY", "d - INTERVAL '2' WEEK",
            "DATE '2000-02-29' - INTERVAL '1' YEAR", "t - INTERVAL '13' MONTH", "t - INTERVAL '2' WEEK", "v - INTERVAL '5' MINUTE", "d - e"),
    "Mul": ("n * m", "i * i", "h * h", "p * q", "p * (1 - q)", "x * y", "q * 2", "0.5 * p", "p * x", "w * 0.1", "0.2 * n"),
    "Div": ("n / 7", "i / 2", "n / 9223372036854775807", "p / 3", "p / CAST(q + 0.5 AS DOUBLE)", "p / (q * q + 1)",
            "i / (q * q + 1)", "x / 7.0", "w / 7.0", "n / 0.3", "x / (0.5 * i)", "100.0 * p / q", "p / -7", "p / 7.0", "z / 7.0",
            "w / 3", "z / 3", "z / (q * q + 1)"),
    "Mod": ("n % 7", "i % 2"),
    "Neg": ("-n", "-i", "-p", "-x", "-w", "-z"),
    "DPipe": ("s || r", "s || '\\' || 'x'"),
    "Coalesce": ("COALESCE(n, m, 0)", "COALESCE(s, 'none')", "COALESCE(d, e)", "COALESCE(x, y)", "COALESCE(p, 0)", "COALESCE(p, q)",
                 "COALESCE(i, n)"),
    "Case": ("CASE WHEN n > 1 THEN 'big' WHEN b THEN s END", "CASE n WHEN 1 THEN 'one' WHEN NULL THEN 'none' ELSE 'other' END",
             "CASE WHEN b THEN p ELSE 0 END", "CASE WHEN b THEN p WHEN c THEN q ELSE i END", "CASE WHEN b THEN i ELSE 0 END"),
    "If": ("CASE WHEN b THEN x ELSE y END",),
    "Cast": ("CAST(i AS BIGINT)", "CAST(n AS VARCHAR)", "CAST(n AS DOUBLE)", "CAST(q AS DECIMAL(20, 5))", "CAST(i AS DECIMAL(12, 2))",
             "CAST(p AS DOUBLE)", "CAST(w AS DOUBLE)", "CAST(z AS DOUBLE)", "CAST(p AS DECIMAL(17, 4))", "CAST(p * q AS DECIMAL(26, 5))", "CAST('2000-02-29' AS DATE)",
             "CAST(t AS DATE)", "CAST(v AS DATE)", "CAST(d AS TIMESTAMP(6))", "CAST(v AS TIMESTAMP(6))", "CAST(t AS VARCHAR)", "CAST(v AS VARCHAR)",
             "CAST(d AS VARCHAR)", "CAST(b AS VARCHAR)", "CAST(b AS INT)", "CAST(p AS VARCHAR)", "CAST(q AS VARCHAR)", "CAST(w AS VARCHAR)",
             "CAST('2024-01-01 10:00:00.123456' AS TIMESTAMP(6))"),
    "char_length": ("char_length(s)", "length(r)", "character_length(s)"),
    "character_length": ("character_length(r)",),
    "length": ("length(s)",),
    "substr": ("substr(s, 1, 1)", "substr(s, 2)", "substr(s, 3, 0)", "substr(s, 1, 100)"),
    "substring": ("substring(s, 2, 1)",),
    "starts_with": ("starts_with(s, 'a')", "starts_with(s, r)"),
    "ends_with": ("ends_with(s, 'b')", "ends_with(s, r)"),
    "date_part": tuple(f"EXTRACT({part} FROM {value})" for value in ("d", "t", "v")
                       for part in ("year", "quarter", "month", "week", "day", "doy", "dow", "isodow", "epoch",
                                    *(() if value == "d" else ("hour", "minute", "second")))),
    "date_trunc": (*(f"date_trunc('{unit}', t)" for unit in ("day", "hour", "minute", "second", "millisecond")),
                   *(f"date_trunc('{unit}', v)" for unit in ("minute", "second", "millisecond")),
                   *(f"date_trunc('{unit}', {moment})" for unit in ("millisecond", "microsecond") for moment in
                     ("CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP(6))",
                      "CAST(CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP(6)) AS TIMESTAMP(6)) - INTERVAL '1' SECOND",
                      "t - INTERVAL '1' SECOND", "CASE WHEN b THEN t ELSE CAST('1969-12-31 23:59:59.123999' AS TIMESTAMP(6)) END",
                      "COALESCE(v, v)", "CAST(d AS TIMESTAMP(6))")),
                   "date_trunc('microsecond', t)", "date_trunc('microsecond', v)"),
    "make_date": ("CASE WHEN b THEN make_date(2024, 2, 29) END", "CASE WHEN i BETWEEN 1 AND 9 THEN make_date(h, i, 5) END"),
    "upper": ("upper(s)", "upper(r)"),
    "lower": ("lower(s)", "lower(s || 'AΣ')", "lower('AΣ' || r)"),
    "reverse": ("reverse(s)",),
    "octet_length": ("octet_length(s)",),
    "contains": ("contains(s, 'b')", "contains(s, r)"),
    "strpos": ("strpos(s, 'x')", "strpos(s, r)", "strpos(s, '')"),
    "replace": ("replace(s, 'a', 'ü')", "replace(s, '', 'x')", "replace(s, r, 'x')", "replace(s, 'a', '')"),
    "concat": ("concat(s, r)", "concat(s, 'x', r)"),
    "split_part": ("split_part(s, 'b', 1)", "split_part(s, '%', 2)", "split_part(s, 'a', 7)", "split_part(s, '.', 1)"),
    "left": ("left(s, 1)", "left(s, 0)", "left(s, 100)"),
    "right": ("right(s, 1)", "right(s, 0)", "right(s, 100)"),
    "repeat": ("repeat(s, 2)", "repeat(s, 0)"),
    "lpad": ("lpad(s, 3, '*')", "lpad(s, 3)", "lpad(s, 0, 'x')", "lpad(s, 4, 'ü-')"),
    "rpad": ("rpad(s, 3, '*')", "rpad(s, 3)", "rpad(s, 0, 'x')", "rpad(s, 4, 'ü-')"),
    "trim": ("trim(s)", "trim(s || '\t')"),
    "btrim": ("btrim(s)", "btrim(s, 'a')", "btrim(s, 'ab')"),
    "ltrim": ("ltrim(s)", "ltrim(s, 'ab')"),
    "rtrim": ("rtrim(s)", "rtrim(s, 'ab')"),
    "abs": ("abs(p)", "abs(w)", "abs(z)"),
    "nullif": ("nullif(n, m)", "nullif(s, 'a')", "nullif(p, 0)", "nullif(i, 0)", "nullif(p, q)", "nullif(t, u)"),
    "Window": ("rank() OVER (PARTITION BY b ORDER BY n DESC)", "dense_rank() OVER (ORDER BY s, n)", "rank() OVER (ORDER BY t)",
               "row_number() OVER (PARTITION BY b ORDER BY id)", "lag(n) OVER (PARTITION BY b ORDER BY id)",
               "lead(s, 2) OVER (ORDER BY n, id)", "SUM(n) OVER (PARTITION BY b)", "SUM(p) OVER (PARTITION BY b ORDER BY i)",
               "MAX(t) OVER (ORDER BY n)", "COUNT(*) OVER (PARTITION BY c)", "AVG(p) OVER (PARTITION BY b)",
               "AVG(i) OVER (PARTITION BY b ORDER BY d)", "MIN(s) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
               "SUM(w) OVER (PARTITION BY b ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)",
               "MAX(n) OVER (PARTITION BY b ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
               "SUM(p) OVER (PARTITION BY b ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)",
               "rank() OVER (ORDER BY n) + 1", "rank() OVER (ORDER BY n) = i"),
}  # fmt: skip
"""Of entries whose value is one of a row."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Sum": ("SUM(n)", "SUM(i)", "SUM(p)", "SUM(w)", "SUM(p * (1 - q))", "SUM(n + 1)"),
    "Avg": ("AVG(p)", "AVG(q)", "AVG(p * q)", "0.2 * AVG(p)", "AVG(p - q)", "AVG(i)", "AVG(h)", "AVG(i) > 1.5"),
    "Min": ("MIN(n)", "MIN(s)", "MIN(d)", "MIN(p)", "MIN(b)", "MIN(t)", "MIN(v)"),
    "Max": ("MAX(n)", "MAX(s)", "MAX(d)", "MAX(p)", "MAX(t)"),
    "Count": ("COUNT(*)", "COUNT(n)", "COUNT(x)", "COUNT(DISTINCT s)", "COUNT(DISTINCT b)", "COUNT(DISTINCT t)"),
    "Filter": (
        "SUM(n) FILTER (WHERE b)",
        "COUNT(*) FILTER (WHERE n > 1)",
        "AVG(i) FILTER (WHERE c)",
        "AVG(p) FILTER (WHERE c)",
        "COUNT(DISTINCT s) FILTER (WHERE c)",
        "SUM(w) FILTER (WHERE c)",
    ),
}
"""Of aggregates. They are taken of groups, of all rows, and of none."""

QUERIES: dict[str, str] = {
    "grouped_by_text": "SELECT s, COUNT(*) AS c FROM t GROUP BY s",
    "grouped_by_null": "SELECT n % 3 AS k, b, MIN(d) AS d FROM t GROUP BY n % 3, b HAVING COUNT(*) > 0",
    "distinct_rows": "SELECT DISTINCT i, b FROM t",
    "inner_join": "SELECT a.id, z.id AS other FROM t AS a JOIN t AS z ON a.n = z.m",
    "left_join": "SELECT a.id, z.s FROM t AS a LEFT JOIN t AS z ON a.i = z.n AND z.b",
    "right_join": "SELECT a.id, z.id AS other FROM t AS a RIGHT JOIN t AS z ON a.s = z.r",
    "full_join": "SELECT a.id, z.id AS other FROM t AS a FULL JOIN t AS z ON a.n = z.m",
    "cross_join": "SELECT a.id, z.id AS other FROM t AS a CROSS JOIN t AS z WHERE a.id < 3",
    "comma_join": "SELECT a.id, z.id AS other FROM t AS a, t AS z WHERE a.n = z.m",
    "union_all": "SELECT id, n FROM t UNION ALL SELECT id, m FROM t",
    "union_distinct": "SELECT s FROM t UNION SELECT r FROM t",
    "intersected": "SELECT s FROM t INTERSECT SELECT r FROM t WHERE id < 9",
    "excepted": "SELECT n FROM t EXCEPT SELECT m FROM t",
    "nested_sets": "SELECT n FROM t INTERSECT (SELECT m FROM t UNION SELECT n FROM t WHERE b) EXCEPT SELECT m FROM t WHERE c",
    "exists_below": "SELECT a.id FROM t AS a WHERE EXISTS (SELECT 1 FROM t AS z WHERE z.m = a.n)",
    "not_exists": "SELECT a.id FROM t AS a WHERE NOT EXISTS (SELECT 1 FROM t AS z WHERE z.m = a.n)",
    "in_query": "SELECT id FROM t WHERE n IN (SELECT m FROM t WHERE m IS NOT NULL)",
    "not_in_query_with_null": "SELECT id FROM t WHERE n NOT IN (SELECT m FROM t)",
    "scalar_query": "SELECT id FROM t WHERE n > (SELECT MAX(i) FROM t)",
    "with_cte": "WITH w AS (SELECT id, n FROM t WHERE b) SELECT w.id, w.n FROM w JOIN t AS z ON w.id = z.id",
    "derived": "SELECT g.k, g.c FROM (SELECT b AS k, COUNT(*) AS c FROM t GROUP BY b) AS g WHERE g.c > 1",
    "first_rows": "SELECT id, n, x FROM t ORDER BY n DESC, id LIMIT 3",
    "first_rows_of_groups": "SELECT b, SUM(p) AS total, COUNT(*) AS c FROM t GROUP BY b ORDER BY total DESC LIMIT 2",
    "first_rows_that_tie": "SELECT id, b, x FROM t WHERE id < 12 ORDER BY b LIMIT 5",
    "first_rows_though_another_ties": "SELECT id < 0 AS k, id <> 5 AS usual FROM t ORDER BY k LIMIT 2",
    "first_rows_though_others_follow": "SELECT id < 0 AS k, id = 0 AS first FROM t ORDER BY k LIMIT 2",
    "first_rows_by_expressions": "SELECT id AS k, n AS value FROM t ORDER BY n % 3 DESC, -id LIMIT 4",
    "first_rows_by_one_that_ties": "SELECT id, n AS value FROM t ORDER BY n % 3 LIMIT 3",
    "first_groups_by_an_aggregate": "SELECT b, COUNT(*) AS c FROM t GROUP BY b ORDER BY MIN(d), MAX(id) DESC LIMIT 2",
    "first_of_a_rollup": "SELECT b AS k, c AS l, RANK() OVER (PARTITION BY GROUPING(b) ORDER BY SUM(p)) AS place FROM t "
    "GROUP BY ROLLUP (b, c) ORDER BY CASE WHEN GROUPING(b) = 0 THEN b END, place, GROUPING(c), k, l LIMIT 5",
    "some_rows": "SELECT id FROM t LIMIT 3",
    "as_many_rows_as_there_are": "SELECT id, s, x FROM t LIMIT 16",
    "one_row_of_many": "SELECT COUNT(*) AS c, SUM(n) AS k FROM t LIMIT 100",
    "first_rows_alike": "SELECT b FROM t ORDER BY b LIMIT 5",
    "more_rows_than_there_are": "SELECT id, s FROM t ORDER BY s NULLS FIRST LIMIT 100",
    "first_of_a_union": "SELECT id, n FROM t UNION ALL SELECT id, m FROM t ORDER BY id LIMIT 4",
    "float_of_a_query": "SELECT id FROM t WHERE p < (SELECT 0.2 * SUM(q) FROM t) AND i > (SELECT 0.01 * AVG(p) FROM t WHERE id < 3)",
    "float_of_a_query_around": "SELECT id FROM t AS a WHERE p < (SELECT 0.7 * AVG(z.q) FROM t AS z WHERE z.b = a.b)",
    "multiple_of_a_query": "SELECT a.id FROM t AS a WHERE a.q > 1.2 * (SELECT AVG(z.q) FROM t AS z WHERE z.b = a.b)",
    "multiple_that_is_large": "SELECT a.id FROM t AS a WHERE a.p > 1.2 * (SELECT AVG(z.p) FROM t AS z WHERE z.i = a.i)",
    "multiple_of_a_query_with_groups": "SELECT b, SUM(q) AS k FROM t GROUP BY b HAVING SUM(q) > 0.5 * (SELECT g.k FROM (SELECT MAX(q) AS k FROM t) AS g)",
    "arithmetic_with_queries": "SELECT id, 2 * (1 + (SELECT SUM(z.q) FROM t AS z WHERE z.b = a.b)) AS k, "
    "(SELECT SUM(z.p) FROM t AS z WHERE z.id < 0) * 3 AS l, 7 - (SELECT SUM(z.q) FROM t AS z WHERE z.id < 3) AS m FROM t AS a",
    "compared_totals": "SELECT b, SUM(p) * 0.0001 AS f FROM t GROUP BY b HAVING SUM(q) > (SELECT 0.00001 * SUM(p) FROM t)",
    "beginnings_of_timestamps": "SELECT id, "
    + ", ".join(
        f"date_trunc('{unit}', t) AS t_{unit}, date_trunc('{unit}', v) AS v_{unit}"
        for unit in ("year", "quarter", "month", "week")
    )
    + " FROM t WHERE EXTRACT(YEAR FROM t) BETWEEN 1700 AND 2261",
    "beginnings_of_days": "SELECT id, "
    + ", ".join(f"CAST(date_trunc('{unit}', d) AS DATE) AS d_{unit}" for unit in ("year", "quarter", "month", "week"))
    + " FROM t WHERE d BETWEEN '1700-01-01' AND '2200-01-01'",
    "grouped_by_timestamp": "SELECT t, v, COUNT(*) AS c FROM t GROUP BY t, v",
    "joined_by_timestamp": "SELECT a.id, z.id AS other FROM t AS a JOIN t AS z ON a.t = z.u ORDER BY a.t DESC, a.id, z.id",
    "latest_first": "SELECT id, t, v FROM t ORDER BY v DESC, id LIMIT 5",
    "means": "SELECT b, AVG(n) AS f FROM t WHERE n BETWEEN -1000 AND 1000 GROUP BY b ORDER BY f LIMIT 2",
    "rolled_up": "SELECT b, c, GROUPING(b) AS gb, GROUPING(b) + GROUPING(c) AS g, COUNT(*) AS k, COUNT(b) AS kb, SUM(p) AS p FROM t GROUP BY ROLLUP (b, c)",
    "cubed": "SELECT b, i, COUNT(*) AS k FROM t GROUP BY CUBE (b, i)",
    "ranked_groups": "SELECT b, SUM(n) AS k, RANK() OVER (ORDER BY SUM(p) DESC) AS place, SUM(SUM(p)) OVER () AS total FROM t GROUP BY b",
    "first_of_each": "SELECT g.id, g.s FROM (SELECT id, s, ROW_NUMBER() OVER (PARTITION BY b ORDER BY n DESC, id) AS k FROM t) AS g WHERE g.k <= 2",
    "means_that_may_round": "SELECT b, AVG(n) AS f FROM t GROUP BY b",
    "numbered_though_they_tie": "SELECT id, ROW_NUMBER() OVER (ORDER BY b) AS k FROM t",
    "lagging_though_others_tie": "SELECT id, LAG(n) OVER (ORDER BY d) AS k FROM t",
    "summed_though_they_tie": "SELECT id, SUM(n) OVER (ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS k FROM t",
    "sums_beside_distinct_values": "SELECT COUNT(DISTINCT i) AS c, SUM(p) AS k, SUM(q) AS total FROM t",
    "sums_of_groups_beside_distinct_values": "SELECT b, SUM(p) AS k, COUNT(DISTINCT s) AS c FROM t GROUP BY b ORDER BY k LIMIT 2",
    "in_order": "SELECT s, id FROM t ORDER BY s DESC, id",
    "in_query_or_else": "SELECT id FROM t WHERE (n IN (SELECT m FROM t) OR c) AND (NOT (n IN (SELECT m FROM t WHERE b)) OR b)",
    "rolled_up_of_none": "SELECT b, COUNT(*) AS k FROM t WHERE id < 0 GROUP BY ROLLUP (b)",
    "cubed_of_none": "SELECT g.k + 1 AS k FROM (SELECT b, c, COUNT(*) AS k FROM t WHERE id < 0 GROUP BY CUBE (b, c)) AS g",
    "ranks_of_a_rollup_of_none": "WITH w AS (SELECT id, b FROM t WHERE id < 0) SELECT b, COUNT(*) AS k, RANK() OVER (ORDER BY COUNT(*)) AS r FROM w GROUP BY ROLLUP (b) ORDER BY k, GROUPING(b) LIMIT 9",
    "rolled_up_in_order": "SELECT b, c, COUNT(*) AS k FROM t GROUP BY ROLLUP (b, c) HAVING COUNT(*) > 1 ORDER BY k DESC, b, c",
}
WITHIN = {"grouping": "rolled_up"}
"""Entries that mean something only in such a query, and which."""
LOCALLY = frozenset({
    "first_rows_that_tie", "first_rows_though_another_ties", "first_rows_though_others_follow",
    "first_rows_by_one_that_ties", "some_rows", "multiple_that_is_large", "means_that_may_round", "numbered_though_they_tie", "lagging_though_others_tie",
    "summed_though_they_tie", "rolled_up_of_none", "cubed_of_none", "ranks_of_a_rollup_of_none",
})  # fmt: skip
"""Queries of which Spark finds out that the local engine has to compute them."""
