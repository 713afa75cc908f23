"""What a command had of a shared cache: counts, and sentences for people, without names of servers, and no secret."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from cache.shared_index import SharedUsage
from rules.wording import byte_size, plural


@dataclass
class SharedReport:
    """Counts of one command. Worker threads may share it.

    hits, misses: actions that were asked for; fetched, sent: files; unsent: results that are here alone; conflicts:
    actions for which another builder recorded another table; off: why the shared cache was given up, "" if it was not.
    """

    hits: int = 0
    misses: int = 0
    fetched: int = 0
    fetched_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0
    unsent: int = 0
    failures: int = 0
    retries: int = 0
    waits: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    conflicts: list[str] = field(default_factory=list)
    problems: Counter[str] = field(default_factory=Counter)
    off: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def count(self, **added: int) -> None:
        """Add to counts."""
        with self._lock:
            for name, number in added.items():
                setattr(self, name, getattr(self, name) + number)

    def refuse(self, why: str) -> None:
        """Count a record or an object that was not used. why: a clause after "it"."""
        with self._lock:
            self.refused[why] += 1

    def fail(self, why: str) -> None:
        """Count a call that failed for good."""
        with self._lock:
            self.failures += 1
            self.problems[why] += 1

    @property
    def is_empty(self) -> bool:
        """Whether the shared cache was not asked for anything."""
        return not any(
            (self.hits, self.misses, self.fetched, self.sent, self.unsent, self.failures, self.off, self.refused)
        )

    @property
    def fields(self) -> dict[str, Any]:
        """The counts as plain data."""
        names = ("hits", "misses", "fetched", "fetched_bytes", "sent", "sent_bytes", "unsent", "failures", "retries")
        counts: dict[str, Any] = {name: getattr(self, name) for name in names}
        refused = [{"reason": why, "count": count} for why, count in sorted(self.refused.items())]
        return {**counts, "refused": refused, "conflicts": sorted(self.conflicts), "off": self.off or None}

    @property
    def usage(self) -> SharedUsage:
        """The counts as the index adds them up by month."""
        month = dt.datetime.now(dt.UTC).strftime("%Y-%m")
        counts = (self.hits, self.misses, self.fetched_bytes, self.sent_bytes)
        return SharedUsage(month, *counts, sum(self.refused.values()), self.failures)

    @property
    def line(self) -> str:
        """What it was of use for, "" for nothing."""
        clauses = []
        if self.fetched:
            clauses.append(f"{plural(self.fetched, 'file')} fetched ({byte_size(self.fetched_bytes)})")
        elif self.hits:
            clauses.append(f"{plural(self.hits, 'result')} found")
        if self.sent:
            clauses.append(f"{plural(self.sent, 'file')} sent ({byte_size(self.sent_bytes)})")
        return f"shared cache: {', '.join(clauses)}" if clauses else ""

    @property
    def warnings(self) -> list[str]:
        """What went wrong, each thing once."""
        found = []
        for why, count in sorted(self.refused.items()):
            noun = plural(count, "answer").replace("1 answer", "one answer")
            found.append(f"warning: {noun} of the shared cache refused: it {why}")
        if self.conflicts:
            names = plural(len(self.conflicts), "result")
            found.append(
                f"warning: {names} differ from what another builder recorded in the shared cache under the same key; "
                "rules audit --remote compares"
            )
        if self.off:
            found.append(f"warning: the shared cache was not used any more: {self.off}; the build went on without it")
        elif self.failures:
            why, _ = self.problems.most_common(1)[0]
            found.append(f"warning: {plural(self.failures, 'request')} to the shared cache failed: {why}")
        if self.unsent:
            found.append(f"warning: {plural(self.unsent, 'result')} could not be sent to the shared cache")
        return found
