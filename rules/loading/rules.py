"""Step 1 of 7, load: rule files → rules, by stat signature first, so that unchanged bytes skip all later work."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from sqlglot._version import __version__ as sqlglot_version

import compiler
from cache.filedigest import file_digest
from cache.index import Index
from compiler.compile import parse_rule
from compiler.compiled import Parsed, Tier
from compiler.errors import SqlError
from compiler.fingerprint import FORMAT, digest_of
from compiler.sql.catalogue import ENGINE
from compiler.tree.big_stack import with_deep_stack
from rules.config.front_matter import RuleOptions, read_options
from rules.config.profiles import RuntimeProfile
from rules.config.project import NAME, Project, config_where
from rules.errors import FAILED, ForeignMemoError, UserError, Where
from rules.files.file_digests import FileDigests
from rules.files.project_paths import FILE, is_rule_file
from rules.loading.check_queries import Draft
from rules.loading.dialects import declared_dialect, with_dialect
from rules.loading.tiers import broken_tier, with_tier
from rules.python.faults import fault_record, of_fault
from rules.python.rule_files import DeclaredFunction, PythonFiles
from rules.storage.memory import Memory


def _compiler_identity() -> str:
    """Return what parses, compiles and plans: versions of SQLGlot and of the function catalogue, and our own source."""
    own = Path(__file__).parents[1]
    folders = (Path(compiler.__file__).parent, own / "engine", own / "python")
    sources = sorted([*(path for folder in folders for path in folder.rglob("*.py")), own / "storage" / "types.py"])
    digests = " ".join(file_digest(path) for path in sources)
    return digest_of(f"{FORMAT} {sqlglot_version} {version('ibis-framework')} {ENGINE} {digests}".encode())


COMPILER = _compiler_identity()
"""Part of every memo key. Only memos depend on it: fingerprints carry the format version, which changes seldom."""
MANY = 60
"""New rules that are worth the second it takes to start helpers which compile them."""

_LONGEST_NAME = 240
"""Of a product, in ASCII: file systems take 255 bytes, and its file's name goes on after it."""

_UNLOADED: Mapping[str, Any] = {"tables": (), "variables": (), "functions": (), "options": {}}


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
        return _text(project, self.path, self.digest) if self.sql is None else self.sql


@dataclass(frozen=True)
class Check:
    """A data check of a product or source: a rule, called "product.title", that yields the failing rows."""

    rule: Rule
    draft: Draft

    @property
    def gates(self) -> bool:
        """Whether the product is not published, or nothing reads the source, while the check fails."""
        return self.draft.severity == "error"


def rule_files(root: Path, folders: Iterable[str]) -> list[str]:
    """Return the paths, relative to the project, of all rule files, sorted. Raises `UserError`."""
    found: list[str] = []
    for number, folder in enumerate(folders):
        try:
            _scan(os.path.join(root, folder), folder.rstrip("/"), found)
        except OSError as error:
            known = error.filename == os.path.join(root, folder)
            shown = folder if known else os.path.relpath(error.filename, root)
            what = {errno.ENOENT: "does not exist", errno.ENOTDIR: "is a file"}.get(error.errno or 0)
            message = f"the rule folder '{shown}' {what or f'cannot be read: {error.strerror}'}"
            where = config_where(root, "project", "rules", str(number))
            raise UserError(message, code="config", where=where, hint="see rules = [...] under [project]") from error
    return sorted(set(found))


