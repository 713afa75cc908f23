"""Step 5 of 7, plan: a verdict with a reason for each product. Pure: decides from facts, executes nothing.

`judge` decides about one product from what is known of its inputs. `make_plan` asks it for all of them before anything
ran, so some inputs are known in part: in the columns that a run will not change. The build asks it again, product by
product, when they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from cache.keys import Content, action_key
from cache.records import Product
from graph.edits import edit_between, new_rule, rebound, sentences, version_of
from graph.impact import Edit, input_changes, stable_columns
from graph.node import Node

if TYPE_CHECKING:
    from compiler.analysis.shape import Shape
    from compiler.diff.edit_script import EditScript

Verdict = Literal["clean", "restore", "run", "maybe", "failed", "skipped"]
"""The last two are of what no plan is made for: a rule that does not compile, and what reads one."""


@dataclass(frozen=True)
class Judgement:
    """The verdict on one product: why in one sentence, its action key where known, the artifact to restore or keep.

    edit: how the rule was edited since its last state, None where it is new, or means the same of the same inputs.
    changed: the inputs of which something that the rule reads has changed since, where that is the reason.
    """

    name: str
    verdict: Verdict
    reason: str
    key: str | None = None
    artifact: str | None = None
    edit: Edit | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """What has been computed before: last state of products, action key → artifact, and which artifacts are there.

    shape: of the rule in its last state, where this version of the compiler knows it. describe: how the query of a rule
    was edited since, in sentences; script: where, if that can be told. renamed: what products were called that are no
    longer there → what they are called now.
    """

    products: Mapping[str, Product]
    action: Callable[[str], str | None]
    present: Callable[[str], bool]
    shape: Callable[[Product], Shape | None]
    describe: Callable[[Node, Product], Sequence[str]]
    script: Callable[[Node, Product], EditScript | None]
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Judgements by product, in the order in which they can be built.

    foreseen: what each input and product holds in the end, as far as that is known before anything ran. movable: the
    products whose rows may then stand in another order. checks: judgements of the products' checks, by their names.
    """

    judgements: Mapping[str, Judgement]
    foreseen: Mapping[str, Content]
    movable: frozenset[str]
    checks: Mapping[str, Judgement] = field(default_factory=dict)

    @property
    def skipped(self) -> dict[str, str]:
        """Products that need no run, and the artifact that stands for each."""
        return _skipped(self.judgements)

    @property
    def skipped_checks(self) -> dict[str, str]:
        """Checks that need no run, and the artifact that stands for each."""
        return _skipped(self.checks)

    @property
    def ahead(self) -> list[str]:
        """Products that are not clean, in the order in which they can be built."""
        return [name for name, judgement in self.judgements.items() if judgement.verdict != "clean"]

    @property
    def summary(self) -> dict[str, int]:
        """Number of products by verdict."""
        counts = dict.fromkeys(("clean", "restore", "run", "maybe"), 0)
        for judgement in self.judgements.values():
            counts[judgement.verdict] += 1
        return counts


def _skipped(judgements: Mapping[str, Judgement]) -> dict[str, str]:
    return {
        name: one.artifact
        for name, one in judgements.items()
        if one.verdict in {"clean", "restore"} and one.artifact is not None
    }


def make_plan(
    nodes: Mapping[str, Node],
    contents: Mapping[str, Content],
    known: Known,
    content_of: Callable[[str], Content],
    forced: frozenset[str],
    checks: Mapping[str, Node] | None = None,
) -> Plan:
    """Judge `nodes` (in order), then `checks`, which nobody reads. To force a product forces its checks too.

    `contents` holds what is known of inputs outside the plan: sources, and products that are not selected.

    `content_of` tells the content of an artifact.
    """
    settled = dict(contents)
    running: set[str] = set()
    movable: set[str] = set()
    judgements: dict[str, Judgement] = {}
    for name, node in nodes.items():
        judgement = _foresee(node, settled, running, movable, known, forced=name in forced)
        judgements[name] = judgement
        if judgement.verdict in {"clean", "restore"} and judgement.artifact is not None:
            settled[name] = content_of(judgement.artifact)
        else:
            running.add(name)
            if not node.keeps_order or not movable.isdisjoint(node.inputs):
                movable.add(name)
            remaining = _remaining(node, judgement, settled, known, content_of)
            if remaining is not None:
                settled[name] = remaining
    of_checks = {
        name: _foresee(node, settled, running, movable, known, forced=product_of(name) in forced)
        for name, node in (checks or {}).items()
    }
    return Plan(judgements, settled, frozenset(movable), of_checks)


