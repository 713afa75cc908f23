"""What the index knows of keeping and forgetting: pins, limits, past states, and the removal of records in bulk.

What may be forgotten is decided in `cache.retention`; this module only asks and changes the tables.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from cache.database import Database
from cache.errors import DamagedIndexError
from cache.history import read_state, require_texts
from cache.sealing import sealed, unsealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cache.records import Product, ProductRecord


_MANY_TESTED = 1000
_READINGS = 4
"""The records of how a rule reads its inputs: one or two for each, and one of whether it may use several cores."""
_FEW = 8
"""So many memos that nothing needs may always stay."""
_ACTIONS = 4
"""So many actions of one artifact stay that no product has now."""
_DIGEST = re.compile(r"\b[0-9a-f]{32}\b")

_OWN_BYTES = "iif(substr(file_digest, 1, 7) = 'parts: ', 0, bytes)"
"""Of an artifact's own object: that of a table in parts holds nothing but links."""


class Row(NamedTuple):
    """What one build made of one product. product: None for a build without any."""

    root: str
    build: str
    started: str
    product: str | None
    status: str
    artifact: str | None


class Pin(NamedTuple):
    """A build whose tables stay. product: "" for all of them."""

    root: str
    build: str
    product: str


class Limits(NamedTuple):
    """What a project root asks to be kept: builds of the last so many seconds, or so many builds; and bytes at most."""

    keep_seconds: float | None = None
    keep_builds: int | None = None
    max_bytes: int | None = None


class Size(NamedTuple):
    """What is known of an artifact that may be dropped. seconds: what it took, 0 where nobody knows."""

    bytes: int
    seconds: float
    build: str


