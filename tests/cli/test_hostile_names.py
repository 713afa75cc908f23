"""Hostile names, values and texts reach no terminal and no CI system as commands, whatever the command and format."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

from support.inprocess import Ran, run
from support.projects import SampleProject
from support.terminal import run_on_terminal

ESCAPES = "\x1b[31m\x1b]0;t\x07\x9b1m\x7f\u202e\u200b"
FORGED = "\n::error file=x::forged\r\n##[error]forged"
HOSTILE = f"h{ESCAPES}{FORGED}"
PASSWORD, TOKEN = "hunter2", "abc123"
ROOT = Path(__file__).resolve().parents[2]

COMMANDS = [
    ("check",), ("check", "--format", "concise"), ("check", "--format", "github"), ("check", "--statistics"), ("ls",),
    ("plan", "--explain"), ("build", "-k"), ("build", "-v", "--force", "good"), ("show", "good"), ("explain", "good"),
    ("lineage", "good"), ("diff",), ("diff", "--data"), ("log",), ("audit",), ("nonsense" + HOSTILE,),
    ("show", HOSTILE), ("ls", "-s", HOSTILE), ("check", HOSTILE), ("build", "--profile", HOSTILE),
    ("diff", "--against", HOSTILE), ("plan", "--var", HOSTILE), ("ls", "-C", HOSTILE),
]  # fmt: skip
_ALWAYS = ("build", "show", "ls")
"""The commands whose JSON is looked at in every run of the suite."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """A project whose every name and value that can be hostile is."""
    text = json.dumps(HOSTILE.replace("\x9b", "\u009b").replace("\x7f", "\u007f"))
    sample = SampleProject(
        tmp_path_factory.mktemp("hostile") / "project",
        sources=["orders"],
        toml=f'\n[vars]\nword = {text}\n[sources.far]\npath = "https://127.0.0.1:1/x.parquet"\n',
    )
    sample.parquet("orders", {"id": [1, 2], HOSTILE: [HOSTILE, "x"], "say": [f"::error::{HOSTILE}", HOSTILE]})
    front = f'-- /// rule\n-- description = {text}\n-- tags = [{text}]\n-- key = ["id"]\n-- ///\n'
    sample.write("rules/good.sql", f"{front}SELECT o.*, $word AS word FROM orders AS o\n")
    build = run(sample, "build", "--json").document
    assert build["status"] == "ok"
    return sample


@pytest.fixture(scope="module")
def broken(project: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """The same with rules that cannot be read, compiled, imported, or whose source is a URL."""
    sample = SampleProject.copy_of(project.root, tmp_path_factory.mktemp("broken") / "project")
    folder = HOSTILE.replace("/", "_")
    sample.write(f"rules/{folder}/broken.sql", f"SELECT o.\"{HOSTILE}x\" AS a FROM orders AS o WHERE '{HOSTILE}' = 1\n")
    sample.write(f"rules/{folder}/unread.sql", f"SELECT {ESCAPES} FROM")
    sample.write("rules/fails.py", f"raise ValueError({HOSTILE!r})\n")
    sample.write("rules/remote.sql", "SELECT f.id FROM far AS f\n")
    return sample


def _require_harmless(said: str) -> None:
    assert not any(char in said for char in "\x1b\x07\x9b\x7f\r\u202e\u200b"), said
    for line in said.split("\n"):
        assert not line.lstrip().startswith("::error file=x::"), line
        assert "##[" not in line or line.startswith(("::error title=rules ", "::warning title=rules "))
    assert PASSWORD not in said
    assert TOKEN not in said


@pytest.mark.parametrize("words", [("build",), ("check",), ("plan", "--json"), ("ls",)], ids=lambda words: words[0])
def test_a_url_with_secrets_is_refused_without_them(project: SampleProject, words: tuple[str, ...]) -> None:
    for url in (f"https://user:{PASSWORD}@host/x.parquet", f"https://host/x.parquet?token={TOKEN}"):
        before = project.read("rules.toml")
        project.edit("rules.toml", "https://127.0.0.1:1/x.parquet", url)
        ran = run(project, *words, expect=2)
        project.write("rules.toml", before)
        _require_harmless(ran.stdout + ran.stderr)
        assert "the URL h" in ran.stdout + ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: repr(words)[:40])
def test_text(project: SampleProject, broken: SampleProject, words: tuple[str, ...]) -> None:
    for one in (project, broken):
        ran = _run(one, *words)
        _require_harmless(ran.stdout + ran.stderr)


@pytest.mark.parametrize(
    "words",
    [pytest.param(words, marks=() if words[0] in _ALWAYS else pytest.mark.slow) for words in COMMANDS],
    ids=lambda words: repr(words)[:40],
)
def test_json_is_printable_and_exact(project: SampleProject, broken: SampleProject, words: tuple[str, ...]) -> None:
    if "--format" in words:
        return
    _require_harmless(_run(broken, *words, "--json").stdout)
    ran = _run(project, *words, "--json")
    _require_harmless(ran.stdout + ran.stderr)
    document = json.loads(ran.stdout)
    if words == ("show", "good"):
        assert document["data"][0][HOSTILE] == HOSTILE


def _run(project: SampleProject, *words: str) -> Ran:
    if "-C" in words:
        from contextlib import redirect_stderr, redirect_stdout
        from io import StringIO

        from rules.cli import main

        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main(list(words))
        return Ran(code, out.getvalue(), err.getvalue())
    try:
        return run(project, *words, expect=None)
    except AssertionError:
        return run(project, *words, expect=2)


@pytest.mark.parametrize("form", ["mermaid", "dot", "html"])
def test_drawings(project: SampleProject, form: str) -> None:
    ran = run(project, "lineage", "good", "--format", form)
    assert not any(char in ran.stdout for char in "\x1b\x07\x9b\x7f\u202e\u200b")


def test_csv_is_exact_in_a_pipe_and_printable_on_a_terminal(project: SampleProject) -> None:
    words = ("show", "good", "--format", "csv")
    piped = project.cli(*words)
    assert HOSTILE.encode() in piped.stdout.encode() or HOSTILE.replace("\r\n", "\n") in piped.stdout
    seen = run_on_terminal(project.root, *words)
    assert seen.code == 0
    assert not any(char in seen.raw for char in "\x1b\x07\x9b\x7f\u202e\u200b")
    assert "h\\x1b[31m" in seen.raw


def test_a_table_on_a_terminal_and_progress(project: SampleProject) -> None:
    for words in (("show", "good"), ("ls",), ("build", "-k", "--force", "good")):
        seen = run_on_terminal(project.root, *words)
        for command in ("\x1b]0", "\x07", "\x9b", "\x7f", "\u202e", "\u200b"):
            assert command not in seen.raw


def test_a_project_folder_with_a_byte_that_is_no_text(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff\x1b")
    sample = SampleProject(Path(folder), sources=["orders"])
    ran = run(sample, "show", "nothing", expect=2)
    _require_harmless(ran.stdout + ran.stderr)
    missing = run(SampleProject(Path(folder)), "build", "-s", "x", expect=2)
    _require_harmless(missing.stderr)


@pytest.mark.slow
def test_github_annotations_name_the_file_exactly(broken: SampleProject) -> None:
    said = _run(broken, "check", "--format", "github").stdout
    assert "%0A%3A%3Aerror file=x%3A%3Aforged%0D%0A" in said
    assert all(line.startswith(("::error title=", "::warning title=")) for line in said.splitlines())


def test_the_log_of_an_internal_error_is_printable(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"{HOSTILE} https://user:{PASSWORD}@host/x?token={TOKEN}")

    monkeypatch.setattr("rules.commands.ls.load_project", fail)
    ran = run(project, "ls", expect=3)
    _require_harmless(ran.stderr)
    log = next(line.split()[-1] for line in ran.stderr.splitlines() if line.strip().startswith("log:"))
    text = Path(log).read_text(encoding="utf-8")
    Path(log).unlink()
    assert "RuntimeError" in text
    assert not any(char in text for char in "\x1b\x07\x9b\x7f\r\u202e\u200b")
    assert PASSWORD not in text


WRITERS = {
    "rules/terminal/output.py",
    "rules/terminal/parser.py",
    "rules/compiling/helpers.py",
    "rules/engine/worker_process.py",
    "rules/terminal/signals.py",
    "rules/importing/sqlmesh_export.py",
}
"""The one writer; help, which says nothing from outside; the pipes to our helpers; what shows the cursor again; what
runs in SQLMesh's interpreter, whose output we read."""


@pytest.mark.slow
def test_nothing_else_writes_to_the_standard_streams() -> None:
    """`print`, and any use of sys.stdout and sys.stderr but to ask for their width or whether they are terminals."""
    for package in ("rules", "compiler", "graph", "cache"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            if name in WRITERS:
                continue
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    assert node.func.id != "print", f"{name}:{node.lineno}"
                if isinstance(node, ast.Attribute) and node.attr in {"write", "writelines", "buffer"}:
                    assert ast.unparse(node.value) not in {"sys.stdout", "sys.stderr", "results()"}, (
                        f"{name}:{node.lineno}"
                    )
                    assert node.attr != "buffer" or ast.unparse(node) == "sys.stdin.buffer", f"{name}:{node.lineno}"
