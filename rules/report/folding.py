"""Judgements that have one reason → one line: "28 maybe, below nba_raw_schedule". Pure: nothing is printed here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.plan import listing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from graph.plan import Judgement

    Reason = Callable[[Judgement], str]

_LEAST = 4
"""Products of one reason that are folded; fewer are named."""
_MOST_LINES = 8
"""Lines of a verdict; with more of them, reasons that differ only in detail are folded too."""


@dataclass(frozen=True)
class Fold:
    """Products of one verdict, and the sentence that is true of all of them."""

    names: tuple[str, ...]
    verdict: str
    reason: str

    @property
    def line(self) -> str:
        """As it is printed."""
        return f"{len(self.names):,} {self.verdict}, {self.reason}"


def folds(
    judgements: Mapping[str, Judgement], inputs: Mapping[str, Sequence[str]], apart: Collection[str]
) -> list[Fold]:
    """Return what can be folded, in the order of the plan; what is clean is not looked at.

    inputs: what each product reads. apart: products that are shown by themselves, as there is more to tell of them.
    """
    below = _below(judgements, inputs)

    def exact(one: Judgement) -> str:
        return f"below {listing(below[one.name])}" if one.name in below else one.reason

    def short(one: Judgement) -> str:
        if one.name in below:
            return f"below {listing(every)}"
        if one.changed and one.edit is None:
            return f"read{'s' if one.verdict == 'run' else ''} {listing(one.changed)}, which changed"
        return {"failed": "`rules check` lists why", "skipped": "what they read failed"}.get(one.verdict, one.reason)

    found: dict[str, Fold] = {}
    for verdict in dict.fromkeys(one.verdict for one in judgements.values() if one.verdict != "clean"):
        shown = [one for one in judgements.values() if one.verdict == verdict and one.name not in apart]
        every = list(dict.fromkeys(root for one in shown for root in below.get(one.name, ())))
        folded = _grouped(shown, exact)
        if len(shown) - sum(len(fold.names) - 1 for fold in folded) > _MOST_LINES:
            folded = _grouped(shown, short)
        found |= {fold.names[0]: fold for fold in folded}
    return [found[name] for name in judgements if name in found]


def _grouped(judgements: Iterable[Judgement], reason: Reason) -> list[Fold]:
    groups: dict[tuple[str, str], list[str]] = {}
    for one in judgements:
        groups.setdefault((one.verdict, reason(one)), []).append(one.name)
    return [Fold(tuple(names), *key) for key, names in groups.items() if len(names) >= _LEAST]


def _below(judged: Mapping[str, Judgement], inputs: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return for each product that only what it reads decides about, which products above it run for another reason."""
    numbers: dict[str, int] = {}
    roots: dict[str, int] = {}  # sets as bits: thousands of products may be below hundreds
    for name, one in judged.items():
        ahead = 0
        for entry in inputs.get(name, ()):
            ahead |= roots.get(entry, 0)
        if one.verdict == "maybe" and one.edit is None and ahead:
            roots[name] = ahead
        elif one.verdict in {"run", "maybe"}:
            numbers[name] = len(numbers)
            roots[name] = 1 << numbers[name]
    names = list(numbers)
    named: dict[int, list[str]] = {}
    found = {}
    for name, bits in roots.items():
        if name not in numbers:
            if bits not in named:
                named[bits] = [names[number] for number in range(bits.bit_length()) if bits >> number & 1]
            found[name] = named[bits]
    return found