def paths_of_rules(project: Project) -> list[str]:
    """Return the paths of all rule files, sorted, with those that an editor has not written yet. Raises `UserError`."""
    found = rule_files(project.root, project.rule_folders)
    folders = tuple(f"{folder.rstrip('/')}/" for folder in project.rule_folders)
    return sorted({*found, *(path for path in project.unsaved if path.startswith(folders))})


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
    side by side, as far as it can. memory: of a process that loads them again. receive: is
    given the digests of texts by name, how many were never parsed, and the number of rule files; says whether the index
    knows more of them now. Raises `UserError` for what concerns no single rule, such as a folder that is not there.
    """
    paths = files.rule_files = paths_of_rules(project)
    found = RuleSet({}, {}, PythonFiles(project, files, index, COMPILER), {})
    files.look(paths)
    digests = {path: files.seen[path][1] if path in files.seen else _digest(files, path) for path in paths}
    queries = [path for path in paths if path.endswith(".sql")]
    kept = (memory or Memory()).part(_Loaded)
    kept.begin((project.root, project.folders, project.tier, project.dialect, project.spoken, profile))
    before, names = kept.before, _Names(project)
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
    index.remember("parsed", texts.fresh)
    for path in paths:
        if path.endswith(".py"):
            _load_python(project, found, path, digests[path], names, profile)
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


def name_of(path: str) -> str:
    """Return the name of the product of a file that holds a query."""
    return path.rsplit("/", 1)[-1].removesuffix(".sql")


def _named(found: RuleSet, names: _Names, path: str, digest: str) -> str | None:
    """Return the name of the rule of a file; None if it can have none, which is then known of it."""
    try:
        return names.take(name_of(path), Where(path), "rename the file")
    except UserError as error:
        found.add_broken(path, path, digest, error)
        names.blame(found)
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
    names: _Names
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
                    asked[path] = _read(self.project, path, self.digests[path])
        parsed = parse_ahead([text for _, text in asked.values()])
        for (path, (options, _)), one in zip(asked.items(), parsed, strict=True):
            if one is not None:
                self.ahead[path] = _text_record(options, one)

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


def _load_python(
    project: Project, found: RuleSet, path: str, digest: str, names: _Names, profile: RuntimeProfile | None
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
            names.blame(found)
            continue
        # Which variables it asks for is known only when it is called: any of them may matter.
        parsed = Parsed(one.inputs, tuple(sorted(project.variables)))
        if one.fault is not None:
            found.unloaded[name] = of_fault(one.fault)
        options = with_tier(project, profile, path, one.options)
        found.rules[name] = Rule(name, path, one.digest, options, parsed, one.line, one.streams)


def user_error(error: SqlError, path: str) -> UserError:
    """Return a compiler's error as one that names the file."""
    where = Where(path, error.line, error.column)
    return UserError(error.message, code=error.code, where=where, hint=error.hint, exit_code=FAILED)


def options_record(rule: Rule) -> list[object]:
    """Return the options of a rule that its compilation depends on, for keys of memos."""
    options = rule.options
    more: list[object] = [one for one in (options.order_by, options.normalize) if one]
    more += [["dialect", options.dialect]] if options.dialect is not None else []
    return [options.volatile, options.tier or 0, options.key, *more]


def require_parsed(project: Project, rule: Rule) -> None:
    """Raise `ForeignMemoError` unless a rule file says what is remembered of it."""
    record = parse_text(project, rule.path, rule.digest)
    parsed = Parsed(tuple(record["tables"]), tuple(record["variables"]), tuple(record["functions"]))
    options = with_dialect(project, rule.path, msgspec.convert(record["options"], RuleOptions))
    own = rule.options
    # rules.toml may add a key and checks.
    same = options.volatile == own.volatile and options.tier in {None, own.tier} and options.key in {(), own.key}
    same = same and options.order_by == own.order_by and options.normalize == own.normalize
    same = same and options.dialect == own.dialect
    if parsed != rule.parsed or not same:
        raise ForeignMemoError(rule.name)


def _text(project: Project, path: str, digest: str) -> str:
    """Read a rule file. What is made of it is remembered by its digest, so it must still be what was digested."""
    text = project.text(path)
    if path in project.unsaved:
        return text
    if file_digest(project.root / path) != digest:
        message = f"{path} changed while it was read"
        raise UserError(message, code="rule-changed", where=Where(path), hint="run the command again", exit_code=FAILED)
    return text


