"""`rules docs`: write the project as a static site, or serve it to browsers on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rules.config.project import load_project
from rules.errors import UserError
from rules.files.project_paths import find_root, store_root
from rules.report.runs import document
from rules.terminal.arguments import port
from rules.terminal.output import results
from rules.wording import byte_size, plural

if TYPE_CHECKING:
    import argparse

    from rules.terminal.output import Output

_FOLDER = "site"
_PORT = 8642
_EPILOG = """actions:
  build     write the site: one folder of files that needs no server and no network
  serve     write it, and serve it to browsers on this machine until Ctrl-C"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.epilog = _EPILOG
    parser.add_argument("action", choices=("build", "serve"), metavar="ACTION", help="build or serve")
    parser.add_argument("--out", metavar="DIR", help=f"the folder (default: {_FOLDER} in the project)")
    parser.add_argument(
        "--port", type=port, metavar="N", help=f"serve: the port, 0 for any that is free (default: {_PORT})"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Write the site; then serve it until a signal comes, if that was asked for."""
    if options.port is not None and options.action != "serve":
        raise UserError("--port is an option of rules docs serve", code="usage")
    from rules.site.folder import require_usable, write_site
    from rules.site.gathering import gather
    from rules.site.pages import pages

    root = find_root(options.project)
    folder = Path(options.out) if options.out is not None else root / _FOLDER
    shown = options.out if options.out is not None else os.path.relpath(folder)
    require_usable(folder, shown, store_root(root))
    facts = gather(load_project(root), output.message)
    written = write_site(folder, shown, pages(facts))
    fields: dict[str, Any] = {"folder": str(folder.resolve()), **written._asdict(), "tables": len(facts.tables)}
    if options.action == "serve":
        return _serve(folder, _PORT if options.port is None else options.port, fields, output)
    if output.as_json:
        output.document(document("docs", status="ok", **fields))
    elif output.verbosity >= 0:
        changed = f"{written.written:,} written, {written.removed:,} removed"
        size = f"{plural(written.files, 'file')}, {byte_size(written.bytes)}"
        output.result([f"{shown}: {size}; {changed}", f"open {folder.resolve() / 'index.html'}"])
    return 0


def _serve(folder: Path, port: int, fields: dict[str, Any], output: Output) -> int:
    from rules.site.serving import address_of, server_of

    with server_of(folder, port) as server:
        url = address_of(server)
        if output.as_json:
            output.document(document("docs", status="ok", **fields, url=url))
        else:
            output.result([f"serving {folder} at {url} until Ctrl-C"])
        results().flush()
        server.serve_forever(poll_interval=0.2)
    return 0
