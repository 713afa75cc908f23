"""Options that several commands share, and checks of their values."""

from __future__ import annotations

import argparse

SELECTORS = """selectors:
  NAME      one product                tag:T      products with the tag T
  +NAME     and all it reads           path:DIR   rules in a folder or file
  NAME+     and all that reads it      source:S+  products that read the source S
  2+NAME+1  at most so many steps      changed    rules that differ from their last build
  @NAME     its readers, and all       GLOB       products whose names match, as in stg_*
            they read
A space, or a second -s, adds; a comma keeps only what both sides select."""


def add_selection(parser: argparse.ArgumentParser, verb: str) -> None:
    """Declare -s and --exclude, and explain selectors at the end of the help."""
    parser.epilog = SELECTORS
    parser.add_argument(
        "-s", "--select", action="append", default=[], metavar="SELECTOR", help=f"{verb} only these products"
    )
    parser.add_argument("--exclude", action="append", default=[], metavar="SELECTOR", help="leave these products out")


def positive(text: str) -> int:
    """Return a whole number of at least 1. Raises `argparse.ArgumentTypeError`."""
    return _at_least(1, text)


def not_negative(text: str) -> int:
    """Return a whole number of at least 0. Raises `argparse.ArgumentTypeError`."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least {least}, not '{text}'")
    return int(text)
