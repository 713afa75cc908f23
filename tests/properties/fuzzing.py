"""Hands mutated texts to every entry point, each with a deadline in seconds of processor time.

A process of its own takes a range of seeds: whatever hangs or crashes ends that process alone, and the next one goes on
behind the seed that was at fault. To see one:  PYTHONPATH=.:tests .venv-test/bin/python -m properties.fuzzing sql 17:18
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compiler.compiled import Options
from compiler.errors import SqlError
from compiler.lint.check import check_rule
from compiler.lint.comments import suppressions
from compiler.lint.findings import Lines
from compiler.tree.big_stack import with_deep_stack
from properties.mutated_texts import mutant
from rules.cli import main
from rules.config.front_matter import read_options
from rules.config.project import load_project, read_text
from rules.errors import UserError, UserErrors
from rules.report.findings import concise_lines, text_lines
from support import databases, tpcds
from support.checking import world
from support.compiling import TestCompiler
from support.projects import SampleProject

DEADLINE = 5.0
"""Seconds of processor time for one text at one entry point."""
HANG = "RULES_FUZZ_HANG"
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("check",), ("check", "--format", "github"), ("check", "--json"), ("check", "--diff"), ("plan",),
    ("plan", "--explain"), ("ls",), ("build",),
    ("build", "--json", "-k"), ("show", "one"), ("show", "two"), ("lineage", "one"),
    ("lineage", "two", "--format", "html"), ("diff",), ("diff", "--data"), ("explain", "one"), ("contract", "one"),
    ("log",), ("check", "--no-project", "rules/one.sql"), ("audit",),
)  # fmt: skip
_KINDS = {"sql": "sql", "front": "front", "toml": "toml", "commands": "front"}


class Entrances:
    """What a text can be handed to. Each method raises `AssertionError`, or anything else that is no error of ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "one.sql"
        schemas = {**tpcds.schemas(), **databases.TABLES}  # the tables of the rules and pairs that are mutated
        self._compiler = TestCompiler(schemas, {"least": 3})
        self._world = world()
        self._project: SampleProject | None = None

    def take(self, kind: str, seed: int) -> None:
        """Hand a text to the entry point of a kind."""
        getattr(self, kind)(mutant(_KINDS[kind], seed), seed)

    def sql(self, data: bytes, seed: int) -> None:
        """A rule: what `check`, the hook, `ls`, `plan` and `build` do with its text; it is compiled now and then."""
        self._file.write_bytes(data)
        try:
            text = read_text(self._file, "one.sql")
        except UserError as error:
            _require_place(error)
            return
        for function in (lambda: read_options(text, "one.sql"), lambda: suppressions(text)):
            with _located():
                function()
        lines = Lines(text)
        found = [lines.finding("one.sql", one) for one in check_rule(text, self._world).found]
        concise_lines(found)
        text_lines(found, lambda _path, number: lines.line(number))
        if seed % 4 == 0:
            with _located():
                self._compiler.compile(text, Options(volatile=True))

    def front(self, data: bytes, seed: int) -> None:
        """Options in front of a rule."""
        self.sql(data, seed)

    def toml(self, data: bytes, _seed: int) -> None:
        """rules.toml."""
        (self._folder / "rules.toml").write_bytes(data)
        with _located():
            load_project(self._folder)

    def commands(self, data: bytes, seed: int) -> None:
        """A command, on a project with a rule or a rules.toml that is such a text."""
        project = self._sample()
        words = COMMANDS[seed % len(COMMANDS)]
        path = "rules.toml" if seed % 5 == 0 else "rules/one.sql"
        before = (project.root / path).read_bytes()
        (project.root / path).write_bytes(mutant("toml", seed) if path == "rules.toml" else data)
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.chdir(project.root):
                code = main(list(words))
        finally:
            (project.root / path).write_bytes(before)
        said = out.getvalue() + err.getvalue()
        assert code in (0, 1, 2), f"{words}: exit {code}\n{said}"
        assert "Traceback" not in err.getvalue(), said
        if words != ("lineage", "two", "--format", "html"):
            assert "\x1b" not in said, said

    def _sample(self) -> SampleProject:
        if self._project is None:
            self._project = SampleProject(self._folder / "sample", sources=["orders"])
            self._project.parquet("orders", {"id": [1, 2], "amount": [10, 20], "customer": [1, 1]})
            self._project.sql("one", "SELECT o.id, o.amount FROM orders AS o")
            self._project.sql("two", "SELECT o.id FROM one AS o")
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                assert main(["build", "-C", str(self._project.root)]) == 0
        return self._project


@contextlib.contextmanager
def _located() -> Iterator[None]:
    """Take errors of ours that say where they are."""
    try:
        yield
    except SqlError:
        pass
    except UserError as error:
        _require_place(error)
    except UserErrors as several:
        for one in several.errors:
            _require_place(one)


def _require_place(error: UserError) -> None:
    assert error.message, error.code
    assert error.where is not None, error.message


def fuzz(kind: str, seeds: range) -> list[dict[str, Any]]:
    """Return the seeds whose texts hung, crashed, or were answered by something else than an error of ours."""
    found: list[dict[str, Any]] = []
    tests = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (tests, tests.parent)))}
    start = seeds.start
    while start < seeds.stop:
        command = [sys.executable, "-m", "properties.fuzzing", kind, f"{start}:{seeds.stop}"]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
        said = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
        found += [one for one in said if "fault" in one]
        if ran.returncode == 0:
            break
        last = said[-1]["seed"] if said else start
        if "fault" not in (said[-1] if said else {}):
            found.append({"kind": kind, "seed": last, "fault": f"exit {ran.returncode}", "said": ran.stderr[-3000:]})
        start = last + 1
    return found


def _run(kind: str, seeds: range) -> None:
    """Print a line of JSON at each fault, and now and then how far it is. Ends the process at a hang."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    at = {"kind": kind, "seed": seeds.start}

    def hung(_signal: int, _frame: Any) -> None:
        faulthandler.dump_traceback(all_threads=True)
        out.write(json.dumps({**at, "fault": "hang"}) + "\n")
        os._exit(9)

    signal.signal(signal.SIGPROF, hung)
    with tempfile.TemporaryDirectory() as folder:
        entrances = Entrances(Path(folder))

        def work() -> None:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF})  # for the main thread, which can act on it
            for seed in seeds:
                at["seed"] = seed
                out.write(json.dumps(at) + "\n")
                signal.setitimer(signal.ITIMER_PROF, DEADLINE)
                try:
                    while os.environ.get(HANG) == str(seed):  # asked to, by a test of the deadline
                        pass
                    entrances.take(kind, seed)
                except Exception as error:  # noqa: BLE001 — whatever it is, it is what we look for
                    said = "".join(traceback.format_exception(error))[-3000:]
                    out.write(json.dumps({**at, "fault": f"{type(error).__name__}", "said": said}) + "\n")
                finally:
                    signal.setitimer(signal.ITIMER_PROF, 0)

        with_deep_stack(work)  # once for all: to start a thread for each text takes as long as the text


if __name__ == "__main__":
    first, _, last = sys.argv[2].partition(":")
    _run(sys.argv[1], range(int(first), int(last)))
