"""A rules.toml that is wrong is refused with what is wrong, where it stands, and what was perhaps meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.projects import SampleProject
from support.refusals import MARK, orders_project, place_of_mark, refused

ORDERS = '[project]\nname = "sample"\n\n[sources.orders]\npath = "data/orders.parquet"\n'
NAMED = '[project]\nname = "sample"\n'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    return orders_project(tmp_path_factory.mktemp("config"))


SYNTAX = {
    "open header": (f'[project{MARK}\nname = "x"\n', "not valid TOML: expected ']' at the end of a table declaration"),
    "no value": (f"[project]\nname = {MARK}\n", "not valid TOML: invalid value"),
    "ends in a header": (f"{NAMED}[sources{MARK}", "not valid TOML: expected ']' at the end of a table declaration"),
    "key twice": (f'{NAMED}{MARK}name = "y"\n', "not valid TOML: cannot overwrite a value"),
    "table twice": (f"{NAMED}{MARK}[project]\n", "not valid TOML: cannot declare [project] twice"),
    "NUL": (f"{NAMED}# {MARK}\0\n", "a NUL character, which no text holds"),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_syntax_error_stands_where_it_is(project: SampleProject, case: str) -> None:
    text, message = SYNTAX[case]
    assert _refused_config(project, text)[0] == message


UNKNOWN = {
    "table": (f"{ORDERS}\n[{MARK}souces.x]\npath = 'a'\n", "unknown key 'souces'", "did you mean 'sources'?"),
    "key outside of tables": (
        f"{MARK}nam = 3\n{ORDERS}",
        "unknown key 'nam'",
        (
            "known: cache, contracts, engine, folders, openlineage, parts, policy, profiles, project, publish, "
            "sources, store, vars"
        ),
    ),
    "project": (f'{NAMED}{MARK}rule = ["rules"]\n', "unknown key 'rule' in [project]", "did you mean 'rules'?"),
    "source": (f'{ORDERS}{MARK}pth = "x"\n', "unknown key 'pth' in [sources.orders]", "did you mean 'path'?"),
    "inline source": (
        f'{NAMED}[sources]\norders = {{ path = "data/orders.parquet", {MARK}formt = "csv" }}\n',
        "unknown key 'formt' in [sources.orders]",
        "did you mean 'format'?",
    ),
    "dotted source": (
        f'{NAMED}[sources]\norders.path = "data/orders.parquet"\norders.{MARK}formt = "csv"\n',
        "unknown key 'formt' in [sources.orders]",
        "did you mean 'format'?",
    ),
    "the second of two sources": (
        f'{ORDERS}# pth\n[sources.more]\npath = "pth"\n{MARK}pth = 1\n',
        "unknown key 'pth' in [sources.more]",
        "did you mean 'path'?",
    ),
    "profile": (
        f"{ORDERS}[profiles.{MARK}prod_fst]\njobs = 3\n",
        "unknown profile 'prod_fst'",
        "did you mean 'prod_fast'?",
    ),
    "key of a profile": (
        f"{ORDERS}[profiles.prod_fast]\n{MARK}job = 3\n",
        "unknown key 'job' in [profiles.prod_fast]",
        "did you mean 'jobs'?",
    ),
    "format": (f'{ORDERS}{MARK}format = "parqet"\n', "'format' cannot be 'parqet'", "did you mean 'parquet'?"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_unknown_key_comes_with_a_suggestion(project: SampleProject, case: str) -> None:
    text, message, hint = UNKNOWN[case]
    assert _refused_config(project, text) == (message, hint)


PROMISES = {
    "key": (f'{ORDERS}{MARK}key = ["id"]\n', "'key' in [sources.orders] is", '[contracts.orders], write key = ["id"]'),
    "a word of dbt": (f"{ORDERS}{MARK}data_tests = []\n", "'data_tests' in [sources.orders]", "in [[checks]]"),
    "a word of SQL": (f'{ORDERS}{MARK}primary_key = "id"\n', "'primary_key' in [sources.orders] is", 'key = ["id"]'),
    "not_null": (f'{ORDERS}{MARK}not_null = ["id"]\n', "'not_null' in [sources.orders]", "columns.id.not_null = true"),
    "of a pattern": (
        f'{NAMED}[sources."seed_*"]\npath = "data/*.csv"\n{MARK}key = ["id"]\n',
        "'key' in [sources.seed_*] is a promise", "[contracts.NAME], NAME being the source",
    ),
    "of a column": (
        f'{ORDERS}columns = {{ {MARK}id = {{ type = "int64", not_null = true }} }}\n',
        "'columns.id' in [sources.orders] must be a type, not a table",
        'id = "string", and what its values promise under [contracts.orders]',
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PROMISES)
def test_a_promise_of_a_source_is_sent_to_its_contract(project: SampleProject, case: str) -> None:
    text, message, hint = PROMISES[case]
    said = _refused_config(project, text)
    assert (message in said[0], hint in (said[1] or "")) == (True, True), said


WRONG = {
    "name": (f"[project]\n{MARK}name = 3\n", "'name' must be a string, not an integer"),
    "rules": (f'{NAMED}{MARK}rules = "rules"\n', "'rules' must be a list, not a string"),
    "item of rules": (f'{NAMED}rules = ["rules", {MARK}3]\n', "'rules' must be a string, not an integer"),
    "path": (f"{NAMED}[sources.orders]\n{MARK}path = true\n", "'path' must be a string, not a boolean"),
    "columns": (f"{ORDERS}columns = {{ {MARK}order_id = 3 }}\n", "'order_id' must be a string, not an integer"),
    "columns table": (
        f"{ORDERS}[sources.orders.columns]\n{MARK}a = 2024-01-01\n",
        "'a' must be a string, not a date or time",
    ),
    "header": (f'{ORDERS}{MARK}header = "no"\n', "'header' must be true or false, not a string"),
    "delimiter": (f'{ORDERS}{MARK}delimiter = ";;"\n', "'delimiter' must be a single ASCII character"),
    "sources": (f"{MARK}sources = 3\n{NAMED}", "'sources' must be a table, not an integer"),
    "source": (f'{NAMED}[sources]\n{MARK}orders = "a.csv"\n', "'sources.orders' must be a table, not a string"),
    "jobs": (f'{ORDERS}[profiles.prod_fast]\n{MARK}jobs = "a"\n', "'jobs' must be an integer, not a string"),
    "jobs below 1": (
        f"{ORDERS}[profiles.prod_fast]\n{MARK}jobs = -1\n",
        "'jobs' must be at least 1, or 0 as by default",
    ),
    "no path": (f'{NAMED}[sources.{MARK}orders]\nformat = "csv"\n', "missing key 'path' in [sources.orders]"),
    "no name": (f'[{MARK}project]\nrules = ["rules"]\n', "missing key 'name' in [project]"),
    "no project": (f'{MARK}[sources.orders]\npath = "data/orders.parquet"\n', "the table [project] is missing"),
    "nothing": (MARK, "the table [project] is missing"),
    "name of a variable": (
        f'{ORDERS}[vars]\n{MARK}"a b" = 3\n',
        "'a b' is not a usable name in [vars]: letters, digits and _ only, no digit first",
    ),
    "big variable": (f"{ORDERS}[vars]\n{MARK}x = 9223372036854775808\n", "variable 'x' does not fit into 64 bits"),
    "list variable": (
        f"{ORDERS}[vars]\n{MARK}x = [1]\n",
        "variable 'x' must be an integer, a finite float, a string, a boolean, a date or a date-time",
    ),
    "sources that differ by case": (
        f'{ORDERS}[sources.{MARK}Orders]\npath = "data/orders.parquet"\n',
        "two tables are named 'Orders'",
    ),
    "rule folder": (f'{NAMED}rules = [{MARK}"models"]\n', "the rule folder 'models' does not exist"),
    "file as rule folder": (f'{NAMED}rules = [{MARK}"rules.toml"]\n', "the rule folder 'rules.toml' is a file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_value_stands_where_it_is(project: SampleProject, case: str) -> None:
    text, message = WRONG[case]
    assert _refused_config(project, text)[0] == message


def test_values_nested_beyond_reason_are_refused(project: SampleProject) -> None:
    project.write("rules.toml", f"{ORDERS}[vars]\nx = {'[' * 5000}{']' * 5000}\n")
    refusal = refused(project, "build")
    assert (refusal.exit_code, refusal.message, refusal.where) == (2, "not usable: nested too deeply", "rules.toml:1:1")


def test_every_command_that_reads_the_configuration_refuses_it_alike(project: SampleProject) -> None:
    project.write("rules.toml", "[project\n")
    assert {refused(project, command).where for command in ("build", "plan", "ls")} == {"rules.toml:1:9"}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_bytes_that_are_not_utf8_are_placed_by_characters(project: SampleProject, mark: bytes) -> None:
    (project.root / "rules.toml").write_bytes(mark + NAMED.encode() + "# é ".encode() + b"\xe9\n")
    refusal = refused(project, "build")
    assert refusal.message == "not UTF-8: byte 0xe9 cannot be read"
    assert refusal.where == "rules.toml:3:5"
    assert refusal.hint == "save the file as UTF-8"


def test_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    project = orders_project(tmp_path)
    text = project.read("rules.toml").replace("\n", "\r\n")
    (project.root / "rules.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert project.build("-s", "fine")["status"] == "ok"


def test_folder_without_a_project(tmp_path: Path) -> None:
    project = SampleProject(tmp_path)
    (tmp_path / "rules.toml").unlink()
    error = project.json("build", expect=2)["error"]
    assert (error["code"], error["hint"]) == ("no-project", "rules init makes a project here")
    done = project.cli("build")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: no rules.toml in {tmp_path}")


def test_unknown_profile_on_the_command_line(tmp_path: Path) -> None:
    refusal = refused(orders_project(tmp_path), "build", "--profile", "prod_fst")
    assert (refusal.exit_code, refusal.message) == (2, "unknown profile 'prod_fst'")
    assert refusal.hint == "did you mean 'prod_fast'?"


def _refused_config(project: SampleProject, text: str) -> tuple[str, str | None]:
    """Write rules.toml, whose error must stand where `text` is marked; return the error's message and hint."""
    line, column = place_of_mark(text)
    project.write("rules.toml", text.replace(MARK, ""))
    refusal = refused(project, "build")
    assert refusal.exit_code == 2
    assert refusal.where == f"rules.toml:{line}:{column}", refusal
    return refusal.message, refusal.hint
