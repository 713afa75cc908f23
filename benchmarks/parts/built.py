"""A generated project that was built, and one of its rules edited."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rules.planning.prepared import Prepared
from rules.storage.store import Store

RULES = 200


@dataclass(frozen=True)
class Built:
    """A project that was built, the rule that was edited since, and what preparing the next build found."""

    root: Path
    edited: str
    store: Store
    prepared: Prepared
