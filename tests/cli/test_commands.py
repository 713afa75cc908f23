"""The commands: how they are called, what they answer as text and as JSON, and how they end."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rules.cli import main
from rules.commands import log as log_command
from rules.terminal.other_tools import option_hint
from rules.terminal.parser import COMMANDS
from support import inprocess
from support.forks import shared
from support.projects import FIXTURES, RULES, SampleProject
from support.terminal import run_on_terminal

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


@pytest.fixture
def rules(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process."""

    def run(*words: str | Path) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)

    return run


@pytest.fixture
def project(tmp_path: Path) -> SampleProject:
    """Four products: raw → cleaned → totals → report, and lonely; nothing is built yet."""
    sample = SampleProject(tmp_path / "sample", sources=["raw", "other"])
    sample.parquet("raw", {"id": [1, 2, 3], "amount": [10, 20, 30]})
    sample.parquet("other", {"x": [1]})
    sample.write(
        "rules/staging/cleaned.sql", '-- /// rule\n-- tags = ["daily"]\n-- ///\nSELECT r.id, r.amount FROM raw AS r\n'
    )
    sample.sql("totals", "SELECT SUM(c.amount) AS total FROM cleaned AS c")
    sample.sql("report", "SELECT t.total * 2 AS twice FROM totals AS t")
    sample.sql("lonely", "SELECT o.x FROM other AS o")
    return sample


def document(ran: Ran) -> dict:
    """The one document on stdout, and nothing else there."""
    assert ran.stdout.endswith("}\n")
    assert ran.stdout.count("\n") == 1
    read = json.loads(ran.stdout)
    assert read["format"] == 1
    return read


def test_help_names_every_command(rules: Run) -> None:
    for words in (["--help"], ["-h"], ["help"], ["help", "--json"], ["help", "-q"]):
        ran = rules(*words)
        assert (ran.returncode, ran.stderr) == (0, "")
        for command, text in COMMANDS.items():
            assert re.search(rf"^  {command} +{re.escape(text)}$", ran.stdout, re.MULTILINE)


def test_alone_it_prints_the_help_as_a_usage_error(rules: Run) -> None:
    ran = rules()
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == rules("--help").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(rules: Run, command: str) -> None:
    ran = rules(command, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"usage: rules {command} ")
    assert "--json" in ran.stdout
    assert rules("help", command).stdout == rules(command, "-h").stdout == ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_documented(rules: Run, command: str) -> None:
    sections = re.split(r"^## ", DOCS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    everywhere = next(text for text in sections if text.startswith("Options of every command"))
    section = next((text for text in sections if re.match(rf"`rules {command}\b", text)), None)
    assert section is not None, f"docs/cli.md has no section on rules {command}"
    offered = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*|(?<![\w-])-[A-Z]\b", rules(command, "--help").stdout))
    missing = {option for option in offered if f"`{option}" not in section and f"`{option}" not in everywhere}
    assert not missing - {"-h", "--help"}


def test_the_version(rules: Run) -> None:
    ran = rules("--version")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.fullmatch(r"rules \d+\.\d+\.\d+\n", ran.stdout)
    assert f"rules {document(rules('--json', '--version'))['version']}\n" == ran.stdout


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["bild"], "unknown command 'bild'", "did you mean 'build'?"),
        (
            ["run"],
            "unknown command 'run'",
            "rules build runs what must run, and nothing else; rules plan says what that is",
        ),
        (["list"], "unknown command 'list'", "rules ls lists the products"),
        (["history"], "unknown command 'history'", "did you mean 'log'?"),
        (["build", "--full-refresh"], "unknown option '--full-refresh'", option_hint("--full-refresh")),
        (["build", "-x"], "unknown option '-x'", option_hint("-x")),
        (
            ["build", "--vars={a: 1}"],
            "unknown option '--vars={a: 1}'",
            "write --var NAME=VALUE, once for each variable",
        ),
        (["show", "SELECT", "x"], "unexpected argument 'x'", 'put the query in quotes: rules show "SELECT …"'),
        (["help", "shwo"], "unknown command 'shwo'", "did you mean 'show'?"),
        (["xyzzy"], "unknown command 'xyzzy'", f"commands: {', '.join(COMMANDS)}"),
        (["build", "orders"], "unexpected argument 'orders'", "to name products: rules build -s orders"),
        (["log", "a", "b"], "unexpected argument 'b'", "see rules log --help"),
        (["build", "--selct=x"], "unknown option '--selct=x'", "did you mean '--select'?"),
        (["build", "--sel", "x"], "unknown option '--sel'", "did you mean '--select'?"),
        (["build", "--nope"], "unknown option '--nope'", "see rules build --help"),
        (["ls", "--zzz"], "unknown option '--zzz'", "see rules ls --help"),
        (["--select", "x", "build"], "unknown option '--select'", "a command's own options go after the command"),
        (["cache"], "the following arguments are required: ACTION", "see rules cache --help"),
        (["show"], "the following arguments are required: NAME", "see rules show --help"),
        (["build", "-s"], "-s/--select: expected one argument", "see rules build --help"),
        (["build", "-j", "0"], "-j/--jobs: must be a whole number, at least 1, not '0'", "see rules build --help"),
        (
            ["show", "-n", "many", "x"],
            "-n/--limit: must be a whole number, at least 0, not 'many'",
            "see rules show --help",
        ),
        (["log", "-n", "0"], "-n/--limit: must be a whole number, at least 1, not '0'", "see rules log --help"),
        (
            ["docs", "serve", "--port", "65536"],
            "--port: must be a port, from 0 to 65535, not '65536'",
            "see rules docs --help",
        ),
        (
            ["engine", "up", "spark", "--workers", "x"],
            "--workers: must be a whole number, at least 1, not 'x'",
            "see rules engine --help",
        ),
    ],
)
def test_usage_errors(rules: Run, words: list[str], message: str, hint: str) -> None:
    ran = rules(*words)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"error: {message}\n  hint: {hint}\n")
    for with_json in (["--json", *words], [*words, "--json"]) if words[-1] != "-s" else (["--json", *words],):
        ran = rules(*with_json)
        assert (ran.returncode, ran.stderr) == (2, "")
        error = document(ran)["error"]
        assert (error["code"], error["message"], error["where"], error["hint"]) == ("usage", message, None, hint)


