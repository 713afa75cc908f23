"""SQL in Python files: which texts are queries, and that a place in one is a place in the file."""

from __future__ import annotations

import pytest

from rules.lsp.embedded import embedded, embedded_at

FILE = """import rules
from rules import rule, sql as query

@rule
def first(orders):
    é = "é"; return rules.sql("SELECT o.id FROM orders AS o")

@rule
def second(orders):
    return query('''
        SELECT o.id
        FROM orders AS o
    ''')

@rule
def third(orders):
    return rules.sql(r"SELECT b.id FROM big AS b", big=orders)
"""


def test_queries_keep_their_places() -> None:
    first, second, third = embedded(FILE)
    for one in (first, second, third):
        assert len(one.text) == len(FILE)
        assert one.text.count("\n") == FILE.count("\n")
        assert one.text[one.start : one.end] == FILE[one.start : one.end]
        assert one.text.split()[0] == "SELECT"
    assert [one.alone for one in (first, second, third)] == [True, True, False]
    assert embedded_at(FILE, FILE.index("FROM orders")) == first
    assert embedded_at(FILE, FILE.index("def second")) is None


@pytest.mark.parametrize(
    "line",
    [
        "x = sql('SELECT 1')",  # of something else
        "import rules; x = rules.sql(f'SELECT {1}')",
        "import rules; x = rules.sql('SELECT ' 'a')",
        "import rules; x = rules.sql('SELECT \\'a\\'')",
        "import rules; x = rules.sql(text)",
        "import rules; x = rules.sql()",
        "import rules; x = rules.sql('SELECT NVL(a, 0)', dialect='snowflake')",
        "import rules; x = rules.sql('SELECT 1'",
        "from .rules import sql; sql('SELECT 1')",
        "",
    ],
)
def test_what_is_not_there_as_it_is_meant_is_no_query(line: str) -> None:
    assert embedded(line) == []
