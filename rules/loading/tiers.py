"""Step 1 of 7, load, for determinism tiers: which one a rule has, who says so, and whether the profile can keep it.

The most specific place counts: the rule itself, then the innermost folder that has one in rules.toml, then the profile,
then the project.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

import msgspec

from compiler.compiled import Tier
from rules.config.front_matter import RuleOptions, option_where, read_options
from rules.config.project import Project
from rules.errors import FAILED, UserError, Where

if TYPE_CHECKING:
    from rules.config.profiles import RuntimeProfile
    from rules.loading.rule import Rule


def with_tier(project: Project, profile: RuntimeProfile | None, path: str, options: RuleOptions) -> RuleOptions:
    """Return a rule's options with the tier that it has. path: of its file, relative to the project."""
    if options.tier is not None:
        return options
    declared = [tier for _, tier in _around(project, profile, path) if tier is not None]
    return msgspec.structs.replace(options, tier=declared[0] if declared else 0)


def missing_key(project: Project, profile: RuntimeProfile | None, rule: Rule) -> UserError:
    """Return the error of a rule of tier 2 that has no key, where one has to be added."""
    message, facts = "tier 2 orders the product by its key, and no key is declared", {}
    where, option = tier_where(project, profile, rule), _option(project)
    if where.path != rule.path or (option and read_options(rule.text(project), rule.path).tier is None):
        message = f"{rule.name} has tier 2, which orders it by its key, and no key is declared"
        facts = {"declared": str(where) if where.path != rule.path else option}
        where = Where(rule.path, 1, 1)
    hint = 'add key = ["…"] or order_by = ["…"]'
    return UserError(message, code="missing-key", where=where, facts=facts, hint=hint, exit_code=FAILED)


def tier_where(project: Project, profile: RuntimeProfile | None, rule: Rule) -> Where:
    """Return where the tier of a rule is declared; the rule itself, if that is on the command line."""
    if rule.in_python:
        return Where(rule.path, rule.line)
    text = rule.text(project)
    if read_options(text, rule.path).tier is None:
        for keys, tier in _around(project, profile, rule.path):
            if tier is not None and keys[0] == "profiles" and _option(project):
                return Where(rule.path, 1, 1)
            if tier is not None:
                return project.where(*keys)
    return option_where(text, rule.path, "tier")


def _option(project: Project) -> str:
    """Return the --set that gives the profile its tier, as it was written; "" for none."""
    given = [one for one in project.settings if one.partition("=")[0].strip() == "tier"]
    return f"--set {given[-1]}" if given else ""


def broken_tier(project: Project, profile: RuntimeProfile, rule: Rule) -> UserError | None:
    """Return the error of a rule whose order a profile would break, or that is declared for no purpose."""
    options = rule.options
    if rule.tier is Tier.STABLE and profile.partitions > 1:
        message = (
            f"{rule.name} has tier 1, whose order of rows the {profile.partitions} partitions of profile "
            f"'{profile.name}' would break"
        )
        hint = "run it on one partition (partitions = 1), or order it: tier = 2 with a key or order_by"
        where = tier_where(project, profile, rule)
        return UserError(message, code="tier", where=where, hint=hint, exit_code=FAILED)
    if options.order_by and rule.tier is not Tier.CANONICAL and profile.tier is None:
        message = f"order_by orders products of tier 2, and {rule.name} has tier {rule.tier.value}"
        where = Where(rule.path, rule.line)
        if not rule.in_python:
            where = option_where(rule.text(project), rule.path, "order_by")
        return UserError(message, code="tier", where=where, hint="add tier = 2", exit_code=FAILED)
    return None


def _around(project: Project, profile: RuntimeProfile | None, path: str) -> list[tuple[tuple[str, ...], int | None]]:
    """Return the tiers that are declared around a rule, the nearest first, with their places in rules.toml."""
    folders = {posixpath.normpath(written): written for written in project.folders}
    inner = sorted((one for one in folders if one == "." or path.startswith(f"{one}/")), key=len, reverse=True)
    found: list[tuple[tuple[str, ...], int | None]] = [
        (("folders", folders[one], "tier"), project.folders[folders[one]].tier) for one in inner
    ]
    if profile is not None:
        found.append((("profiles", profile.name, "tier"), profile.tier))
    return [*found, (("project", "tier"), project.tier)]
