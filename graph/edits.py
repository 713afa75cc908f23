"""The differences between the rules of two versions of a project: class of edit, columns, sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from graph.impact import Class, Edit, classify

if TYPE_CHECKING:
    from cache.records import Product
    from compiler.analysis.shape_digests import Shape
    from compiler.diff.edit_script import EditScript

PARTS: Mapping[str, str] = {
    "execution": "an earlier version of rules could compute a wrong table",
    "query": "the query changed",
    "functions": "a Python function that it calls changed",
    "columns": "the output columns changed",
    "tier": "the determinism tier changed",
    "key": "the key it is ordered by changed",
    "volatile": "the volatile option changed",
    "engine": "the engine's version changed",
    "settings": "engine settings that can change its result changed",
    "normalize": "the normal form of its predicates changed, and with it the order in which joins may yield rows",
}
"""Part of a fingerprint → the sentence if it changed."""


@dataclass(frozen=True)
class Version:
    """A rule in one version of the project."""

    fingerprint: str
    inputs: tuple[str, ...]
    parts: Mapping[str, Any]
    shape: Shape | None
    """None if this version of the compiler does not know it."""
    text: str
    """The digest of the rule's file."""
    formerly: str = ""
    """Another fingerprint of the same meaning, from before an upgrade."""


def version_of(last: Product, shape: Shape | None = None) -> Version:
    """Return the rule of a product's last state. shape: the rule's shape, if known."""
    record = last.record
    inputs = tuple(one.name for one in record.inputs)
    return Version(last.fingerprint, inputs, record.parts, shape, record.text)


@dataclass(frozen=True)
class RuleEdit:
    """The difference of one rule between two versions."""

    name: str
    reaches: Class | Literal["new", "removed"]
    """The class of the edit."""
    columns: frozenset[str]
    """The output columns that it changes."""
    sentences: tuple[str, ...]
    renamed: bool = False
    """Whether a new or removed rule is one that has another name now."""
    edit: Edit | None = field(default=None, compare=False)
    """The edit from which the class was decided."""

    @property
    def means_the_same(self) -> bool:
        """Whether only the rule's text differs."""
        return self.reaches == "cosmetic"


def sentences(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    pairs: Sequence[tuple[str, str]],
    describe: Callable[[], Sequence[str]],
    *,
    upgraded: bool,
) -> tuple[str, ...]:
    """Say what differs between the parts of two fingerprints; `describe` is asked about queries.

    pairs: the inputs that the same query reads instead of others, see `rebound`. upgraded: whether another version of
    the compiler made the earlier parts. If not, it is the edit that requires other corrections.
    """
    changed = [part for part in PARTS if before.get(part) != after.get(part)]
    lines = [f"FROM: {', '.join(f'{was} → {now}' for was, now in pairs)}"] if pairs else []
    for part in changed:
        if part == "query":
            lines += describe() or (PARTS[part],)
        elif part == "execution":
            lines += [_corrected(before[part], after[part])] if upgraded or "query" not in changed else []
        elif part == "engine" and (moved := _moved(before.get(part), after.get(part))):
            lines.append(moved)
        elif part == "settings" and _moved(before.get("engine"), after.get("engine")):
            continue  # each engine has its own
        elif part != "columns" or "query" not in changed:
            lines.append(PARTS[part])
    return tuple(lines) or ("the compiler's canonical form changed",)


def edit_between(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    shape_before: Callable[[], Shape | None],
    shape: Shape,
    script: Callable[[], EditScript | None],
) -> Edit:
    """Return the reach of an edit, from the parts of two fingerprints: everything if more than the query changed.

    script: the places where the query was edited. Equal parts are those of a rule that reads other inputs.
    """
    last = shape_before()
    changed = {part for part in PARTS if before.get(part) != after.get(part)} - {"columns"}
    if last is not None and "query" in changed:
        changed.discard("execution")  # by this version: the edited query requires other corrections
    options = tuple(part for part in PARTS if part in changed - {"query"})
    same_query = "query" not in changed and bool(options)
    return classify(last, shape, None if same_query else script(), options)


def _moved(before: object, after: object) -> str | None:
    """Say that a rule runs on another engine, given the engines as fingerprints have them; None for the same one."""
    was, now = (str(one).split(",", 1)[0] for one in (before, after))
    return f"it runs on {now} instead of {was}" if was.split()[0] != now.split()[0] else None