class Text(NamedTuple):
    """The text of a rule, and the dialect that it is in: None for ours."""

    text: str
    dialect: str | None


def _read(project: Project, path: str, digest: str) -> tuple[RuleOptions, Text]:
    """Read a rule file; return its options and its text. Raises `UserError`."""
    text = _text(project, path, digest)
    options = read_options(text, path)
    return options, Text(text, with_dialect(project, path, options).dialect)


def parse_text(project: Project, path: str, digest: str) -> Mapping[str, Any]:
    """Return what is remembered of a text. Raises `UserError`."""
    options, text = _read(project, path, digest)
    try:
        return _text_record(options, parse_rule(text.text, text.dialect))
    except SqlError as error:
        raise user_error(error, path) from error


def _text_record(options: RuleOptions, parsed: Parsed) -> Mapping[str, Any]:
    """Return what is remembered of a text."""
    return {
        "tables": parsed.tables,
        "variables": parsed.variables,
        "functions": parsed.functions,
        "options": msgspec.to_builtins(options),
    }


def memo_of_text(project: Project, path: str, digest: str) -> str:
    """Return the key of what is parsed of a file: all that it is parsed from."""
    declared = declared_dialect(project, path)
    return f"{digest} {COMPILER}" if declared is None else f"{digest} {COMPILER} {declared}"


def _digest(files: FileDigests, path: str) -> str:
    try:
        return files.digest(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", code="unreadable", where=Where(path)) from error


class _Names:
    """The names that are taken in a project."""

    def __init__(self, project: Project) -> None:
        self._owners = {name.lower(): (name, project.source_owner(name)) for name in project.sources}
        self._claimed: dict[str, UserError] = {}

    def take(self, name: str, where: Where, hint: str) -> str:
        """Return `name`, which is a product's from now on. Raises `UserError` if it is no name, or taken."""
        if not NAME.match(name):
            message = f"'{name}' is not a usable product name: letters, digits and _ only, no digit first"
            raise UserError(message, code="rule-name", where=where, hint=hint, exit_code=FAILED)
        if len(name) > _LONGEST_NAME:
            message = f"'{name[:40]}…' has {len(name)} letters, and a product's name at most {_LONGEST_NAME}"
            hint = f"the product is a file of that name; {hint}"
            raise UserError(message, code="rule-name", where=where, hint=hint, exit_code=FAILED)
        other = self._owners.get(name.lower())
        if other is not None:
            facts = {"here": str(where), "there": other[1]}
            message = f"two tables are named '{name}'"
            hint = "the product of a rule is called after its file or function; rename one"
            error = UserError(message, code="duplicate-name", where=where, facts=facts, hint=hint, exit_code=FAILED)
            self._claimed.setdefault(other[0], error)
            raise error
        self._owners[name.lower()] = (name, str(where))
        return name

    def is_free(self, name: str, path: str) -> bool:
        """Take a name that has been found to be one, for the rule of a file; False if another table has it."""
        folded = name.lower()
        if folded in self._owners:
            return False
        self._owners[folded] = (name, path)
        return True

    def blame(self, found: RuleSet) -> None:
        """Let names that two tables claim be broken: nobody can tell which of them is meant."""
        for name, error in self._claimed.items():
            found.unloaded.setdefault(name, error)


def _scan(folder: str, shown: str, found: list[str], above: tuple[str, ...] = ()) -> None:
    """Find the rule files in a folder and below. Raises OSError, also where a link leads back to a folder above it.

    above: this folder and those that led here, as paths without links.
    """
    above = above or (os.path.realpath(folder),)
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{shown}/{entry.name}"
            if entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else f"{above[-1]}/{entry.name}"
                if real in above:
                    raise OSError(0, "it is a link to a folder above it", entry.path)
                _scan(entry.path, path, found, (*above, real))
            elif is_rule_file(entry.name):
                found.append(path)
