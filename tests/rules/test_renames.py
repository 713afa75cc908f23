"""What refuses a rename in an editor: a rule or a column that is called by its name where nothing is rewritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.lint.edits import apply
from rules.errors import UserError
from rules.lsp.renaming import rename
from rules.lsp.workbench import Workbench
from support.projects import SampleProject

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "renames"
PAID = "SELECT o.id, o.amount AS total FROM orders AS o\n"
READER = "SELECT p.total FROM paid AS p\n"
IN_FRONT = "-- /// rule\n-- {}\n-- ///\nSELECT o.id FROM orders AS o\n"


def project(root: Path, files: dict[str, str], toml: str = "") -> Workbench:
    sample = SampleProject(root, sources=["orders", "others"], toml=toml)
    sample.parquet("orders", {"id": [1, 2], "amount": [3, 4]})
    sample.parquet("others", {"id": [1, 2]})
    for path, text in {"rules/paid.sql": PAID, "rules/reader.sql": READER, **files}.items():
        sample.write(path, text)
    bench = Workbench(root, runs_python=False)
    bench.check(lambda _: None)
    return bench


def refusal(bench: Workbench, word: str) -> str:
    with pytest.raises(UserError) as refused:
        rename(bench, "rules/reader.sql", READER.index(word), "other")
    return refused.value.message


@pytest.mark.parametrize(
    ("path", "text", "columns"),
    [
        ("rules/in_python.py", "from rules import rule\n\n@rule()\ndef f(paid):\n    return paid.total.sum()\n", True),
        ("rules/in_python.py", "from rules import rule\n\n@rule()\ndef f(paid):\n    return paid.count()\n", False),
        ("tests/paid.toml", "given.orders = [{id = 1, amount = 2}]\nexpect = [{id = 1, total = 2}]\n", True),
        ("tests/more/reader.toml", "given.paid = [{total = 2}]\nexpect = [{n = 2}]\n", True),
        ("tests/reader.sql", "WITH paid AS (SELECT 2 AS total) SELECT 2 AS n\n", True),
        ("rules/third.sql", IN_FRONT.format('columns.id.references = "paid.total"'), True),
        ("rules/third.sql", IN_FRONT.format('checks = [{name = "x", sql = "SELECT p.id FROM paid AS p"}]'), False),
    ],
)  # fmt: skip
def test_files_that_name_what_is_renamed_refuse_it(
    tmp_path: Path,
    path: str,
    text: str,
    columns: bool,
) -> None:
    bench = project(tmp_path, {path: text})
    assert refusal(bench, "paid") == f"{path} calls paid by its name, too"
    if columns:
        assert refusal(bench, "total") == f"{path} calls paid.total by its name, too"
    else:
        assert rename(bench, "rules/reader.sql", READER.index("total"), "other").edits


@pytest.mark.parametrize(
    ("toml", "columns"),
    [
        ('[contracts.others.columns.id]\nreferences = "paid.total"\n', True),
        ('[[contracts.others.checks]]\nname = "x"\nsql = "SELECT p.total FROM paid AS p WHERE p.total < 0"\n', True),
        ('[publish.out]\nto = "out"\nselect = ["+paid"]\n', False),
        ('[publish.out]\nto = "out"\npartition_by.paid = ["total"]\n', True),
    ],
)
def test_settings_that_name_what_is_renamed_refuse_it(
    tmp_path: Path,
    toml: str,
    columns: bool,
) -> None:
    bench = project(tmp_path, {}, toml=f"\n{toml}")
    assert refusal(bench, "paid") == "rules.toml calls paid by its name, too"
    if columns:
        assert refusal(bench, "total") == "rules.toml calls paid.total by its name, too"


@pytest.mark.parametrize("option", ['key = ["total"]', 'writer.sort_by = ["total"]', "columns.total.not_null = true"])
def test_a_rule_whose_options_name_a_column_refuses_its_rename(tmp_path: Path, option: str) -> None:
    bench = project(tmp_path, {"rules/paid.sql": f"-- /// rule\n-- {option}\n-- ///\n{PAID}"})
    assert refusal(bench, "total") == "rules/paid.sql calls paid.total by its name, too"
    assert rename(bench, "rules/reader.sql", READER.index("paid"), "other").edits


def test_a_new_name_is_written_as_sql_writes_it(tmp_path: Path) -> None:
    bench = project(tmp_path, {})
    for new, written in (("sum", "sum"), ("Sum", '"Sum"'), ("select", '"select"'), ('a"b', '"a""b"'), ("1", '"1"')):
        found = rename(bench, "rules/reader.sql", READER.index("total"), new)
        assert [edit.text for edit in found.edits["rules/paid.sql"]] == [written]
        assert [edit.text for edit in found.edits["rules/reader.sql"]] == [f"{written} AS total"]
    found = rename(bench, "rules/reader.sql", READER.index("paid"), "select")
    assert [edit.text for edit in found.edits["rules/reader.sql"]] == ['"select"']
    with pytest.raises(UserError, match="a name has at least one character"):
        rename(bench, "rules/reader.sql", READER.index("p.total"), "")


def test_a_rule_in_the_project_folder_stays_there(tmp_path: Path) -> None:
    bench = project(tmp_path, {})
    toml = (tmp_path / "rules.toml").read_text()
    (tmp_path / "rules.toml").write_text(toml.replace("[project]", '[project]\nrules = ["."]'))
    (tmp_path / "rules/paid.sql").rename(tmp_path / "paid.sql")
    bench.check(lambda _: None)
    found = rename(bench, "rules/reader.sql", READER.index("paid"), "other")
    assert found.moved == ("paid.sql", "other.sql")


@pytest.mark.parametrize(
    "text", ["SELECT FROM", "SELECT p.nothing FROM paid AS p", "-- /// rule\n-- tier = 9\n-- ///\n"]
)
def test_no_rule_takes_the_name_of_a_file_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    assert refusal(project(tmp_path, {"rules/sub/Other.sql": text}), "paid") == "there is a table 'other' already"


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    bench = project(tmp_path, {})
    (tmp_path / "rules/other.sql").mkdir()
    assert refusal(bench, "paid") == "there is a file rules/other.sql already"


def test_a_rule_in_another_dialect_refuses_what_it_reads(tmp_path: Path) -> None:
    text = '-- /// rule\n-- dialect = "spark"\n-- ///\nSELECT p.total, "total" AS word FROM paid AS p\n'
    bench = project(tmp_path, {"rules/sparkling.sql": text})
    for word in ("paid", "total"):
        assert refusal(bench, word) == "rules/sparkling.sql is in another dialect, so nothing is renamed"


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("SELECT o.amount AS total FROM orders AS o ORDER BY total", "AS other FROM orders AS o ORDER BY other"),
        ("SELECT o.id AS total FROM orders AS o UNION SELECT 1 ORDER BY total", "SELECT 1 ORDER BY other"),
        (
            "SELECT o.amount AS total FROM orders AS o GROUP BY total HAVING total > 1 ORDER BY total DESC, o.amount",
            "GROUP BY other HAVING other > 1 ORDER BY other DESC, o.amount",
        ),
    ],
)
def test_an_output_is_renamed_where_its_rule_orders_by_it(tmp_path: Path, text: str, after: str) -> None:
    bench = project(tmp_path, {"rules/paid.sql": text})
    found = rename(bench, "rules/reader.sql", READER.index("total"), "other")
    assert apply(text, found.edits["rules/paid.sql"]).endswith(after)


def test_an_output_does_not_take_the_name_of_a_column_that_its_rule_orders_by(tmp_path: Path) -> None:
    text = "SELECT o.id AS total FROM orders AS o ORDER BY amount"
    bench = project(tmp_path, {"rules/paid.sql": text})
    with pytest.raises(UserError, match=r"rules/paid\.sql would mean something else"):
        rename(bench, "rules/reader.sql", READER.index("total"), "amount")


def test_what_rules_in_python_import_may_name_a_column(tmp_path: Path) -> None:
    rule = "from rules import rule\nfrom lib.sums import added\n\n@rule()\ndef f(paid):\n    return added(paid)\n"
    bench = project(tmp_path, {"rules/f.py": rule, "lib/sums.py": "def added(table):\n    return table.total.sum()\n"})
    assert refusal(bench, "total") == "rules/f.py calls paid.total by its name, too"
    (tmp_path / "lib/sums.py").write_text("def added(table):\n    return table.id.sum()\n")
    assert rename(bench, "rules/reader.sql", READER.index("total"), "other").edits


def test_a_file_whose_findings_are_ignored_by_its_name_keeps_it(tmp_path: Path) -> None:
    bench = project(tmp_path, {}, toml='\n[policy.per_file_ignores]\n"rules/paid.sql" = ["R005"]\n')
    assert refusal(bench, "paid") == "rules.toml calls paid by its name, too"
    assert rename(bench, "rules/reader.sql", READER.index("total"), "other").edits


def cases(name: str) -> list[tuple[str, str]]:
    """Return the cases of a file: a text with | before the name to change, and the outcome of calling it `n`."""
    lines = (FIXTURES / name).read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("--")]
    return list(zip(lines[::2], lines[1::2], strict=True))


@pytest.mark.parametrize(("text", "after"), cases("cte_columns.sql"))
def test_a_column_of_a_cte_is_renamed_and_every_output_keeps_its_name(tmp_path: Path, text: str, after: str) -> None:
    before = text.replace("|", "")
    found = rename(project(tmp_path, {"rules/own.sql": before}), "rules/own.sql", text.index("|"), "n")
    assert found.edits.keys() == {"rules/own.sql"}
    assert apply(before, found.edits["rules/own.sql"]) == after


@pytest.mark.parametrize(("text", "problem"), cases("refused_cte_columns.sql"))
def test_a_column_of_a_cte_keeps_its_name_where_another_would_change_a_meaning(
    tmp_path: Path, text: str, problem: str
) -> None:
    bench = project(tmp_path, {"rules/own.sql": text.replace("|", "")})
    with pytest.raises(UserError) as refused:
        rename(bench, "rules/own.sql", text.index("|"), "n")
    assert refused.value.message == problem
