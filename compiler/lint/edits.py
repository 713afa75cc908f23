"""Fixes: edits applied to a text, and the proof that the rule's meaning is unchanged."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp
from sqlglot.errors import SqlglotError

from compiler.canonical.form import canonical
from compiler.errors import SqlError
from compiler.fingerprint import digest_of
from compiler.lint.check import World
from compiler.lint.findings import Edit, Found
from compiler.names.qualify import pruned, qualified
from compiler.names.resolve import bind_tables, bind_variables, fold, outside_tables
from compiler.sql.dialect import parse
from compiler.sql.encode import encode
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.nesting import is_huge
from compiler.tree.walk import find_all
from compiler.variables import literal


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with the edits applied; of two that overlap, only the first."""
    parts: list[str] = []
    position = 0
    for edit in sorted(set(edits), key=lambda one: (one.start, one.end)):
        if edit.start >= position:
            parts += [text[position : edit.start], edit.text]
            position = edit.end
    return "".join([*parts, text[position:]])


def fixed(text: str, found: Iterable[Found], world: World) -> tuple[str, list[Found]]:
    """Return the text with the fixes of these findings, and the findings whose fix would change its meaning.

    Each fix should change no meaning, but that is verified. If all of them together change it, they are tried code
    by code, then one by one.
    """
    fixes = [one for one in found if one.fix is not None]
    translations = [one for one in fixes if one.fix is not None and one.fix.translates]
    if translations:  # what keeps the meaning comes in the next round, when there is one to keep
        text, written = _translated(text, translations)
        return text, [one for one in fixes if one not in written]
    before = _meaning(text, world)
    current, refused = text, []
    if before is not None and fixes and _meaning(_with(text, fixes), world) == before:
        return _with(text, fixes), []
    kept: list[Found] = []
    for code in dict.fromkeys(one.code for one in fixes):
        group = [one for one in fixes if one.code == code]
        if before is not None and _meaning(_with(text, [*kept, *group]), world) == before:
            kept += group
            continue
        for one in group if len(group) <= _ONE_BY_ONE else []:
            if before is not None and _meaning(_with(text, [*kept, one]), world) == before:
                kept.append(one)
    refused = [one for one in fixes if one not in kept]
    current = _with(text, kept)
    return current, refused


def _translated(text: str, found: list[Found]) -> tuple[str, list[Found]]:
    """Return the text with what it meant in another dialect, and the findings whose fix is in it.

    Of fixes within one another the outer comes first, the inner in the next round. One after which the text cannot be
    read is left out.
    """
    kept: list[Found] = []
    end = 0
    for one in sorted(found, key=lambda each: min(edit.start for edit in _edits(each))):
        if min(edit.start for edit in _edits(one)) >= end:
            kept.append(one)
            end = max(edit.end for edit in _edits(one)) or end
    if _is_readable(_with(text, kept)):
        return _with(text, kept), kept
    sound: list[Found] = []
    for one in kept[:_ONE_BY_ONE]:
        if _is_readable(_with(text, [*sound, one])):
            sound.append(one)
    return _with(text, sound), sound


def _edits(one: Found) -> tuple[Edit, ...]:
    return one.fix.edits if one.fix is not None else ()


def _is_readable(text: str) -> bool:
    try:
        with_deep_stack(lambda: parse(text))
    except SqlError:
        return False
    return True


_ONE_BY_ONE = 50


def _with(text: str, found: Iterable[Found]) -> str:
    return apply(text, [edit for one in found if one.fix is not None for edit in one.fix.edits])


def _meaning(text: str, world: World) -> str | None:
    """Return a value that is equal for texts of equal meaning; None for a text that has none."""

    def work() -> str:
        query = parse(text)
        outside = outside_tables(query)
        names = [world.resolve(fold(table.this)) if world.resolve is not None else None for table in outside]
        if is_huge(query) or any(name is None or name not in world.schemas.known for name in names):
            return _unqualified(query)
        assert world.resolve is not None
        bind_tables(query, world.resolve, ())
        bound = bind_variables(query, {name: literal(value) for name, value in (world.variables or {}).items()})
        assert isinstance(bound, exp.Query)
        executed = pruned(qualified(bound, world.schemas))
        outputs = executed.named_selects
        tree, inputs = canonical(executed, world.schemas.known)
        return f"{digest_of(encode(tree))} {inputs} {outputs}"

    try:
        return with_deep_stack(work)
    except SqlError as error:
        # It compiles neither before nor after: then texts that differ only in qualifiers mean the same.
        return _as_tree(text) if error.code in _RESOLUTION else None
    except (SqlglotError, RecursionError, KeyError):
        return None


_RESOLUTION = frozenset({"unknown-column", "ambiguous-column", "unknown-table", "unnamed-column", "duplicate-column"})


def _as_tree(text: str) -> str:
    return with_deep_stack(lambda: _unqualified(parse(text)))


def _unqualified(query: exp.Query) -> str:
    """Return the query without qualifiers of its columns: as much as can be compared if schemas are missing."""
    for column in find_all(query, exp.Column):
        for part in ("table", "db", "catalog"):
            column.set(part, None)
    return query.sql(normalize=False, comments=False)
