"""Files in Python → the rules and functions that they declare."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compiler.compiled import Parsed
from rules.errors import FAILED, UserError, Where
from rules.loading.rule import Rule, RuleSet
from rules.loading.tiers import with_tier
from rules.python.faults import fault_record, of_fault

if TYPE_CHECKING:
    from rules.config.profiles import RuntimeProfile
    from rules.config.project import Project
    from rules.loading.product_names import ProductNames


def add_python_rules(
    project: Project, found: RuleSet, path: str, digest: str, names: ProductNames, profile: RuntimeProfile | None
) -> None:
    """Add the rules of a Python file."""
    try:
        declared, functions = found.python.declared(path)
    except UserError as error:
        for name in found.python.known_names(path) or [path]:
            found.add_broken(name, path, digest, error)
        return
    for function in functions:
        other = found.functions.setdefault(function.name, function)
        if (other.file, other.line) != (function.file, function.line) and other.fault is None:
            message = f"two functions are named '{function.name}'"
            facts = {"here": f"{function.file}:{function.line}", "there": f"{other.file}:{other.line}"}
            where = Where(function.file, function.line)
            hint = "rules in SQL call functions by their names; give one another"
            wrong = UserError(message, code="duplicate-name", where=where, facts=facts, hint=hint, exit_code=FAILED)
            found.functions[function.name] = replace(other, fault=fault_record(wrong))
    for one in declared:
        where = Where(path, one.line)
        try:
            name = names.take(one.name, where, "give it another: @rule(name=…)")
        except UserError as error:
            found.add_broken(str(where), path, digest, error)
            names.blame(found.unloaded)
            continue
        # Which variables it asks for is known only when it is called: any of them may matter.
        parsed = Parsed(one.inputs, tuple(sorted(project.variables)))
        if one.fault is not None:
            found.unloaded[name] = of_fault(one.fault)
        options = with_tier(project, profile, path, one.options)
        found.rules[name] = Rule(name, path, one.digest, options, parsed, one.line, one.streams)
