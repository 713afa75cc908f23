"""Print what a limit of space costs: `python benchmarks/retention.py [SEEDS]`.

A project of 100 products is edited 200 times, as people do: most edits touch what was touched lately, three of
ten take something back, and now and then a branch is checked out. After each build the store is cut down to 10,
25 or 50 % of the space that keeping all tables would take up, by `cache.retention` and, to compare, by least recent
use. Sizes and costs vary by orders of magnitude; a product costs a part that grows with its size and a part that does
not. Printed are the seconds that were spent to make again what had been made before, in percent of what it costs to
keep nothing but what products are now.
"""

from __future__ import annotations

import random
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from cache.housekeeping import Size  # noqa: E402 — found by the path above
from cache.reachable import Reason  # noqa: E402
from cache.retention import choose  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PRODUCTS, EDITS = 100, 200
SHARES = (0.1, 0.25, 0.5)
BRANCH, UNDO, LATELY = 0.05, 0.3, 0.7
"""How often a branch is checked out, an edit is taken back, and, of the other edits, one of a rule edited lately."""
Versions = tuple[int, ...]
State = dict[int, str]
"""The artifact of each product."""


@dataclass
class Trace:
    """What each build needs, oldest first, and the bytes and seconds of every table."""

    builds: list[State] = field(default_factory=list)
    sizes: dict[str, Size] = field(default_factory=dict)


def trace(seed: int) -> Trace:
    """Return a project's life."""
    chance = random.Random(seed)  # noqa: S311 — no secret
    inputs = {one: chance.sample(range(one), min(one, chance.choice((0, 1, 1, 2, 3)))) for one in range(PRODUCTS)}
    bytes_of = {one: int(chance.lognormvariate(13, 2)) for one in inputs}
    seconds_of = {one: 0.02 + bytes_of[one] / 5e7 + chance.lognormvariate(-2, 1.5) for one in inputs}
    found, versions = Trace(), [0] * PRODUCTS
    past: list[list[int]] = [list(versions)]
    latest, fresh = list(range(10)), 0

    def build() -> None:
        state: State = {}
        for one in range(PRODUCTS):
            state[one] = f"{one}.{versions[one]}.{hash(tuple(state[other] for other in inputs[one]))}"
            size = int(bytes_of[one] * (1 + versions[one] % 7 / 20))
            found.sizes.setdefault(state[one], Size(size, seconds_of[one], f"{len(found.builds)}"))
        found.builds.append(state)

    build()
    for _ in range(EDITS):
        kind = chance.random()
        if kind < BRANCH:
            versions = list(chance.choice(past[-40:]))  # a branch
        elif kind < BRANCH + UNDO:
            versions = list(past[-min(len(past), 1 + int(chance.expovariate(0.5)))])  # take back
        else:
            one = chance.choice(latest) if chance.random() < LATELY else chance.randrange(PRODUCTS)
            latest = [one, *(other for other in latest if other != one)][:10]
            fresh += 1
            versions = [fresh if place == one else version for place, version in enumerate(versions)]
        past.append(list(versions))
        build()
    return found


def by_worth(sizes: Mapping[str, Size], needed: Mapping[str, Reason], ages: Mapping[str, int], budget: int) -> set[str]:
    """Return what `rules` keeps."""
    costs = {artifact: size.seconds for artifact, size in sizes.items()}
    return set(choose(sizes, needed, lambda: costs, ages, budget=budget, strict=True).staying)


def by_recency(
    sizes: Mapping[str, Size], needed: Mapping[str, Reason], ages: Mapping[str, int], budget: int
) -> set[str]:
    """Return what least recent use keeps."""
    kept, total = set(needed), sum(sizes[artifact].bytes for artifact in needed)
    for artifact in sorted(sizes.keys() - needed.keys(), key=lambda one: (ages[one], one)):
        if total + sizes[artifact].bytes > budget:
            break
        kept.add(artifact)
        total += sizes[artifact].bytes
    return kept


def spent(life: Trace, budget: int, policy: Callable[..., set[str]]) -> float:
    """Return the seconds spent on tables that had been made before."""
    stored: dict[str, Size] = {}
    ages: dict[str, int] = {}
    made: set[str] = set()
    again = 0.0
    for state in life.builds:
        ages = {artifact: age + 1 for artifact, age in ages.items()}
        for artifact in state.values():
            if artifact not in stored:
                again += life.sizes[artifact].seconds if artifact in made else 0.0
                made.add(artifact)
                stored[artifact] = life.sizes[artifact]
            ages[artifact] = 0
        needed: dict[str, Reason] = dict.fromkeys(state.values(), "product")
        stored = {artifact: stored[artifact] for artifact in policy(stored, needed, ages, budget)}
    return again


def main(seeds: int) -> None:
    """Compare the policies over some lives."""
    print(f"{'space':>6} {'cost-aware':>11} {'LRU':>7}   (seconds made again, % of keeping nothing; {seeds} lives)")
    lives = [trace(seed) for seed in range(seeds)]
    for share in SHARES:
        rows = []
        for life in lives:
            budget = int(share * sum(size.bytes for size in life.sizes.values()))
            nothing = spent(life, 0, by_recency)
            rows.append([spent(life, budget, policy) / nothing * 100 for policy in (by_worth, by_recency)])
        worth, recency = (statistics.mean(column) for column in zip(*rows, strict=True))
        print(f"{share:6.0%} {worth:10.1f}% {recency:6.1f}%")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
