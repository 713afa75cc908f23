"""`rules restore`: let products be again what they were after a build; nothing is executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.files.project_paths import find_root
from rules.inspect.history import resolve_build
from rules.report.runs import document
from rules.storage.store import open_store
from rules.wording import plural

if TYPE_CHECKING:
    import argparse

    from rules.running.restoring import Restored
    from rules.terminal.output import Output

_EPILOG = """The rules stay as they are, and the next build brings products up to date with them again: rules
plan says what it would do. To stay with the tables, check out the rules of that time, too."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = _EPILOG
    parser.add_argument("build", metavar="BUILD", help="a build, or how only its name starts")


def run(options: argparse.Namespace, output: Output) -> int:
    """Restore."""
    root = find_root(options.project)
    with open_store(root, output.message, building=True, asked=True) as store:
        from rules.running.restoring import restore

        found = restore(store, resolve_build(store.index, options.build))
    if output.as_json:
        products = [{"name": name, "status": status} for name, status in found.products.items()]
        output.document(document("restore", status="ok", build=found.build, of=found.of, products=products))
    else:
        output.result(_lines(found, output.verbosity))
    return 0


def _lines(found: Restored, verbosity: int) -> list[str]:
    listed = [(name, status) for name, status in found.products.items() if status != "clean" or verbosity > 0]
    if verbosity < 0:
        return [name for name, _ in listed]
    moved = sum(status == "restored" for status in found.products.values())
    total = f"{plural(moved, 'product')} restored to {found.of}; {len(found.products) - moved:,} unchanged or removed"
    return [*(f"{status:<9} {name}" for name, status in listed), total]
