"""What the index knows of a shared cache: results that came from it, and how much it has been of use.

A result that came from there may be in the store or not: its object can be fetched, now or once it is read. The tables
are memos, made when first written to: without them a result is found again by its action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cache.database import Database

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


class SharedIndex(Database):
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

    def _has_shared(self) -> bool:
        sql = "SELECT count(*) FROM sqlite_master WHERE name IN ('shared_results', 'shared_usage')"
        return bool(self._rows(sql)[0][0] == len(_TABLES))

    def _make_shared(self) -> None:
        if not self._has_shared():
            with self.transaction():
                for statement in _TABLES:
                    self._rows(statement)
