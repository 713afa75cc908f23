"""What the words of a command line mean: the parser, the options of every command, suggestions for what is misspelt."""

from __future__ import annotations

import argparse
import difflib
import importlib
import re
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from rules.errors import USAGE, UserError
from rules.terminal.other_tools import command_hint, option_hint
from rules.terminal.output import results

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from rules.terminal.output import Output

COMMANDS = {
    "init": "write a small project that builds at once",
    "import": "write a project of rules from one of dbt or SQLMesh, and compare the tables",
    "build": "bring products up to date, running only what must run",
    "watch": "plan and build whenever a file is saved, and show what the edit means",
    "lsp": "serve editors: diagnostics, completion, renames and more, by the language server protocol",
    "plan": "show what a build would do and why, without doing it",
    "diff": "show how rules differ from their last build or a commit, or how their tables do",
    "check": "find errors and doubtful places in rules, without running anything",
    "translate": "translate rules from another dialect of SQL into ours",
    "test": "run unit tests of rules whose rule or rows have changed",
    "explain": "explain why a product is in its state, with all the facts that decided it",
    "audit": "re-run what a build would skip, and compare the results",
    "verify": "re-run products with the engine set otherwise, and compare the results",
    "lineage": "show what a column is made of, and what is made of it",
    "docs": "write the project as a site for browsers, or serve it on this machine",
    "contract": "print what a product or source promises, as DDL, or declare its types",
    "ls": "list products",
    "show": "print rows: of a product, a source, a CTE or a query",
    "query": "print the rows of a query over products and sources",
    "export": "write a product to a file or folder, as Parquet, CSV, JSON or Arrow",
    "publish": "send products to the folders, buckets and databases that rules.toml names",
    "log": "list past builds, or the states of a product",
    "restore": "set products back to what they were after a build, without running anything",
    "pin": "keep the tables of a build",
    "unpin": "let go of the tables of a build that was pinned",
    "gc": "remove tables from the store that nothing needs any more",
    "cache": "verify, list or remove what is stored, and show what it has saved",
    "engine": "start and end a cluster of Spark on this machine, to try a profile with",
}
_DESCRIPTION = "A compiler for data rules: a rebuild does the least work that is provably correct."
_COLOR_HELP = "colour the output: auto, always or never (default: auto)"
_HELP_WIDTH = 100


class _Parser(argparse.ArgumentParser):
    """argparse, with usage errors as `UserError`s, no abbreviations, and help as wide as the terminal."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog=prog, allow_abbrev=False, formatter_class=_HelpFormatter, **options)

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help; argparse would ignore that nobody can read it."""
        (file or results()).write(self.format_help())

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print. Raises `UserError`."""
        raise UserError(re.sub(r"^argument ", "", message), code="usage", hint=f"see {self.prog} --help")


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        import shutil

        width = min(shutil.get_terminal_size().columns - 2, _HELP_WIDTH)
        super().__init__(prog, max_help_position=30, width=width)


def split(words: list[str]) -> tuple[list[str], str | None, list[str]]:
    """Split at the command: users write global options before or after it, as with git and cargo."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        takes_value = words[position] in {"--color", "--project"} or re.fullmatch("-[qv]*C", words[position])
        position += 2 if takes_value else 1
    if position >= len(words):
        return words, None, []
    return words[:position], words[position], words[position + 1 :]


def parse(before: list[str], command: str | None, after: list[str]) -> argparse.Namespace:
    """Return a command's options, with the function to call in `run`. Raises `UserError`."""
    listed = "\n".join(f"  {name:<10}{text}" for name, text in COMMANDS.items())
    top = _Parser(
        "rules",
        usage="rules [OPTIONS] COMMAND ...",
        description=f"{_DESCRIPTION}\n\ncommands:\n{listed}",
        epilog=(
            "rules COMMAND --help describes a command. These options go before or after it.\n\n"
            "environment:\n"
            "  RULES_STORE            the folder of the store (default: .rules in the project);\n"
            "                         several work trees may share one\n"
            "  RULES_PROFILE          the runtime profile where --profile names none"
        ),
    )
    _add_globals(top)
    top.add_argument("--version", action="store_true", help="print the version and exit")
    options, unknown = top.parse_known_args(before)
    if unknown:
        raise UserError(
            f"unknown option '{unknown[0]}'", code="usage", hint="a command's own options go after the command"
        )
    if options.version:
        options.run = _print_version
        return options
    if command == "help":
        command, after = next((word for word in after if not word.startswith("-")), None), ["--help"]
        if command is None:
            top.print_help()
            top.exit()
    if command is None:
        if not options.json:
            top.print_help(sys.stderr)
            top.exit(USAGE)
        raise UserError("no command is given", code="usage", hint=f"commands: {', '.join(COMMANDS)}")
    return _parse_command(command, [*before, *after])


def _parse_command(command: str, words: list[str]) -> argparse.Namespace:
    if command not in COMMANDS:
        raise UserError(f"unknown command '{command}'", code="usage", hint=_suggested_command(command))
    text = COMMANDS[command]
    parser = _Parser(f"rules {command}", description=f"{text[0].upper()}{text[1:]}.")
    module = importlib.import_module(f"rules.commands.{command}")
    module.add_arguments(parser)
    _add_globals(parser)
    options, unknown = parser.parse_known_args(words)
    if unknown:
        raise _unknown_word(parser, unknown[0], literal="--" in words and unknown[0] in words[words.index("--") :])
    options.run, options.command = module.run, command
    return options


def _add_globals(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("options of every command")
    group.add_argument("--json", action="store_true", help="print exactly one JSON document")
    group.add_argument("--color", metavar="WHEN", choices=("auto", "always", "never"), default="auto", help=_COLOR_HELP)
    group.add_argument("-q", "--quiet", action="count", default=0, help="print less; names only where names are listed")
    group.add_argument("-v", "--verbose", action="count", default=0, help="print more, products that are clean too")
    group.add_argument(
        "-C", "--project", metavar="DIR", default=".", help="the project's folder (default: here or above)"
    )


def _suggested_command(word: str) -> str:
    hint = command_hint(word, set(COMMANDS))
    if hint is not None:
        return hint
    close = difflib.get_close_matches(word, COMMANDS, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"commands: {', '.join(COMMANDS)}"


def _unknown_word(parser: argparse.ArgumentParser, word: str, *, literal: bool) -> UserError:
    if literal or not word.startswith("-"):
        takes_selection = parser.get_default("select") is not None
        hint = f"to name products: {parser.prog} -s {word}" if takes_selection else f"see {parser.prog} --help"
        if parser.prog in {"rules show", "rules query"}:
            hint = f'put the query in quotes: {parser.prog} "SELECT …"'
        return UserError(f"unexpected argument '{word}'", code="usage", hint=hint)
    elsewhere = option_hint(word)
    if elsewhere is not None:
        return UserError(f"unknown option '{word}'", code="usage", hint=elsewhere)
    known = re.findall(r"--([a-z][a-z-]*)", parser.format_help())
    written = word.partition("=")[0].lstrip("-")
    close = [one for one in known if one.startswith(written)] or difflib.get_close_matches(written, known, 1, 0.6)
    hint = f"did you mean '--{close[0]}'?" if close else f"see {parser.prog} --help"
    return UserError(f"unknown option '{word}'", code="usage", hint=hint)


def _print_version(_: argparse.Namespace, output: Output) -> int:
    from importlib.metadata import version

    number = version("leastwork-rules")
    if output.as_json:
        from rules.report.runs import document

        output.document(document("version", status="ok", version=number))
    else:
        output.result([f"rules {number}"])
    return 0
