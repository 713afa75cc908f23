"""Generate an index as many builds of many products leave it, for benchmarks of what grows with the store."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cache.records import Artifact, InputState, Product, ProductRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cache.store_index import StoreIndex

_COLUMNS = 8
_INPUTS = 2
_AT_ONCE = 2000


def fill(index: StoreIndex, *, products: int, versions: int, size: int) -> list[str]:
    """Record `versions` builds, in each of which every product ran and became another table of `size` bytes.

    A product reads two others, which come before it. Returns the artifacts, those of the last build last.
    """
    found: list[str] = []
    for version in range(versions):
        build = f"20260101T{version:06d}-{version:06x}"
        index.start_build(build, f"2026-01-01T{version // 60:02d}:{version % 60:02d}:00.000+00:00")
        names = [f"product_{number}" for number in range(products)]
        for start in range(0, products, _AT_ONCE):
            chunk = range(start, min(start + _AT_ONCE, products))
            with index.transaction():
                for number in chunk:
                    _record(index, number, version, size, build)
                rows = [
                    (
                        names[number],
                        "executed",
                        True,
                        "predicate changed: a > 1 became a > 2",
                        0.1,
                        artifact_of(number, version),
                    )
                    for number in chunk
                ]
                index.add_results(build, rows)
        index.finish_build(build, 1.0, "ok", {"executed": products})
        found += [artifact_of(number, version) for number in range(products)]
    return found


def artifact_of(number: int, version: int) -> str:
    """Return the artifact that a product is in a version."""
    return _digest(f"artifact {number} {version}")


def memo_of(number: int) -> str:
    """Return the key of a product's compile memo."""
    return _digest(f"memo {number}")


def key_of(number: int, version: int) -> str:
    """Return the action key of a product in a version."""
    return _digest(f"key {number} {version}")


def _record(index: StoreIndex, number: int, version: int, size: int, build: str) -> None:
    columns = dict(_columns(number, version))
    artifact = Artifact(artifact_of(number, version), 100, size, _digest(f"file {number} {version}"), columns)
    index.add_artifact(artifact, build)
    index.add_action(key_of(number, version), artifact.artifact, 0.1, build)
    inputs = tuple(
        InputState(f"product_{other}", 100, dict(_columns(other, version)), artifact_of(other, version))
        for other in {number // 2, number // 3} - {number}
    )
    record = ProductRecord(
        {"query": _digest(f"query {number} {version}")}, inputs, "compiler", _digest(f"text {number}")
    )
    index.set_product(
        Product(
            f"product_{number}",
            artifact.artifact,
            key_of(number, version),
            _digest(f"fingerprint {number} {version}"),
            memo_of(number),
            record,
            0.1,
            build,
        )
    )


def _columns(number: int, version: int) -> Iterator[tuple[str, tuple[str, str]]]:
    for column in range(_COLUMNS):
        yield f"column_{column}", ("int64", _digest(f"column {number} {version} {column}"))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
