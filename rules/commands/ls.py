"""`rules ls`: list products."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.config.project import load_project
from rules.files.project_paths import find_root
from rules.inspect.listing import list_products
from rules.report.runs import document, error_fields
from rules.storage.store import open_store
from rules.terminal.arguments import add_selection, request_of
from rules.wording import table_lines

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    add_selection(parser, "list")


def run(options: argparse.Namespace, output: Output) -> int:
    """List products in build order."""
    project = load_project(find_root(options.project))
    request = request_of(options)
    with open_store(project.root, output.message, building=False) as store:
        found = list_products(project, request, store)
    rules, order = found.rules, found.order
    for error in dict.fromkeys(found.broken.values()):
        output.message(f"warning: {error.where}: {error.message}" if error.where else f"warning: {error.message}")
    if output.as_json:
        products = [
            {
                "name": name,
                "path": rules[name].path,
                "description": rules[name].options.description,
                "tags": list(rules[name].options.tags),
                "key": list(rules[name].options.key),
                "inputs": list(found.dag.reads(name)),
                "checks": [check.rule.name for check in rules[name].checks],
                **({"error": error_fields(found.broken[name])} if name in found.broken else {}),
            }
            for name in order
        ]
        output.document(document("ls", status="ok", products=products))
    elif output.verbosity < 0:
        output.result(order)
    else:
        rows = [
            [name, rules[name].path, " ".join(rules[name].options.tags), rules[name].options.description]
            for name in order
        ]
        header = ["product", "path", "tags", "description"]
        output.result(table_lines(header, rows, width=output.width()) if rows else ["no products"])
    return 0
