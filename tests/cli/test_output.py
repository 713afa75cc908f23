"""What a person and a script see: golden output piped and on a terminal, colours, streams, the live region."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from rules.cli import main
from rules.wording import cut, duration, plural, table_lines, wrapped_lines
from support.projects import RULES, SampleProject
from support.terminal import replay, run_on_terminal

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
SECONDS = re.compile(r" +(?:\d+ min \d+|\d+\.\d+) s|  +(?=took)")
BUILD = re.compile(r"\d{8}T\d{6}-[0-9a-f]{6}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def normal(text: str) -> str:
    """Replace what differs from run to run."""
    text = SECONDS.sub(_stable, text)
    return MOMENT.sub("YYYY-MM-DD hh:mm:ss", BUILD.sub("BUILD-BUILD-BUILD-BUIL", text))


def _stable(match: re.Match[str]) -> str:
    space = match[0][: len(match[0]) - len(match[0].lstrip())]
    return f"{space[:2]}{'9.99 s' if match[0].strip() else ''}"


class InProcess(SampleProject):
    """The sample project, with the command line run in this process, which is faster by its imports."""

    capture: pytest.CaptureFixture[str]

    def cli(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `rules` here, or in a process of its own if it needs an environment."""
        if env:
            return super().cli(*arguments, env=env)
        self.capture.readouterr()
        code = main(["-C", str(self.root), *arguments])
        out, err = self.capture.readouterr()
        return subprocess.CompletedProcess(list(arguments), code, out, err)


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> SampleProject:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    sample = InProcess(tmp_path / "sample", sources=["orders"])
    sample.capture = capsys
    sample.parquet("orders", {"id": [1, 2, 3], "amount": [10.0, 2.5, None], "status": ["paid", "open", "paid"]})
    sample.write(
        "rules/paid.sql",
        '-- /// rule\n-- description = "Orders that were paid"\n-- tags = ["daily", "core"]\n-- ///\n'
        "SELECT o.id, o.amount FROM orders AS o WHERE o.status = 'paid' ORDER BY o.id\n",
    )
    sample.sql("paid_total", "SELECT SUM(p.amount) AS total, COUNT(*) AS orders FROM paid AS p")
    return sample


@pytest.fixture
def built(project: SampleProject) -> SampleProject:
    project.build()
    return project


FIRST_BUILD = """\
executed  paid          2 rows  9.99 s  new rule
executed  paid_total    1 row  9.99 s  new rule
"""


def test_a_first_build_piped(project: SampleProject) -> None:
    done = project.cli("build")
    assert (done.returncode, normal(done.stdout)) == (0, "2 executed in 9.99 s\n")
    assert normal(done.stderr) == FIRST_BUILD


def test_a_first_build_on_a_terminal(project: SampleProject) -> None:
    seen = run_on_terminal(project.root, "build")
    assert seen.code == 0
    assert [normal(line) for line in seen.screen] == [*FIRST_BUILD.splitlines(), "2 executed in 9.99 s"]
    assert "\x1b[32mexecuted\x1b[" in seen.raw
    assert not seen.cursor_hidden


def test_a_later_build_says_what_the_cache_saved(built: SampleProject) -> None:
    built.sql("large", "SELECT p.id FROM paid AS p WHERE p.amount > 5")
    done = built.cli("build")
    assert normal(done.stdout) == (
        "1 executed, 2 clean in 9.99 s\nsaved: 2 products not run, which took 9.99 s when they last ran\n"
    )
    assert normal(done.stderr) == "executed  large    1 row  9.99 s  new rule\n"


def test_one_product_that_did_not_run_is_no_plural(built: SampleProject) -> None:
    built.edit("rules/paid_total.sql", "SUM", "MAX")
    assert "saved: 1 product not run, which took" in built.cli("build").stdout


def test_an_unchanged_result_is_said(built: SampleProject) -> None:
    built.edit("rules/paid.sql", "= 'paid'", "IN ('paid', 'held')")
    done = built.cli("build")
    assert re.fullmatch(r"executed  paid          2 rows  9.99 s  \S.*; the result is unchanged\n", normal(done.stderr))
    assert normal(done.stdout).startswith("1 executed, 1 clean in 9.99 s\n")


@pytest.mark.parametrize("verbosity", [[], ["-v"]])
def test_a_no_op(built: SampleProject, verbosity: list[str]) -> None:
    done = built.cli("build", *verbosity)
    assert (done.stdout, done.stderr) == ("nothing to do (2 products up to date)\n", "")
    seen = run_on_terminal(built.root, "build", *verbosity)
    assert seen.raw == "nothing to do (2 products up to date)\r\n"