def _corrected(before: object, after: object) -> str:
    """Say what is computed differently since an upgrade, by the names in `compiler.engine_sql.corrections`."""
    known = before[1:] if isinstance(before, list) else []
    names = [name.replace("-", " ") for name in after[1:] if name not in known] if isinstance(after, list) else []
    return f"{PARTS['execution']} ({', '.join(names)})" if names else PARTS["execution"]


def rebound(before: Bound, after: Bound, renamed: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return which inputs a query reads instead of which others, matched by their positions.

    () for two queries that are not identical. renamed: products that have another name now, which
    are not other tables.
    """
    if before.parts.get("query") != after.parts.get("query"):
        return ()
    pairs = zip(before.inputs, after.inputs, strict=True)
    return tuple(dict.fromkeys((was, now) for was, now in pairs if renamed.get(was, was) != now))


class Bound(Protocol):
    """A query with its inputs: the meaning of a rule, whatever the name of its product."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, by position."""

    @property
    def parts(self) -> Mapping[str, Any]:
        """The parts that the fingerprint covers."""

    @property
    def formerly(self) -> str:
        """An earlier fingerprint of the same meaning, from before an upgrade, or ""."""


def compare(
    before: Mapping[str, Version],
    after: Mapping[str, Version],
    describe: Callable[[str, Mapping[str, str]], Sequence[str]],
    script: Callable[[str, Mapping[str, str]], EditScript | None],
) -> list[RuleEdit]:
    """Return the rules that differ, in the order of `after` (inputs first), then the removed ones.

    describe: how the query of a rule in both versions was edited, script: where; both get the old names of products
    with their new ones. A renamed product is new under one name and removed under the other;
    the meaning of its readers is unchanged.
    """
    gone = {name: version for name, version in before.items() if name not in after}
    renamed = renamed_rules(gone, {name: version for name, version in after.items() if name not in before})
    edits: list[RuleEdit] = []
    for name, now in after.items():
        old = before.get(name)
        if old is None:
            origin = next((was for was, is_now in renamed.items() if is_now == name), None)
            edits.append(RuleEdit(name, "new", _columns(now), (new_rule(origin),), renamed=origin is not None))
        else:
            edit = _edit(name, old, now, renamed, describe, script)
            if edit is not None:
                edits.append(edit)
    for name in sorted(gone):
        lines = f"removed; it is now called {renamed[name]}" if name in renamed else "removed"
        edits.append(RuleEdit(name, "removed", _columns(before[name]), (lines,), renamed=name in renamed))
    return edits


def new_rule(origin: str | None) -> str:
    """Say that a rule's product was never built under this name. origin: its earlier name."""
    return f"new rule, with the meaning that {origin} had" if origin is not None else "new rule"


def renamed_rules(gone: Mapping[str, Bound], come: Mapping[str, Bound]) -> dict[str, str]:
    """Return old name → new name of the products of which only the name changed.

    gone: removed products; come: new products, inputs first.
    """
    renamed: dict[str, str] = {}
    for name, version in come.items():
        for old, was in sorted(gone.items()):
            same_inputs = tuple(renamed.get(entry, entry) for entry in was.inputs) == version.inputs
            if old not in renamed and was.fingerprint in (version.fingerprint, version.formerly) and same_inputs:
                renamed[old] = name
                break
    return renamed


def _edit(
    name: str,
    old: Version,
    now: Version,
    renamed: Mapping[str, str],
    describe: Callable[[str, Mapping[str, str]], Sequence[str]],
    script: Callable[[str, Mapping[str, str]], EditScript | None],
) -> RuleEdit | None:
    pairs = rebound(old, now, renamed)
    if old.fingerprint in (now.fingerprint, now.formerly) and not pairs:
        return RuleEdit(name, "cosmetic", frozenset(), ()) if old.text != now.text else None
    lines = sentences(old.parts, now.parts, pairs, lambda: describe(name, renamed), upgraded=old.shape is None)
    assert now.shape is not None
    edit = edit_between(old.parts, now.parts, lambda: old.shape, now.shape, lambda: script(name, renamed))
    return RuleEdit(name, edit.reaches, edit.columns, lines, edit=edit)


def _columns(version: Version) -> frozenset[str]:
    return frozenset(version.shape.columns) if version.shape is not None else frozenset()
