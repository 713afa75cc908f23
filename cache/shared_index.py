"""What the index knows of a shared cache: what came from it and from whom, and how much it has been of use.

A result that came from there may be in the store or not: its object can be fetched, now or once it is read. The tables
are memos, made when first written to: without them a result is found again by its action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cache.index import Index

if TYPE_CHECKING:
    from collections.abc import Iterable

_TABLES = (
    # Artifact → the record of the action that yields it, as it was read from the shared cache.
    """CREATE TABLE IF NOT EXISTS shared_results (
        artifact TEXT PRIMARY KEY, action TEXT NOT NULL, record BLOB NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS shared_usage (
        root TEXT, month TEXT, hits INT NOT NULL, misses INT NOT NULL, fetched_bytes INT NOT NULL,
        sent_bytes INT NOT NULL, refused INT NOT NULL, failures INT NOT NULL, PRIMARY KEY (root, month)
    ) WITHOUT ROWID""",
    # Results of other builders that an audit found to be wrong.
    """CREATE TABLE IF NOT EXISTS shared_denied (
        action TEXT, artifact TEXT, PRIMARY KEY (action, artifact)
    ) WITHOUT ROWID""",
    # Who has written the memos of compiled rules that came from there, "" for those that nobody has signed.
    "CREATE TABLE IF NOT EXISTS shared_writers (writer TEXT PRIMARY KEY) WITHOUT ROWID",
    # The writers that were trusted when it was last looked whether all that came from there is theirs.
    "CREATE TABLE IF NOT EXISTS shared_trust (root TEXT PRIMARY KEY, trusted TEXT NOT NULL) WITHOUT ROWID",
)


class SharedUsage(NamedTuple):
    """What a shared cache was asked, and what it gave, in a month."""

    month: str
    hits: int = 0
    misses: int = 0
    fetched_bytes: int = 0
    sent_bytes: int = 0
    refused: int = 0
    failures: int = 0


class SharedIndex(Index):
    """The memos of a shared cache."""

    def shared_results(self, artifacts: Iterable[str]) -> dict[str, tuple[str, bytes]]:
        """Return the action and its record for the artifacts that came from a shared cache."""
        if not self._has_shared():
            return {}
        rows = self._select("shared_results", "artifact", "action, record", artifacts)
        return {artifact: (action, record) for artifact, action, record in rows if isinstance(record, bytes)}

    def every_shared(self) -> list[str]:
        """Return all artifacts that came from a shared cache."""
        if not self._has_shared():
            return []
        return [name for (name,) in self._rows("SELECT artifact FROM shared_results ORDER BY artifact")]

    def build_of(self, artifact: str) -> str | None:
        """Return the build that last recorded an artifact, "" for an ingested source, None for an unknown artifact."""
        rows = self._rows("SELECT build FROM artifacts WHERE artifact = ?", (artifact,))
        return rows[0][0] if rows else None

    def remember_shared(self, rows: Iterable[tuple[str, str, bytes]]) -> None:
        """Record which artifacts came from a shared cache: artifact, action, record."""
        self._make_shared()
        self._many("REPLACE INTO shared_results VALUES (?,?,?)", list(rows))

    def forget_shared(self, artifacts: Iterable[str]) -> None:
        """Forget that artifacts can be fetched."""
        if self._has_shared():
            self._many("DELETE FROM shared_results WHERE artifact = ?", [(one,) for one in artifacts])

    def deny_shared(self, action: str, artifact: str) -> None:
        """Record that an action does not yield an artifact, whatever another builder says, and forget that it did."""
        self._make_shared()
        wrong = [(action, artifact)]
        with self.transaction():
            self._many("REPLACE INTO shared_denied VALUES (?,?)", wrong)
            self._many("DELETE FROM shared_results WHERE action = ? AND artifact = ?", wrong)
            self._many("DELETE FROM actions WHERE key = ? AND artifact = ?", wrong)
            self._many("DELETE FROM products WHERE key = ? AND artifact = ?", wrong)
            self._many("DELETE FROM snapshots WHERE kind = ?", [("built",)])

    def denied_shared(self) -> set[tuple[str, str]]:
        """Return the actions, each with an artifact that it does not yield."""
        if not self._has_shared("shared_denied"):
            return set()
        return set(self._rows("SELECT action, artifact FROM shared_denied"))

    def add_shared_writers(self, writers: Iterable[str]) -> None:
        """Record who has written the memos of compiled rules that were taken."""
        self._make_shared()
        self._many("REPLACE INTO shared_writers VALUES (?)", [(one,) for one in writers])

    def shared_writers(self) -> set[str]:
        """Return who has written the memos of compiled rules that were taken, "" for nobody who signed."""
        if not self._has_shared("shared_writers"):
            return set()
        return {writer for (writer,) in self._rows("SELECT writer FROM shared_writers")}

    def trusted_before(self) -> str | None:
        """Return what `set_trusted` was given for this root, None for nothing."""
        if not self._has_shared("shared_trust"):
            return None
        rows = self._rows("SELECT trusted FROM shared_trust WHERE root = ?", (self.root,))
        return rows[0][0] if rows else None

    def set_trusted(self, trusted: str, distrusted: Iterable[str], *, forget_memos: bool) -> None:
        """Record whom this root trusts, and forget what others have sent: these artifacts, and memos if so wished."""
        self._make_shared()
        with self.transaction():
            for artifact in distrusted:
                self.forget_shared([artifact])
                self.forget_artifact(artifact)
            if forget_memos:
                self.forget_compiled()
                self._many("DELETE FROM shared_writers WHERE ?", [(1,)])
            self._many("REPLACE INTO shared_trust VALUES (?,?)", [(self.root, trusted)])

    def tidy_shared(self) -> None:
        """Forget results that the index has forgotten."""
        if self._has_shared():
            self._rows("DELETE FROM shared_results WHERE artifact NOT IN (SELECT artifact FROM artifacts)")

    def add_shared_usage(self, usage: SharedUsage) -> None:
        """Add to what the shared cache has been of use to this root."""
        self._make_shared()
        names = SharedUsage._fields[1:]
        added = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
        marks = ",".join("?" * (len(names) + 2))
        sql = f"INSERT INTO shared_usage VALUES ({marks}) ON CONFLICT (root, month) DO UPDATE SET {added}"
        self._many(sql, [(self.root, *usage)])

    def shared_usage(self) -> list[SharedUsage]:
        """Return what the shared cache has been of use to this root, by month."""
        if not self._has_shared():
            return []
        columns = ", ".join(SharedUsage._fields)
        rows = self._rows(f"SELECT {columns} FROM shared_usage WHERE root = ? ORDER BY month", (self.root,))
        return [SharedUsage(*row) for row in rows]

    def _has_shared(self, table: str = "shared_results") -> bool:
        return bool(self._rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)))

    def _make_shared(self) -> None:
        if not self._has_shared("shared_trust"):  # which was added last
            with self.transaction():
                for statement in _TABLES:
                    self._rows(statement)
