"""`rules export`: write the last committed tables of products to files or folders outside the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rules.errors import UserError
from rules.exporting.formats import EXPORTS, FileKind
from rules.exporting.naming import Wanted, named, require_sensible, streamed
from rules.files.project_paths import find_root, own_folder
from rules.report.runs import document
from rules.storage.store import open_store
from rules.terminal.output import results
from rules.wording import plural

if TYPE_CHECKING:
    import argparse

    from rules.exporting.export import Export, Exported
    from rules.storage.store import Store
    from rules.terminal.output import Output

_STANDARD_OUTPUT = "-"
_DESTINATIONS = """DEST is a file if its name has an extension, which then says the format, or with
--single-file; for text also as in .csv.gz. Otherwise it is a folder, in which the table has a file
of a name that depends on the table alone, and with --partition-by a folder for each value. Several
products go into the folder DEST, as NAME.parquet. - is the standard output.

A destination is written beside itself and renamed, so it is what it was or what it is to be."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own options."""
    parser.usage = "rules export NAME [NAME ...] DEST [OPTIONS]"
    parser.epilog = _DESTINATIONS
    parser.add_argument("names", metavar="NAME", nargs="+", help="a product, as last committed")
    parser.add_argument(
        "dest", metavar="DEST", help="a file or folder, which must not exist unless --mode says more, or -"
    )
    default, *others = EXPORTS
    shown = f"{', '.join([default, *others[:-1]])} or {others[-1]} (default: as DEST is called, or {default})"
    parser.add_argument("--format", choices=tuple(EXPORTS), metavar="FORMAT", help=shown)
    parser.add_argument(
        "--partition-by",
        action="append",
        default=[],
        metavar="COLUMN[,…]",
        help="write a folder COLUMN=VALUE for each value; NULL and '' have folders of their own",
    )
    parser.add_argument("--single-file", action="store_true", help="write one file, whatever DEST is called")
    parser.add_argument(
        "--mode",
        choices=("error", "overwrite", "append"),
        default="error",
        metavar="MODE",
        help="of what exists: error, overwrite (replace it), append (add files to a folder) (default: error)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Write files. All products and destinations are looked at before the first is written."""
    root = find_root(options.project)
    names = tuple(dict.fromkeys(options.names))
    by, single = bool(options.partition_by), options.single_file
    wanted = Wanted(names, options.dest, options.format or "", by, single, options.mode)
    require_sensible(wanted)
    if wanted.dest == _STANDARD_OUTPUT:
        return _print(wanted, root, output)

    def rescued(path: str) -> None:
        output.message(f"warning: what no export wrote was left in {path}")

    done = []
    with open_store(root, output.message, building=False, asked=True) as store:
        from rules.exporting import export

        planned = [_export(wanted, options, store, root, name) for name in names]
        for one in planned:
            export.require_possible(one)
        for one in planned:
            done.append(export.run(one, rescued))
            if output.verbosity >= 0 and not output.as_json:
                output.result([_line(done[-1])])
    if output.as_json:
        output.document(document("export", status="ok", products=[_fields(one) for one in done]))
    return 0


def _export(wanted: Wanted, options: argparse.Namespace, store: Store, root: Path, name: str) -> Export:
    """Return what is to be written of a product. Raises `UserError`."""
    from rules.exporting.destination import Destination
    from rules.exporting.export import Export, columns_of

    file, rows = _committed(store, root, name)
    place = named(wanted, name)
    destination = Destination.outside(
        place.path, [store.objects.root, Path(own_folder(str(root)))], place.single, options.mode
    )
    columns = columns_of(options.partition_by, file)
    return Export(name, store.states[name].artifact, file, rows, destination, place.format, place.kind, columns)


def _committed(store: Store, root: Path, name: str) -> tuple[Path, int]:
    """Return the last committed table of a product, and its rows. Raises `UserError`."""
    from rules.config.project import load_project
    from rules.inspect.stored_tables import committed, unknown_table

    if name not in store.states:
        raise unknown_table(load_project(root), store, name)
    return committed(store, name)


def _print(wanted: Wanted, root: Path, output: Output) -> int:
    """Write a product to the standard output. Raises `UserError`."""
    format_ = streamed(wanted)
    if output.as_json:
        message = "- is the standard output, where --json prints its document"
        raise UserError(message, code="usage", hint="leave out --json, or name a file")
    if not format_.is_text and results().isatty():
        message = f"{format_.name} is binary, which is not for terminals"
        raise UserError(message, code="usage", hint="redirect the output to a file or a program")
    (name,) = wanted.names
    with open_store(root, output.message, building=False, asked=True) as store:
        from cache.table_files import schema_of
        from rules.exporting.export import require_fit, write_table

        file, _ = _committed(store, root, name)
        require_fit(name, schema_of(file), format_)
        with output.bytes() as out:
            write_table(name, file, format_, FileKind(f".{format_.name}"), out)
            out.flush()
    return 0


def _line(done: Exported) -> str:
    export = done.export
    files = "" if export.destination.single else f" in {plural(done.files, 'file')}"
    return (
        f"{export.product}: {plural(export.rows, 'row')} as {export.format.name} to {export.destination.shown}{files}"
    )


def _fields(done: Exported) -> dict[str, Any]:
    export = done.export
    return {
        "product": export.product,
        "path": str(export.destination.path),
        "format": export.format.name,
        "partition_by": list(export.partition_by),
        "rows": export.rows,
        "files": done.files,
        "bytes": done.bytes,
        "artifact": export.artifact,
    }
