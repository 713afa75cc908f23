"""What the index knows and nothing else can tell: artifacts, actions, products, builds; see `history.sql`.

It is migrated to every new version and never dropped.
"""

from __future__ import annotations

import re
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

from cache.database import Database
from cache.errors import DamagedIndexError
from cache.sealing import compact, is_sealed, sealed, unsealed
from cache.untrusted import parsed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from cache.records import Artifact, Product, ProductRecord

_NAME = re.compile(r"[0-9a-f]{4,64}")
"""What an artifact is called, and so its file: a name with a / in it would be of another one."""
_MANY = 100
_STATES = "SELECT name, artifact, key, fingerprint, memo, seconds, build, record FROM products WHERE root = ?"


class History(Database):
    """The history of an index. Products and builds are those of one project root; everything else is the store's."""

    # Artifacts and actions

    def artifacts(self, names: Iterable[str]) -> dict[str, Artifact]:
        """Return artifacts by digest."""
        found = self._select("artifacts", "artifact", "rows, bytes, file_digest, columns", names)
        return {row[0]: self.decode("artifact", row[0], row, partial(_artifact, row)) for row in found}

    def recorded(self, names: Iterable[str]) -> set[str]:
        """Return those of some artifacts that are recorded."""
        return {name for (name, _) in self._select("artifacts", "artifact", "rows", names)}

    def artifacts_in_use(self, names: Collection[str]) -> dict[str, Artifact]:
        """Return all artifacts that a run works with, by digest: a process that runs again keeps them."""

        def read(wanted: Collection[str] | None) -> dict[str, Any]:
            columns = "rows, bytes, file_digest, columns"
            return {row[0]: row for row in self._select("artifacts", "artifact", columns, wanted or ())}

        return self.all_of("artifact", names, read, lambda _, row: _artifact(row))

    def every_artifact(self) -> dict[str, Artifact]:
        """Return all artifacts, by digest."""
        return self.artifacts([name for (name,) in self._rows("SELECT artifact FROM artifacts ORDER BY artifact")])

    def every_part(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the artifacts that are in parts, with the artifacts of these."""
        from cache.records import PARTS, parts_of

        rows = self._rows(
            "SELECT artifact, file_digest FROM artifacts WHERE substr(file_digest, 1, ?) = ?", (len(PARTS), PARTS)
        )
        return [(artifact, parts_of(named)) for artifact, named in rows]

    def add_artifact(self, artifact: Artifact, build: str) -> None:
        """Record an artifact whose object is in place."""
        columns = compact({name: list(facts) for name, facts in artifact.columns.items()})
        row = (artifact.artifact, artifact.rows, artifact.bytes, artifact.file_digest, columns, build)
        self._many("REPLACE INTO artifacts VALUES (?,?,?,?,?,?)", [row], lasting=True)

    def actions(self, keys: Iterable[str]) -> dict[str, str]:
        """Return action key → artifact for the keys that are known."""
        return dict(self._select("actions", "key", "artifact", keys))

    def add_action(self, key: str, artifact: str, seconds: float, build: str) -> None:
        """Record that the action with this key yields this artifact."""
        self._many("REPLACE INTO actions VALUES (?,?,?,?)", [(key, artifact, seconds, build)])

    # Bodies of compiled rules

    def body(self, memo: str) -> bytes:
        """Return the large facts of one compiled rule. Raises KeyError."""
        rows = self._rows("SELECT body FROM bodies WHERE memo = ?", (memo,))
        if not rows:
            raise KeyError(memo)
        if not isinstance(rows[0][0], bytes):
            raise DamagedIndexError("the index is damaged: a compiled rule cannot be read")
        return rows[0][0]

    # Products and checks

    def products(self) -> dict[str, Product]:
        """Return the last committed state of every product."""
        return self._states("instr(name, '.') = 0")

    def checks(self) -> dict[str, Product]:
        """Return the last state of every check, by names such as "orders.key": what it yields are the failing rows."""
        return self._states("instr(name, '.') > 0")

    def products_and_checks(self) -> dict[str, Product]:
        """Return the last state of every product and check, in order of names: a process that asks again keeps them."""

        def read(names: Collection[str] | None) -> dict[str, Any]:
            if names is None or len(names) > _MANY:
                return {row[0]: row for row in self._rows(_STATES, (self.root,))}
            rows = (self._rows(f"{_STATES} AND name = ?", (self.root, name)) for name in names)
            return {row[0]: row for found in rows for row in found}

        found = self.all_of("state", None, read, lambda _, row: _state(row))
        return dict(sorted(found.items()))  # as SQLite has them; nearly always they are in order

    def states_of(self, names: Iterable[str]) -> dict[str, Product]:
        """Return the last states of some products and checks, as far as there are any."""
        return self._states_of("name = ?", [(name,) for name in names])

    def states_with_checks(self, tables: Iterable[str]) -> dict[str, Product]:
        """Return the last states of some products, and those of all checks of these and of some sources."""
        names = list(tables)
        checks = self._states_of("name > ? AND name < ?", [(f"{name}.", f"{name}/") for name in names])
        return self.states_of(names) | checks

    def _states_of(self, which: str, each: Iterable[tuple[str, ...]]) -> dict[str, Product]:
        found = [self._rows(f"{_STATES} AND {which}", (self.root, *names)) for names in each]
        return {row[0]: self.decode("state", row[0], row, partial(_state, row)) for rows in found for row in rows}

    def seconds_of_products(self) -> float:
        """Return how long all products took when they last ran, without their checks."""
        rows = self._rows("SELECT total(seconds) FROM products WHERE root = ? AND instr(name, '.') = 0", (self.root,))
        return float(rows[0][0])

    def _states(self, which: str) -> dict[str, Product]:
        rows = self._rows(f"{_STATES} AND {which}", (self.root,))
        return {row[0]: self.decode("state", row[0], row, partial(_state, row)) for row in rows}

    def _write_product(self, product: Product) -> None:
        from cache.records import to_builtins

        record = sealed(to_builtins(product.record))
        made_of = (product.artifact, product.key, product.fingerprint, product.memo, record)
        row = (self.root, product.name, *made_of, product.seconds, product.build)
        self._many("REPLACE INTO products VALUES (?,?,?,?,?,?,?,?,?)", [row])
        packed = zlib.compress(record.encode(errors="surrogatepass"))
        state = (product.artifact, product.name, product.key, product.fingerprint, product.memo, packed)
        self._many("REPLACE INTO states VALUES (?,?,?,?,?,?,?,?)", [(*state, product.seconds, product.build)])

    def drop_products(self, names: Iterable[str]) -> None:
        """Forget products, or checks, that the project no longer has."""
        self._many("DELETE FROM products WHERE root = ? AND name = ?", [(self.root, name) for name in names])

    def pointers(self) -> list[tuple[str, str, str]]:
        """Return what the products and checks of all project roots point at: root, name, artifact."""
        return self._rows("SELECT root, name, artifact FROM products ORDER BY root, name")

    def every_record(self) -> list[tuple[str, str, ProductRecord]]:
        """Return what the products and checks of all project roots were made of: root, name, record."""
        rows = self._rows("SELECT root, name, record FROM products ORDER BY root, name")
        return [(root, name, read_state(record, name)) for root, name, record in rows]

    # Builds

    def start_build(self, build: str, started: str) -> None:
        """Record that a build began. Call with the store's lock held: whatever else seems to run was killed."""
        with self.transaction():
            self._many("UPDATE builds SET status = 'killed' WHERE status = ?", [("running",)])
            self._many("REPLACE INTO builds VALUES (?,?,?,NULL,'running','{}')", [(self.root, build, started)])

    def has_build(self, build: str) -> bool:
        """Whether a build has been recorded as begun."""
        return bool(self._rows("SELECT 1 FROM builds WHERE build = ?", (build,)))

    def finish_build(self, build: str, seconds: float, status: str, summary: Mapping[str, int]) -> None:
        """Record how a build ended."""
        row = (seconds, status, compact(summary), build)
        self._many("UPDATE builds SET seconds = ?, status = ?, summary = ? WHERE build = ?", [row])

    def add_results(
        self, build: str, rows: Iterable[tuple[str, str, bool | None, str, float | None, str | None]]
    ) -> None:
        """Record products' results in a build: product, status, changed, reason, seconds, artifact."""
        self._many("REPLACE INTO results VALUES (?,?,?,?,?,?,?)", [(build, *row) for row in rows])

    def builds(self, limit: int) -> list[tuple[str, str, float | None, str, dict[str, int]]]:
        """Return the latest builds, newest first: build, started, seconds, status, summary."""
        rows = self._rows(
            "SELECT build, started, seconds, status, summary FROM builds WHERE root = ? "
            "ORDER BY started DESC, build DESC LIMIT ?",
            (self.root, limit),
        )
        require_texts((build, started, status) for build, started, _, status, _ in rows)
        _require_seconds(seconds for _, _, seconds, *_ in rows)
        return [
            (build, started, seconds, status, _read(summary, f"of build {build}"))
            for build, started, seconds, status, summary in rows
        ]

    def results(self, build: str) -> list[tuple[str, str, bool | None, str, float | None, str | None]]:
        """Return a build's results by product."""
        rows = self._rows(
            "SELECT product, status, changed, reason, seconds, artifact FROM results WHERE build = ? ORDER BY product",
            (build,),
        )
        require_texts((product, status, reason) for product, status, _, reason, *_ in rows)
        _require_seconds(seconds for *_, seconds, _ in rows)
        return rows

    def every_result(self) -> list[tuple[str, str, str | None]]:
        """Return what products were after the builds of all project roots: build, product, artifact."""
        return self._rows("SELECT build, product, artifact FROM results ORDER BY build, product")

    def history(self, product: str) -> list[tuple[str, str, str, str | None]]:
        """Return what builds made of a product, newest first: build, status, reason, artifact.

        A name that is not UTF-8, which a command line may hold, is no product's.
        """
        try:
            rows = self._rows(
                "SELECT build, results.status, reason, artifact FROM results JOIN builds USING (build) "
                "WHERE product = ? AND root = ? ORDER BY started DESC, build DESC",
                (product, self.root),
            )
        except UnicodeEncodeError:
            return []
        require_texts(row[:3] for row in rows)
        return rows

    # Salvage

    def restore(self, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over rows of another index of this version, as far as they have the columns of the table."""
        columns = [name for _, name, *_ in self._rows(f"PRAGMA table_info({table})")]
        marks = ",".join("?" * len(columns))
        known = [tuple(row[name] for name in columns) for row in rows if row.keys() >= set(columns)]
        self._many(f"REPLACE INTO {table} VALUES ({marks})", known)


def _artifact(row: tuple[Any, ...]) -> Artifact:
    from cache.records import Artifact, decode_columns  # msgspec takes time to import, and a no-op asks for none

    name, rows, size, file_digest, columns = row
    try:
        facts = decode_columns(columns) if isinstance(columns, str) else None
    except ValueError:
        facts = None
    if facts is None or not (isinstance(rows, int) and isinstance(size, int) and _NAME.fullmatch(name)):
        raise DamagedIndexError(f"the index is damaged: its record of artifact {name} cannot be read")
    return Artifact(name, rows, size, file_digest, facts)


def _state(row: tuple[Any, ...]) -> Product:
    from cache.records import Product

    name, artifact, key, fingerprint, memo, seconds, build, record = row
    if not (isinstance(artifact, str) and _NAME.fullmatch(artifact) and isinstance(name, str)):
        raise DamagedIndexError(f"the index is damaged: its record of {name} names no object")
    return Product(name, artifact, key, fingerprint, memo, read_state(record, name), seconds, build)


def read_state(text: object, name: str) -> ProductRecord:
    """Return the record of a product. Raises `DamagedIndexError`."""
    from cache.records import from_builtins, from_text

    try:
        found = from_text(text) if isinstance(text, str) and is_sealed(text) else None
        return found if found is not None else from_builtins(unsealed(text))
    except ValueError as error:
        raise DamagedIndexError(f"the index is damaged: its record of {name} cannot be read") from error


def _read(text: object, what: str) -> dict[str, Any]:
    """Return a JSON object. Raises `DamagedIndexError` for anything else."""
    try:
        found = parsed(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or "crc32" in found:
        raise DamagedIndexError(f"the index is damaged: its record {what} cannot be read")
    return found


def require_texts(rows: Iterable[tuple[Any, ...]]) -> None:
    """Raise `DamagedIndexError` unless every value in the rows, which describe builds, is text."""
    if not all(isinstance(one, str) for row in rows for one in row):
        raise DamagedIndexError("the index is damaged: its record of a build cannot be read")


def _require_seconds(values: Iterable[object]) -> None:
    if not all(value is None or isinstance(value, int | float) for value in values):
        raise DamagedIndexError("the index is damaged: its record of a build cannot be read")