def test_a_no_op_of_one_product_and_of_none(built: SampleProject) -> None:
    assert built.cli("build", "-s", "paid").stdout == "nothing to do (1 product up to date)\n"
    assert built.cli("build", "-s", "changed").stdout == "nothing to do (no product is selected)\n"
    assert built.cli("plan", "-s", "changed").stdout == "nothing to do (no product is selected)\n"


def test_quiet_says_nothing_but_errors(project: SampleProject) -> None:
    for _ in ("work", "no-op"):
        done = project.cli("build", "-q")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    project.sql("broken", "SELECT CAST(o.status AS INT) AS number FROM orders AS o")
    done = project.cli("build", "-q")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")


def test_verbose_tells_of_starts_and_of_clean_products(built: SampleProject) -> None:
    built.edit("rules/paid_total.sql", "SUM", "MAX")
    lines = normal(built.cli("build", "-v").stderr).splitlines()
    assert lines[0] == "2 products selected, 1 not up to date"
    assert lines[1] == "clean     paid          2 rows          the rule and everything it reads are unchanged"
    assert lines[2] == "running   paid_total"
    assert lines[3].startswith("executed  paid_total    1 row  9.99 s  ")


def test_plan_before_and_after_a_build(project: SampleProject) -> None:
    planned = "run  paid        new rule\nrun  paid_total  new rule\n\n2 run\n"
    assert project.cli("plan").stdout == planned
    seen = run_on_terminal(project.root, "plan")
    assert seen.screen == planned.splitlines()
    assert seen.raw.count("\x1b[32mrun\x1b[0m") == 2
    project.build()
    assert project.cli("plan").stdout == "nothing to do (2 products up to date)\n"
    assert project.cli("plan", "-v").stdout == (
        "clean  paid        the rule and everything it reads are unchanged\n"
        "clean  paid_total  the rule and everything it reads are unchanged\n\n2 clean\n"
    )
    project.sql("other", "SELECT o.id FROM orders AS o")
    assert project.cli("plan", "-q").stdout == "other\n"


def test_plan_of_an_edit_names_what_waits(built: SampleProject) -> None:
    built.edit("rules/paid.sql", "'paid'", "'open'")
    lines = built.cli("plan").stdout.splitlines()
    assert re.fullmatch(r"run    paid        \S.*", lines[0])
    assert lines[1] == "maybe  paid_total  reads paid, which may change; it runs if a column it reads does"
    assert lines[2:] == ["", "1 run, 1 maybe"]


def test_a_long_reason_is_cut_to_the_terminal_and_whole_elsewhere(built: SampleProject) -> None:
    built.edit("rules/paid.sql", "'paid'", "'open'")
    seen = run_on_terminal(built.root, "plan", columns=61)
    assert all(len(line) <= 61 for line in seen.screen)
    assert seen.screen[1:] == ["maybe  paid_total  reads paid, which may change; it runs if …", "", "1 run, 1 maybe"]
    whole = run_on_terminal(built.root, "plan", "-v", columns=61).screen
    start = whole.index("maybe  paid_total  reads paid, which may change; it runs if a")
    assert whole[start + 1] == f"{'':19}column it reads does"
    assert max(map(len, built.cli("plan").stdout.splitlines())) > 61


def test_ls(built: SampleProject) -> None:
    listed = (
        "product     path                  tags        description\n"
        "paid        rules/paid.sql        daily core  Orders that were paid\n"
        "paid_total  rules/paid_total.sql\n"
    )
    assert built.cli("ls").stdout == listed
    assert run_on_terminal(built.root, "ls").screen == listed.splitlines()
    narrow = run_on_terminal(built.root, "ls", columns=50).screen
    assert narrow[1] == "paid        rules/paid.sql        daily core  Ord…"
    assert built.cli("ls", "-q").stdout == "paid\npaid_total\n"


def test_log(built: SampleProject) -> None:
    table = (
        "build                   started  took  status  products\n"
        "BUILD-BUILD-BUILD-BUIL  YYYY-MM-DD hh:mm:ss  9.99 s  ok      2 executed\n"
    )
    assert normal(built.cli("log").stdout) == table
    assert [normal(line) for line in run_on_terminal(built.root, "log").screen] == table.splitlines()
    (name,) = built.cli("log", "-q").stdout.split()
    one = "status    product  took  reason\nexecuted  paid  9.99 s  new rule\nexecuted  paid_total  9.99 s  new rule\n"
    assert normal(built.cli("log", name).stdout) == one
    assert normal(built.cli("log", name[:11]).stdout) == one
    seen = run_on_terminal(built.root, "log", name)
    assert [normal(line) for line in seen.screen] == one.splitlines()


