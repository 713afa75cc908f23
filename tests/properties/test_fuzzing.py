"""Whatever text stands in a rule or in rules.toml: it is answered in good time, by a result or by a located error."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from compiler.errors import SqlError
from compiler.parse_rule import parse_rule
from properties.fuzzing import Entrances, fuzz
from rules.config.front_matter import read_options
from rules.config.project import load_project
from rules.errors import UserError

CHUNK = 5_000
SOAK = {"sql": 120_000, "front": 30_000, "toml": 50_000, "commands": 10_000}
SUITE = {"sql": 120, "front": 60, "toml": 120, "commands": 20}


@pytest.fixture(scope="module")
def entrances(tmp_path_factory: pytest.TempPathFactory) -> Entrances:
    return Entrances(tmp_path_factory.mktemp("fuzzing"))


@pytest.mark.parametrize("kind", SUITE)
def test_a_few_texts(entrances: Entrances, kind: str) -> None:
    for seed in range(1_000_000, 1_000_000 + SUITE[kind]):
        entrances.take(kind, seed)


@pytest.mark.slow
def test_what_hangs_or_fails_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RULES_FUZZ_HANG", "2")
    found = fuzz("toml", range(4))
    assert [(one["seed"], one["fault"]) for one in found] == [(2, "hang")]


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("kind", "start"), [(kind, start) for kind, count in SOAK.items() for start in range(0, count, CHUNK)]
)
def test_many_texts(kind: str, start: int) -> None:
    assert fuzz(kind, range(start, start + CHUNK)) == []


ENDLESS = {
    "a brace behind a literal": ("SELECT 1 {", 10),
    "a brace behind a name": ("SELECT a {", 10),
    "a brace behind a string": ("SELECT 'x' {'a': 1}", 12),
    "a brace behind a call": ("SELECT abs(1) { AS a", 15),
    "a brace behind a list": ("SELECT [1]{", 11),
    "a brace behind a type": ("SELECT CAST(1 AS INT) {", 23),
    "a brace behind a table": ("SELECT 1 AS a FROM t {", 22),
    "a brace in the WHERE": ("SELECT 1 AS a FROM t WHERE a = 1 {", 34),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_text_that_never_ended_is_refused_at_its_brace(name: str) -> None:
    text, column = ENDLESS[name]
    with pytest.raises(SqlError, match=r"unexpected \{") as caught:
        parse_rule(text)
    assert (caught.value.line, caught.value.column) == (1, column)


STEEP = {
    "joins without ON": (lambda n: f"SELECT 1 AS a FROM t{' JOIN t' * n}", 30),
    "nested types": (lambda n: f"SELECT CAST(NULL AS {'STRUCT(' * n}INT{')' * n}) AS a", 60),
    "calls behind dots": (lambda n: f"SELECT a{'.b()' * n} AS a FROM t", 300),
    "calls in calls": (lambda n: f"SELECT {'SUM(' * n}1{') OVER (PARTITION BY a)' * n} AS a FROM t", 150),
}


@pytest.mark.parametrize("name", STEEP)
def test_the_work_of_parsing_does_not_explode(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks at tokens: twice the text is at most a little more than four times the work, and never 2ⁿ."""
    from compiler.sql.bounded_parser import BoundedParser

    looks = 0
    once = BoundedParser._match  # noqa: SLF001 — every look at a token

    def counted(self: BoundedParser, *arguments: object, **options: object) -> bool:
        nonlocal looks
        looks += 1
        return once(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(BoundedParser, "_match", counted)
    form, size = STEEP[name]

    def work(times: int) -> int:
        nonlocal looks
        looks = 0
        with contextlib.suppress(SqlError):
            parse_rule(form(times))
        return looks

    assert work(2 * size) < 4.5 * work(size)


def test_what_is_parsed_over_and_over_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.sql.bounded_parser._LOOKS", 10)
    monkeypatch.setattr("compiler.sql.bounded_parser._LOOKS_AT_EACH", 1)
    with pytest.raises(SqlError, match="too entangled to be parsed") as caught:
        parse_rule("SELECT 1 + 1 AS a")
    assert caught.value.line == 1


@pytest.mark.parametrize("field", ["1", "'a'", "$x", "(a)"])
def test_what_is_no_name_behind_a_dot_is_refused(field: str) -> None:
    with pytest.raises(SqlError, match=r"expected a column name after t\.") as caught:
        parse_rule(f"SELECT t.{field} AS a FROM t")
    assert caught.value.line == 1


def test_a_variable_is_no_alias() -> None:
    with pytest.raises(SqlError, match="expected a name after AS") as caught:
        parse_rule("SELECT t.a AS $x FROM t")
    assert caught.value.line == 1


def test_a_cte_without_as_is_refused() -> None:
    with pytest.raises(SqlError, match="expected AS after the name of a CTE") as caught:
        parse_rule("WITH a (SELECT 1 AS x) SELECT a.x FROM a")
    assert caught.value.line == 1


def test_a_number_of_thousands_of_digits_is_told_with_its_place(tmp_path: Path) -> None:
    digits = "9" * 5000
    (tmp_path / "rules.toml").write_text(f'[project]\nname = "x"\n[vars]\nx = {digits}\n', encoding="utf-8")
    with pytest.raises(UserError, match="thousands of digits") as caught:
        load_project(tmp_path)
    assert str(caught.value.where) == "rules.toml:4:5"
    with pytest.raises(UserError, match="thousands of digits") as caught:
        read_options(f"-- /// rule\n-- tier = {digits}\n-- ///\nSELECT 1 AS a", "one.sql")
    assert str(caught.value.where) == "one.sql:2:11"
