"""Step 1 of 7, load: rule files → rules, by stat signature first, so that unchanged bytes skip all later work."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from compiler.compiled import Parsed
from compiler.tree.big_stack import with_deep_stack
from rules.config.front_matter import RuleOptions
from rules.errors import UserError, Where
from rules.loading.compiler_identity import COMPILER
from rules.loading.dialects import with_dialect
from rules.loading.product_names import ProductNames, name_of
from rules.loading.python_rules import add_python_rules
from rules.loading.rule import Rule, RuleSet
from rules.loading.rule_folders import paths_of_rules
from rules.loading.rule_texts import Text, memo_of_text, parse_text, read_rule, text_record
from rules.loading.tiers import broken_tier, with_tier
from rules.python.rule_files import PythonFiles
from rules.storage.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cache.index import Index
    from rules.config.profiles import RuntimeProfile
    from rules.config.project import Project
    from rules.files.file_digests import FileDigests


MANY = 60
"""New rules that are worth the second it takes to start helpers which compile them."""
_UNLOADED: Mapping[str, Any] = {"tables": (), "variables": (), "functions": (), "options": {}}


def load_rules(
    project: Project,
    index: Index,
    files: FileDigests,
    *,
    profile: RuntimeProfile | None = None,
    parse_ahead: Callable[[Sequence[Text]], Sequence[Parsed | None]] | None = None,
    memory: Memory | None = None,
    receive: Callable[[Mapping[str, str], int, int], bool] | None = None,
) -> RuleSet:
    """Return the project's rules, and the errors of those that cannot be loaded.

    profile: the one they are to be run under, whose tier those have that declare none. parse_ahead: parses many texts
    side by side, as far as it can. memory: of a process that loads them again. receive: is given the digests of texts
    by name, how many were never parsed, and the number of rule files; says whether the index knows more of them now.

    If `files` names the only ones to load, these are loaded. Raises `UserError` for what concerns no single
    rule, such as a folder that is not there.
    """
    paths = files.rule_files = paths_of_rules(project) if files.only is None else files.only
    found = RuleSet({}, {}, PythonFiles(project, files, index, COMPILER), {})
    files.look(paths)
    digests = {path: files.seen[path][1] if path in files.seen else _digest(files, path) for path in paths}
    queries = [path for path in paths if path.endswith(".sql")]
    kept = (memory or Memory()).part(_Loaded)
    kept.begin((project.root, project.folders, project.tier, project.dialect, project.spoken, profile))
    before, names = kept.before, ProductNames(project)
    new = [path for path in queries if path not in before or before[path].digest != digests[path]]
    texts = _Texts(
        project,
        profile,
        found,
        names,
        kept,
        digests,
        {path: memo_of_text(project, path, digests[path]) for path in new},
    )

    def ask_others(lacking: int) -> bool:
        return receive is not None and receive({name_of(path): digests[path] for path in queries}, lacking, len(paths))

    lacking = texts.recall(index, ask_others)
    if lacking >= MANY and parse_ahead is not None:
        texts.parse(queries, parse_ahead)
    if lacking:  # making such a stack takes half as long as parsing a rule
        with_deep_stack(lambda: texts.load(queries))
    else:
        texts.load(queries)
    kept.end()
    index.remember_own("parsed", texts.fresh)
    for path in paths:
        if path.endswith(".py"):
            add_python_rules(project, found, path, digests[path], names, profile)
    if profile is not None:
        for rule in [one for one in found.rules.values() if before.get(one.path) is not one]:
            _require_tier(project, profile, rule, found, kept)
    return found


def _require_tier(project: Project, profile: RuntimeProfile, rule: Rule, found: RuleSet, kept: _Loaded) -> None:
    """Note that a rule is broken if its tier is one that the profile does not keep."""
    error = broken_tier(project, profile, rule) if rule.name not in found.unloaded else None
    if error is not None:
        found.unloaded[rule.name] = error
        kept.before.pop(rule.path, None)


def _known_texts(index: Index, memos: set[str], receive: Callable[[int], bool]) -> dict[str, Any]:
    """Return what is remembered of texts. receive: is asked for more once, with the number of those that are not."""
    known = index.memo("parsed", memos)
    return index.memo("parsed", memos) if receive(len(memos - known.keys())) else known


def _named(found: RuleSet, names: ProductNames, path: str, digest: str) -> str | None:
    """Return the name of the rule of a file; None if it can have none, which is then known of it."""
    try:
        return names.take(name_of(path), Where(path), "rename the file")
    except UserError as error:
        found.add_broken(path, path, digest, error)
        names.blame(found.unloaded)
        return None


def _parsed(project: Project, found: RuleSet, name: str, path: str, digest: str) -> Mapping[str, Any]:
    """Parse a rule file; what is wrong with it is then known of the rule."""
    try:
        return parse_text(project, path, digest)
    except UserError as error:
        found.unloaded[name] = error
        return _UNLOADED


@dataclass(frozen=True)
class _Texts:
    """The texts of rules in SQL, as they become the rules in `found`."""

    project: Project
    profile: RuntimeProfile | None
    found: RuleSet
    names: ProductNames
    kept: _Loaded
    digests: Mapping[str, str]
    memos: Mapping[str, str]
    """Of the texts that this process does not know, by path."""
    known: dict[str, Any] = field(default_factory=dict)
    """What is remembered of texts, by memo."""
    ahead: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """What was parsed before it is loaded, by path."""
    fresh: dict[str, Any] = field(default_factory=dict)
    """What is to be remembered."""

    def recall(self, index: Index, receive: Callable[[int], bool]) -> int:
        """Learn what is remembered; return how many texts have to be parsed."""
        wanted = set(self.memos.values())
        self.known.update(_known_texts(index, wanted, receive))
        return len(wanted - self.known.keys())

    def parse(self, paths: Iterable[str], parse_ahead: Callable[[Sequence[Text]], Sequence[Parsed | None]]) -> None:
        """Parse files of which nothing is remembered; what is wrong with one is found when it is loaded."""
        asked: dict[str, tuple[RuleOptions, Text]] = {}
        for path in paths:
            if path in self.memos and self.memos[path] not in self.known:
                with contextlib.suppress(UserError):
                    asked[path] = read_rule(self.project, path, self.digests[path])
        parsed = parse_ahead([text for _, text in asked.values()])
        for (path, (options, _)), one in zip(asked.items(), parsed, strict=True):
            if one is not None:
                self.ahead[path] = text_record(options, one)

    def load(self, paths: Iterable[str]) -> None:
        """Add the rules of files."""
        before, memos, digests, names = self.kept.before, self.memos, self.digests, self.names
        rules, now = self.found.rules, self.kept.now
        for path in paths:
            same = before[path] if path not in memos else None
            if same is not None and names.is_free(same.name, path):
                rules[same.name] = now[path] = same
                continue
            name = _named(self.found, names, path, digests[path])
            if name is not None and same is not None:
                rules[name] = now[path] = same
            elif name is not None:
                self._load_new(path, name)

    def _load_new(self, path: str, name: str) -> None:
        project, memo, digest = self.project, self.memos[path], self.digests[path]
        record = self.known.get(memo)
        if record is None:
            record = self.ahead.get(path) or _parsed(project, self.found, name, path, digest)
            self.fresh[memo] = record
        own = with_dialect(project, path, msgspec.convert(record["options"], RuleOptions))
        options = with_tier(project, self.profile, path, own)
        parsed = Parsed(tuple(record["tables"]), tuple(record["variables"]), tuple(record["functions"]))
        rule = self.found.rules[name] = Rule(name, path, digest, options, parsed)
        if name in self.found.unloaded:
            self.fresh.pop(memo, None)
        else:
            self.kept.now[path] = rule


class _Loaded:
    """The rules in SQL of the last run, by path. Of an unchanged file the rule is the same object again."""

    def __init__(self) -> None:
        self.before: dict[str, Rule] = {}
        """Of the last run, without those whose tier a profile would break."""
        self.now: dict[str, Rule] = {}
        self._made_from: object = None

    def begin(self, made_from: object) -> None:
        """Begin a run. made_from: all that a rule is made from beside its file."""
        if self._made_from != made_from:
            self.before, self._made_from = {}, made_from
        self.now = {}

    def end(self) -> None:
        """Forget what this run had no use for."""
        self.before, self.now = self.now, {}


def _digest(files: FileDigests, path: str) -> str:
    try:
        return files.digest(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", code="unreadable", where=Where(path)) from error
