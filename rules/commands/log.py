"""`rules log`: list past builds, or one build's products."""

from __future__ import annotations

import argparse
from pathlib import Path

from rules.errors import UserError
from rules.output import Output
from rules.report import document, table_lines
from rules.roots import find_root
from rules.store import open_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument("build", nargs="?", help="a build; without it, the latest builds are listed")
    parser.add_argument("-n", "--limit", type=int, default=20, metavar="N", help="builds to list (default: 20)")


def run(options: argparse.Namespace, output: Output) -> int:
    """List builds, newest first, or the products of one."""
    root = find_root(Path(options.project).resolve())
    with open_store(root, output.message, building=False) as store:
        if options.build:
            _show_build(options.build, store.index.results(options.build), output)
            return 0
        builds = store.index.builds(options.limit)
    if output.as_json:
        listed = [
            {"build": build, "started": started, "seconds": seconds, "status": status, "summary": summary}
            for build, started, seconds, status, summary in builds
        ]
        output.document(document("log", status="ok", builds=listed))
        return 0
    rows = [
        [build, started, f"{seconds:.1f} s" if seconds is not None else "", status, _counts(summary)]
        for build, started, seconds, status, summary in builds
    ]
    output.result(table_lines(["build", "started", "took", "status", "products"], rows) if rows else ["no builds yet"])
    return 0


def _show_build(build: str, results: list[tuple[str, str, bool | None, str, float | None, str | None]], output: Output) -> None:
    if not results:
        raise UserError(f"unknown build '{build}', or it finished no product", code="unknown-build", hint="rules log lists them")
    if output.as_json:
        products = [
            {"name": name, "status": status, "changed": bool(changed), "reason": reason, "seconds": seconds, "artifact": artifact}
            for name, status, changed, reason, seconds, artifact in results
        ]
        output.document(document("log", status="ok", build=build, products=products))
    else:
        rows = [[status, name, reason] for name, status, _, reason, _, _ in results]
        output.result(table_lines(["status", "product", "reason"], rows))


def _counts(summary: dict[str, int]) -> str:
    return ", ".join(f"{count} {status}" for status, count in summary.items() if count)
