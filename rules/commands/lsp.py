"""`rules lsp`: the language server, on standard input and output."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rules.errors import UserError
from rules.terminal import signals
from rules.terminal.output import results

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument(
        "--stdio", action="store_true", help="speak on standard input and output, as it does in any case"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Serve until the editor ends it."""
    del options, output
    try:
        from rules.lsp.serving import make_server
    except ImportError as error:
        if error.name not in {"pygls", "lsprotocol"}:
            raise
        message, hint = "rules lsp needs the package pygls", "install leastwork-rules[lsp]"
        raise UserError(message, code="missing-package", hint=hint) from error
    with os.fdopen(os.dup(results().fileno()), "wb") as speaking:  # its end closes what it speaks on
        make_server().start_io(stdout=speaking)
    signals.end_process(0)  # a check may be at work, beneath which Python would take its modules away