class Housekeeping(Database):
    """Pins, limits, past states and sizes of an index."""

    # Pins and limits

    def pins(self) -> list[Pin]:
        """Return the pins of all project roots."""
        return [Pin(*row) for row in self._rows("SELECT root, build, product FROM pins ORDER BY build, product, root")]

    def pin(self, build: str, product: str) -> None:
        """Keep the tables of a build of this root."""
        self._many("REPLACE INTO pins VALUES (?,?,?)", [(self.root, build, product)])

    def unpin(self, build: str, product: str) -> bool:
        """Forget a pin of this root; return whether there was one."""
        with self.transaction():
            known = (self.root, build, product) in self.pins()
            self._many("DELETE FROM pins WHERE root = ? AND build = ? AND product = ?", [(self.root, build, product)])
        return known

    def limits(self) -> dict[str, Limits]:
        """Return what each project root asks, as of its last build."""
        rows = self._rows("SELECT root, keep_seconds, keep_builds, max_bytes FROM limits")
        read = {root: Limits(*rest) for root, *rest in rows}
        if not all(value is None or type(value) in {int, float} for limits in read.values() for value in limits):
            raise DamagedIndexError("the index is damaged: its record of limits cannot be read")
        return read

    def set_limits(self, limits: Limits) -> None:
        """Record what this root asks, if it is something else than before."""
        if self.limits().get(self.root, Limits()) != limits:
            self._many("REPLACE INTO limits VALUES (?,?,?,?)", [(self.root, *limits)])

    # The past

    def every_build(self) -> list[tuple[str, str, str]]:
        """Return the builds of all project roots, oldest first: root, build, started."""
        rows = self._rows("SELECT root, build, started FROM builds ORDER BY started, build")
        require_texts(rows)
        return rows

    def pointed_builds(self) -> set[str]:
        """Return the builds that computed what products and checks of all project roots are now."""
        return {build for (build,) in self._rows("SELECT DISTINCT build FROM products")}

    def timeline(self) -> list[Row]:
        """Return what builds made of products, by root, oldest build first."""
        rows = self._rows(
            "SELECT root, builds.build, started, product, results.status, artifact FROM builds "
            "LEFT JOIN results USING (build) ORDER BY root, started, builds.build, product"
        )
        return [Row(*row) for row in rows]

    def state(self, artifact: str, product: str) -> Product | None:
        """Return how a product came to be an artifact, None if that is not known. Raises `DamagedIndexError`."""
        from cache.records import Product

        rows = self._rows(
            "SELECT key, fingerprint, memo, record, seconds, build FROM states WHERE artifact = ? AND product = ?",
            (artifact, product),
        )
        for key, fingerprint, memo, packed, seconds, build in rows:
            return Product(product, artifact, key, fingerprint, memo, past_record(packed, product), seconds, build)
        return None

    def states(self, artifacts: Iterable[str]) -> Iterator[Product]:
        """Yield how products came to be artifacts; a record that cannot be read is left out."""
        from cache.records import Product

        columns = "product, key, fingerprint, memo, record, seconds, build"
        for artifact, name, key, fingerprint, memo, packed, seconds, build in self._select(
            "states", "artifact", columns, artifacts
        ):
            with contextlib.suppress(DamagedIndexError):
                yield Product(name, artifact, key, fingerprint, memo, past_record(packed, name), seconds, build)

    # Sizes

    def stored(self) -> tuple[int, int]:
        """Return how many artifacts are known, and the bytes of their objects."""
        (row,) = self._rows(f"SELECT count(*), total({_OWN_BYTES}) FROM artifacts")
        return int(row[0]), int(row[1])

    def pointed_at(self) -> int:
        """Return the bytes of the tables that the products of all project roots are now."""
        sql = "SELECT total(bytes) FROM artifacts WHERE artifact IN (SELECT artifact FROM products)"
        return int(self._rows(sql)[0][0])

    def sizes(self) -> dict[str, Size]:
        """Return bytes and cost of every artifact."""
        rows = self._rows(
            f"SELECT artifacts.artifact, {_OWN_BYTES}, coalesce(took, 0), artifacts.build FROM artifacts "
            "LEFT JOIN (SELECT artifact, max(seconds) AS took FROM actions GROUP BY artifact) USING (artifact)"
        )
        return {artifact: Size(*rest) for artifact, *rest in rows}

    def pages(self) -> tuple[int, int]:
        """Return the bytes of the index that are in use, and of its file."""
        numbers = ("page_size", "page_count", "freelist_count")
        size, count, free = (int(self._rows(f"PRAGMA {name}")[0][0]) for name in numbers)
        return size * (count - free), size * count

    def commits(self) -> int:
        """Return a number that is another one as soon as another connection has committed something."""
        return int(self._rows("PRAGMA data_version")[0][0])

    # Forgetting

    def forget_memos(self) -> None:
        """Forget memos that no product of today needs, if there are many: half as many as are needed may stay."""
        with self.transaction():
            self._forget_compiled()
            self._forget_texts()
            self._forget_contents()
            self._forget_tested()
            self._rows("DELETE FROM bags WHERE artifact NOT IN (SELECT artifact FROM artifacts)")
            self._forget_actions()

    def _forget_compiled(self) -> None:
        needed = {memo for (memo,) in self._rows("SELECT memo FROM products")}
        for (record,) in self._rows("SELECT record FROM snapshots WHERE kind = 'compiled'"):
            needed.update((unsealed(record) or {}).get("products", {}).values())
        others = [memo for (memo,) in self._rows("SELECT memo FROM bodies ORDER BY rowid") if memo not in needed]
        doomed = others[: max(0, len(others) - max(_FEW, len(needed) // 2))]
        for table in ("compiled", "bodies"):
            self._many(f"DELETE FROM {table} WHERE memo = ?", [(memo,) for memo in doomed])

    def _forget_texts(self) -> None:
        """Forget what was parsed of texts that no file has now, and what the engine has planned for the compiler."""
        needed = {digest for (digest,) in self._rows("SELECT digest FROM files")}
        texts = [(memo, _DIGEST.findall(memo)) for (memo,) in self._rows("SELECT memo FROM parsed")]
        others = [(memo,) for memo, digests in texts if digests and needed.isdisjoint(digests)]
        if len(others) > max(_FEW, len(needed) // 2):
            self._many("DELETE FROM parsed WHERE memo = ?", others)
        (products,) = self._rows("SELECT count(*) FROM products")
        planned = [row for row in self._rows("SELECT memo FROM schemas") if _DIGEST.search(row[0])]
        if len(planned) > products[0] + max(_FEW, products[0] // 2):
            self._many("DELETE FROM schemas WHERE memo = ?", planned)
        (readings,) = self._rows("SELECT count(*) FROM readings")
        if readings[0] > _READINGS * products[0] + max(_FEW, products[0] // 2):
            self._rows("DELETE FROM readings")
        for table in ("parsed", "compiled", "readings"):
            self._rows(f"DELETE FROM proofs WHERE kind = '{table}' AND memo NOT IN (SELECT memo FROM {table})")

    def _forget_tested(self) -> None:
        """Forget the oldest unit tests that passed, if there are many more than products."""
        (products,) = self._rows("SELECT count(*) FROM products")
        most = 4 * products[0] + _MANY_TESTED
        self._rows(
            "DELETE FROM tested WHERE rowid NOT IN (SELECT rowid FROM tested ORDER BY rowid DESC LIMIT ?)", (most,)
        )

    def _forget_contents(self) -> None:
        """Forget what was found out about contents of sources that no project root was last built from."""
        needed = {content for (content,) in self._rows("SELECT content FROM used")}
        sql = "SELECT content FROM contents UNION SELECT content FROM column_digests"
        others = [row for row in self._rows(sql) if row[0] not in needed]
        if needed and len(others) > max(_FEW, len(needed) // 2):
            for table in ("contents", "column_digests"):
                self._many(f"DELETE FROM {table} WHERE content = ?", others)
            self._rows("DELETE FROM chunks WHERE digest NOT IN (SELECT digest FROM column_digests)")
            self._rows("DELETE FROM ranges WHERE substr(memo, -32) NOT IN (SELECT digest FROM column_digests)")

    def _forget_actions(self) -> None:
        """Forget the oldest actions that no product or check has now, but for the latest few of each artifact.

        As many stay as there are products and checks: whoever goes back to an earlier state finds those of its checks,
        which all have one result, no rows. The actions of partial results that products are made of stay, too.
        """
        self._rows("DELETE FROM actions WHERE artifact NOT IN (SELECT artifact FROM artifacts)")
        by_parts = self._rows("SELECT name, record FROM products WHERE record LIKE '%\"partials\"%'")
        partials = {artifact for name, record in by_parts for artifact in read_state(record, name).partials}
        ranked = (
            "SELECT key, artifact, build, row_number() OVER (PARTITION BY artifact ORDER BY build DESC) AS place "
            "FROM actions"
        )
        sql = (
            f"SELECT key, artifact FROM ({ranked}) WHERE place > ? AND key NOT IN (SELECT key FROM products) "
            "ORDER BY build DESC, key"
        )
        others = [(key,) for key, artifact in self._rows(sql, (_ACTIONS,)) if artifact not in partials]
        (products,) = self._rows("SELECT count(*) FROM products")
        self._many("DELETE FROM actions WHERE key = ?", others[max(_FEW, products[0]) :])

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Let all questions inside see one state of the index. Nothing may be written inside."""
        with self._lock:
            self._rows("BEGIN")
            try:
                yield
            finally:
                self._connection.rollback()

    def forget_artifacts(self, artifacts: Iterable[str]) -> None:
        """Forget artifacts that nothing needs, whose objects are removed next."""
        doomed = [(artifact,) for artifact in artifacts]
        with self.transaction():
            for table in ("artifacts", "states", "bags", "actions"):
                self._many(f"DELETE FROM {table} WHERE artifact = ?", doomed)

    def forget_root(self, root: str) -> None:
        """Forget a project root that is gone: its pointers, builds, pins and memos."""
        with self.transaction():
            self._rows("DELETE FROM results WHERE build IN (SELECT build FROM builds WHERE root = ?)", (root,))
            for table in ("products", "builds", "pins", "limits", "files", "snapshots", "used"):
                self._rows(f"DELETE FROM {table} WHERE root = ?", (root,))

    def collected(self) -> dict[str, int] | None:
        """Return what the last collection left, None where that is not known."""
        rows = self._rows("SELECT record FROM collected")
        return unsealed(rows[0][0]) if rows else None

    def set_collected(self, record: Mapping[str, int]) -> None:
        """Record what a collection left."""
        self._many("REPLACE INTO collected VALUES (1, ?)", [(sealed(record),)])

    def shrink(self) -> None:
        """Give the pages of the index that are free back to the file system. It takes as long as copying the index."""
        self._rows("VACUUM")


def past_record(packed: object, name: str) -> ProductRecord:
    """Return the record of a past state. Raises `DamagedIndexError`."""
    try:
        text = zlib.decompress(packed).decode(errors="surrogatepass") if isinstance(packed, bytes) else None
    except (zlib.error, UnicodeDecodeError) as error:
        raise DamagedIndexError(f"the index is damaged: its record of {name} cannot be read") from error
    return read_state(text, name)
