"""What edits can change of what the last check found, for `rules check` in a project that is else as it was.

As `rules.compiling.reach` does for builds: the edited rules, and all that read them or refer to them, are looked at
again; of all others the findings are those of the last check, and their columns are remembered under the same keys.
The whole project is looked at where more may be concerned: where rules.toml has findings that come from elsewhere, a
source could not be opened, two files claim one name, a rule is in Python or calls the project's functions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from cache.signatures import Signature
from rules.compiling.reach import BeyondReach, few_readers
from rules.files.file_digests import FileDigests
from rules.files.project_paths import FILE
from rules.lint.static_contracts import referred
from rules.loading.product_names import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rules.config.project import Project
    from rules.errors import UserError
    from rules.lint.checking import Checking
    from rules.loading.rule import Rule, RuleSet
    from rules.storage.store import Store

_OF_NAMES = frozenset({"rule-name", "duplicate-name"})
"""The codes of errors that concern the name of a file, and so perhaps other files of that name."""


class Known(NamedTuple):
    """What a check that does not look at a rule, or at the contract of a source, has to know of it.

    path: of its file. memo: the key under which the index has what was found in it, "" if nothing is known of its
    columns, None for one in Python. key: its own, None if the rule cannot be loaded. reads: the products and sources
    that it and its checks read. refers: those that its contract refers to. variables: those that it and its checks use.
    """

    path: str
    memo: str | None
    key: Sequence[str] | None
    reads: Sequence[str]
    refers: Sequence[str]
    variables: Sequence[str]

    @classmethod
    def of(cls, rule: Rule, sound: Collection[str], resolve: Callable[[str], str | None]) -> Known:
        """Return what is known of a rule before it is looked at.

        sound: the names of the rules that could be loaded. resolve: from a name as written to the project's.
        """

        def names(tables: Iterable[str]) -> list[str]:
            return sorted({name for table in tables if (name := resolve(table)) is not None})

        reads = names(table for one in rule.all for table in one.parsed.tables)
        variables = sorted({name for one in rule.all for name in one.parsed.variables})
        key = list(rule.options.key) if rule.name in sound else None
        return cls(rule.path, None, key, reads, names(referred(rule).values()), variables)

    def with_memo(self, memo: str | None) -> Known:
        """Return the same of a rule under whose key something was found; None for one that was not looked at."""
        if memo is None and self.memo is None and self.path.endswith(".sql"):
            memo = ""
        return self if memo is None else self._replace(memo=memo)


@dataclass(frozen=True)
class CheckReach:
    """The rules in SQL whose findings edits can change, and what is known of all others.

    before: the state that the last check left, see `rules.snapshots`. edited: the files of the edited rules. paths: the
    files of all rules that are to be looked at. rules: of all rules and contracts of sources, by name. reached: the
    names of those to be looked at.
    """

    before: Mapping[str, Any]
    edited: tuple[str, ...]
    paths: tuple[str, ...]
    rules: Mapping[str, Known]
    reached: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """Every source and product, in the project's order."""
        return tuple(self.before["known"]["names"])

    @property
    def functions(self) -> Mapping[str, str]:
        """The digests of the functions of the project, by name."""
        found: Mapping[str, str] = self.before["known"]["functions"]
        return found

    @cached_property
    def others(self) -> dict[str, Known]:
        """What is known of the rules and contracts that are not looked at."""
        return {name: one for name, one in self.rules.items() if name not in self.reached}

    @property
    def keys(self) -> dict[str, tuple[str, ...]]:
        """The keys of the rules that are not looked at."""
        return {name: tuple(one.key) for name, one in self.others.items() if one.key is not None}

    @property
    def wrong(self) -> list[str]:
        """The rules and contracts that are not looked at, and that could not be loaded."""
        return [name for name in self.before["known"]["wrong"] if name not in self.reached]

    def files(self, store: Store, project: Project) -> FileDigests:
        """Return digests of the project's files, of which the last check has seen all, with the rule files to load."""
        known = {path: (Signature(*taken), digest) for path, *taken, digest in self.before["files"]}
        found = FileDigests(project.root, store.index, known)
        found.only = [*self.paths]
        return found

    def require_enough(
        self,
        project: Project,
        loaded: RuleSet,
        rules: Iterable[Rule],
        now: Mapping[str, Known],
        circles: Collection[str],
    ) -> None:
        """Raise `BeyondReach` where what the rules are by now concerns more than these.

        They must call no function of the project, and the sources that are read must be the same as before: others are
        a matter of rules.toml, too. The text of one that cannot be read may be in another dialect, so that its sources
        are found out elsewhere. now: what is known of the rules, by name. circles: where they read one another.
        """
        if circles or (loaded.unloaded and project.policy.from_dialect is not None):
            raise BeyondReach(FILE)
        for rule in rules:
            if any(not self.functions.keys().isdisjoint(one.parsed.functions) for one in rule.all):
                raise BeyondReach(rule.name)
        if _tables(self.rules) & project.sources.keys() != _tables({**self.others, **now}) & project.sources.keys():
            raise BeyondReach(FILE)

    def let_be_read(self, work: Checking, rules: Iterable[Rule], resolve: Callable[[str], str | None]) -> None:
        """Make the columns known of those products that rules read and that are not looked at. Raises `BeyondReach`."""
        every = list(rules)
        read = {resolve(table) for rule in every for one in rule.all for table in one.parsed.tables}
        read |= {table for rule in every for table in referred(rule).values()}
        products = read & self.others.keys() - work.project.sources.keys()
        wanted = {name: self.others[name].memo for name in products if name is not None}
        records = work.index.memo("parsed", {memo for memo in wanted.values() if memo})
        for name, memo in wanted.items():
            if memo is None or (memo and memo not in records):
                raise BeyondReach(name)
            if memo:
                work.know_columns(name, records[memo])


