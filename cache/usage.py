"""What builds made of products, and what that has saved: as the results say, and by month once they are compacted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cache.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable


class Outcome(NamedTuple):
    """What one build made of a product. seconds: spent, or saved; bytes: of its table, 0 if that is gone."""

    product: str
    status: str
    reason: str
    artifact: str | None
    seconds: float
    bytes: int


class Savings(NamedTuple):
    """What a product's results in a month have come to."""

    root: str
    product: str
    month: str
    hits: int
    misses: int
    seconds_saved: float
    bytes_saved: int
    seconds_spent: float


class Usage(Database):
    """The results of an index, added up or removed."""

    def outcomes(self, build: str) -> list[Outcome]:
        """Return what a build made of each product."""
        rows = self._rows(
            "SELECT product, status, reason, artifact, coalesce(seconds, 0), coalesce(bytes, 0) FROM results "
            "LEFT JOIN artifacts USING (artifact) WHERE results.build = ? ORDER BY product",
            (build,),
        )
        return [Outcome(*row) for row in rows]

    def weights(self, root: str) -> dict[str, int]:
        """Return about how many bytes each build of a root takes up in the index."""
        sql = (
            "SELECT build, 150 + total(120 + length(reason) + length(product)) FROM builds LEFT JOIN results "
            "USING (build) WHERE root = ? GROUP BY build"
        )
        return {build: int(weight) for build, weight in self._rows(sql, (root,))}

    def drop_results(self, build: str, products: Iterable[str], savings: Iterable[Savings]) -> None:
        """Remove results, and add what they have come to to the savings."""
        with self.transaction():
            self._many("DELETE FROM results WHERE build = ? AND product = ?", [(build, name) for name in products])
            self._add_savings(savings)

    def drop_build(self, build: str, savings: Iterable[Savings]) -> None:
        """Remove a build with all its results."""
        with self.transaction():
            self._rows("DELETE FROM results WHERE build = ?", (build,))
            self._rows("DELETE FROM builds WHERE build = ?", (build,))
            self._add_savings(savings)

    def _add_savings(self, savings: Iterable[Savings]) -> None:
        self._many(
            "INSERT INTO savings VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (root, product, month) DO UPDATE SET "
            "hits = hits + excluded.hits, misses = misses + excluded.misses, "
            "seconds_saved = seconds_saved + excluded.seconds_saved, bytes_saved = bytes_saved + excluded.bytes_saved, "
            "seconds_spent = seconds_spent + excluded.seconds_spent",
            list(savings),
        )

    def add_hits(self, build: str, month: str) -> None:
        """Count a hit for each product of this root of which a build has no result: it is as it was."""
        with self.transaction():
            self._rows(
                "INSERT INTO savings SELECT root, name, ?, 1, 0, seconds, coalesce(bytes, 0), 0 FROM products "
                "LEFT JOIN artifacts USING (artifact) WHERE root = ? AND instr(name, '.') = 0 "
                "AND name NOT IN (SELECT product FROM results WHERE build = ?) "
                "ON CONFLICT (root, product, month) DO UPDATE SET hits = hits + 1, "
                "seconds_saved = seconds_saved + excluded.seconds_saved, "
                "bytes_saved = bytes_saved + excluded.bytes_saved",
                (month, self.root, build),
            )

    def usage(self) -> list[Savings]:
        """Return what the results of this root have come to, by product and month, those compacted away included."""
        hits = "results.status IN ('clean', 'restored')"
        misses = "results.status = 'executed'"
        rows = self._rows(
            f"SELECT root, product, substr(started, 1, 7) AS month, total({hits}), total({misses}), "
            f"total(iif({hits}, results.seconds, 0)), total(iif({hits}, bytes, 0)), "
            f"total(iif({misses}, results.seconds, 0)) FROM results JOIN builds USING (build) "
            "LEFT JOIN artifacts ON artifacts.artifact = results.artifact WHERE root = ? GROUP BY product, month",
            (self.root,),
        )
        rows += self._rows("SELECT * FROM savings WHERE root = ?", (self.root,))
        return [
            Savings(root, product, month, int(hits), int(misses), saved, int(size), spent)
            for root, product, month, hits, misses, saved, size, spent in rows
        ]

    def products_of(self) -> dict[str, list[str]]:
        """Return the products, and checks, that each artifact was, as far as that is known."""
        found: dict[str, list[str]] = {}
        for artifact, product in self._rows("SELECT artifact, product FROM states ORDER BY artifact, product"):
            found.setdefault(artifact, []).append(product)
        for _, product, artifact in self._rows("SELECT root, name, artifact FROM products"):
            if product not in found.setdefault(artifact, []):
                found[artifact].append(product)
        return found
