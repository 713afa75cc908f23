"""Rules that cannot be read because they are in another dialect: their text in our SQL, as a fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compiler.errors import SqlError
from compiler.lint.check import World
from compiler.lint.codes import OF_ERRORS
from compiler.lint.translated import untranslated
from compiler.parse_rule import parse_rule
from compiler.tree.big_stack import with_deep_stack
from rules.config.front_matter import read_options
from rules.loading.dialects import in_ours, is_ours

if TYPE_CHECKING:
    from collections.abc import Callable

    from compiler.dialects.traced import Traced
    from rules.lint.checking import Checking
    from rules.loading.rule import RuleSet


def translate_unreadable(work: Checking, loaded: RuleSet, resolve: Callable[[str], str | None]) -> None:
    """Give the findings of rules that cannot be read a fix, where they are SQL of the dialect that all comes from."""
    dialect = work.project.policy.from_dialect
    for name, error in loaded.unloaded.items() if dialect is not None else ():
        rule = loaded.rules.get(name)
        if rule is None or not rule.path.endswith(".sql") or OF_ERRORS.get(error.code) not in {"R900", "R901"}:
            continue
        text = rule.text(work.project)
        if is_ours(work.project, rule.path, read_options(text, rule.path)):
            continue
        world = World(
            work.known.schemas,
            resolve,
            (*work.project.sources, *loaded.rules),
            work.project.variables,
            {},
            work.functions,
            dialect,
        )
        source = translation_of(work, world, text, str(dialect))
        if source is not None:
            after = in_ours(source.text, rule.path, declared=True)
            work.worlds.put(rule, world)
            for record in work.records[rule.path]["found"]:
                said = f"write it in our SQL, as rules translate --from {dialect} does"
                record["fix"] = [said, [[0, len(text), after]], True]


def translation_of(work: Checking, world: World, text: str, dialect: str) -> Traced | None:
    """Return a text of another dialect in our SQL; None where any of it has no counterpart, or is not known."""
    try:
        tables = parse_rule(text, dialect).tables
    except SqlError:
        return None
    for table in tables:
        name = world.resolve(table) if world.resolve is not None else None
        if name in work.project.sources and name not in work.known.schemas.known:
            work.known.add_source(name)
    return with_deep_stack(lambda: untranslated(text, world, dialect))[0]
