"""What a query that comes from another tool is told: its functions, its templates, its names in capitals."""

from __future__ import annotations

import pytest

from compiler.errors import SqlError
from compiler.sql.dialect import parse
from compiler.sql.functions import suggest
from compiler.sql.other_engines import function_hint
from support.inprocess import run
from support.projects import SampleProject


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return SampleProject(tmp_path_factory.mktemp("elsewhere") / "p")


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("DATEDIFF('day', 1, 2, 3)", "write CAST(b AS DATE) - CAST(a AS DATE) for days"),
        ("listagg(1, 2)", "write string_agg(s, ',')"),
        ("jaro_winkler_similarity('a', 'b')", "no function of the engine is known to do the same"),
        ("lenght('a')", "did you mean 'length'?"),
    ],
)
def test_a_function_of_another_engine(project: SampleProject, call: str, hint: str) -> None:
    name = call.partition("(")[0].lower()
    assert f"hint:  {hint}" in run(project, "query", f"SELECT {call} AS x", expect=1).stderr
    project.sql("caller", f"SELECT {call} AS x")
    checked = run(project, "check", expect=1).stdout
    assert f"R021 unknown function '{name}'" in checked
    assert f"hint: {hint}" in checked


@pytest.mark.parametrize("name", ["arg_max", "len", "date_add", "log1p", "xor", "bool_xor", "sha1", "list_transform"])
def test_a_function_of_another_meaning_is_not_suggested(name: str) -> None:
    assert "did you mean" not in (function_hint(name) or "")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("uper", "upper"),
        ("array_lenght", "array_length"),
        ("coalesc", "coalesce"),
        ("cout", "count"),
        ("haversine", None),
    ],
)
def test_a_misspelt_function(name: str, meant: str | None) -> None:
    assert suggest(name) == meant


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        (
            "{{ config(materialized='table') }}\nSELECT 1 AS x",
            (1, 1),
            "{{ config(materialized='table') }}",
            "leave it out",
        ),
        ("SELECT a.x FROM {{ ref('a') }} AS a", (1, 17), "{{ ref('a') }}", "the product: a"),
        ('SELECT a.x FROM {{ref("p", "a")}} AS a', (1, 17), '{{ref("p", "a") }}', "the product: a"),
        ("SELECT a.x FROM {{- source( 'shop', 'raw' ) -}} AS a", (1, 17), "source( 'shop', 'raw' )", "rules.toml: raw"),
        ("SELECT {{ var('least', 3) }} AS x", (1, 8), "{{ var('least', 3) }}", "write $least, and declare least"),
        ("SELECT 1 AS x\n{% if is_incremental() %} WHERE 1 = 1 {% endif %}", (2, 1), "{% if", "the whole query"),
        ("SELECT MAX(t.x) AS x FROM {{ this }} AS t", (1, 27), "{{ this }}", "never reads its own product"),
        ("{% set x = 1 %} SELECT 1 AS x", (1, 1), "{% set x = 1 %}", "docs/python.md"),
        ("SELECT {{ dbt_utils.star(from=ref('a')) }} FROM a", (1, 8), "dbt_utils.star", "* EXCEPT (a, b)"),
        ("SELECT {{ dbt_utils.generate_surrogate_key(['a', 'b']) }} AS x", (1, 8), "surrogate_key", "md5(concat_ws("),
        ("SELECT {{ shop.cents('a') }} AS x", (1, 8), "{{ shop.cents('a') }}", "write out what it expands to"),
        ("MODEL (name a.b, kind FULL);\nSELECT 1 AS x", (1, 1), "MODEL (…) is not read here", "leave MODEL (…) out"),
        ("AUDIT (name a);\nSELECT 1 AS x", (1, 1), "AUDIT (…) is not read here", "[[checks]]"),
        ("SELECT t.x FROM t WHERE t.ds > @start_ds", (1, 32), "@start_ds", "$start_ds"),
    ],
)
def test_a_template(text: str, place: tuple[int, int], message: str, hint: str) -> None:
    with pytest.raises(SqlError) as raised:
        parse(text)
    error = raised.value
    assert (error.line, error.column) == place
    assert message in error.message
    assert hint in (error.hint or "")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '{{ x }}' AS x, \"{% y %}\" FROM t -- {{ z }}",
        "SELECT make_array(1, 2) @> make_array(1) AS x /* {% if %} */",
        "SELECT model.x, audit.y FROM model CROSS JOIN audit",
    ],
)
def test_what_is_no_template(text: str) -> None:
    parse(text)


def test_a_template_is_a_finding_at_its_place(project: SampleProject) -> None:
    project.sql("templated", "SELECT o.x FROM {{ ref('orders') }} AS o")
    checked = run(project, "check", "--format", "concise", expect=1).stdout
    assert "rules/templated.sql:1:17: R900 Jinja is not expanded here: {{ ref('orders') }}" in checked


def test_a_column_in_capitals(tmp_path_factory: pytest.TempPathFactory) -> None:
    sample = SampleProject(tmp_path_factory.mktemp("capitals") / "p", sources=["raw"])
    sample.parquet("raw", {"Claim_Id": [1], "amount": [2]})
    for text in (
        "SELECT Claim_Id AS x FROM raw",
        "SELECT r.CLAIM_ID AS x FROM raw AS r",
        "SELECT * EXCEPT (claim_id) FROM raw",
    ):
        hint = 'write "Claim_Id": without quotes a name is read in lower case'
        assert "unknown column 'claim_id'\n" in run(sample, "query", text, expect=1).stderr
        assert hint in run(sample, "query", text, expect=1).stderr
    sample.sql("capitals", "SELECT r.Claim_Id AS x FROM raw AS r")
    assert 'hint: write "Claim_Id"' in run(sample, "check", expect=1).stdout
    assert run(sample, "query", 'SELECT r."Claim_Id" AS x FROM raw AS r', "--json").document["data"] == [{"x": 1}]


def test_trim_is_called_what_its_author_calls_it(project: SampleProject) -> None:
    ran = run(project, "query", "SELECT trim(DATE '2024-01-01') AS x", expect=1)
    assert "'trim' cannot be called with DATE" in ran.stderr
    assert "trim(CAST(… AS TEXT))" in ran.stderr


@pytest.mark.parametrize("text", ["INTERVAL '1 day' * t.n", "t.a + t.n", "t.a - 2 * t.n"])
def test_days_are_added_as_an_interval(project: SampleProject, text: str) -> None:
    table = "(VALUES (timestamp '2024-01-31', 3)) AS t(a, n)"
    hint = run(project, "query", f"SELECT {text} AS x FROM {table}", expect=1).stderr.partition("interval: ")[2].strip()
    written = hint.replace("(n,", "(t.n,")
    row = run(project, "query", f"SELECT t.a + {written} AS x FROM {table}", "--json").document["data"][0]
    assert row == {"x": "2024-02-03 00:00:00"}


def test_the_column_of_a_table_function(project: SampleProject) -> None:
    ran = run(project, "query", "SELECT g.generate_series AS x FROM generate_series(1, 3) AS g", expect=1)
    assert "FROM generate_series(…) AS t(name)" in ran.stderr
    assert run(project, "query", "SELECT t.x FROM generate_series(1, 2) AS t(x)", "--json").document["rows"] == 2
