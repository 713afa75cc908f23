"""Which artifacts stay and which go: pure decisions from what the index says.

Needed artifacts stay (`cache.reachable.reasons`). The others are a cache: within a budget of bytes those stay that are
worth most. What an artifact is worth is the seconds that it takes to compute it again, for each byte that it takes up,
and less the longer it has not been of use (hyperbolic caching: Blankstein, Sen, Freedman, USENIX ATC 2017, with the
cost of a miss as in GreedyDual-Size: Cao, Irani, USITS 1997).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from cache.reachable import REASONS, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from cache.housekeeping import Size
    from cache.records import InputState, Product

Fate = Reason | Literal["cache", "recomputable", "lost", "unknown"]
"""Why an artifact stays (a `Reason`, or in the cache within its budget) or goes: it can be recomputed; it cannot, since
its inputs are gone; no record names it."""
LONG_AGO = 1 << 30


class Candidate(NamedTuple):
    """An artifact that may go. cost: seconds to compute it; age: how many builds ago it was last of use."""

    artifact: str
    bytes: int
    cost: float
    age: int
    lost: bool
    """Whether it cannot be computed again now."""

    @property
    def worth(self) -> float:
        """What keeping it for a while is expected to save, for each byte."""
        return self.cost / (max(self.bytes, 1) * (self.age + 1))


@dataclass(frozen=True)
class Choice:
    """What stays and what goes, and why: by artifact. going: in the order in which they go."""

    staying: Mapping[str, Fate]
    going: Mapping[str, Fate] = field(default_factory=dict)


def choose(
    sizes: Mapping[str, Size],
    needed: Mapping[str, Reason],
    costs: Callable[[], Mapping[str, float]],
    ages: Mapping[str, int],
    tables: Mapping[str, Collection[str]],
    *,
    budget: int | None,
    strict: bool,
) -> Choice:
    """Decide about every artifact in `sizes`.

    tables: those in parts, with their parts, whose bytes are theirs alone: a table goes with the first of them, and a
    part stays as long as its table has to. costs: the seconds to compute those again that can be. budget: the bytes
    that all artifacts may take up; None for no more than what is needed. strict: the budget is a person's, so what
    cannot be computed again goes last, and what is needed for its age alone goes, too, if it can be.
    """
    staying: dict[str, Fate] = {artifact: needed[artifact] for artifact in sizes if artifact in needed}
    optional = [artifact for artifact in sizes if artifact not in needed]
    total = sum(size.bytes for size in sizes.values())
    if budget is not None and total <= budget:
        return Choice({**staying, **dict.fromkeys(optional, "cache")})
    known = costs()

    def ordered(artifacts: Iterable[str]) -> list[Candidate]:
        found = [
            Candidate(one, size.bytes, known.get(one, size.seconds), ages.get(one, LONG_AGO), one not in known)
            for one in artifacts
            for size in (sizes[one],)
        ]
        return sorted(found, key=lambda one: (strict and one.lost, one.worth, -one.age, one.artifact))

    queue = ordered(optional)
    if budget is not None and strict:
        queue += [one for one in ordered(one for one, why in staying.items() if why == "age") if not one.lost]
    may_go = {one.artifact: one for one in queue}
    holders: dict[str, list[str]] = {}
    for table, parts in tables.items():
        for part in parts:
            holders.setdefault(part, []).append(table)
    going: dict[str, Fate] = {}
    for one in queue:
        if one.artifact in going:
            continue
        held = [table for table in holders.get(one.artifact, ()) if table not in going and table in sizes]
        if (budget is None or total > budget) and all(table in may_go for table in held):
            for gone in (one, *(may_go[table] for table in held)):
                going[gone.artifact] = "lost" if gone.lost else "recomputable"
                staying.pop(gone.artifact, None)
                total -= gone.bytes
        else:
            staying.setdefault(one.artifact, "cache")
    return Choice(staying, going)


def recomputable(products: Iterable[Product], live: Collection[str], sources: Iterable[InputState]) -> dict[str, float]:
    """Return the seconds that it takes to compute artifacts again, of those of which it is proved to be possible now.

    products: past states, with what they were made from. live: the artifacts that stay. sources: what the products, as
    they are now, read of sources. An artifact can be computed again if its rule is deterministic, and each input is
    there: an artifact that stays, or can be computed again itself, or a source whose rows and columns, as far as they
    were read, are those of today.
    """
    read = list(sources)
    columns = {(one.name, one.rows, column, *facts) for one in read for column, facts in one.columns.items()}
    counts = {(one.name, one.rows) for one in read}
    found: dict[str, float] = {}

    def cost_of(state: InputState) -> float | None:
        if state.artifact is not None:
            return 0.0 if state.artifact in live else found.get(state.artifact)
        there = all((state.name, state.rows, column, *facts) in columns for column, facts in state.columns.items())
        return 0.0 if there and (state.name, state.rows) in counts else None

    waiting: dict[str, list[Product]] = {}
    """What has to be looked at again once the artifact that it was made from can be computed, by that artifact."""
    # What was made earlier comes first: most of what others were made from.
    for first in sorted((one for one in products if one.key and one.artifact not in live), key=lambda one: one.build):
        ready = [first]
        while ready:
            product = ready.pop()
            if product.artifact in found:
                continue
            total = product.seconds
            for state in product.record.inputs:
                cost = cost_of(state)
                if cost is None:
                    if state.artifact is not None:
                        waiting.setdefault(state.artifact, []).append(product)
                    break
                total += cost
            else:
                found[product.artifact] = total
                ready += waiting.pop(product.artifact, ())
    return found


def strongest(fates: Iterable[Fate]) -> list[Fate]:
    """Return fates, each once, in the order of reports."""
    order: list[Fate] = [*REASONS, "cache", "recomputable", "lost", "unknown"]
    return sorted(set(fates), key=order.index)
