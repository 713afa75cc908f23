"""`rules check`: what is wrong with rules, or doubtful, without running anything; `--fix` mends what it safely can."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.lint.codes import ALL, DEFAULT, lookup, suggest
from rules.config.policy import Reporting, reported
from rules.config.project import Policy, load_project, read_text
from rules.errors import FAILED, UserError
from rules.files.project_paths import FILE, find_root
from rules.printable import ExactText
from rules.report.findings import (
    check_document,
    inferred_lines,
    statistics_lines,
    summary_line,
)
from rules.report.formats import FINDINGS, FindingsView
from rules.terminal.arguments import add_format

if TYPE_CHECKING:
    from compiler.lint.check import World
    from compiler.lint.findings import Finding
    from rules.lint.fixes import Rewritten
    from rules.terminal.output import Output

_ROUNDS = 10
"""Of fixing: a removed CTE can leave another one without a reader."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="report only what is found in these files and folders")
    parser.add_argument("--fix", action="store_true", help="correct what can be corrected without changing any result")
    parser.add_argument("--diff", action="store_true", help="show what --fix would do, without doing it")
    add_format(parser, FINDINGS)
    parser.add_argument("--select", type=_codes, default=(), metavar="CODES", help="report these codes instead")
    parser.add_argument("--ignore", type=_codes, default=(), metavar="CODES", help="leave these codes out")
    parser.add_argument("--strict", action="store_true", help="fail for advice, too, such as R016")
    parser.add_argument("--statistics", action="store_true", help="count findings by code")
    parser.add_argument(
        "--no-project", action="store_true", help="check files as they are, without a project and its schemas"
    )


@dataclass
class _Looked:
    """What was looked at: `records` as in `rules.lint.checking`; worlds: by path, of what was checked afresh."""

    root: Path
    records: dict[str, Any]
    reporting: Reporting
    wanted: Callable[[str], bool]
    worlds: dict[str, World] = field(default_factory=dict)

    def findings(self) -> list[Finding]:
        """Return what is to be reported."""
        records = {path: record for path, record in self.records.items() if self.wanted(path)}
        return reported(records, self.reporting, self.read)

    def read(self, path: str) -> str:
        """Return the text of a file, as far as it is text."""
        try:
            return read_text(self.root / path, path)
        except UserError:
            return ""

    @property
    def inferred(self) -> list[dict[str, Any]]:
        """Return the types that text sources were found to have, if rules.toml was asked for."""
        found: list[dict[str, Any]] = self.records.get(FILE, {}).get("inferred", []) if self.wanted(FILE) else []
        return found

    @property
    def checked(self) -> int:
        """Return the number of files that were asked for."""
        return sum(1 for path in self.records if self.wanted(path))


def run(options: argparse.Namespace, output: Output) -> int:
    """Check; 1 when something is found that is no mere advice, or with --diff when a fix is to be made."""
    if options.format == "json":
        output.as_json = True
    if options.fix and options.diff:
        raise UserError("--fix and --diff exclude each other", code="usage", hint="--diff shows what --fix would do")
    look = _looker(options, output)
    looked = look(options.fix or options.diff)
    findings = looked.findings()
    if options.diff:
        return _show_diff(looked, findings, output)
    more: dict[str, Any] = {}
    if options.fix:
        fixed = 0
        for _ in range(_ROUNDS):
            written = _fix(looked, findings)
            fixed += sum(one.count for one in written)
            if not written:
                break
            looked = look(True)  # noqa: FBT003 — the one argument of this closure
            findings = looked.findings()
        more = {"fixed": fixed}
    _print(looked, findings, options, output, more)
    return FAILED if any(options.strict or looked.reporting.fails(one) for one in findings) else 0


def _looker(options: argparse.Namespace, output: Output) -> Callable[[bool], _Looked]:
    """Return the function that looks at the files; its argument asks for the worlds that fixing needs."""
    if options.no_project:
        from rules.lint.loose_files import check_files

        def look_at_files(_worlds: bool) -> _Looked:  # noqa: FBT001
            root = Path.cwd()
            records, worlds = check_files(root, options.paths or ["."])
            return _Looked(
                root, records, Reporting(Policy(), options.select, options.ignore), records.__contains__, worlds
            )

        return look_at_files
    root = find_root(options.project)
    wanted = _wanted(root, options.paths)

    def look_at_project(worlds: bool) -> _Looked:  # noqa: FBT001
        from rules.snapshots import last_check
        from rules.storage.store import open_store

        project = load_project(root)
        reporting = Reporting(project.policy, options.select, options.ignore)
        with open_store(root, output.message, building=False) as store:
            last = None if worlds else last_check(str(root), store.index)
            looked = _Looked(root, last[0]["found"] if last is not None else {}, reporting, wanted)
            if last is None or last[1]:
                from rules.lint.project import check_project
                from rules.storage.git_tracking import warn_of_tracked

                warn_of_tracked(store.objects.root, output.message)
                work = check_project(project, store, output.message, last=last)
                looked.records = work.records
                looked.worlds = {path: world for path, (_, world) in work.worlds.items()}
        _require_known(options.paths, looked)
        return looked

    return look_at_project


