"""What DEST means: which path a product is written to, whether as one file or as a folder, and in which format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rules.errors import UserError
from rules.exporting.formats import EXPORTS, ExportFormat, FileKind, format_of


@dataclass(frozen=True)
class Wanted:
    """The words of a command line. dest: as it was given; format: "" where none was."""

    names: tuple[str, ...]
    dest: str
    format: str
    partition_by: bool
    single_file: bool
    mode: str


@dataclass(frozen=True)
class Named:
    """Where a product goes. single: as one file; a folder otherwise."""

    path: str
    single: bool
    format: ExportFormat
    kind: FileKind


def require_sensible(wanted: Wanted) -> None:
    """Refuse words that contradict one another. Raises `UserError`."""
    if wanted.single_file and wanted.partition_by:
        message = "--partition-by makes many files, and --single-file one"
        raise _usage(message, "leave one of them out")
    if "://" in wanted.dest:
        raise _usage("DEST is a path on this machine; nothing is written to URLs", "export to a folder, and copy that")
    if not wanted.dest:
        raise _usage("DEST is empty", "name a file or a folder; . is this one")


def streamed(wanted: Wanted) -> ExportFormat:
    """Return the format in which a product goes to the standard output, for which DEST is -. Raises `UserError`."""
    if len(wanted.names) > 1:
        raise _usage("- is the standard output, which holds one table", "name one product")
    if wanted.partition_by or wanted.mode != "error":
        option = "--partition-by" if wanted.partition_by else f"--mode {wanted.mode}"
        raise _usage(f"- is the standard output, for which {option} means nothing", "leave it out, or name a folder")
    return EXPORTS[wanted.format or next(iter(EXPORTS))]


def named(wanted: Wanted, name: str) -> Named:
    """Return where a product goes. Raises `UserError`."""
    dest = wanted.dest
    is_folder = Path(dest).is_dir() or dest.endswith("/") or len(wanted.names) > 1
    has_extension = bool(Path(dest).suffix)
    if not is_folder and not wanted.partition_by and (has_extension or wanted.single_file):
        found = _file(wanted, has_extension=has_extension)
    else:
        said = format_of(dest)[0] if wanted.partition_by and not is_folder else None
        format_ = EXPORTS[wanted.format or said or next(iter(EXPORTS))]
        kind = FileKind(f".{format_.name}")
        several = len(wanted.names) > 1
        single = wanted.single_file or (several and not wanted.partition_by and wanted.mode != "append")
        inner = f"{name}{kind.extension}" if single else name
        found = Named(str(Path(dest, inner)) if several or single else dest, single, format_, kind)
    if found.single and wanted.mode == "append":
        hint = "append to a folder: DEST without an extension"
        raise _usage(f"{found.path} would be one file, which nothing can be added to", hint)
    return found


def _file(wanted: Wanted, *, has_extension: bool) -> Named:
    """Return the one file that DEST names."""
    dest = wanted.dest
    said, kind = format_of(dest)
    if said and wanted.format and said != wanted.format:
        message = f"{dest} has the extension of {said}, and --format says {wanted.format}"
        raise _usage(message, "change one of them")
    if has_extension and not said and not wanted.format:
        hint = f"choose --format {', '.join(EXPORTS)}, or an extension: .{', .'.join(EXPORTS)}"
        raise _usage(f"the name {dest} does not say a format", hint)
    format_ = EXPORTS[said or wanted.format or next(iter(EXPORTS))]
    if kind.compression and not format_.is_text:
        raise _usage(f"{format_.name} files are not compressed as a whole: {dest}", "leave out the second extension")
    return Named(dest, single=True, format=format_, kind=kind if said else FileKind(f".{format_.name}"))


def _usage(message: str, hint: str) -> UserError:
    return UserError(message, code="usage", hint=hint)
