"""SQL of PostgreSQL: what a fix writes has the value that PostgreSQL itself gives, of each exact row and each habit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.battery import FILE, agree, cases, in_order, plain
from support.dialect_proofs import call, disagreements, exact_rows
from support.projects import SampleProject
from support.translating import EDGES, ROWS, translated

pytestmark = pytest.mark.service
TABLE = ROWS[:-1] + EDGES + ROWS[-1:]
HABITS = r"""
v.n / v.m
(v.n + 1) / v.m
-v.n / v.m
mod(v.q, v.m)
mod(-v.n, 3)
v.n % v.m
v.n / 2.0
div(v.n + 1, 2)
sign(v.n - 7)
ceiling(v.q)
ceiling(v.n)
ceiling(-v.x)
CAST(v.q AS INT)
v.q::BIGINT
CAST(v.x AS INT)
v.x::BIGINT
CAST(v.x / 2 AS BIGINT)
CAST(v.x + 1 AS INT) + 1
CAST((v.n + 0.5) AS INT)
CAST(-v.q * 2 AS INT)
CAST(v.n / 4 AS BIGINT)
round(v.x)
round(-v.x)
round(v.x / 2)
round(v.x) + 1
round(v.y)
round(v.q)
round(v.q, 1)
trunc(v.x)
CAST(v.a AS VARCHAR)
v.a::text
CAST(date_trunc('second', v.a) AS VARCHAR)
v.a || ' at'
concat('at ', v.a)
concat_ws('-', v.s, v.a)
v.d + INTERVAL '1 day'
v.d - INTERVAL '1 hour'
v.d + INTERVAL '1 month'
INTERVAL '1 day' + v.d
CAST(v.d + INTERVAL '1 day' AS DATE)
(v.d + INTERVAL '1 day')::text
v.a + INTERVAL '1 day'
v.a - INTERVAL '1 month'
v.d - v.e
v.a AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York'
v.a AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC'
v.s LIKE 'a\%b'
v.s LIKE '%\_%'
v.s LIKE 'A%'
v.s ILIKE 'A%'
substr(v.s, -2)
substr(v.s, -1, 4)
substring(v.s, 0, 2)
v.s SIMILAR TO 'a'
v.s SIMILAR TO 'a%b'
v.s SIMILAR TO 'a_b'
v.s SIMILAR TO '%(a|x)%'
v.s SIMILAR TO 'a.b'
v.s SIMILAR TO ''
v.s SIMILAR TO 'a|%b'
v.s SIMILAR TO '(x|y)?a+%'
v.s SIMILAR TO 'it''s'
v.n * 0.1
v.n * 0.1 = 0.7
0.1 + 0.2 = 0.3
v.q * 1.1
v.q > 2.5
v.q - 0.005
CAST(v.q AS FLOAT)
CAST(v.n AS FLOAT) / 3
v.n ^ 2
2 ^ v.m
v.x ^ 2
-v.n ^ 2
2 ^ 3 ^ 2
(v.n + 1) ^ 2
to_char(v.a, 'YYYY-MM-DD HH24:MI:SS')
to_char(v.a, 'YYYY-MM-DD HH12:MI:SS AM')
to_char(v.d, 'YYYY/MM')
to_char(v.d, 'YYYYMMDD')
to_char(v.d, 'DDD')
to_char(v.d, 'IYYY IW')
to_char(v.d, 'YY')
to_char(v.d, 'Dy Mon')
to_char(v.a, 'HH24:MI:SS.MS')
to_char(v.a, 'HH24:MI:SS.US')
to_char(v.a, 'PM')
to_date('29.02.2024', 'DD.MM.YYYY')
greatest(v.n, NULL, v.m)
least(v.n, v.m)
concat(v.s, NULL)
v.s || NULL
concat_ws(',', v.s, NULL, v.t)
row_number() OVER (ORDER BY v.x DESC, v.k)
row_number() OVER (ORDER BY v.x, v.k)
first_value(v.n) OVER (ORDER BY v.s DESC, v.k)
date_trunc('month', v.a)
date_trunc('week', v.d)
extract(dow FROM v.d)
extract(isodow FROM v.d)
extract(week FROM v.a)
extract(epoch FROM v.a)
extract(second FROM v.a)
date_part('second', v.a)
date_part('second', v.a) * 2
date_part('dow', v.a)
position(v.t IN v.s)
regexp_replace(v.s, 'a', 'Z')
regexp_replace(v.s, 'a', 'Z', 'g')
v.s ~ '^a'
(ARRAY[v.n, v.m])[1]
v.n * (v.m ^ 2)
round(v.n / 2.0)
round(extract(epoch FROM v.a))
round(date_part('epoch', v.a))
coalesce(v.s, '') = ''
nullif(v.s, '')
split_part(v.s, ',', 1)
length(v.s)
ascii(v.s)
left(v.s, -1)
right(v.s, -1)
lpad(v.s, 5, '*')
v.c AND NULL
v.c OR NULL
CASE WHEN v.n / v.m > 3 THEN v.d + INTERVAL '1 day' END
coalesce(v.n / v.m, 0)
"""
HINTS = {
    "v.n * v.m ^ 2": "R018", "v.n ^ v.m + 1": "R018", "CAST(v.n / 2.0 AS INT)": "R030", "round(v.x * 0.5)": "R030",
    "CAST(v.x AS VARCHAR)": "R035", "v.s NOT SIMILAR TO 'a%'": "R040", "v.s SIMILAR TO '[ab]%'": "R040",
    "v.q / 3": "R016", "to_char(v.d, 'Day')": "R044",
}  # fmt: skip
"""What a fix would not have PostgreSQL's value of for sure → the code under which it is only found."""
AGGREGATES = """
every(v.n > 0)
every(CASE WHEN v.k < 0 THEN v.c END)
every(CASE WHEN v.c THEN v.c END)
every(v.c OR NULL)
variance(v.n)
variance(v.q)
variance(CASE WHEN v.k = 1 THEN v.x END)
variance(CASE WHEN v.k < 0 THEN v.x END)
variance(CASE WHEN v.k > 5 THEN v.x END)
avg(v.n)
sum(v.q)
count(v.u)
round(avg(v.x))
round(avg(v.n))
round(avg(CASE WHEN v.k IN (1, 3) THEN v.n END))
round(avg(CASE WHEN v.k IN (3, 6) THEN v.n END))
CAST(avg(CASE WHEN v.k IN (3, 6) THEN v.n END) AS BIGINT)
CAST(avg(CASE WHEN v.k IN (1, 3) THEN v.n END) AS BIGINT)
"""


