"""`rules engine`: start and end a cluster of Spark on this machine, to try a profile with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rules.errors import UserError
from rules.files.project_paths import find_root, own_folder
from rules.report.runs import document
from rules.storage.store import open_store
from rules.terminal.arguments import positive
from rules.wording import plural

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output

_EPILOG = """actions:
  up spark      start a master, workers and a Connect server on this machine, and print the address
  down spark    end what was started for this project, and nothing else"""
_WORKERS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = _EPILOG
    parser.add_argument("action", choices=("up", "down"), metavar="ACTION", help="up or down")
    parser.add_argument("engine", choices=("spark",), metavar="ENGINE", help="spark")
    parser.add_argument(
        "--workers", type=positive, metavar="N", help=f"up: workers, of one core each (default: {_WORKERS})"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Start or end the cluster."""
    from rules.engine.spark.local_cluster import down, up

    root = find_root(options.project)
    folder = Path(own_folder(str(root))).resolve() / "engines" / options.engine
    if options.action == "down":
        if options.workers is not None:
            raise UserError("--workers is an option of rules engine up", code="usage")
        ended = down(folder)
        if output.as_json:
            output.document(document("engine", status="ok", remote=ended.remote if ended is not None else None))
        elif output.verbosity >= 0:
            output.result(
                [f"ended Spark at {ended.remote}" if ended is not None else "nothing to do (Spark is not up)"]
            )
        return 0
    workers = _WORKERS if options.workers is None else options.workers
    with open_store(root, output.message, building=True):  # which makes the folder, if this is the first command
        pass
    cluster, is_new = up(folder, workers)
    if not is_new and options.workers not in {None, cluster.workers}:
        output.message(f"warning: Spark is up already, with {plural(cluster.workers, 'worker')}")
    if output.as_json:
        output.document(document("engine", status="ok", remote=cluster.remote, workers=cluster.workers, started=is_new))
    else:
        output.result([cluster.remote])
    return 0
