"""A misspelt keyword is told where the parser stops because of it."""

import pytest

from compiler.errors import SqlError
from compiler.sql.dialect import parse


@pytest.mark.parametrize(
    ("text", "keyword", "word"),
    [
        ("WITH s AS (selct r.n FROM a AS r) SELECT s.n FROM s", "SELECT", "selct"),
        ("SELECT a.n form a", "FROM", "form"),
        ("SELECT a.n FROM a wehre a.n = 1", "WHERE", "wehre"),
        ("SELECT a.n FROM a gruop BY 1", "GROUP", "gruop"),
        ("SELECT a.n FROM a LEFT jion b USING (n)", "JOIN", "jion"),
        ("SELECT a.n FROM a ORDR BY a.n", "ORDER", "ORDR"),
        ("SELECT CASE WHEN a.n = 1 thne 2 END AS x FROM a", "THEN", "thne"),
        ("SELECT a.n FROM a WHERE a.n betwen 1 AND 2", "BETWEEN", "betwen"),
    ],
)
def test_a_misspelt_keyword(text: str, keyword: str, word: str) -> None:
    with pytest.raises(SqlError) as raised:
        parse(text)
    assert raised.value.hint == f"did you mean {keyword} for '{word}'?"


@pytest.mark.parametrize("text", ["SELECT sum(a.n FROM a", "SELECT a.n a.m FROM a", "SELECT a.n FROM a WHERE a.n ="])
def test_what_is_no_misspelt_keyword(text: str) -> None:
    with pytest.raises(SqlError) as raised:
        parse(text)
    assert "did you mean" not in (raised.value.hint or "")


def test_names_that_look_like_keywords_are_names() -> None:
    parse("SELECT form.wher, form.orders AS joins FROM form CROSS JOIN grp AS limits")
