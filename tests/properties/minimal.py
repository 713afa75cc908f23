"""An oracle of what has to run: simple, and with no idea of fingerprints, digests and canonical forms.

A product has to run when no table at hand was computed from the same: the same query and, of each input, the same
values in the columns that the query reads. What a query means and what it reads is known from who wrote it. Where a
build runs more than that, the reason is one of `EXPLAINED`, or it is a fault.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping
    from pathlib import Path

    from properties.world import Row, Rule

EXPLAINED = {
    "twins": "two rules that mean the same ran side by side, so neither could be restored for the other",
    "other order": "rows in another order than what they read now was computed from is found in the last state alone",
    "tie-free order": "that ROW_NUMBER and LIMIT order by all that is read, so that no tie can show, is not recognised",
    "lost rows": "what came in another order cannot be compared with what was read last: it was deleted from the store",
    "synonym": "the canonical form does not see that two texts mean the same, see MISSED",
}
TIE_FREE = re.compile("ROW_NUMBER|LIMIT")
MISSED = {
    "two comparisons for <>": re.compile(r"v < (\d+) OR v > \1", re.IGNORECASE),
    "a set operation in a subquery of its own": re.compile(r"w\.\* FROM \(.* EXCEPT|w AS \(.* EXCEPT", re.DOTALL),
}


@dataclass(frozen=True)
class Basis:
    """What a product is computed from; `ordered` with the rows of inputs as they stand, `bag` in any order.

    words: those of `MISSED` that its rule is written in.
    """

    ordered: Hashable
    bag: Hashable
    words: frozenset[str]


def basis(rule: Rule, rows: Callable[[str, str], list[Row]], unkept: Collection[str]) -> Basis:
    """Return what a rule is computed from.

    rows: of an input, in some columns. unkept: inputs whose earlier rows nobody keeps, so in another order they are
    other rows.
    """
    meaning = rule.meaning
    words = frozenset(name for name, pattern in MISSED.items() if pattern.search(rule.text))
    for at, (table, _) in enumerate(rule.reads):
        meaning = re.sub(rf"\b{table}\b", f"${at}", meaning)
    found = [(table, rows(table, columns)) for table, columns in rule.reads]
    in_order = tuple(tuple(inner) for _, inner in found)
    if "AVG(" in meaning:  # a sum of floats, which shows the order
        return Basis((meaning, in_order), (meaning, in_order), words)
    bags = tuple(tuple(inner if table in unkept else sorted(inner, key=repr)) for table, inner in found)
    return Basis((meaning, in_order), (meaning, bags), words)


@dataclass
class Oracle:
    """What builds have computed in one store so far, and how often they ran something for which reason."""

    objects: Path
    counts: Counter[str] = field(default_factory=Counter)
    computed: dict[Hashable, dict[frozenset[str], str]] = field(default_factory=dict)
    bags: set[Hashable] = field(default_factory=set)
    last: dict[str, tuple[Basis, str]] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)

    def look(self) -> None:
        """See, before a build, which artifacts are at hand."""
        self.present = {path.parent.name + path.stem for path in self.objects.glob("*/*")}

    def forget(self, rules: Collection[str]) -> None:
        """Forget the last state of products whose rule is not among these, as a build does."""
        self.last = {name: state for name, state in self.last.items() if name in rules}

    def learn(
        self, products: list[dict[str, Any]], bases: Mapping[str, Basis], forced: str, what: str, *, deleted: bool
    ) -> None:
        """Take in what a build did with its products; assert that what it executed had to run, or is explained."""
        now: set[Hashable] = set()
        for product in products:
            found = bases[product["name"]]
            if product["status"] == "executed":
                reason = (
                    "forced" if product["name"] == forced else self.why(product["name"], found, now, deleted=deleted)
                )
                assert not reason.startswith("nothing"), (what, reason, product, found.ordered)
                self.counts[reason] += 1
                now.add(found.ordered)
        for product in products:
            found = bases[product["name"]]
            self.counts[product["status"]] += 1
            self.computed.setdefault(found.ordered, {})[found.words] = product["artifact"]
            self.bags.add(found.bag)
            self.last[product["name"]] = found, product["artifact"]

    def why(self, name: str, found: Basis, now: Collection[Hashable], *, deleted: bool) -> str:
        """Return why a product had to run, the name of what explains that it did, or "nothing …"."""
        known = self.computed.get(found.ordered, {})
        if found.words in known:
            at_hand = known[found.words] in self.present
            return "nothing: this was computed before, and is at hand" if at_hand else "deleted"
        before, artifact = self.last.get(name, (None, ""))
        if not self.present.isdisjoint(known.values()):
            return "synonym"
        if before is not None and before.bag == found.bag and artifact in self.present:
            if before.words != found.words:
                return "synonym"
            if TIE_FREE.search(str(found.bag)):
                return "tie-free order"
            return "lost rows" if deleted else "nothing: the rows only stand in another order"
        if found.ordered in now:
            return "twins"
        return "other order" if found.bag in self.bags else "changed"
