"""Step 5 of 7, plan: a verdict with a reason for each product. Pure: decides from facts, executes nothing.

`judge` decides about one product from known facts about its inputs. `make_plan` asks it for all of them before anything
ran, so some inputs are known only in part: the columns that a run will not change. The build asks it again, product by
product, when they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from cache.keys import Content, action_key
from cache.records import Product
from graph.edits import edit_between, new_rule, rebound, sentences, version_of
from graph.impact import Edit, input_changes, stable_columns
from graph.node import Node

if TYPE_CHECKING:
    from compiler.analysis.shape_digests import Shape
    from compiler.diff.edit_script import EditScript

Verdict = Literal["clean", "restore", "run", "maybe", "failed", "skipped"]
"""The last two are for rules that are not planned: one that does not compile, and the readers of one."""


@dataclass(frozen=True)
class Judgement:
    """The verdict on one product."""

    name: str
    verdict: Verdict
    reason: str
    """One sentence."""
    key: str | None = None
    """The action key, if known."""
    artifact: str | None = None
    """The artifact to restore or keep."""
    edit: Edit | None = None
    """How the rule was edited since its last state; None if it is new, or has the same meaning and inputs."""
    changed: tuple[str, ...] = ()
    """The inputs that changed, in parts that the rule reads, if that is the reason."""


class Clean(NamedTuple):
    """The verdict on an unchanged product, with all that it follows from while no product has another name."""

    node: Node
    last: Product
    contents: tuple[Content, ...]
    """Of the inputs, by position."""
    judgement: Judgement
    content: Content | None = None
    """Of its artifact; None before a plan has asked for it, and of checks, whose rows nothing reads."""

    def still(self, node: Node, last: Product | None, contents: Mapping[str, Content]) -> bool:
        """Whether it follows again."""
        same = node is self.node and last is self.last
        return same and all(contents[name] == was for name, was in zip(node.inputs, self.contents, strict=True))


@dataclass(frozen=True)
class Known:
    """The results of earlier builds."""

    products: Mapping[str, Product]
    """The last state of each product."""
    action: Callable[[str], str | None]
    """Action key → artifact."""
    present: Callable[[str], bool]
    """Whether an artifact is in the store."""
    shape: Callable[[Product], Shape | None]
    """The shape of the rule in a last state; None if this version of the compiler does not know it."""
    describe: Callable[[Node, Product], Sequence[str]]
    """How the query of a rule was edited since, in sentences."""
    script: Callable[[Node, Product], EditScript | None]
    """Where it was edited; None if that is not known."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Old name → new name of products that no longer exist under the old one."""
    of_others: Callable[[str], bool] = lambda _: False
    """Whether an artifact was found in the shared cache, and not in the store."""
    clean: dict[str, Clean] = field(default_factory=dict)
    """The products and checks that an earlier plan of this process found unchanged; this plan adds its own."""
    in_place: Collection[str] = ()
    """Artifacts of these that were found to be in the store when planning began."""


@dataclass(frozen=True)
class Plan:
    """The verdicts on products, before anything ran."""

    judgements: Mapping[str, Judgement]
    """Verdicts by product, in the order in which they can be built."""
    foreseen: Mapping[str, Content]
    """The final content of each input and product, as far as it is known."""
    movable: frozenset[str]
    """The products whose rows may then be in another order."""
    checks: Mapping[str, Judgement] = field(default_factory=dict)
    """Verdicts on the products' checks, by the names of checks."""

    @property
    def skipped(self) -> dict[str, str]:
        """The products that need no run, and the artifact of each."""
        return _skipped(self.judgements)

    @property
    def skipped_checks(self) -> dict[str, str]:
        """The checks that need no run, and the artifact of each."""
        return _skipped(self.checks)

    @property
    def ahead(self) -> list[str]:
        """The products that are not clean, in the order in which they can be built."""
        return [name for name, judgement in self.judgements.items() if judgement.verdict != "clean"]

    @property
    def summary(self) -> dict[str, int]:
        """The number of products by verdict."""
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
    """Judge `nodes` (in order), then `checks`, which nothing reads. Forcing a product forces its checks too.

    `contents` holds the known contents of inputs outside the plan: sources, and products that are not selected.

    `content_of` returns the content of an artifact.
    """
    settled = dict(contents)
    running: set[str] = set()
    movable: set[str] = set()
    judgements: dict[str, Judgement] = {}
    for name, node in nodes.items():
        same = _unmoved(node, settled, running, known) if name not in forced else None
        if same is not None and same.content is not None:
            judgements[name], settled[name] = same.judgement, same.content
            continue
        judgement = _foresee(node, settled, running, movable, known, forced=name in forced)
        judgements[name] = judgement
        if judgement.verdict in {"clean", "restore"} and judgement.artifact is not None:
            settled[name] = content_of(judgement.artifact)
            clean = known.clean.get(name)
            if clean is not None and clean.judgement is judgement and clean.content is not settled[name]:
                known.clean[name] = clean._replace(content=settled[name])
        else:
            running.add(name)
            if not node.keeps_order or not movable.isdisjoint(node.inputs):
                movable.add(name)
            remaining = _remaining(node, judgement, settled, known, content_of)
            if remaining is not None:
                settled[name] = remaining
    of_checks: dict[str, Judgement] = {}
    for name, node in (checks or {}).items():
        is_forced = product_of(name) in forced
        same = _unmoved(node, settled, running, known) if not is_forced else None
        of_checks[name] = same.judgement if same else _foresee(node, settled, running, movable, known, forced=is_forced)
    return Plan(judgements, settled, frozenset(movable), of_checks)


