"""The command line: runs a command, and is the one place that turns errors into exit codes.

Only what a command needs is imported, and only once it is known which: a no-op build must cost less than a blink.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from rules.errors import FAILED, INTERNAL, INTERRUPTED, UserError, UserErrors
from rules.output import Output, abandon
from rules.printable import printable_block, without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

GARBAGE = 100_000
"""New objects between two looks for garbage, 700 by default: what a command makes it mostly needs to its end."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    gc.set_threshold(GARBAGE)
    _print_any_text()
    try:
        try:
            code = _run(words)
        except SystemExit as done:  # argparse has printed help
            code = int(done.code or 0)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone, for example `rules ls | head -1`
        abandon(sys.stdout)
        return FAILED
    return code


def _run(words: list[str]) -> int:
    output = Output(as_json=_wants_json(words))
    command = None
    try:
        if words in (["build"], ["plan"]) and _nothing_to_do(words[0], output):
            return 0
        from rules.parser import parse, split

        before, command, after = split(words)
        options = parse(before, command, after)
        output = Output(as_json=options.json, colour=options.color, verbosity=options.verbose - options.quiet)
        return int(options.run(options, output))
    except UserError as error:
        return _fail(output, command, [error])
    except UserErrors as several:
        return _fail(output, command, several.errors)
    except KeyboardInterrupt:
        _fail(output, command, [UserError("interrupted; what was finished is kept", code="interrupted")])
        _leave(INTERRUPTED)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 — whatever else arrives here is our bug, and must not look like the user's
        return _internal(output, command, error)


def _nothing_to_do(command: str, output: Output) -> bool:
    """Whether a plain `rules build` or `rules plan` is a no-op, which is then said. They need no parser."""
    from rules import noop
    from rules.roots import DEFAULT_PROFILE, root_above

    root = root_above(os.path.realpath(os.getcwd()))
    return root is not None and noop.answered(root, DEFAULT_PROFILE, output, planning=command == "plan")


def _wants_json(words: list[str]) -> bool:
    """Whether --json is given, known before anything is parsed: a usage error must be a document too."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _fail(output: Output, command: str | None, errors: list[UserError]) -> int:
    from rules.report.runs import error_document, error_lines

    if output.as_json:
        output.document(error_document(command, errors))
    else:
        for error in errors:
            output.error(error_lines(error))
    return max(error.exit_code for error in errors)


def _internal(output: Output, command: str | None, error: Exception) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile("w", prefix="rules-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(printable_block(without_secrets(f"rules {command}\n\n{''.join(traceback.format_exception(error))}")))
    message = f"internal error: {type(error).__name__}: {error}"
    told = UserError(
        message, code="internal", facts={"log": log.name}, hint="this is a bug of rules; the log says where"
    )
    _fail(output, command, [told])
    return INTERNAL


def _print_any_text() -> None:
    """Escape what a stream's encoding lacks: neither a narrow locale nor an odd file name may end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _leave(code: int) -> NoReturn:
    """End the process at once: worker threads in the engine cannot be stopped, and every commit is already safe."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
