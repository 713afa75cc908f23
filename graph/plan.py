"""Step 5 of 7, plan: a verdict with a reason for each product. Pure: decides from facts, executes nothing.

`judge` decides about one product from what is known of its inputs. `make_plan` asks it for all of them before anything
ran, so some inputs are still unknown; the build asks it again, product by product, when they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cache.keys import Content, action_key
from cache.records import Product

Verdict = Literal["clean", "restore", "run", "maybe"]


@dataclass(frozen=True)
class Node:
    """What planning needs of a compiled rule; see `compiler.compile.Compiled`.

    formerly: the fingerprint of its last state, where that is another only because rules or the engine was upgraded.
    """

    name: str
    fingerprint: str
    inputs: tuple[str, ...]
    reads: tuple[tuple[str, ...], ...]
    dependencies: tuple[str, ...]
    parts: Mapping[str, Any]
    volatile: bool
    order_dependent: bool
    ordered: bool
    formerly: str = ""

    def is_rule_of(self, last: Product) -> bool:
        """Whether a product was last computed by this very rule."""
        return last.fingerprint in (self.fingerprint, self.formerly)


@dataclass(frozen=True)
class Judgement:
    """The verdict on one product: why in one sentence, its action key where known, the artifact to restore or keep."""

    name: str
    verdict: Verdict
    reason: str
    key: str | None = None
    artifact: str | None = None


@dataclass(frozen=True)
class Known:
    """What has been computed before: last state of products, action key → artifact, and which artifacts are there."""

    products: Mapping[str, Product]
    action: Callable[[str], str | None]
    present: Callable[[str], bool]


@dataclass(frozen=True)
class Plan:
    """Judgements by product, in the order in which they can be built."""

    judgements: Mapping[str, Judgement]

    @property
    def skipped(self) -> dict[str, str]:
        """Products that need no run, and the artifact that stands for each."""
        return {
            name: one.artifact
            for name, one in self.judgements.items()
            if one.verdict in {"clean", "restore"} and one.artifact is not None
        }

    @property
    def summary(self) -> dict[str, int]:
        """Number of products by verdict."""
        counts = dict.fromkeys(("clean", "restore", "run", "maybe"), 0)
        for judgement in self.judgements.values():
            counts[judgement.verdict] += 1
        return counts


def make_plan(
    nodes: Mapping[str, Node],
    contents: Mapping[str, Content],
    known: Known,
    content_of: Callable[[str], Content],
    forced: frozenset[str],
) -> Plan:
    """Judge `nodes` (in order).

    `contents` holds what is known of inputs outside the plan: sources, and products that are not selected.

    `content_of` tells the content of an artifact.
    """
    settled = dict(contents)
    judgements: dict[str, Judgement] = {}
    for name, node in nodes.items():
        waiting = [dependency for dependency in node.dependencies if dependency not in settled]
        judgement = judge(node, settled, known, waiting=waiting, forced=name in forced)
        judgements[name] = judgement
        if judgement.verdict in {"clean", "restore"} and judgement.artifact is not None:
            settled[name] = content_of(judgement.artifact)
    return Plan(judgements)


def judge(
    node: Node,
    contents: Mapping[str, Content],
    known: Known,
    *,
    waiting: list[str] | None = None,
    forced: bool = False,
) -> Judgement:
    """Decide about one product. `waiting` names the inputs whose content is not known yet."""
    last = known.products.get(node.name)
    if forced:
        return Judgement(node.name, "run", "asked for with --force", _key(node, contents) if not waiting else None)
    if node.volatile:
        key = _key(node, contents) if not waiting else None
        return Judgement(node.name, "run", "declared volatile, so it runs in every build", key)
    if waiting and any(name in waiting for name in node.inputs):
        return _undecided(node, last, waiting)
    key = _key(node, contents)
    if last is not None and last.fingerprint == node.formerly and _reads_hold(last, contents):
        reason = "the rule means what it meant before the upgrade, and everything it reads is unchanged"
        if known.present(last.artifact):
            return Judgement(node.name, "clean", reason, key, last.artifact)
    artifact = last.artifact if last is not None and last.key == key else known.action(key)
    if artifact is None:
        return Judgement(node.name, "run", _why(node, contents, last), key)
    if not known.present(artifact):
        return Judgement(node.name, "run", "its artifact is missing from the store", key)
    if last is not None and last.artifact == artifact:
        unchanged = "the rule and everything it reads are unchanged"
        reason = (
            unchanged if last.key == key else f"{_why(node, contents, last)}, but its result is known to be the same"
        )
        return Judgement(node.name, "clean", reason, key, artifact)
    why = _why(node, contents, last)
    return Judgement(node.name, "restore", f"{why}; an earlier build computed just this", key, artifact)


def _undecided(node: Node, last: Product | None, waiting: list[str]) -> Judgement:
    """Judge a product some of whose inputs will, or may, be executed first."""
    if last is None:
        return Judgement(node.name, "run", "new rule")
    if not node.is_rule_of(last):
        return Judgement(node.name, "run", _what_changed(node, last))
    names = _listing([name for name in node.inputs if name in waiting])
    return Judgement(node.name, "maybe", f"reads {names}, which may change; it runs if a column it reads does")


def _key(node: Node, contents: Mapping[str, Content]) -> str:
    pairs = zip(node.inputs, node.reads, strict=True)
    return action_key(node.fingerprint, [contents[name].restricted(columns) for name, columns in pairs])


def _reads_hold(last: Product, contents: Mapping[str, Content]) -> bool:
    """Whether all that a product read when it was computed is there unchanged; by the read sets of then."""
    for name, rows, columns, *_rest in last.record["inputs"]:
        content = contents.get(name)
        if content is None or content.rows != rows:
            return False
        now = {column: list(facts) for column, facts in content.columns.items()}
        if any(now.get(column) != facts for column, facts in columns.items()):
            return False
    return True


def _why(node: Node, contents: Mapping[str, Content], last: Product | None) -> str:
    """Say in one clause what differs from the last committed state."""
    if last is None:
        return "new rule"
    if not node.is_rule_of(last):
        return _what_changed(node, last)
    before = last.record["inputs"]
    changed: list[str] = []
    recounted: list[str] = []
    for (_, rows, columns, *_rest), name, reads in zip(before, node.inputs, node.reads, strict=False):
        content = contents[name]
        changed += [f"{name}.{column}" for column in reads if list(content.columns[column]) != columns.get(column)]
        if rows != content.rows:
            recounted.append(f"{name} has {content.rows:,} rows instead of {rows:,}")
    if changed:
        return f"reads {_listing(changed)}, which changed"
    if recounted:
        return f"{_listing(recounted)}"
    return "its result is not in the store"


_PARTS = {
    "execution": "a version of rules before this one could compute a wrong table",
    "query": "the query changed",
    "columns": "the output columns changed",
    "tier": "the determinism tier changed",
    "key": "the key it is ordered by changed",
    "volatile": "the volatile option changed",
    "engine": "the engine's version changed",
    "settings": "engine settings that can change its result changed",
}


def _what_changed(node: Node, last: Product) -> str:
    before = last.record["parts"]
    for part, sentence in _PARTS.items():
        if before.get(part) != node.parts.get(part):
            return sentence
    return "the compiler's canonical form changed"


def _listing(names: list[str], most: int = 3) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