def test_show(built: SampleProject) -> None:
    table = "id  amount\n 1      10\n 3    NULL\n(2 rows)\n"
    assert built.cli("show", "paid").stdout == table
    seen = run_on_terminal(built.root, "show", "paid")
    assert seen.raw == table.replace("\n", "\r\n")
    assert built.cli("show", "paid", "-q").stdout == table.removesuffix("(2 rows)\n")


SLOW = "SELECT SUM(a.n * b.n % 7) AS total FROM numbers AS a CROSS JOIN numbers AS b WHERE a.n <> b.n"


@pytest.fixture
def slow(tmp_path: Path) -> SampleProject:
    sample = SampleProject(tmp_path / "slow", sources=["numbers"])
    sample.parquet("numbers", {"n": list(range(16_000))})
    sample.sql("crossed", SLOW)
    sample.sql("after", "SELECT c.total FROM crossed AS c")
    return sample


def test_the_live_region_shows_what_runs_and_goes_away(slow: SampleProject) -> None:
    seen = run_on_terminal(slow.root, "build")
    screen, before = replay(seen.raw)
    region = [line for lines in before for line in lines]
    assert any(re.fullmatch(r"\S{24}  0 of 2 products  \d+\.\d s", line) for line in region)
    assert any(re.fullmatch(r"running   crossed  \d+\.\d s", line) for line in region)
    assert [normal(line) for line in screen] == [
        "executed  crossed    1 row  9.99 s  new rule",
        "executed  after      1 row  9.99 s  new rule",
        "2 executed in 9.99 s",
    ]
    assert not seen.cursor_hidden
    assert seen.raw.count("\x1b[?25l") == seen.raw.count("\x1b[?25h") == 1


def test_the_live_region_is_gone_after_a_failure_too(slow: SampleProject) -> None:
    slow.sql("crossed", SLOW.replace("b.n % 7", "b.n / (a.n - a.n)"))
    seen = run_on_terminal(slow.root, "build")
    assert seen.code == 1
    assert not any(line.startswith("running") or "of 2 products" in line for line in seen.screen)
    assert [line.split()[0] for line in seen.screen[:2]] == ["failed", "skipped"]
    assert any(line.startswith("error: ") for line in seen.screen)
    assert not seen.cursor_hidden


def test_no_line_is_wider_than_the_terminal(built: SampleProject) -> None:
    built.parquet("orders", {"id": [1, 2, 3], "amount": [11.0, 2.5, None], "status": ["paid", "open", "paid"]})
    seen = run_on_terminal(built.root, "build", columns=50)
    assert all(len(line) <= 50 for line in seen.screen if not line.startswith("saved"))
    assert any(line.endswith("…") for line in seen.screen)
    assert "…" not in built.cli("build", "--force", "paid").stderr


def test_a_dumb_terminal_gets_plain_lines(project: SampleProject) -> None:
    seen = run_on_terminal(project.root, "build", env={"TERM": "dumb"})
    assert "\x1b" not in seen.raw
    assert normal(seen.raw).startswith(FIRST_BUILD.splitlines()[0])


def test_on_a_terminal_json_stays_one_document_on_stdout(project: SampleProject) -> None:
    seen = run_on_terminal(project.root, "build", "--json", "-q")
    assert json.loads(seen.raw)["status"] == "ok"
    seen = run_on_terminal(project.root, "build", "--json", "--force", "paid", split=True)
    assert "paid" in seen.raw
    assert "{" not in seen.raw


def test_piped_output_holds_no_control_characters(built: SampleProject) -> None:
    for words in (
        ["build", "--force", "*"],
        ["build"],
        ["plan"],
        ["ls"],
        ["log"],
        ["show", "paid"],
        ["bild"],
        ["--help"],
        [],
    ):
        done = built.cli(*words, env={"TERM": "xterm-256color"})
        assert done.stdout + done.stderr
        assert not CONTROL.search(done.stdout + done.stderr), words