def test_a_choice_that_is_none(rules: Run) -> None:
    for words in (["--color=pink", "ls"], ["ls", "--color", "pink"]):
        ran = rules(*words)
        assert ran.returncode == 2
        assert ran.stderr.startswith("error: --color: invalid choice: 'pink' (choose from ")


def test_json_after_a_double_dash_is_no_option(rules: Run) -> None:
    ran = rules("show", "x", "--", "--json")
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: unexpected argument '--json'\n")


@pytest.mark.parametrize("command", ["build", "plan", "ls", "log", "show"])
def test_outside_of_a_project(rules: Run, tmp_path: Path, command: str) -> None:
    words = ["-C", tmp_path, command, *(["x"] if command == "show" else [])]
    ran = rules(*words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == f"error: no rules.toml in {tmp_path} or above\n  hint: rules init makes a project here\n"
    assert document(rules(*words, "--json"))["error"]["code"] == "no-project"


def test_global_options_stand_before_or_after_the_command(rules: Run, project: SampleProject) -> None:
    at = str(project.root)
    expected = ["cleaned", "lonely", "totals", "report"]
    for words in (
        ["-C", at, "--json", "ls"],
        ["ls", "--json", "-C", at],
        [f"-C{at}", "ls", "--json"],
        [f"--project={at}", "--json", "ls"],
        ["--json", "ls", "--project", at],
        ["--color", "never", "-vC", at, "ls", "--json"],
        ["-q", "--json", "-C", at, "ls"],
    ):
        assert [product["name"] for product in document(rules(*words))["products"]] == expected, words
    for words in (["-q", "-C", at, "ls"], ["-C", at, "ls", "--quiet"], ["-qC", at, "ls"]):
        assert rules(*words).stdout.split() == expected
    assert rules("-C", f"{at}/rules/staging", "ls", "-q").stdout.split() == expected


def test_init_in_an_empty_folder(rules: Run, tmp_path: Path) -> None:
    root = tmp_path / "my-shop 2"
    ran = rules("init", root)
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    assert files
    assert sorted(ran.stdout.split("\n")[:-1]) == [f"wrote {root / path}" for path in files]
    assert ran.stderr == f"next: rules build -C '{root}'\n"
    built = document(rules("-C", root, "build", "--json"))
    assert (built["status"], built["summary"]["executed"]) == ("ok", 3)
    assert rules("-C", root, "build").stdout == "nothing to do (3 products up to date)\n"
    shown = document(rules("-C", root, "show", "customer_revenue", "--json"))
    assert {row["customer"]: row["revenue"] for row in shown["data"]} == {"ada": "200.25", "grace": "210.10"}


def test_init_here_says_so_shortly(rules: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = rules("init")
    assert ran.stdout.splitlines()[0] == "wrote rules.toml"
    assert ran.stderr == "next: rules build\n"
    (tmp_path / "below").mkdir()
    assert document(rules("--json", "init", "below"))["root"] == str(tmp_path / "below")


@pytest.mark.parametrize("existing", ["rules.toml", "data/orders.csv", "rules/paid_orders.sql"])
def test_init_never_overwrites(rules: Run, tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).parent.mkdir(exist_ok=True)
    (tmp_path / existing).write_text("mine")
    ran = rules("init", "-C", tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"error: there is a {existing} in {tmp_path} already\n")
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["mine"]
    assert document(rules("init", "-C", tmp_path, "--json"))["error"]["code"] == "exists"


@pytest.mark.slow
def test_init_goes_on_where_one_was_killed(tmp_path: Path) -> None:
    whole = shared().run(tmp_path, "init", "whole", kill_at=-1)
    files = {path.name: path.read_bytes() for path in (tmp_path / "whole").rglob("*") if path.is_file()}
    for at in range(len(whole.steps)):
        shutil.rmtree(tmp_path / "whole", ignore_errors=True)
        assert shared().run(tmp_path, "init", "whole", kill_at=at).killed
        again = shared().run(tmp_path, "init", "whole")
        assert again.code == 0 or b"there is a rules.toml" in again.err
        assert {path.name: path.read_bytes() for path in (tmp_path / "whole").rglob("*") if path.is_file()} == files


def test_init_beside_other_files(rules: Run, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    assert rules("init", tmp_path).returncode == 0
    assert (tmp_path / "README.md").read_text() == "mine"


def test_init_where_a_file_stands_in_the_way(rules: Run, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")
    ran = rules("init", tmp_path)
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: cannot write")


def test_plan_executes_nothing_and_tells_by_its_exit_code(rules: Run, project: SampleProject) -> None:
    at = ["-C", project.root]
    planned = document(rules(*at, "plan", "--json", "--exit-code"))
    assert {product["name"]: product["verdict"] for product in planned["products"]} == dict.fromkeys(
        ("cleaned", "lonely", "totals", "report"), "run"
    )
    assert planned["summary"] == {"clean": 0, "restore": 0, "run": 4, "maybe": 0}
    assert all(product["reason"] for product in planned["products"])
    assert rules(*at, "plan").returncode == 0
    assert rules(*at, "plan", "--exit-code").returncode == 1
    assert not list((project.root / ".rules").rglob("*.parquet"))
    assert rules(*at, "build").returncode == 0
    assert rules(*at, "plan", "--exit-code").returncode == 0
    project.edit("rules/totals.sql", "SUM", "MAX")
    edited = document(rules(*at, "plan", "--json"))
    assert SampleProject.statuses(edited) == {"cleaned": "clean", "lonely": "clean", "totals": "run", "report": "maybe"}
    assert rules(*at, "plan", "-s", "lonely", "--exit-code").returncode == 0
    assert rules(*at, "plan", "-s", "report totals", "--exit-code").returncode == 1
    assert rules(*at, "plan", "-q").stdout == "totals\nreport\n"


@pytest.mark.parametrize(
    ("words", "executed"),
    [
        (["-s", "+report"], "cleaned totals report"),
        (["-s", "+totals", "-s", "lonely"], "cleaned totals lonely"),
        (["--select", "cleaned lonely"], "cleaned lonely"),
        (["-s", "1+totals"], "cleaned totals"),
        (["-s", "tag:daily+1"], "cleaned totals"),
        (["-s", "source:raw+"], "cleaned totals report"),
        (["-s", "path:rules/staging"], "cleaned"),
        (["-s", "+report,+totals"], "cleaned totals"),
        (["-s", "l*"], "lonely"),
        (["-s", "changed"], "cleaned totals report lonely"),
        (["-s", "+report", "--exclude", "report"], "cleaned totals"),
        (["--exclude", "totals+", "--exclude", "tag:daily"], "lonely"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_selection_builds_that_and_no_more(
    rules: Run, project: SampleProject, words: list[str], executed: str
) -> None:
    built = document(rules("-C", project.root, "build", *words, "--json"))
    assert SampleProject.executed(built) == set(executed.split())
    assert [product["name"] for product in built["products"]] == [
        name for name in ("cleaned", "lonely", "totals", "report") if name in executed.split()
    ]


def test_force_runs_what_is_clean(rules: Run, project: SampleProject) -> None:
    at = ["-C", project.root]
    assert rules(*at, "build").returncode == 0
    forced = document(rules(*at, "build", "--force", "totals+", "--json"))
    assert SampleProject.executed(forced) == {"totals", "report"}
    assert not any(product["changed"] for product in forced["products"])
    assert SampleProject.statuses(document(rules(*at, "plan", "--force", "lonely", "--json")))["lonely"] == "run"
    assert rules(*at, "build").stdout == "nothing to do (4 products up to date)\n"


def test_an_input_outside_of_the_selection_must_have_been_built(rules: Run, project: SampleProject) -> None:
    at = ["-C", project.root]
    for command in ("build", "plan"):
        ran = rules(*at, command, "-s", "totals")
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == (
            "error: totals reads cleaned, which is not selected and has never been built\n"
            "  hint: select +totals to build what it reads too\n"
        )
    assert rules(*at, "build", "-s", "+totals").returncode == 0
    assert rules(*at, "build", "-s", "totals").stdout == "nothing to do (1 product up to date)\n"
    assert SampleProject.executed(document(rules(*at, "build", "-s", "report", "--json"))) == {"report"}


@pytest.mark.parametrize("option", ["-s", "--exclude", "--force"])
def test_an_unknown_product_in_a_selection(rules: Run, project: SampleProject, option: str) -> None:
    ran = rules("-C", project.root, "build", option, "total")
    assert (ran.returncode, ran.stderr) == (2, "error: unknown product 'total'\n  hint: did you mean 'totals'?\n")
    assert document(rules("-C", project.root, "build", option, "total", "--json"))["error"]["code"] == "selection"


def test_ls(rules: Run, project: SampleProject) -> None:
    at = ["-C", project.root]
    assert rules(*at, "ls", "-q", "-s", "+totals").stdout == "cleaned\ntotals\n"
    assert rules(*at, "ls", "-q", "--exclude", "+report").stdout == "lonely\n"
    assert rules(*at, "ls", "-s", "cleaned,lonely").stdout == "no products\n"
    assert rules(*at, "ls", "-q", "-s", "cleaned,lonely").stdout == ""
    (listed,) = document(rules(*at, "ls", "--json", "-s", "tag:daily"))["products"]
    assert listed == {
        "name": "cleaned",
        "path": "rules/staging/cleaned.sql",
        "description": "",
        "tags": ["daily"],
        "key": [],
        "inputs": ["raw"],
        "checks": [],
    }


def test_log(rules: Run, project: SampleProject) -> None:
    at = ["-C", project.root]
    assert rules(*at, "log").stdout == "no builds yet\n"
    assert document(rules(*at, "log", "--json"))["builds"] == []
    first = document(rules(*at, "build", "--json"))["build"]
    assert rules(*at, "build").stdout.startswith("nothing to do")
    project.sql("broken", "SELECT CAST('x' || CAST(o.x AS VARCHAR) AS INT) AS y FROM other AS o")
    second = document(rules(*at, "build", "--json"))["build"]
    builds = document(rules(*at, "log", "--json"))["builds"]
    assert [build["build"] for build in builds] == [second, first]
    assert [build["status"] for build in builds] == ["failed", "ok"]
    assert builds[1]["summary"]["executed"] == 4
    assert rules(*at, "log", "-q", "-n", "1").stdout == f"{second}\n"
    assert len(rules(*at, "log", "-n", "1").stdout.splitlines()) == 2
    for many in ("9" * 20, "9" * 5000):  # more than SQLite's integers hold, and more than Python reads
        assert rules(*at, "log", "-n", many).stdout == rules(*at, "log").stdout
    products = document(rules(*at, "log", second, "--json"))["products"]
    assert {product["name"]: product["status"] for product in products}["broken"] == "failed"
    assert re.search("^failed +broken ", rules(*at, "log", second[:-1]).stdout, re.MULTILINE)
    ran = rules(*at, "log", "20")
    assert (ran.returncode, ran.stderr) == (
        2,
        f"error: '20' could be any of 2 builds\n  hint: the latest of them is {second}\n",
    )
    ran = rules(*at, "log", "nope", "--json")
    assert (ran.returncode, document(ran)["error"]["code"]) == (2, "unknown-build")


def test_show_of_what_is_not_there(rules: Run, project: SampleProject) -> None:
    at = ["-C", project.root]
    ran = rules(*at, "show", "totals")
    assert (ran.returncode, ran.stderr) == (
        2,
        "error: the product 'totals' has not been built yet\n  hint: rules build -s +totals\n",
    )
    ran = rules(*at, "show", "total")
    assert ran.stderr == "error: unknown product 'total'\n  hint: did you mean 'totals'?\n"
    assert document(rules(*at, "show", "zzzzz", "--json"))["error"]["code"] == "unknown-product"
    project.sql("broken", "SELECT FROM WHERE")
    assert rules(*at, "show", "zzzzz").stderr.startswith("error: unknown product 'zzzzz'\n")


def test_show_when_the_object_is_gone(rules: Run, project: SampleProject) -> None:
    at = ["-C", project.root]
    artifact = next(p["artifact"] for p in document(rules(*at, "build", "--json"))["products"] if p["name"] == "totals")
    (found,) = (project.root / ".rules" / "objects").rglob(f"{artifact[2:]}*")
    found.unlink()
    ran = rules(*at, "show", "totals")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        "error: the artifact of totals is missing from the store\n  hint: rules build makes it again\n"
    )
    assert SampleProject.executed(document(rules(*at, "build", "--json"))) == {"totals"}
    assert rules(*at, "show", "totals").returncode == 0


def test_a_failed_product_is_exit_code_1_with_what_where_and_why(rules: Run, project: SampleProject) -> None:
    at = ["-C", project.root]
    project.sql("totals", "SELECT CAST('x' || CAST(c.id AS VARCHAR) AS INT) AS total FROM cleaned AS c")
    ran = rules(*at, "build", "--keep-going")
    assert ran.returncode == 1
    lines = ran.stderr.splitlines()
    assert any(re.fullmatch(r"failed    totals  .*\S.*", line) for line in lines)
    assert any(re.fullmatch(r"skipped   report  .*its input totals failed", line) for line in lines)
    assert sum(line.startswith("error: ") for line in lines) == 1
    assert any(line.startswith("  where:") and line.endswith("rules/totals.sql:1:13") for line in lines)
    assert re.fullmatch(r"2 executed, 1 failed, 1 skipped in .* s\n", ran.stdout)
    ran = rules(*at, "build", "--keep-going", "--json")
    built = document(ran)
    assert (ran.returncode, built["status"]) == (1, "failed")
    failed = next(product for product in built["products"] if product["status"] == "failed")
    assert failed["error"]["where"] == "rules/totals.sql:1:13"


def test_rules_that_do_not_compile_are_told_together(rules: Run, project: SampleProject) -> None:
    project.sql("bad_one", "SELECT n.x FROM nowhere AS n")
    project.sql("bad_two", "SELECT r.nothing FROM raw AS r")
    ran = rules("-C", project.root, "build", "--json")
    described = document(ran)
    assert (ran.returncode, ran.stderr, described["status"]) == (1, "", "error")
    assert [error["where"].split(":")[0] for error in described["errors"]] == ["rules/bad_one.sql", "rules/bad_two.sql"]
    assert described["error"] == described["errors"][0]


def test_an_internal_error_is_exit_code_3_with_a_log(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(log_command, "open_store", fail)
    ran = inprocess.run(project, "log", expect=3)
    assert ran.stdout == ""
    assert ran.stderr.startswith("error: internal error: ZeroDivisionError: a bug")
    log = re.search(r"^  log: +(\S+)$", ran.stderr, re.MULTILINE)
    assert log is not None
    assert "Traceback" in Path(log[1]).read_text(encoding="utf-8")
    told = inprocess.run(project, "log", "--json", expect=3).document["error"]
    assert (told["code"], "Traceback" in Path(told["facts"]["log"]).read_text(encoding="utf-8")) == ("internal", True)
    for path in (log[1], told["facts"]["log"]):
        Path(path).unlink()


@pytest.mark.slow
def test_the_sample_project_is_listed_without_being_compiled() -> None:
    ran = subprocess.run(
        [RULES, "-C", FIXTURES / "flights", "ls", "-q", "-s", "path:rules/executive"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, sorted(ran.stdout.split())) == (
        0,
        ["carrier_executive", "monthly_executive", "year_in_numbers"],
    )


def test_arrow_is_not_for_terminals_and_not_for_json(rules: Run, project: SampleProject) -> None:
    seen = run_on_terminal(project.root, "show", "lonely", "--format", "arrow")
    assert (seen.code, seen.screen[0]) == (2, "error: arrow is binary, which is not for terminals")
    for kind in ("arrow", "csv", "table"):
        ran = rules("-C", project.root, "show", "lonely", "--format", kind, "--json")
        assert (ran.returncode, document(ran)["error"]["code"]) == (2, "usage")
