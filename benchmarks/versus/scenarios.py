"""What is done to a project between two builds, and how many products the best possible tool would execute for it.

An edit is never undone: the next run of the same scenario edits further (another comment, another bound, one more
column). So no tool is served from its memory, and no tool has to be brought back to a former state between two runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from benchmarks.generated import ancestors, inputs_of, queries, reach, readers

SCENARIOS = {
    "cold": "everything, from nothing",
    "no-op": "nothing was changed",
    "comment": "a comment in a root model",
    "leaf": "an expression of a model that nobody reads",
    "equal root": "the filter of a root model, whose rows stay",
    "added column": "a column in a root model, which nobody reads",
    "touched source": "the time of a source file, whose bytes stay",
    "source column": "the values of one column of a source, which few read",
}
CHANGED_SOURCE = "s0"

_SAMPLE = 6


@dataclass(frozen=True)
class Subject:
    """A generated project of some size, and the models that are edited."""

    size: int

    @cached_property
    def rules(self) -> dict[str, str]:
        """The models before any edit, inputs first."""
        return queries(self.size)

    @cached_property
    def root(self) -> str:
        """The staging model that most depends on; none of those that show a source's note."""
        staging = [name for name, sql in self.rules.items() if name.startswith("stg_") and "note" not in sql]
        reached = reach(self.rules)
        return max(staging, key=reached.__getitem__)

    @cached_property
    def leaf(self) -> str:
        """An aggregation."""
        return next(reversed(self.rules))

    @cached_property
    def ideal(self) -> dict[str, int]:
        """How many products have to be executed, by scenario."""
        showing = [sql for sql in self.rules.values() if "s.note" in sql and CHANGED_SOURCE in inputs_of(sql)]
        executed = {"cold": self.size, "leaf": 1, "equal root": 1, "added column": 1, "source column": len(showing)}
        return {scenario: executed.get(scenario, 0) for scenario in SCENARIOS}

    @cached_property
    def sample(self) -> tuple[str, ...]:
        """Models in which to compare what tools have computed: all that is edited, and some with what they read."""
        below = readers(self.rules, self.root)
        cost = {name: len(ancestors(self.rules, {name})) for name in below}
        nearest = sorted(below, key=lambda name: (cost[name], name))
        showing = next(name for name, sql in self.rules.items() if "s.note" in sql)
        wanted = [self.root, self.leaf, showing, nearest[-1], *nearest]
        return tuple(dict.fromkeys(wanted))[:_SAMPLE]

    def texts(self, done: Mapping[str, int]) -> dict[str, str]:
        """Return the models after each scenario has been run so many times."""
        texts = dict(self.rules)
        root, count = texts[self.root], Counter(done)
        if count["equal root"]:
            root = _replaced(root, "s.val >= 0", f"s.val >= -{count['equal root']}")
        added = "".join(f", s.id + {number} AS extra_{number}" for number in range(1, count["added column"] + 1))
        root = _replaced(root, "\nFROM", f"{added}\nFROM")
        if count["comment"]:
            root = f"-- note {count['comment']}\n{root}"
        texts[self.root] = root
        if count["leaf"]:
            texts[self.leaf] = _replaced(texts[self.leaf], "MAX(a.rest)", f"MAX(a.rest) + {count['leaf']}")
        return texts


def _replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(f"{old!r} is not in {text!r}")
    return text.replace(old, new, 1)
