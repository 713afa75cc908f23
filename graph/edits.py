"""What differs between the rules of two versions of a project: which class of edit, which columns, in which words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from graph.impact import Class, Edit, classify

if TYPE_CHECKING:
    from compiler.shape import Shape

PARTS: Mapping[str, str] = {
    "execution": "a version of rules before this one could compute a wrong table",
    "query": "the query changed",
    "functions": "a Python function that it calls changed",
    "columns": "the output columns changed",
    "tier": "the determinism tier changed",
    "key": "the key it is ordered by changed",
    "volatile": "the volatile option changed",
    "engine": "the engine's version changed",
    "settings": "engine settings that can change its result changed",
}
"""The parts of a fingerprint, and what is said of one that changed."""


@dataclass(frozen=True)
class Version:
    """A rule as one version of the project has it.

    shape: None where this version of the compiler does not know it. text: digest of the rule's file. formerly: another
    fingerprint that means the same, from before an upgrade.
    """

    fingerprint: str
    inputs: tuple[str, ...]
    parts: Mapping[str, Any]
    shape: Shape | None
    text: str
    formerly: str = ""


@dataclass(frozen=True)
class RuleEdit:
    """How one rule differs between two versions: its class, the output columns that this changes, and sentences.

    renamed: whether a new or removed rule is one that has another name now.
    """

    name: str
    reaches: Class | Literal["new", "removed"]
    columns: frozenset[str]
    sentences: tuple[str, ...]
    renamed: bool = False

    @property
    def means_the_same(self) -> bool:
        """Whether only its text differs."""
        return self.reaches == "cosmetic"


def sentences(
    before: Mapping[str, Any], after: Mapping[str, Any], describe: Callable[[], Sequence[str]]
) -> tuple[str, ...]:
    """Say what differs between the parts of two fingerprints; `describe` is asked about queries."""
    changed = [part for part in PARTS if before.get(part) != after.get(part)]
    told: list[str] = []
    for part in changed:
        if part == "query":
            told += describe() or (PARTS[part],)
        elif part != "columns" or "query" not in changed:
            told.append(PARTS[part])
    return tuple(told) or ("the compiler's canonical form changed",)


def edit_between(
    before: Mapping[str, Any], after: Mapping[str, Any], shape_before: Callable[[], Shape | None], shape: Shape
) -> Edit:
    """Return what an edit reaches, from the parts of two fingerprints; more than the query reaches everything."""
    options = (before.keys() | after.keys()) - {"query", "columns"}
    same = all(before.get(part) == after.get(part) for part in options)
    return classify(shape_before() if same else None, shape)


def compare(
    before: Mapping[str, Version],
    after: Mapping[str, Version],
    describe: Callable[[str], Sequence[str]],
) -> list[RuleEdit]:
    """Return the rules that differ, in the order of `after` (inputs first), then those that it no longer has.

    describe: how the query of a rule that both have was edited. A product that was renamed is new under one name and
    removed under the other; those that read it still mean what they meant.
    """
    renamed = _renamed(before, after)
    edits: list[RuleEdit] = []
    for name, now in after.items():
        old = before.get(name)
        if old is None:
            origin = next((was for was, is_now in renamed.items() if is_now == name), None)
            told = f"new rule, which means what {origin} meant" if origin is not None else "new rule"
            edits.append(RuleEdit(name, "new", _columns(now), (told,), renamed=origin is not None))
        else:
            edit = _edit(name, old, now, renamed, describe)
            if edit is not None:
                edits.append(edit)
    for name in sorted(before.keys() - after.keys()):
        told = f"removed; it is called {renamed[name]} now" if name in renamed else "removed"
        edits.append(RuleEdit(name, "removed", _columns(before[name]), (told,), renamed=name in renamed))
    return edits


def _edit(
    name: str, old: Version, now: Version, renamed: Mapping[str, str], describe: Callable[[str], Sequence[str]]
) -> RuleEdit | None:
    if old.fingerprint in (now.fingerprint, now.formerly):
        if tuple(renamed.get(entry, entry) for entry in old.inputs) == now.inputs:
            return RuleEdit(name, "cosmetic", frozenset(), ()) if old.text != now.text else None
        swapped = [
            f"reads {is_now} in place of {was}"
            for was, is_now in zip(old.inputs, now.inputs, strict=False)
            if renamed.get(was, was) != is_now
        ]
        return RuleEdit(name, "row", _columns(now) | _columns(old), tuple(swapped))
    assert now.shape is not None
    edit = edit_between(old.parts, now.parts, lambda: old.shape, now.shape)
    told = sentences(old.parts, now.parts, lambda: describe(name))
    return RuleEdit(name, edit.reaches, edit.columns, told)


def _renamed(before: Mapping[str, Version], after: Mapping[str, Version]) -> dict[str, str]:
    """Return old name → new name of the products that were given another name and nothing else."""
    gone = {name: version for name, version in sorted(before.items()) if name not in after}
    renamed: dict[str, str] = {}
    for name, version in after.items():
        if name in before:
            continue
        for old, was in gone.items():
            same_inputs = tuple(renamed.get(entry, entry) for entry in was.inputs) == version.inputs
            if old not in renamed and was.fingerprint in (version.fingerprint, version.formerly) and same_inputs:
                renamed[old] = name
                break
    return renamed


def _columns(version: Version) -> frozenset[str]:
    return frozenset(version.shape.columns) if version.shape is not None else frozenset()
