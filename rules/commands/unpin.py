"""`rules unpin`: let go the tables of a build that was pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.files.project_paths import find_root
from rules.inspect.pins import pin_text, unpin
from rules.report.runs import document
from rules.storage.store import open_store

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("builds", nargs="+", metavar="BUILD|NAME@BUILD", help="what rules pin was given")


def run(options: argparse.Namespace, output: Output) -> int:
    """Unpin."""
    root = find_root(options.project)
    with open_store(root, output.message, building=True) as store:
        removed = [unpin(store, text) for text in options.builds]
        pins = [one for one in store.index.pins() if one.root == store.index.root]
    if output.as_json:
        listed = [{"build": one.build, "product": one.product or None} for one in pins]
        output.document(document("unpin", status="ok", pins=listed))
    elif output.verbosity >= 0:
        output.result([f"unpinned {pin_text(one)}" for one in removed])
    return 0
