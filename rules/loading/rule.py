"""A rule as its file says it, its checks, and all rules of a project: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cache.filedigest import file_digest
from compiler.compiled import Parsed, Tier
from rules.config.front_matter import RuleOptions
from rules.errors import FAILED, UserError, Where
from rules.files.project_paths import FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.config.project import Project
    from rules.loading.check_queries import Draft
    from rules.python.rule_files import DeclaredFunction, PythonFiles


@dataclass(frozen=True)
class Rule:
    """A rule as its file says it, its contract as rules.toml says it too.

    path: relative to the project, "/" between folders. digest: of the file's bytes; of a rule in Python, also of all
    that the file imports from the project. line: the line of the function of a rule in Python. streams: what it
    declares if it runs over streams. sql: of a check, which has no file of its own; "" of the contract of a source.
    """

    name: str
    path: str
    digest: str
    options: RuleOptions
    parsed: Parsed
    line: int | None = None
    streams: Mapping[str, Any] | None = None
    checks: tuple[Check, ...] = ()
    sql: str | None = None

    @property
    def in_python(self) -> bool:
        """Whether the rule is a function."""
        return self.sql is None and self.path.endswith(".py")

    @property
    def tier(self) -> Tier:
        """The determinism tier that the rule has."""
        return Tier(self.options.tier or 0)

    @property
    def is_of_source(self) -> bool:
        """Whether this is the contract of a source, which has no query, or a check of one."""
        return self.path == FILE

    @property
    def all(self) -> tuple[Rule, ...]:
        """The rule and its checks."""
        return self, *(check.rule for check in self.checks)

    def text(self, project: Project) -> str:
        """Read the rule's text. Raises `UserError` if it is no longer the one that was digested."""
        return text_of(project, self.path, self.digest) if self.sql is None else self.sql


@dataclass(frozen=True)
class Check:
    """A data check of a product or source: a rule, called "product.title", that yields the failing rows."""

    rule: Rule
    draft: Draft

    @property
    def gates(self) -> bool:
        """Whether the product is not published, or nothing reads the source, while the check fails."""
        return self.draft.severity == "error"


@dataclass(frozen=True)
class RuleSet:
    """The rules of a project, by name.

    unloaded: what is wrong with rules that cannot be parsed or imported, and with names that two tables claim. They are
    in `rules` by name alone, so that their readers are known from those of tables that do not exist; one that can have
    no name, by its place.
    """

    rules: dict[str, Rule]
    unloaded: dict[str, UserError]
    python: PythonFiles
    functions: dict[str, DeclaredFunction]

    def add_broken(self, name: str, path: str, digest: str, error: UserError) -> None:
        """Add a rule of which only the error is known."""
        self.unloaded[name] = error
        self.rules[name] = Rule(name, path, digest, RuleOptions(), Parsed((), ()))


def options_record(rule: Rule) -> list[object]:
    """Return the options of a rule that its compilation depends on, for keys of memos."""
    options = rule.options
    more: list[object] = [one for one in (options.order_by, options.normalize) if one]
    more += [["dialect", options.dialect]] if options.dialect is not None else []
    return [options.volatile, options.tier or 0, options.key, *more]


def text_of(project: Project, path: str, digest: str) -> str:
    """Read a rule file. What is made of it is remembered by its digest, so it must still be what was digested."""
    text = project.text(path)
    if path in project.unsaved:
        return text
    if file_digest(project.root / path) != digest:
        message = f"{path} changed while it was read"
        raise UserError(message, code="rule-changed", where=Where(path), hint="run the command again", exit_code=FAILED)
    return text
