"""What the index remembers and can work out again from the project's files: see `memos.sql`. It may be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from cache.database import Database
from cache.errors import DamagedIndexError
from cache.own_records import Prover
from cache.sealing import is_sealed, sealed, unsealed
from cache.signatures import Signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SnapshotKind = Literal["checked", "compiled", "built"]


class Memos(Database):
    """The memos of an index. Files and snapshots are those of one project root; everything else is the store's.

    prover: proves which records the user's own processes have made.
    """

    prover = Prover()

    # Files and texts

    def files(self) -> dict[str, tuple[Signature, str]]:
        """Return every known file's settled signature and digest, by path."""
        rows = self._rows(
            "SELECT path, size, mtime_ns, ctime_ns, inode, digest FROM files WHERE root = ?", (self.root,)
        )
        return {path: (Signature(*rest), digest) for path, *rest, digest in rows}

    def remember_files(self, files: Iterable[tuple[str, Signature, str]]) -> None:
        """Record settled signatures."""
        rows = [(self.root, path, *taken, digest) for path, taken, digest in files]
        self._many("REPLACE INTO files VALUES (?,?,?,?,?,?,?)", rows)

    def memo(self, table: str, keys: Iterable[str]) -> dict[str, Any]:
        """Return the records that a table of a key and a record holds under `keys`; a damaged one is not there."""
        column = "content" if table == "contents" else "memo"
        return _unsealed(self._select(table, column, "record", keys))

    def remember(self, table: str, records: Mapping[str, Any]) -> None:
        """Record mappings in a table that `memo` reads."""
        rows = [(key, sealed(record)) for key, record in records.items()]
        self._many(f"REPLACE INTO {table} VALUES (?,?)", rows, lasting=table == "contents")

    def own_memo(self, table: str, key: str) -> dict[str, Any] | None:
        """Return what `remember_own` recorded; None for what is not there, and for what has no proof."""
        found = self._select(table, "memo", "record", [key]) if self.prover.can_prove else []
        if not found or not isinstance(found[0][1], str) or not self._is_own(table, key, found[0][1]):
            return None
        return unsealed(found[0][1])

    def remember_own(self, table: str, records: Mapping[str, Any]) -> None:
        """Record mappings that this process has made, each with a proof of that."""
        if not records:
            return
        texts = {key: sealed(record) for key, record in records.items()}
        with self.transaction():
            self._many(f"REPLACE INTO {table} VALUES (?,?)", list(texts.items()))
            self._prove(table, {key: (text,) for key, text in texts.items()})

    def _prove(self, kind: str, records: Mapping[str, tuple[str | bytes, ...]]) -> None:
        """Record proofs of what is kept under the keys of `records`."""
        if self.prover.can_prove:
            rows = [(kind, key, self.prover.proof(kind, key, *parts)) for key, parts in records.items()]
            self._many("REPLACE INTO proofs VALUES (?,?,?)", rows)

    def _is_own(self, kind: str, key: str, *parts: str | bytes) -> bool:
        """Whether there is a proof of what is kept under a key."""
        found = self._rows("SELECT proof FROM proofs WHERE kind = ? AND memo = ?", (kind, key))
        return bool(found) and self.prover.is_proof(found[0][0], kind, key, *parts)

    def sealed_texts(self, memos: Iterable[str]) -> dict[str, str]:
        """Return what is remembered of the texts of rules, as it is kept, by memo key."""
        found = self._select("parsed", "memo", "record", memos)
        return {memo: text for memo, text in found if isinstance(text, str) and is_sealed(text)}

    def ingested(self) -> list[tuple[str, str]]:
        """Return the digest of the content of each source that was ingested, and its artifact."""
        contents = _unsealed(self._rows("SELECT content, record FROM contents ORDER BY content"))
        return [(content, record["artifact"]) for content, record in contents.items() if record["artifact"] is not None]

    def remember_used(self, contents: Mapping[str, str]) -> None:
        """Record the content that sources had in a build of this root, by name."""
        before = dict(self._rows("SELECT source, content FROM used WHERE root = ?", (self.root,)))
        fresh = [(self.root, name, content) for name, content in contents.items() if before.get(name) != content]
        self._many("REPLACE INTO used VALUES (?,?,?)", fresh)

    def compiled_heads(self, memos: Iterable[str]) -> dict[str, str]:
        """Return the small facts of compiled rules whose bodies are known, as sealed JSON, by memo key."""
        found = self._select("compiled JOIN bodies USING (memo)", "memo", "head", memos)
        return {memo: text for memo, text in found if isinstance(text, str) and is_sealed(text)}

    def lineages(self, memos: Iterable[str]) -> dict[str, Any]:
        """Return the column lineage of compiled rules, by memo key."""
        found = self._select("compiled", "memo", "lineage", memos)
        readable = _unsealed(found)
        if len(readable) < len(found):
            raise DamagedIndexError("the index is damaged: a column lineage cannot be read")
        return readable

    # Columns

    def column_digests(self, contents: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return the known column digests of the contents of sources, and of parts of them."""
        found: dict[str, dict[str, str]] = {}
        for content, column, digest in self._select("column_digests", "content", "column_name, digest", contents):
            found.setdefault(content, {})[column] = digest
        return found

    def remember_column_digests(self, content: str, digests: Mapping[str, str]) -> None:
        """Record column digests of a source's content."""
        rows = [(content, column, digest) for column, digest in digests.items()]
        self._many("REPLACE INTO column_digests VALUES (?,?,?)", rows)

    def chunk_digests(self, chunks: Iterable[str]) -> dict[str, str]:
        """Return the value digests known for digests of encoded column chunks."""
        return dict(self._select("chunks", "chunks", "digest", chunks))

    def remember_chunks(self, digests: Mapping[str, str]) -> None:
        """Record which values encoded column chunks hold."""
        self._many("REPLACE INTO chunks VALUES (?,?)", list(digests.items()))

    def bag(self, artifact: str, columns: str) -> str | None:
        """Return the order-free digest of some columns of an artifact, if it was ever computed."""
        rows = self._rows("SELECT digest FROM bags WHERE artifact = ? AND columns = ?", (artifact, columns))
        return rows[0][0] if rows else None

    def remember_bag(self, artifact: str, columns: str, digest: str) -> None:
        """Record the order-free digest of some columns of an artifact."""
        self._many("REPLACE INTO bags VALUES (?,?,?)", [(artifact, columns, digest)])

    def forget_bags(self) -> None:
        """Forget all order-free digests, as an object proved to be another table: tables in parts may hold it, too."""
        if not self.forgets:
            with self.transaction():
                self._rows("DELETE FROM bags")

    # Snapshots

    def snapshot(self, kind: SnapshotKind) -> dict[str, Any] | None:
        """Return the state in which everything was checked, compiled or up to date, if that still is the last state."""
        rows = self._rows("SELECT record FROM snapshots WHERE root = ? AND kind = ?", (self.root, kind))
        return unsealed(rows[0][0]) if rows else None

    def set_snapshot(self, kind: SnapshotKind, record: Mapping[str, Any]) -> None:
        """Record the state in which everything is checked, compiled or up to date."""
        from msgspec.json import encode  # a third of the time; whoever has something to record has imported it

        self._many("REPLACE INTO snapshots VALUES (?,?,?)", [(self.root, kind, sealed(record, encode))])

    def refresh_snapshot(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Replace the snapshot `before`, unless it has been replaced or forgotten meanwhile."""
        row = (sealed(after), self.root, sealed(before))
        self._many("UPDATE snapshots SET record = ? WHERE root = ? AND record = ?", [row])

    def forget_built(self) -> None:
        """Say that not everything may be up to date."""
        self._many("DELETE FROM snapshots WHERE root = ? AND kind = 'built'", [(self.root,)])


def _unsealed(rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return records by key. One that cannot be read is not there: whatever is remembered can be made again."""
    read = ((key, unsealed(text)) for key, text in rows)
    return {key: record for key, record in read if record is not None}
