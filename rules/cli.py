"""The command line: parser, global options, and the one place that turns errors into exit codes.

Only what a command needs is imported, and only once it is known which: a no-op build must cost less than a blink.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from rules.errors import FAILED, INTERNAL, INTERRUPTED, UserError, UserErrors
from rules.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "init": "write a small project that builds at once",
    "build": "bring products up to date, running only what must run",
    "plan": "say what a build would do and why, without doing it",
    "ls": "list products",
    "show": "print a product's rows",
    "log": "list past builds",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _run(words)
    except BrokenPipeError:  # the reader of our output has gone, for example `rules ls | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(words: list[str]) -> int:
    options = _parse(words)
    output = Output(as_json=options.json, colour=options.color, verbosity=options.verbose - options.quiet)
    try:
        return int(options.run(options, output))
    except UserError as error:
        return _fail(output, options.command, [error])
    except UserErrors as several:
        return _fail(output, options.command, several.errors)
    except KeyboardInterrupt:
        output.message("error: interrupted; what was finished is kept")
        _leave(INTERRUPTED)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 — whatever else arrives here is our bug, and must not look like the user's
        return _internal(output, options.command, error)


def _parse(words: list[str]) -> argparse.Namespace:
    # Users write global options before or after the command, as with git and cargo.
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", default=False, help="print one JSON document")
    common.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colour the output")
    common.add_argument("-q", "--quiet", action="count", default=0, help="print less")
    common.add_argument("-v", "--verbose", action="count", default=0, help="print more")
    common.add_argument("-C", "--project", metavar="DIR", default=".", help="the project folder (default: here or above)")
    parser = argparse.ArgumentParser(
        prog="rules", description="A compiler for data rules: a rebuild does the least work that is provably correct."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    words = _globals_last(words)
    named = next((word for word in words if word in COMMANDS), None)
    for name, text in COMMANDS.items():
        command = subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", parents=[common])
        if name == named:
            module = importlib.import_module(f"rules.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser.parse_args(words)


_GLOBAL_FLAGS = ("--json", "-q", "--quiet", "-v", "--verbose")
_GLOBAL_VALUES = ("--color", "-C", "--project")


def _globals_last(words: list[str]) -> list[str]:
    """Move global options that stand before the command behind it."""
    front: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-"):
        word = rest[0]
        count = 2 if word in _GLOBAL_VALUES else 1
        known = word in _GLOBAL_FLAGS or word in _GLOBAL_VALUES or word.startswith(("--color=", "--project="))
        if not known or len(rest) <= count:
            return words
        front += rest[:count]
        rest = rest[count:]
    return [*rest[:1], *front, *rest[1:]]


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"rules {version('leastwork-rules')}")
        parser.exit()


def _fail(output: Output, command: str, errors: list[UserError]) -> int:
    from rules.report import error_document, error_lines

    if output.as_json:
        output.document(error_document(command, errors))
    else:
        for error in errors:
            for line in error_lines(error):
                output.message(line) if line.startswith("error") else print(line, file=sys.stderr)
    return max(error.exit_code for error in errors)


def _internal(output: Output, command: str, error: Exception) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="rules-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(f"rules {command}\n\n")
        traceback.print_exception(error, file=log)
    message = f"internal error: {type(error).__name__}: {error}"
    told = UserError(message, code="internal", facts={"log": log.name}, hint="this is a bug of rules; the log says where")
    _fail(output, command, [told])
    return INTERNAL


def _leave(code: int) -> None:
    """End the process at once: worker threads in the engine cannot be stopped, and every commit is already safe."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
