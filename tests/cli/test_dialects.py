"""SQL of other dialects: what a fix writes has the value that the dialect's own engine gives."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from compiler.sql.foreign_calls import meanings, rows
from compiler.sql.foreign_table import DIALECTS
from compiler.sql.functions import functions
from fixtures.make_dialects import DOCS, MARK, tables
from support.dialect_proofs import call, disagreements, exact_rows
from support.inprocess import run
from support.projects import SampleProject
from support.translating import EDGES, ROWS

CONSTANTS = {"strftime": "%Y-%m-%d %H:%M:%S", "regexp_full_match": "a.*"}
WHOLE = {"struct_extract": "struct_extract({'f': v.n}, 'f')", "strptime": "strptime('2024-02-29', '%Y-%m-%d')"}
ARGUMENTS = {"l": "[v.n, v.m, NULL]", "r": "[v.m, 3]", "z": "v.k", "i": "INTERVAL '3 days'"}
TABLE = ROWS[:-1] + EDGES + ROWS[-1:]
HABITS = r"""
v.n / v.m
(v.n + 1) / v.m
v.q / v.m
v.q / v.q
v.n / 2.0
CAST(v.x / 2 AS VARCHAR) IS NULL
CAST(v.q AS INT)
v.q::BIGINT
CAST(v.n / 2.0 AS INT)
CAST((v.n + 0.5) AS INT)
CAST(v.n / 4 AS BIGINT)
TRY_CAST(v.q AS INT)
CAST(v.a AS VARCHAR)
v.a || ' at'
concat('at ', v.a)
CAST(v.x AS VARCHAR)
CAST(v.y AS VARCHAR)
v.y || '!'
v.d + INTERVAL '1 day'
v.d - INTERVAL 1 hour
v.d + INTERVAL '1 month'
v.a + INTERVAL '1 day'
v.a AT TIME ZONE 'UTC' AT TIME ZONE 'America/New_York'
v.s LIKE 'a\%b'
v.s LIKE '%\_%'
substr(v.s, -2)
substr(v.s, -5, 4)
substring(v.s, 0, 2)
v.s SIMILAR TO 'a'
v.s SIMILAR TO 'a.b'
v.n * 0.1
v.n * 0.1 = 0.7
0.1 + 0.2 = 0.3
v.q * 1.1
v.n ^ 2
v.n % v.m
greatest(v.n, NULL, v.m)
concat(v.s, NULL)
row_number() OVER (ORDER BY v.x DESC, v.k)
first_value(v.n) OVER (ORDER BY v.s DESC)
date_trunc('month', v.d)
extract(dow FROM v.d)
extract(week FROM v.a)
extract(epoch FROM v.a)
round(v.x)
round(v.q, 1)
[v.n, v.m][1]
v.c AND NULL
CASE WHEN v.n / v.m > 3 THEN v.d + INTERVAL '1 day' END
coalesce(v.n / v.m, 0)
if(v.n > 3, v.n / v.m, 0)
date_diff('month', v.a, v.d + INTERVAL '40 days')
string_split('', ',')
string_split(v.s, ',')
string_to_array(v.s, ',')
divide(v.n, v.m)
divide(v.q, v.m)
divide(v.x, v.m)
to_hex(v.n + 20)
list_contains([v.n, NULL], 7)
list_contains([v.u, v.w], v.v)
avg(v.q) OVER (PARTITION BY v.c)
date_add(v.d, INTERVAL 3 DAY)
date_add(v.a, INTERVAL 3 DAY)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return SampleProject(tmp_path_factory.mktemp("dialects") / "p")


def _expressions() -> Iterator[tuple[str, bool]]:
    """Yield what DuckDB is asked, and whether it is an aggregate."""
    for row in exact_rows("duckdb"):
        yield (
            WHOLE.get(row.name) or call(row, CONSTANTS, ARGUMENTS),
            row.section == "Aggregates" or row.name in {"list", "mean"},
        )
    for text in HABITS.strip().splitlines():
        yield text, False


@pytest.mark.slow
@pytest.mark.parametrize("aggregates", [False, True])
def test_a_fix_has_the_value_that_duckdb_gives(project: SampleProject, aggregates: bool) -> None:
    texts = list(dict.fromkeys(text for text, aggregate in _expressions() if aggregate == aggregates))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        wrong = disagreements(
            project, "duckdb", lambda query: connection.execute(query).fetchall(), texts, TABLE, aggregates=aggregates
        )
    assert not wrong, "\n".join(map(str, wrong))


def test_the_documentation_is_the_table() -> None:
    assert DOCS.read_text(encoding="utf-8").partition(MARK)[2] == "\n" + tables()


def test_the_table_has_no_function_of_the_engine() -> None:
    assert len(rows()) >= 120
    assert not rows().keys() & functions().keys()
    assert meanings().keys() <= functions().keys()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dialect_of_its_own_name(project: SampleProject, dialect: str) -> None:
    config = project.root / "rules.toml"
    before = config.read_text()
    config.write_text(f'{before}\n[policy]\nfrom_dialect = "{dialect}"\n')
    project.sql("halves", "SELECT 7 / 2 AS half")
    checked = run(project, "check", "--json", expect=None)
    config.write_text(before)
    fractions = dialect not in {"postgres", "redshift"}
    assert ("R016" in {one["code"] for one in checked.document["findings"]}) is fractions
    assert checked.code == int(fractions)
