"""The files of sources: which ones each has, where they lie, their digests, and errors about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import FAILED, UserError, Where
from rules.files.lazy_paths import lazy_path
from rules.files.locations import is_url
from rules.formats.source_format import Listing, ListingError
from rules.sources.locating import (
    declared_wrongly,
    format_of,
    lists_files,
    noting,
    source_error,
    source_listing,
    unreadable,
)
from rules.sources.object_stores import OutsideError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from rules.config.project import Project
    from rules.files.file_digests import FileDigests
    from rules.formats.contract import IngestError
    from rules.formats.partitions import Partitions
    from rules.formats.source import Source
    from rules.sources.object_copies import ObjectCopies


class SourceFiles:
    """The files of a project's sources, in one run, as they were when the run listed them."""

    def __init__(self, project: Project, digests: FileDigests, copies: ObjectCopies) -> None:
        """copies: of the objects of sources that are URLs."""
        self.project = project
        self.copies = copies
        self._digests = digests
        self._listed: dict[str, Listing] = {}
        self._paths: dict[str, Path] = {}
        """Of files of the project: a Path takes longer to make than a file to look at."""

    def look(self, names: Sequence[str], broken: dict[str, UserError]) -> None:
        """List the files of sources and digest them, side by side; `broken` takes what is wrong with sources."""
        self._list_outside(names, broken)
        for name in names:
            with noting(name, broken):
                if not is_url(self.project.sources[name].path):
                    self._listed[name] = source_listing(self.project, name, self._digests)
        self._digest_all([name for name in names if name not in broken], broken)

    def listing(self, name: str) -> Listing:
        """Return the listing of a source that was looked at."""
        return self._listed[name]

    def digests(self, files: Collection[str]) -> dict[str, str]:
        """Return the digests of files of sources that were looked at. Raises OSError."""
        return self._digests.digests(files)

    def path(self, name: str, file: str) -> Path:
        """Return where a file of a source is; for an object its copy, which is fetched once somebody opens it."""
        if not is_url(file):
            if file not in self._paths:
                self._paths[file] = self.project.root / file
            return self._paths[file]

        def bring(columns: Collection[str] | None) -> None:  # raises `UserError`
            try:
                self.copies.bring(file, columns)
            except OutsideError as error:
                raise declared_wrongly(self.project, name, error.problem, error.hint) from error

        return lazy_path(self.copies.place(file), self.copies.size(file), bring, self.copies.origin(file))

    def partitions(self, name: str) -> Partitions | None:
        """Return the columns that a table's listing or the names of its folders hold. Raises `UserError`."""
        files, partitions = self._listed[name].files, self._listed[name].partitions
        if partitions is not None or lists_files(self.project.sources[name]):
            return partitions
        if not self.project.sources[name].partitions or not any("=" in file for file in files):
            return None
        from rules.formats.contract import IngestError  # these load pyarrow, which other sources do without
        from rules.formats.partitions import partitions_of

        try:
            return partitions_of(files)
        except IngestError as error:
            raise self.unusable(name, files, error) from error

    def require_same(self, name: str, files: Iterable[str]) -> None:
        """Raise `UserError` if a file of a source is not the one that was digested."""
        for file in files:
            if not (self.copies.unchanged(file) if is_url(file) else self._digests.unchanged(file)):
                raise UserError(
                    f"the source '{name}' changed while the build read it",
                    code="source-changed",
                    where=Where(file),
                    hint="build again when it is complete",
                    exit_code=FAILED,
                )

    def matched_by_name(self) -> list[tuple[Source, tuple[str, ...]]]:
        """Return the sources whose files are found by their names, each with those that it has."""
        found = [(self.project.sources[name], listing.files) for name, listing in sorted(self._listed.items())]
        return [(source, files) for source, files in found if not lists_files(source) and not is_url(source.path)]

    def outside(self) -> list[tuple[Source, tuple[str, ...]]]:
        """Return the sources that are URLs, each with those of its objects."""
        found = [(self.project.sources[name], listing.files) for name, listing in sorted(self._listed.items())]
        return [
            (source, (source.path,) if lists_files(source) else files) for source, files in found if is_url(source.path)
        ]

    def unusable(self, name: str, files: Sequence[str], error: IngestError) -> UserError:
        """Return what is wrong with a file: at its place there, or where rules.toml declares what it does not keep."""
        file = files[error.file] if files else self.project.sources[name].path
        if not error.declared:
            return self.error(name, error.message, file, error.hint, error.line, error.column)
        found = declared_wrongly(self.project, name, error.message, error.hint, error.declared)
        found.facts["file"] = file
        return found

    def error(
        self,
        name: str,
        problem: str,
        file: str,
        hint: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> UserError:
        """Return an error of a source, in one of its files."""
        return source_error(self.project, name, problem, Where(file, line, column), hint)

    def _list_outside(self, names: Sequence[str], broken: dict[str, UserError]) -> None:
        """List the sources that are URLs, and have the digests of their objects; `broken` takes what is wrong."""
        outside = {name: self.project.sources[name] for name in names if is_url(self.project.sources[name].path)}
        tables = [name for name, source in outside.items() if lists_files(source)]
        for name in tables:
            with noting(name, broken):
                self._listed[name] = self._table_outside(name, outside.pop(name))
        for name, found in (self.copies.of_sources(outside) if outside else {}).items():
            if isinstance(found, OutsideError):
                broken.setdefault(name, declared_wrongly(self.project, name, found.problem, found.hint))
            else:
                self._listed[name] = Listing(found)

    def _table_outside(self, name: str, source: Source) -> Listing:
        """List a table on an object store. Raises `UserError`."""
        try:
            return self.copies.table(source, format_of(self.project, name, ()))
        except OutsideError as error:
            raise declared_wrongly(self.project, name, error.problem, error.hint) from error
        except ListingError as error:
            raise source_error(self.project, name, error.message, Where(error.path), error.hint) from error

    def _digest_all(self, names: Iterable[str], broken: dict[str, UserError]) -> None:
        """Digest the files of several sources side by side; `broken` takes what cannot be read."""
        try:
            self._digests.digests(dict.fromkeys(file for name in names for file in self._listed[name].files))
        except OSError:
            for name in names:
                for file in self._listed[name].files:
                    with noting(name, broken):
                        self._digest(name, file)

    def _digest(self, name: str, file: str) -> str:
        try:
            return self._digests.digest(file)
        except OSError as error:
            problem, hint = unreadable(self.project.root, file, error)
            raise self.error(name, problem, file, hint) from error