@pytest.mark.parametrize(
    ("words", "env", "coloured"),
    [
        ([], {}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": ""}, False),
        ([], {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ([], {"NO_COLOR": "", "FORCE_COLOR": "1"}, True),
        (["--color=always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        (["--color", "auto"], {"FORCE_COLOR": "1"}, True),
    ],
)
def test_who_decides_on_colour_when_piped(
    project: SampleProject,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    env: dict[str, str],
    coloured: bool,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main(["-C", str(project.root), *words, "plan"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("\x1b[32mrun\x1b[0m  paid" if coloured else "run  paid")
    assert main(["-C", str(project.root), *words, "show", "paid"]) == 2
    assert capsys.readouterr().err.startswith("\x1b[31merror\x1b[0m: " if coloured else "error: ")


@pytest.mark.parametrize(
    ("words", "env", "coloured"),
    [([], {}, True), ([], {"NO_COLOR": "1"}, False), (["--color=never"], {}, False), ([], {"TERM": "dumb"}, False)],
)
def test_who_decides_on_colour_on_a_terminal(
    project: SampleProject, words: list[str], env: dict[str, str], coloured: bool
) -> None:
    seen = run_on_terminal(project.root, *words, "plan", env=env)
    assert ("\x1b[32mrun" in seen.raw) == coloured
    seen = run_on_terminal(project.root, *words, "build", env=env)
    assert ("\x1b[32mexecuted" in seen.raw) == coloured


def test_what_only_looks_like_a_status_is_not_coloured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = SampleProject(tmp_path, sources=["raw"])
    sample.parquet("raw", {"status": ["failed", "run"]})
    sample.sql("run", "SELECT r.status FROM raw AS r")
    at = ["-C", str(sample.root), "--color=always"]
    assert main([*at, "build", "-q"]) == 0
    assert main([*at, "ls", "-q"]) == 0
    assert main([*at, "plan", "-q", "--force", "run"]) == 0
    assert main([*at, "show", "run"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_broken_pipe_is_quiet(project: SampleProject) -> None:
    project.parquet("orders", {"id": list(range(50_000)), "amount": [0.0] * 50_000, "status": ["x"] * 50_000})
    project.sql("many", "SELECT o.id, o.status FROM orders AS o")
    project.build()
    reader, writer = os.pipe()
    os.close(reader)
    for words in (["ls"], ["show", "many", "--format", "csv"], ["--help"], ["log", "--json"]):
        done = subprocess.run(
            [RULES, *words], cwd=project.root, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (1, ""), words
    os.close(writer)


@pytest.mark.slow
def test_a_build_goes_on_when_nobody_reads_its_progress(project: SampleProject) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [RULES, "build"], cwd=project.root, stdout=subprocess.PIPE, stderr=writer, text=True, check=False
    )
    os.close(writer)
    assert (done.returncode, normal(done.stdout)) == (0, "2 executed in 9.99 s\n")


@pytest.mark.slow
def test_a_narrow_encoding_escapes_what_it_lacks(built: SampleProject) -> None:
    built.edit("rules/paid.sql", "Orders that were paid", "Bezahlte Aufträge → €")
    built.parquet("orders", {"id": [1], "amount": [1.0], "status": ["ä"]})
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert "Bezahlte Auftr\\xe4ge \\u2192 \\u20ac" in built.cli("ls", env=ascii_only).stdout
    described = json.loads(built.cli("ls", "--json", env=ascii_only).stdout)["products"][0]["description"]
    assert described == "Bezahlte Aufträge → €"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (0.021, "0.02 s"),
        (0.994, "0.99 s"),
        (0.996, "1.0 s"),
        (1.26, "1.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 0 s"),
        (125.4, "2 min 5 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 0 min"),
        (12_000, "3 h 20 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counted_nouns() -> None:
    assert [plural(count, "row") for count in (0, 1, 2, 2_000)] == ["0 rows", "1 row", "2 rows", "2,000 rows"]


def test_tables_line_up_wide_characters() -> None:
    lines = table_lines(["name", "n"], [["日本", "1"], ["e\u0301a", "22"], ["abcde", "333"]], right=[1])
    assert lines == ["name     n", "日本     1", "e\u0301a      22", "abcde  333"]


def test_cutting_and_wrapping() -> None:
    assert [cut("abcdef", width) for width in (6, 5, 1)] == ["abcdef", "abcd…", "…"]
    assert cut("日本語", 5) == "日本…"
    assert cut("日本語", 4) == "日…"
    assert wrapped_lines([["a", "one two three four five"]], 23) == ["a  one two three four", "   five"]
    assert wrapped_lines([["a" * 30, "one two"]], 33) == [f"{'a' * 30}  one two"]
    assert wrapped_lines([], 80) == []