def _unmoved(node: Node, settled: Mapping[str, Content], running: set[str], known: Known) -> Clean | None:
    """Return what an earlier plan of this process found, if all that it follows from is the very same.

    `_foresee` would return the same, and takes longer: after an edit most products of a project are unmoved.
    """
    clean = known.clean.get(node.name)
    if clean is None or known.renamed or clean.node is not node:
        return None
    if clean.last is not known.products.get(node.name) or (running and not running.isdisjoint(node.inputs)):
        return None
    for name, was in zip(node.inputs, clean.contents, strict=True):
        if settled.get(name) is not was:
            return None
    artifact = clean.last.artifact
    return clean if artifact in known.in_place or known.present(artifact) else None


def product_of(name: str) -> str:
    """Return the product of a check named "product.title"; a product's own name is returned as it is."""
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
    """Judge a product some of whose inputs will, or may, run first; `settled` has their parts that stay the same.

    movable: the running inputs whose rows may then come in another order.
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
    # A result under a key other than the last state's would run if the rows came in another order.
    return replace(judgement, verdict="maybe", artifact=None)


def _remaining(
    node: Node,
    judgement: Judgement,
    settled: Mapping[str, Content],
    known: Known,
    content_of: Callable[[str], Content],
) -> Content | None:
    """Return the content that a product keeps through a run: the columns that the run leaves as they are."""
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
    """Decide about one product. `waiting` names the inputs of which it reads parts that are not known yet."""
    last = known.products.get(node.name)
    if forced:
        key = key_of(node, contents) if not waiting else None
        return Judgement(node.name, "run", "asked for with --force", key, edit=_edit(node, last, known))
    if node.volatile:
        key = key_of(node, contents) if not waiting else None
        return Judgement(node.name, "run", "declared volatile, so it runs in every build", key)
    if waiting and any(name in waiting for name in node.inputs):
        return _undecided(node, last, waiting, known)
    return _still_clean(node, contents, last, known) or _decided(node, contents, last, known)


def _still_clean(node: Node, contents: Mapping[str, Content], last: Product | None, known: Known) -> Judgement | None:
    """Return the verdict of an earlier plan of this process, if it follows again."""
    clean = known.clean.get(node.name) if not known.renamed else None
    if clean is None or not clean.still(node, last, contents) or not known.present(clean.last.artifact):
        return None
    known.clean[node.name] = clean._replace(contents=tuple(contents[name] for name in node.inputs))
    return clean.judgement


def _decided(node: Node, contents: Mapping[str, Content], last: Product | None, known: Known) -> Judgement:
    """Judge a product that can be judged by its action key."""
    key = key_of(node, contents)
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
            reason = f"{_what_changed(node, last, known)}, but it reads the same data there as before"
        else:
            reason = f"{_named_otherwise(node, last, known)}the rule and everything it reads are unchanged"
        judgement = Judgement(node.name, "clean", reason, key, artifact, edit)
        if last.key == key and edit is None and not known.renamed:
            known.clean[node.name] = Clean(node, last, tuple(contents[name] for name in node.inputs), judgement)
        return judgement
    why = _why(node, contents, last, known)
    who = "another builder" if known.of_others(artifact) else "an earlier build"
    return Judgement(node.name, "restore", f"{why}; {who} computed the same", key, artifact, edit, changed)


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


def key_of(node: Node, contents: Mapping[str, Content]) -> str:
    """Return the action key of a product whose inputs have these contents."""
    pairs = zip(node.inputs, node.reads, strict=True)
    return action_key(node.fingerprint, [contents[name].restricted(columns) for name, columns in pairs])


def _reads_hold(last: Product, contents: Mapping[str, Content]) -> bool:
    """Whether everything that a product read when it was computed is unchanged, judged by its read sets then."""
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
    """Return the inputs whose rows or columns, as far as a rule reads them, differ from its last state."""
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
    """Whether a rule's meaning differs from the product's last state, or is the same with other inputs."""
    return not node.is_rule_of(last) or bool(rebound_since(node, last, known))


def rebound_since(node: Node, last: Product, known: Known) -> tuple[tuple[str, str], ...]:
    """Return which inputs a rule reads instead of those that it read in a product's last state."""
    return rebound(version_of(last), node, known.renamed)


def _named_otherwise(node: Node, last: Product, known: Known) -> str:
    """Say which of the inputs that a rule still reads had another name when it was built."""
    renamed = [f"{now}, which was called {was}" for was, now in known.renamed.items() if now in node.inputs]
    return f"reads {listing(renamed)}; " if renamed and version_of(last).inputs != node.inputs else ""


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
    edits = edits_of(node, last, known)
    more = f", and {len(edits) - 1} more" if len(edits) > 1 else ""
    return f"{edits[0]}{more}"


def listing(names: Sequence[str], most: int = 3) -> str:
    """Return "a, b and c"; "a, b, c and 4 more"."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
