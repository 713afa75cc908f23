"""A folder or bucket as a target: a version of files for each table, and one small file that says which are current.

Files of a version are never changed, and published.json, which leads to them, is replaced in one step when all are
there: its readers see all tables of a publish, or none of them. The version before stays for those who still read it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cache.table_files import schema_of
from rules.errors import FAILED, UserError
from rules.exporting import export as exporting
from rules.exporting.destination import Destination as ExportDestination
from rules.exporting.export import Export
from rules.exporting.formats import EXPORTS, FileKind
from rules.publishing.duckdb_views import catalogue
from rules.publishing.holding import NAME, TABLES, VIEWS, HeldFile, HeldTable, Holding, decoded, encoded, version_of
from rules.publishing.partition_contents import partition_contents
from rules.publishing.places import Folder, Objects, Place, Stamp, files_in
from rules.publishing.read_back import require_same, require_same_partitions
from rules.publishing.target import Sent, Step, StoredTable

if TYPE_CHECKING:
    from rules.config.publish_settings import Destination, PublishTable
    from rules.publishing.target import Say, Target

_KEPT = "it is there already"


@contextlib.contextmanager
def opened_files(
    destination: Destination, root: Path, kept_out: Sequence[Path], say: Say, *, writes: bool
) -> Iterator[Target]:
    """Open a folder or bucket. root: of the project; kept_out: folders that nothing is published into.

    Raises `UserError`.
    """
    table = destination.table
    if destination.kind == "bucket":
        yield FilesTarget(Objects.at(table.to), table, say, writes=writes)
        return
    folder = Folder(folder_of(destination, root, kept_out), table.to)
    with folder.held(say) if writes else contextlib.nullcontext():
        yield FilesTarget(folder, table, say, writes=writes)


def folder_of(destination: Destination, root: Path, kept_out: Sequence[Path]) -> Path:
    """Return the folder of a target, without links. Raises `UserError`. See `opened_files`."""
    place = (root / Path(destination.table.to).expanduser()).resolve()
    if any(place.is_relative_to(one.resolve()) or one.resolve().is_relative_to(place) for one in kept_out):
        message = f"[publish.{destination.name}] would write into the store, or over it: {destination.table.to}"
        raise UserError(message, code="config", hint="name a folder of its own")
    return place


class FilesTarget:
    """See `rules.publishing.target.Target`."""

    def __init__(self, place: Place, table: PublishTable, say: Say, *, writes: bool) -> None:
        """Read what is there, and make the place ours if it will be written to. Raises `UserError`."""
        self._place, self._table, self._say = place, table, say
        self._format = EXPORTS[table.format or "parquet"]
        self._removed: list[tuple[str, tuple[str, ...]]] = []
        self._restamped: dict[str, str] = {}
        data = place.load()
        self._holding = decoded(data, table.to) if data is not None else Holding()
        self._saved = self._holding
        if data is None:
            if not place.is_free():
                message = f"{table.to} holds {TABLES}/ or {VIEWS}, which no publish wrote"
                hint = "nothing was touched; publish to a folder of its own"
                raise UserError(message, code="exists", hint=hint, exit_code=FAILED)
            if writes:
                place.save(encoded(self._holding))

    @cached_property
    def _stamps(self) -> dict[str, Stamp]:
        return self._place.stamps()

    def step(self, product: str, artifact: str) -> Step:
        """As `Target` says."""
        held = self._holding.tables.get(product)
        keys = self._table.partition_by.get(product, ())
        version = version_of(artifact, self._format.name, keys)
        if held is None:
            reason = "it was not published here before"
        elif held.version == version:
            changed = self._changed(held)
            if changed is None:
                return Step(product, artifact, "keep", _KEPT, held.rows)
            reason = changed
        elif held.artifact != artifact:
            reason = "its table is another one than was published"
        elif held.partition_by != keys:
            reason = f"it is to be partitioned by {', '.join(keys)}" if keys else "it is not to be partitioned"
        else:
            reason = f"it is to be {self._format.name}, and was {held.format}"
        return Step(product, artifact, "send", reason)

    def _changed(self, held: HeldTable) -> str | None:
        """Return how someone else changed the files of a table, None if they are as they were published."""
        for one in held.files:
            if one.path not in self._stamps:
                return f"{one.path} was removed by someone else"
            if not self._is_whole(one):
                return f"{one.path} was changed by someone else"
        own = {one.path for one in held.files}
        if any(path.startswith(f"{held.folder}/") and path not in own for path in self._stamps):
            return f"someone else put a file into {held.folder}"
        return None

    def _is_whole(self, file: HeldFile) -> bool:
        """Whether a file is as it was published."""
        stamp = self._stamps.get(file.path)
        if stamp is None or stamp.bytes != file.bytes:
            return False
        if stamp.modified == file.modified:
            return True
        if self._place.digest(file.path) != file.digest:
            return False
        self._restamped[file.path] = stamp.modified  # it was copied, or linked into another version
        return True

    def require_possible(self, table: StoredTable) -> None:
        """As `Target` says."""
        exporting.require_possible(self._export(table, Path("/nowhere/at/all"), {}))
        name = self._link_name(table.product, self._format.name, self._table.partition_by.get(table.product, ()))
        if self._place.has_links and self._place.link(name) == "":
            message = f"{self._table.to} holds {name}, which no publish wrote"
            hint = "nothing of it was touched; remove it yourself, or publish to another folder"
            raise UserError(message, code="exists", hint=hint, exit_code=FAILED)

    def _export(self, table: StoredTable, path: Path, carried: Mapping[str, Path | None]) -> Export:
        place = ExportDestination(path, f"{self._table.to}/{TABLES}/{table.product}", single=False, mode="overwrite")
        kind = FileKind(f".{self._format.name}")
        keys = self._table.partition_by.get(table.product, ())
        return Export(table.product, table.artifact, table.file, table.rows, place, self._format, kind, keys, carried)

    def send(self, table: StoredTable) -> Sent:
        """As `Target` says."""
        name, keys = table.product, self._table.partition_by.get(table.product, ())
        version = version_of(table.artifact, self._format.name, keys)
        folder = f"{TABLES}/{name}/{version}"

        columns = tuple((field.name, str(field.type)) for field in schema_of(table.file))
        contents = partition_contents(table.file, keys) if keys else {}
        digests = {one: content.digest(keys) for one, content in contents.items()}
        kept = self._kept(name, folder, columns, digests)
        before = {one.inside: one.digest for one in kept}

        def make(path: Path, carried: Mapping[str, Path | None]) -> None:
            exporting.run(self._export(table, path, carried), lambda left: self._say(f"warning: {left} was left alone"))
            written = [one for one in files_in(path) if one.relative_to(path).as_posix() not in before]
            if keys:
                require_same_partitions(table, written, self._format.name, contents, keys)
            else:
                require_same(table, written, self._format.name)

        files = self._place.write(folder, make, kept)
        for one in files:
            if self._place.has_links:
                self._restamped.pop(one.path, None)
            if one.digest != before.get(one.inside, one.digest):
                message = f"{one.path} was changed by someone else while the table was published"
                raise UserError(message, code="unwritable", hint="publish again", exit_code=FAILED)
        files = tuple(msgspec.structs.replace(one, content=digests.get(one.partition, "")) for one in files)
        held = HeldTable(table.artifact, version, folder, self._format.name, keys, table.rows, columns, files)
        self._hold(name, held)
        new = [one for one in files if one.inside not in before]
        return Sent(table.rows, len(new), sum(one.bytes for one in new))

    def _kept(
        self, name: str, folder: str, columns: tuple[tuple[str, str], ...], digests: Mapping[str, str]
    ) -> list[HeldFile]:
        """Return the files of a table that hold partitions of its next version. digests: of these, by folder.

        In a bucket they stay where they are. What a killed publish left of the next version would be a second file of
        the partition for those who list its folder, so it is written again.
        """
        last, keys = self._holding.tables.get(name), self._table.partition_by.get(name, ())
        if last is None or (last.format, last.partition_by, last.columns) != (self._format.name, keys, columns):
            return []
        left = set() if self._place.has_links else {path.rpartition("/")[0] for path in self._stamps}
        return [
            one
            for one in last.files
            if one.content
            and digests.get(one.partition) == one.content
            and (one.path.startswith(f"{folder}/") or f"{folder}/{one.partition}" not in left)
            and self._is_whole(one)
        ]

    def _hold(self, name: str, held: HeldTable) -> None:
        """Note a new version of a table; the one before stays, the one before that goes."""
        last = self._holding.tables.get(name)
        if last is not None and last.folder != held.folder:
            former = tuple(one.path for one in last.files)
            held = msgspec.structs.replace(held, former=last.folder, former_files=former)
        elif last is not None:
            held = msgspec.structs.replace(held, former=last.former, former_files=last.former_files)
        if last is not None and last.former not in {None, held.folder, held.former}:
            assert last.former is not None
            shared = {one.path for one in held.files}.union(held.former_files)
            self._removed.append((last.former, tuple(one for one in last.former_files if one not in shared)))
        elif last is not None and last.folder == held.folder and not self._place.has_links:
            used = {one.path for one in held.files}.union(held.former_files)
            self._removed.append((last.folder, tuple(one.path for one in last.files if one.path not in used)))
        self._holding = msgspec.structs.replace(self._holding, tables={**self._holding.tables, name: held})

    def others(self, products: Sequence[str]) -> list[str]:
        """As `Target` says."""
        return sorted(set(self._holding.tables) - set(products))

    def drop(self, products: Sequence[str]) -> None:
        """As `Target` says."""
        tables = dict(self._holding.tables)
        for name in products:
            gone = tables.pop(name)
            self._removed.append((gone.folder, tuple(one.path for one in gone.files)))
            if gone.former is not None:
                self._removed.append((gone.former, gone.former_files))
        self._holding = msgspec.structs.replace(self._holding, tables=tables)

    def finish(self) -> None:
        """As `Target` says."""
        wants_views = self._table.views is not False and self._format.name != "arrow"
        tables = {name: self._with_stamps(held) for name, held in self._holding.tables.items()}
        holding = msgspec.structs.replace(self._holding, tables=tables, views=self._holding.views or wants_views)
        changed = holding != self._saved
        if changed:
            self._place.save(encoded(holding))
        if holding.views:
            self._keep_views(holding, wanted=wants_views)
        if self._place.has_links:
            self._keep_links(holding)
        if changed:
            for folder, files in self._removed:
                self._place.remove(folder, files)
        kept = {one.folder for one in holding.tables.values()}
        self._place.sweep(kept | {one.former for one in holding.tables.values() if one.former is not None})

    def _with_stamps(self, held: HeldTable) -> HeldTable:
        """Return a table with the stamps that its files have by now, so that they need not be digested again."""
        files = tuple(
            msgspec.structs.replace(one, modified=self._restamped.get(one.path, one.modified)) for one in held.files
        )
        return msgspec.structs.replace(held, files=files)

    def _keep_views(self, holding: Holding, *, wanted: bool) -> None:
        text = catalogue(holding.tables if wanted else {}, self._place.address).encode()
        if self._place.read(VIEWS) != text:
            self._place.put(VIEWS, text)

    def _keep_links(self, holding: Holding) -> None:
        wanted = {}
        for name, held in holding.tables.items():
            single = not held.partition_by and len(held.files) == 1
            wanted[self._link_name(name, held.format, held.partition_by)] = (
                held.files[0].path if single else held.folder
            )
        for link, path in wanted.items():
            found = self._place.link(link)
            if found == "":
                self._say(f"warning: {self._table.to}/{link} was put there by someone else; {NAME} leads to the table")
            elif found != path:
                self._place.set_link(link, path)
        for link, path in self._place.links().items():  # a publish that was killed may have left some
            if link not in wanted and _leads_to_its_table(link, path):
                self._place.set_link(link, None)

    def _link_name(self, product: str, kind: str, partition_by: tuple[str, ...]) -> str:
        return product if partition_by else f"{product}.{kind}"


def _leads_to_its_table(link: str, path: str) -> bool:
    """Whether a link is one that a publish makes: it is called as the table to a version of which it leads."""
    above, *inside = path.split("/")
    name, _, kind = link.rpartition(".")
    return above == TABLES and len(inside) > 1 and inside[0] in {link, name if kind in EXPORTS else link}