def product_of(name: str) -> str:
    """Return the product that a check, "product.title", is of; a product's own name stays."""
    return name.partition(".")[0]


def _foresee(
    node: Node,
    settled: Mapping[str, Content],
    running: Collection[str],
    movable: Collection[str],
    known: Known,
    *,
    forced: bool,
) -> Judgement:
    """Judge a product of whose inputs some will, or may, run first; of these, `settled` has what stays the same.

    movable: those of the running ones whose rows may then come in another order.
    """
    pairs = list(zip(node.inputs, node.reads, strict=True))
    unknown = [name for name, reads in pairs if name not in settled or not settled[name].columns.keys() >= set(reads)]
    ahead = [name for name in node.inputs if name in running]
    if node.order_dependent:
        unknown += [name for name in node.inputs if name in movable and name not in unknown]
    judgement = judge(node, settled, known, waiting=unknown, forced=forced)
    if not ahead or unknown or judgement.verdict in {"run", "maybe"}:
        return judgement
    last = known.products.get(node.name)
    if judgement.verdict == "clean" and last is not None and last.key == judgement.key:
        rule = f"{_named_otherwise(node, last, known)}the rule is unchanged, and what it reads"
        if rebound_since(node, last, known):
            rule = f"{_what_changed(node, last, known)}, but what it reads"
        return replace(judgement, reason=f"{rule} of {listing(ahead)} will be too")
    # What stands under another key than the last state's would run if the rows came in another order.
    return replace(judgement, verdict="maybe", artifact=None)


def _remaining(
    node: Node,
    judgement: Judgement,
    settled: Mapping[str, Content],
    known: Known,
    content_of: Callable[[str], Content],
) -> Content | None:
    """Return what a product will still hold after a run: the columns that it leaves as they are."""
    last = known.products.get(node.name)
    if last is None or node.volatile or not known.present(last.artifact):
        return None
    changes = input_changes(last, settled, known.renamed)
    columns = stable_columns(node.shape, judgement.edit, node.edges(), changes, node.inputs)
    if columns is None:
        return None
    before = content_of(last.artifact)
    return before.restricted([name for name in before.columns if name in columns])


def judge(
    node: Node,
    contents: Mapping[str, Content],
    known: Known,
    *,
    waiting: list[str] | None = None,
    forced: bool = False,
) -> Judgement:
    """Decide about one product. `waiting` names the inputs of which not all that it reads is known yet."""
    last = known.products.get(node.name)
    if forced:
        key = _key(node, contents) if not waiting else None
        return Judgement(node.name, "run", "asked for with --force", key, edit=_edit(node, last, known))
    if node.volatile:
        key = _key(node, contents) if not waiting else None
        return Judgement(node.name, "run", "declared volatile, so it runs in every build", key)
    if waiting and any(name in waiting for name in node.inputs):
        return _undecided(node, last, waiting, known)
    key = _key(node, contents)
    if last is not None and last.fingerprint == node.formerly and _reads_hold(last, contents):
        reason = "the rule means what it meant before the upgrade, and everything it reads is unchanged"
        if known.present(last.artifact):
            return Judgement(node.name, "clean", reason, key, last.artifact)
    artifact = last.artifact if last is not None and last.key == key else known.action(key)
    edit = _edit(node, last, known)
    changed = _changed_inputs(node, contents, last) if last is not None and edit is None else ()
    if artifact is None:
        return Judgement(node.name, "run", _why(node, contents, last, known), key, edit=edit, changed=changed)
    if not known.present(artifact):
        return Judgement(node.name, "run", "its artifact is missing from the store", key, edit=edit)
    if last is not None and last.artifact == artifact:
        if last.key != key:
            reason = f"{_why(node, contents, last, known)}, but its result is known to be the same"
        elif rebound_since(node, last, known):
            reason = f"{_what_changed(node, last, known)}, but what it reads there is what it read before"
        else:
            reason = f"{_named_otherwise(node, last, known)}the rule and everything it reads are unchanged"
        return Judgement(node.name, "clean", reason, key, artifact, edit)
    why = _why(node, contents, last, known)
    return Judgement(node.name, "restore", f"{why}; an earlier build computed just this", key, artifact, edit, changed)