def reach_of_edits(project: Project, before: Mapping[str, Any], edited: Sequence[str]) -> CheckReach | None:
    """Return what edits since the last check can reach; None if that is not known of single rules.

    before, edited: see `rules.snapshots.last_check`.
    """
    known = before["known"]
    if known is None:
        return None
    rules = {name: Known(*one) for name, one in known["rules"].items()}
    reads = {name: [*one.reads, *one.refers] for name, one in rules.items()}
    reached = few_readers({name_of(path) for path in edited}, reads, len(rules))
    if reached is None:
        return None
    paths = {name: rules[name].path for name in reached if name in rules and rules[name].path.endswith(".sql")}
    if paths.keys() != reached or project.policy.on_qualify:
        return None  # one is a rule in Python, or a source whose checks read what was edited
    return CheckReach(before, tuple(edited), tuple(sorted(paths.values())), rules, frozenset(reached))


def _tables(rules: Mapping[str, Known]) -> set[str]:
    """Return all that rules read or refer to, and the sources that have a contract."""
    found = {name for one in rules.values() for name in (*one.reads, *one.refers)}
    return found | {name for name, one in rules.items() if one.path == FILE}


def to_record(
    names: Sequence[str], functions: Mapping[str, str], rules: Mapping[str, Known], wrong: Collection[str]
) -> dict[str, Any]:
    """Return as plain data, as it comes back from the index, what a check of single rules has to know.

    names: of all sources and products. functions: the digests of the project's. wrong: what could not be loaded.
    """
    plain = {name: [list(part) if isinstance(part, tuple) else part for part in one] for name, one in rules.items()}
    return {"names": list(names), "functions": dict(functions), "rules": plain, "wrong": list(wrong)}


def may_be_narrow(
    project: Project, names: Collection[str], wrong: Mapping[str, UserError], unloaded: Mapping[str, UserError]
) -> bool:
    """Whether what is found in rules is a matter of these rules, and of those that read them.

    names: of all sources and products. wrong, unloaded: what is wrong with rules and contracts, by name.
    """
    of_names = any(error.code in _OF_NAMES for error in unloaded.values())
    return not of_names and "" not in wrong and all(name in names for name in project.contracts)
