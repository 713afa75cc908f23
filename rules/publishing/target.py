"""What `rules publish` needs of a target, whatever its kind: what it holds, what it can hold, and sending a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Action = Literal["send", "keep"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """What is to be done about a product in a target. artifact: the table that is to be there.

    rows: of the table that is kept, None of one that is to be sent.
    """

    product: str
    artifact: str
    action: Action
    reason: str
    rows: int | None = None


@dataclass(frozen=True)
class StoredTable:
    """A product's table in the store, whose bytes were just verified. file: of Parquet, or a folder of its parts."""

    product: str
    artifact: str
    file: Path
    rows: int


@dataclass(frozen=True)
class Sent:
    """What was sent of a product. files, bytes: 0 for a database."""

    rows: int
    files: int = 0
    bytes: int = 0


class Target(Protocol):
    """An open target. Every method raises `UserError`, and then nothing has changed for its readers."""

    def step(self, product: str, artifact: str) -> Step:
        """Decide about a product, whose table is `artifact`, by what the target remembers and by what is there."""

    def require_possible(self, table: StoredTable) -> None:
        """Refuse a table that the target cannot hold, before anything of it is written."""

    def send(self, table: StoredTable) -> Sent:
        """Write a table, and compare what was written with it. Readers may see it only after `finish`."""

    def finish(self) -> None:
        """Let readers see what was sent, in one step where the target has one; mend what a killed publish left."""

    def others(self, products: Sequence[str]) -> list[str]:
        """Return the tables that were published here, of products that are none of these."""

    def drop(self, products: Sequence[str]) -> None:
        """Remove the tables of products, with `finish`."""


class OpenTarget(Protocol):
    """Opens a target. writes: whether anything will be sent; if not, nothing there is made or changed."""

    def __call__(self, *, writes: bool) -> AbstractContextManager[Target]:
        """Raises `UserError`."""