@pytest.fixture(scope="module")
def connection(postgresql_address: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgresql_address, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


@pytest.mark.parametrize("aggregates", [False, True])
def test_a_fix_has_the_value_that_postgresql_gives(
    connection: psycopg.Connection[Any], tmp_path_factory: pytest.TempPathFactory, aggregates: bool
) -> None:
    project = SampleProject(tmp_path_factory.mktemp("dialects") / "p")
    calls = [call(row, {}, {}) for row in exact_rows("postgres") if (row.section == "Aggregates") == aggregates]
    assert calls
    habits = (AGGREGATES if aggregates else HABITS).strip().splitlines()
    texts = list(dict.fromkeys([*calls, *habits]))
    wrong = disagreements(
        project, "postgres", lambda query: connection.execute(query).fetchall(), texts, TABLE, aggregates=aggregates
    )
    assert not wrong, "\n".join(map(str, wrong))


def test_the_values_of_the_battery_are_those_of_postgresql(connection: psycopg.Connection[Any]) -> None:
    connection.execute(f"CREATE TEMPORARY TABLE v AS {FILE.with_name('v.sql').read_text()}")
    wrong = []
    for case in cases():
        if case.dialect == "postgres" and case.outcome != "refused":
            rows = connection.execute(case.query if case.is_query else f"{case.query} ORDER BY k").fetchall()
            found = plain([list(row) for row in rows] if case.is_query else [row[0] for row in rows])
            if not agree(
                in_order(case.value) if case.is_query else case.value, in_order(found) if case.is_query else found
            ):
                wrong.append((case.text, case.value, found))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("text", HINTS)
def test_what_no_fix_is_proved_for_is_only_found(text: str) -> None:
    query = f"SELECT {text} AS x FROM v"
    after, left = translated(query, "postgres")
    assert after == query
    assert [one.split()[0] for one in left] == [HINTS[text]]