def _wanted(root: Path, paths: list[str]) -> Callable[[str], bool]:
    """Return which files of the project are asked for. Raises `UserError` for a path that is not there."""
    chosen: list[str] = []
    for path in paths:
        whole = Path(path).absolute()
        if not whole.exists():
            raise UserError(
                f"there is no file or folder {path}", code="usage", hint="paths are relative to this folder"
            )
        relative = os.path.relpath(whole.resolve(), root.resolve())
        if relative.startswith(".."):
            hint = "rules check --no-project checks files outside of a project"
            raise UserError(f"{path} is outside of the project {root}", code="usage", hint=hint)
        chosen.append(relative.replace(os.sep, "/"))
    if not chosen:
        return lambda _path: True
    return lambda path: any(one in {".", path} or path.startswith(f"{one}/") for one in chosen)


def _require_known(paths: list[str], looked: _Looked) -> None:
    """Raise `UserError` for a SQL file that is no rule of the project: nothing of it was checked."""
    for path in paths:
        if path.endswith(".sql") and Path(path).is_file():
            relative = os.path.relpath(Path(path).resolve(), looked.root.resolve()).replace(os.sep, "/")
            if relative not in looked.records:
                hint = f"rules are in the folders that {FILE} names; --no-project checks any file"
                raise UserError(f"{path} is no rule of this project", code="usage", hint=hint)


def _rewrite(looked: _Looked, findings: list[Finding]) -> list[Rewritten]:
    from rules.lint.fixes import rewrite

    return rewrite(looked.root, findings, looked.worlds)


def _fix(looked: _Looked, findings: list[Finding]) -> list[Rewritten]:
    from rules.lint.fixes import write

    files = _rewrite(looked, findings)
    write(looked.root, files)
    return files


def _show_diff(looked: _Looked, findings: list[Finding], output: Output) -> int:
    from rules.lint.fixes import diff_lines

    files = _rewrite(looked, findings)
    lines = [line for one in files for line in diff_lines(one)]
    if output.as_json:
        diff = ExactText("".join(f"{line}\n" for line in lines))
        output.document(check_document(findings, checked=looked.checked, diff=diff))
    else:
        if lines:
            output.data("\n".join(lines))
        output.message(f"{len(files):,} of {looked.checked:,} files would change")
    return FAILED if files else 0


def _print(
    looked: _Looked, findings: list[Finding], options: argparse.Namespace, output: Output, more: dict[str, Any]
) -> None:
    if output.as_json:
        more |= {"inferred": looked.inferred} if looked.inferred else {}
        output.document(check_document(findings, checked=looked.checked, **more))
        return
    for line in inferred_lines(looked.inferred, verbose=output.verbosity > 0):
        output.message(line)
    form = options.format or next(iter(FINDINGS))
    if output.verbosity < 0 and form == "text":
        form = "concise"
    chosen = FINDINGS[form]
    assert chosen is not None, "documents are printed above"
    printed = chosen.write(FindingsView(findings, _source_line(looked), _from_repository(looked.root)))
    if isinstance(printed, dict):
        output.document(printed)
    elif options.statistics:
        output.result(statistics_lines(findings))
    elif isinstance(printed, list):
        output.result(printed)
    else:
        for command, properties, text in printed:
            output.annotation(command, properties, text)
    if form == "text":
        fixed = [f"{more['fixed']:,} fixed"] if more.get("fixed") else []
        output.result(["; ".join([*fixed, summary_line(findings, looked.checked)])])


def _source_line(looked: _Looked) -> Callable[[str, int], str]:
    from compiler.lint.findings import Lines

    texts: dict[str, Lines] = {}

    def line(path: str, number: int) -> str:
        if path not in texts:
            texts[path] = Lines(looked.read(path))
        return texts[path].line(number)

    return line


def _from_repository(root: Path) -> Callable[[str], str]:
    """Return the function from a path in the project to the one that a code host knows the file by."""
    base = os.environ.get("GITHUB_WORKSPACE") or Path.cwd()
    return lambda path: os.path.relpath(root / path, base).replace(os.sep, "/")


def _codes(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in words:
        if word.upper() not in (ALL, DEFAULT) and lookup(word) is None:
            raise argparse.ArgumentTypeError(f"there is no code '{word}'; {suggest(word)}")
    return words
