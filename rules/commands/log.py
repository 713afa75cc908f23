"""`rules log`: list past builds, one build's products, or the states that a product had."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from rules.files.project_paths import find_root
from rules.inspect.history import events, resolve_build
from rules.report.runs import counts, document
from rules.storage.store import open_store
from rules.terminal.arguments import positive
from rules.wording import duration, table_lines, wrapped_lines

if TYPE_CHECKING:
    import argparse

    from rules.inspect.history import Event
    from rules.terminal.output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.add_argument(
        "what",
        metavar="BUILD|NAME",
        nargs="?",
        help="a build, or how only its name starts: what it made of each product; a product: each state that it had, "
        "and why; without it, list builds",
    )
    parser.add_argument(
        "-n", "--limit", type=positive, default=20, metavar="N", help="builds or states to list (default: 20)"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """List builds, newest first, or the products of one."""
    root = find_root(options.project)
    with open_store(root, output.message, building=False, asked=True) as store:
        if options.what and not options.what[0].isdigit():  # as no product's name begins, and every build's does
            _show_product(options, events(store, options.what), output)
            return 0
        if options.what:
            build = resolve_build(store.index, options.what)
            _show_build(build, store.index.results(build), output)
            return 0
        builds = store.index.builds(options.limit)
    if output.as_json:
        listed = [
            {"build": build, "started": started, "seconds": seconds, "status": status, "summary": summary}
            for build, started, seconds, status, summary in builds
        ]
        output.document(document("log", status="ok", builds=listed))
    elif output.verbosity < 0:
        output.result([one[0] for one in builds])
    else:
        rows = [
            [build, _local(started), "" if seconds is None else duration(seconds), status, counts(summary)]
            for build, started, seconds, status, summary in builds
        ]
        header = ["build", "started", "took", "status", "products"]
        lines = table_lines(header, rows, right=[2], width=output.width())
        output.result(lines if rows else ["no builds yet"])
    return 0


def _show_product(options: argparse.Namespace, found: list[Event], output: Output) -> None:
    """Print the states that a product had; with -v also the builds that left it as it was."""
    listed = [one for one in found if one.changed or one.status == "failed" or output.verbosity > 0][: options.limit]
    if output.as_json:
        fields = ("build", "status", "changed", "reason", "artifact", "stored")
        states = [{name: getattr(one, name) for name in fields} for one in listed]
        output.document(document("log", status="ok", product=options.what, states=states))
    elif output.verbosity < 0:
        output.result([one.build for one in listed])
    else:
        rows = [
            [one.build, one.status, "" if one.stored or one.artifact is None else "gone", _first_line(one.reason)]
            for one in listed
        ]
        aligned = table_lines(["build", "status", "table", "reason"], rows)
        start = aligned[0].index("reason")
        output.result(
            wrapped_lines([[line[:start].rstrip(), line[start:]] for line in aligned], output.width()),
            painted=True,
        )


def _show_build(build: str, results: list[tuple[Any, ...]], output: Output) -> None:
    if output.as_json:
        products = [
            {
                "name": name,
                "status": status,
                "changed": bool(changed),
                "reason": reason,
                "seconds": seconds,
                "artifact": artifact,
            }
            for name, status, changed, reason, seconds, artifact in results
        ]
        output.document(document("log", status="ok", build=build, products=products))
    elif output.verbosity < 0:
        output.result([result[0] for result in results])
    elif not results:
        output.result([f"{build} finished no product"])
    else:
        rows = [
            [
                status,
                name,
                duration(seconds) if status == "executed" and seconds is not None else "",
                _first_line(reason),
            ]
            for name, status, _, reason, seconds, _ in results
        ]
        aligned = table_lines(["status", "product", "took", "reason"], rows, right=[2])
        start = aligned[0].index("reason")
        output.result(
            wrapped_lines([[line[:start].rstrip(), line[start:]] for line in aligned], output.width()),
            painted=True,
        )


def _local(started: str) -> str:
    """Format the moment a build started in the user's own time zone."""
    return f"{dt.datetime.fromisoformat(started).astimezone():%Y-%m-%d %H:%M:%S}"


def _first_line(reason: str) -> str:
    return reason.strip().partition("\n")[0]
