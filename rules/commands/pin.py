"""`rules pin`: keep the tables of a build, of all products or one, whatever is collected; or list the pins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.files.project_paths import find_root
from rules.inspect.pins import pin, pin_text
from rules.report.runs import document
from rules.storage.store import open_store

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument(
        "builds", nargs="*", metavar="BUILD|NAME@BUILD", help="what to keep; without it, list what is pinned"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Pin; or list pins."""
    root = find_root(options.project)
    with open_store(root, output.message, building=bool(options.builds), asked=True) as store:
        added = [pin(store, text) for text in options.builds]
        pins = [one for one in store.index.pins() if one.root == store.index.root]
    if output.as_json:
        listed = [{"build": one.build, "product": one.product or None} for one in pins]
        output.document(document("pin", status="ok", pins=listed))
    elif options.builds:
        output.result([f"pinned {pin_text(one)}" for one in added] if output.verbosity >= 0 else [])
    else:
        output.result([pin_text(one) for one in pins] or (["nothing is pinned"] if output.verbosity >= 0 else []))
    return 0
