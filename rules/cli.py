"""The command line: runs a command, and is the one place that turns errors into exit codes.

Only what a command needs is imported, and only once it is known which: a no-op build must cost less than a blink.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from rules.errors import FAILED, INTERNAL, REPLACED, UserError, UserErrors, is_panic
from rules.printable import printable_block, without_secrets
from rules.terminal import signals
from rules.terminal.output import Output, OutputError, abandon, open_closed_streams, results, results_apart, writing

if TYPE_CHECKING:
    from collections.abc import Sequence

GARBAGE = 100_000
"""New objects between two looks for garbage, 700 by default: what a command makes it mostly needs to its end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    gc.set_threshold(GARBAGE)
    open_closed_streams()
    _print_any_text()
    output = Output(as_json=_wants_json(words))
    try:
        with results_apart(), signals.raised():
            code = _ended_well(words, output)
    except KeyboardInterrupt as stop:
        _stop(output, None, stop)
    if arguments is None:
        signals.leave_threads(code)
    return code


def _ended_well(words: list[str], output: Output) -> int:
    """Run a command and write out all of its result, or say why that cannot be."""
    try:
        try:
            code = _run(words, output)
        except SystemExit as done:  # argparse has printed help
            code = int(done.code or 0)
        with writing():
            results().flush()
    except BrokenPipeError:  # the reader of our output has gone, for example `rules ls | head -1`
        abandon(results())
        return FAILED
    except OutputError as error:
        abandon(results())
        output.error([f"error: cannot write the output: {error}"])
        return FAILED
    return code


def _run(words: list[str], output: Output) -> int:
    try:
        return _attempt(words, output)
    except UserError as error:  # the index proved to be damaged, and there is a new one
        output.message(f"warning: {error.message}")
    return _attempt(words, output, again=True)


def _attempt(words: list[str], output: Output, *, again: bool = False) -> int:
    """Run a command. Raises `UserError` where a damaged index was replaced, unless it is run again."""
    command = None
    try:
        if words in (["build"], ["plan"]) and _nothing_to_do(words[0], output):
            return 0
        from rules.terminal.parser import parse, split

        before, command, after = split(words)
        options = parse(before, command, after)
        output = Output(as_json=options.json, colour=options.color, verbosity=options.verbose - options.quiet)
        return int(options.run(options, output))
    except UserError as error:
        if error.code == REPLACED and not again:
            raise
        return _fail(output, command, [error])
    except (BrokenPipeError, OutputError):
        raise
    except KeyboardInterrupt as stop:
        _stop(output, command, stop)
    except BaseException as error:  # whatever else arrives here is our bug, and must not look like the user's
        if not (isinstance(error, Exception) or is_panic(error)):
            raise
        if (number := signals.came()) is not None:  # in the engine, which made of it an error of its own
            _stop(output, command, signals.Stopped(number))
        return _told(output, command, error)


def _told(output: Output, command: str | None, error: BaseException) -> int:
    """Print an error; return the exit code."""
    if isinstance(error, UserError | UserErrors):
        return _fail(output, command, [error] if isinstance(error, UserError) else error.errors)
    from rules.terminal.system_errors import refused

    known = refused(error)
    return _fail(output, command, [known]) if known is not None else _internal(output, command, error)


def _stop(output: Output, command: str | None, stop: KeyboardInterrupt) -> NoReturn:
    """Say that a signal ended the command, and end."""
    # A library that waits for us may raise a plain interrupt for whatever signal has come.
    number = stop.number if isinstance(stop, signals.Stopped) else signals.came() or signal.SIGINT
    with contextlib.suppress(OutputError, BrokenPipeError):
        _fail(output, command, [UserError(signals.notice(number), code="interrupted")])
    signals.end(number)


def _nothing_to_do(command: str, output: Output) -> bool:
    """Whether a plain `rules build` or `rules plan` is a no-op, which is then said. They need no parser."""
    from rules import noop
    from rules.files.project_paths import profile_name, root_above

    root = root_above(os.path.realpath(os.getcwd()))
    return root is not None and noop.answered(root, profile_name(), output, planning=command == "plan")


def _wants_json(words: list[str]) -> bool:
    """Whether --json is given, known before anything is parsed: a usage error must be a document too."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _fail(output: Output, command: str | None, errors: list[UserError]) -> int:
    from rules.report.runs import error_document, errors_lines

    if output.as_json:
        output.document(error_document(command, errors))
    else:
        for lines in errors_lines(errors, whole=output.verbosity > 0):
            output.error(lines)
    return max(error.exit_code for error in errors)


def _internal(output: Output, command: str | None, error: BaseException) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="rules-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(printable_block(without_secrets(f"rules {command}\n\n{''.join(traceback.format_exception(error))}")))
    message = f"internal error: {type(error).__name__}: {error}"
    failure = UserError(
        message, code="internal", facts={"log": log.name}, hint="this is a bug of rules; the log says where"
    )
    _fail(output, command, [failure])
    return INTERNAL


def _print_any_text() -> None:
    """Escape what a stream's encoding lacks: neither a narrow locale nor an odd file name may end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
