"""Options that several commands share, checks of their values, and the request that they make."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from rules.files.project_paths import DEFAULT_PROFILE, profile_name
from rules.terminal.output import results

if TYPE_CHECKING:
    from collections.abc import Collection

    from rules.planning.prepared import Request
    from rules.report.formats import Formats
    from rules.terminal.output import Output

SELECTORS = """selectors:
  NAME      one product                tag:T      products with the tag T
  +NAME     and all it reads           path:DIR   rules in a folder or file
  NAME+     and all that reads it      source:S+  products that read the source S
  2+NAME+1  at most so many steps      changed    rules that differ from their last build
  @NAME     its readers, and all       GLOB       products whose names match, as in stg_*
            they read
A space, or a second -s, adds; a comma keeps only what both sides select."""

_LAST_PORT = 65535
_MOST_DIGITS = 18
_MOST = 10**_MOST_DIGITS
"""Counts above this are this: it fits into 64 bits, with room for one more, and nothing has so many."""


def add_selection(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare -s and --exclude, and explain selectors at the end of the help."""
    parser.epilog = SELECTORS
    parser.add_argument(
        "-s", "--select", action="append", default=[], metavar="SELECTOR", help=f"{verb} only these products"
    )
    parser.add_argument("--exclude", action="append", default=[], metavar="SELECTOR", help="leave these products out")


ROW_FORMATS = """In csv, NULL is an empty field and an empty string is quoted; json is one object a line; arrow is an
IPC stream. A table on a terminal is cut to its width, elsewhere nothing is ever cut."""


def add_rows(parser: argparse.ArgumentParser) -> None:
    """Declare --limit and --format of what prints rows."""
    parser.add_argument(
        "-n", "--limit", type=not_negative, metavar="N", help="rows to print (default: 20 in a table, else all)"
    )
    from rules.report.formats import ROWS  # building does without

    add_format(parser, ROWS)


def add_format(parser: argparse.ArgumentParser, known: Collection[str]) -> None:
    """Declare --format. known: the names of formats, the default first; it is None if nothing is given."""
    *others, last = known
    shown = f"{', '.join(others)} or {last} (default: {others[0]})"
    parser.add_argument("--format", choices=tuple(known), metavar="FORMAT", help=shown)


def require_format(options: argparse.Namespace, output: Output, known: Formats[Any]) -> None:
    """Refuse a format that cannot go where it would. Raises `UserError`."""
    from rules.errors import UserError

    if output.as_json and options.format not in {None, "json"}:
        message = f"--json cannot hold --format {options.format}"
        raise UserError(message, code="usage", hint=f"leave out --json to print {options.format} alone")
    chosen = known[options.format] if options.format is not None else None
    if chosen is not None and chosen.unfit is not None and results().isatty():
        message, hint = chosen.unfit
        raise UserError(message, code="usage", hint=hint)


def add_variables(parser: argparse.ArgumentParser) -> None:
    """Declare --var."""
    parser.add_argument(
        "--var",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another value of a variable of rules.toml, read by the type of the declared one",
    )


def add_force(parser: argparse.ArgumentParser, explanation: str) -> None:
    """Declare --force. explanation: its help."""
    parser.add_argument("--force", action="append", default=[], metavar="SELECTOR", help=explanation)


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Declare --jobs."""
    parser.add_argument(
        "-j", "--jobs", type=positive, metavar="N", help="products executed at once (default: cores + 1)"
    )


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Declare --profile and --set."""
    parser.add_argument(
        "--profile",
        default=profile_name(),
        metavar="NAME",
        help=f"runtime profile (default: RULES_PROFILE, else {DEFAULT_PROFILE})",
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value of a setting of the profile, or of a key of the engine (datafusion.…)",
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Declare --trust-engine-upgrade."""
    parser.add_argument(
        "--trust-engine-upgrade",
        action="store_true",
        help="keep what another version of the engine computed, if a sample of it gives the same tables",
    )


def add_evidence(parser: argparse.ArgumentParser) -> None:
    """Declare --evidence."""
    parser.add_argument(
        "--evidence",
        choices=("none", "summary", "full"),
        metavar="LEVEL",
        help="what to keep of each execution: none, summary or full (default: the profile's)",
    )


def add_timeouts(parser: argparse.ArgumentParser) -> None:
    """Declare --timeout and --product-timeout."""
    parser.add_argument(
        "--timeout", type=seconds, metavar="TIME", help="stop after this time (10m, 90s); what is finished is kept"
    )
    parser.add_argument(
        "--product-timeout", type=seconds, metavar="TIME", help="let a product fail that takes longer than this"
    )


def request_of(options: argparse.Namespace, **given: Any) -> Request:
    """Return the request that a command's options make: an option has the name of the field that it sets.

    Fields that the command has no option for keep their defaults; `given` replaces what an option says.
    """
    from dataclasses import fields  # here, as a no-op pays for each import

    from rules.planning.prepared import Request

    said = vars(options)
    values = {one.name: said[one.name] for one in fields(Request) if one.name in said} | given
    plain: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}
    return Request(**plain)


def positive(text: str) -> int:
    """Return a whole number of at least 1. Raises `argparse.ArgumentTypeError`."""
    return _at_least(1, text)


def not_negative(text: str) -> int:
    """Return a whole number of at least 0. Raises `argparse.ArgumentTypeError`."""
    return _at_least(0, text)


def port(text: str) -> int:
    """Return a number of a TCP port, or 0. Raises `argparse.ArgumentTypeError`."""
    number = _at_least(0, text)
    if number > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"must be a port, from 0 to {_LAST_PORT}, not '{text}'")
    return number


def share(text: str) -> float:
    """Return "5%", "0.05" or "all" as a number above 0 and up to 1. Raises `argparse.ArgumentTypeError`."""
    percent = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)%", text)
    plain = re.fullmatch(r"[0-9]*\.?[0-9]+", text)
    value = 1.0 if text == "all" else float(percent[1]) / 100 if percent else float(text) if plain else 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be a share such as 5%, 0.05 or all, not '{text}'")
    return value


def seconds(text: str) -> float:
    """Return "90s", "10m" or "1h30m" in seconds. Raises `argparse.ArgumentTypeError`."""
    from rules.config.durations import SHAPE, seconds_of

    try:
        return seconds_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {SHAPE}, not '{text}'") from None


def _at_least(least: int, text: str) -> int:
    digits = text.lstrip("0") if text.isdecimal() else ""
    number = _MOST if len(digits) > _MOST_DIGITS else int(digits or 0)
    if not text.isdecimal() or number < least:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least {least}, not '{text}'")
    return number
