"""`rules ls`: list products."""

from __future__ import annotations

import argparse
from pathlib import Path

from rules.build import Request, survey
from rules.output import Output
from rules.project import load_project
from rules.report import document, table_lines
from rules.roots import find_root


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("-s", "--select", action="append", default=[], metavar="SELECT", help="list only these products")
    parser.add_argument("--exclude", action="append", default=[], metavar="SELECT", help="leave these products out")


def run(options: argparse.Namespace, output: Output) -> int:
    """List products in build order."""
    project = load_project(find_root(Path(options.project).resolve()))
    observer = output.observer()
    rules, dag, order = survey(project, Request(select=tuple(options.select), exclude=tuple(options.exclude)), observer)
    if output.as_json:
        products = [
            {
                "name": name,
                "path": rules[name].path,
                "description": rules[name].options.description,
                "tags": list(rules[name].options.tags),
                "key": list(rules[name].options.key),
                "inputs": list(dag.inputs[name]),
            }
            for name in order
        ]
        output.document(document("ls", status="ok", products=products))
    elif output.verbosity < 0:
        output.result(order)
    else:
        rows = [[name, rules[name].path, " ".join(rules[name].options.tags), rules[name].options.description] for name in order]
        output.result(table_lines(["product", "path", "tags", "description"], rows) if rows else [])
    return 0