def _undecided(node: Node, last: Product | None, waiting: list[str], known: Known) -> Judgement:
    """Judge a product some of whose inputs will, or may, be executed first."""
    if last is None:
        return Judgement(node.name, "run", _new(node, known))
    edit = _edit(node, last, known)
    if not node.is_rule_of(last):
        return Judgement(node.name, "run", _what_changed(node, last, known), edit=edit)
    names = listing([name for name in node.inputs if name in waiting])
    if edit is not None:
        reason = f"{_what_changed(node, last, known)}; {names} may change, and it runs if a column it reads does"
    else:
        reason = f"reads {names}, which may change; it runs if a column it reads does"
    return Judgement(node.name, "maybe", reason, edit=edit)


def _key(node: Node, contents: Mapping[str, Content]) -> str:
    pairs = zip(node.inputs, node.reads, strict=True)
    return action_key(node.fingerprint, [contents[name].restricted(columns) for name, columns in pairs])


def _reads_hold(last: Product, contents: Mapping[str, Content]) -> bool:
    """Whether all that a product read when it was computed is there unchanged; by the read sets of then."""
    for was in last.record.inputs:
        content = contents.get(was.name)
        if content is None or content.rows != was.rows:
            return False
        if any(content.columns.get(column) != facts for column, facts in was.columns.items()):
            return False
    return True


def _why(node: Node, contents: Mapping[str, Content], last: Product | None, known: Known) -> str:
    """Say in one clause what differs from the last committed state."""
    if last is None:
        return _new(node, known)
    if is_edited(node, last, known):
        return _what_changed(node, last, known)
    changed: list[str] = []
    recounted: list[str] = []
    for was, name, reads in zip(last.record.inputs, node.inputs, node.reads, strict=False):
        content = contents[name]
        changed += [f"{name}.{column}" for column in reads if content.columns[column] != was.columns.get(column)]
        if was.rows != content.rows:
            recounted.append(f"{name} has {content.rows:,} rows instead of {was.rows:,}")
    if changed:
        return f"reads {listing(changed)}, which changed"
    if recounted:
        return f"{listing(recounted)}"
    return "its result is not in the store"


def _changed_inputs(node: Node, contents: Mapping[str, Content], last: Product) -> tuple[str, ...]:
    """Return the inputs whose rows or columns, as far as a rule reads them, are others than in its last state."""
    found = []
    for was, name, reads in zip(last.record.inputs, node.inputs, node.reads, strict=False):
        now = contents[name]
        if was.rows != now.rows or any(now.columns[column] != was.columns.get(column) for column in reads):
            found.append(name)
    return tuple(found)


def _new(node: Node, known: Known) -> str:
    if product_of(node.name) != node.name:
        return "new check"
    return new_rule(next((was for was, now in known.renamed.items() if now == node.name), None))


def is_edited(node: Node, last: Product, known: Known) -> bool:
    """Whether a rule means something else than in a product's last state, or the same of other inputs."""
    return not node.is_rule_of(last) or bool(rebound_since(node, last, known))


def rebound_since(node: Node, last: Product, known: Known) -> tuple[tuple[str, str], ...]:
    """Return which inputs a rule reads in place of those that it read in a product's last state."""
    return rebound(version_of(last), node, known.renamed)


def _named_otherwise(node: Node, last: Product, known: Known) -> str:
    """Say which of the inputs that a rule reads as before were called otherwise when it was built."""
    told = [f"{now}, which was called {was}" for was, now in known.renamed.items() if now in node.inputs]
    return f"reads {listing(told)}; " if told and version_of(last).inputs != node.inputs else ""


def _edit(node: Node, last: Product | None, known: Known) -> Edit | None:
    if last is None or not is_edited(node, last, known):
        return None
    before = last.record.parts
    return edit_between(before, node.parts, lambda: known.shape(last), node.shape, lambda: known.script(node, last))


def edits_of(node: Node, last: Product, known: Known) -> tuple[str, ...]:
    """Say in sentences how a rule differs from the one of a product's last state."""
    pairs = rebound_since(node, last, known)
    upgraded = known.shape(last) is None
    return sentences(last.record.parts, node.parts, pairs, lambda: known.describe(node, last), upgraded=upgraded)


def _what_changed(node: Node, last: Product, known: Known) -> str:
    told = edits_of(node, last, known)
    more = f", and {len(told) - 1} more" if len(told) > 1 else ""
    return f"{told[0]}{more}"


def listing(names: Sequence[str], most: int = 3) -> str:
    """Return "a, b and c"; "a, b, c and 4 more"."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
