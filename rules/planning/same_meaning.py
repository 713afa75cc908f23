"""A plan or a build after edits that change no meaning: only the edited rules are compiled.

All else is as the last complete build left it, which `rules.snapshots` has found out. A rule that compiles to what it
was compiled to then, has the options that it had and reads the same tables, is the same step of the same DAG, so every
product is up to date. A command line pays for such an edit what it touches, and not for the size of the project.
Whatever is beyond that goes the long way, which looks at everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cache.records import Product
from cache.signatures import Signature
from compiler.compiled import Parsed
from compiler.schema import schema_record
from compiler.tree.big_stack import with_deep_stack
from rules.compiling.compile_rules import Tables, Work
from rules.compiling.compiled_records import Head, as_read, as_record, load_heads
from rules.compiling.compiled_rule import CompiledRule
from rules.config.front_matter import RuleOptions
from rules.config.profiles import RuntimeProfile
from rules.config.project import Project, load_project
from rules.engine.clusters import cluster
from rules.engine.local import LOCAL
from rules.errors import UserError
from rules.files.file_digests import FileDigests
from rules.files.locations import is_url
from rules.loading.compiler_identity import COMPILER
from rules.loading.dialects import with_dialect
from rules.loading.input_binding import make_resolver
from rules.loading.product_names import name_of
from rules.loading.rule import Rule
from rules.loading.rule_texts import memo_of_text, parse_text
from rules.loading.tiers import with_tier
from rules.python.rule_files import PythonFiles
from rules.sources.contents import Sources
from rules.storage.store import Store, open_store


def mean_the_same(
    root: Path,
    profile: str,
    built: Mapping[str, Any],
    edited: Sequence[str],
    say: Callable[[str], None],
    *,
    building: bool,
) -> bool:
    """Whether edited rules mean what they meant in the last complete build, as far as that is found out here.

    built: the state that it left, which holds but for the texts of these rules, by path. building: their new texts are
    then recorded as those of their products. Raises `UserError`, about what the long way will say better.
    """
    project = load_project(root)
    settings = project.profile(profile)
    if cluster(settings) is not None:
        return False
    with open_store(root, say, building=building) as store:
        if building and (store.shared is not None or store.index.snapshot("built") != built):
            return False  # others are to learn what is compiled here; or another build has just ended
        look = _Look(project, settings, store, built)
        found = [look.same(path) for path in edited]
        same = [one for one in found if one is not None]
        look.work.memos.save()
        if len(same) < len(found):
            return False
        if building:
            look.record(same)
    return True


class _Look:
    """A look at single rules of a project whose last build is known."""

    def __init__(self, project: Project, settings: RuntimeProfile, store: Store, built: Mapping[str, Any]) -> None:
        self._project, self._settings, self._store, self._built = project, settings, store, built
        known = {path: (Signature(*taken), digest) for path, *taken, digest in built["files"]}
        self._known, self._files = known, FileDigests(project.root, store.index, known)
        self._sources = Sources(project, store.index, store.objects, self._files)
        names = [*project.sources, *built["products"]]
        self._resolve = make_resolver(names)
        self._last: dict[str, Product] = {}
        self.work = Work(
            project,
            settings,
            store,
            Tables(names, self._last),
            python=PythonFiles(project, self._files, store.index, COMPILER),
            functions={},
            engine=LOCAL,
        )

    def same(self, path: str) -> tuple[Product, CompiledRule] | None:
        """Return the last state of a rule's product, and the rule; None unless it means what it meant then.

        Raises `UserError`.
        """
        name, before = name_of(path), self._known[path][1]
        self._last.update(self._store.index.states_of([name]))
        last = self._last.get(name)
        if last is None or last.record.compiler != COMPILER or last.record.text != before:
            return None
        digest = self._files.digest(path)
        texts = [self._text(path, before), self._text(path, digest)]
        if texts[0] != texts[1] or not self._may_compile(texts[1]):
            return None
        options = with_dialect(self._project, path, msgspec.convert(texts[1]["options"], RuleOptions))
        options = with_tier(self._project, self._settings, path, options)
        parsed = Parsed(*(tuple(texts[1][part]) for part in ("tables", "variables", "functions")))
        rule = Rule(name, path, digest, options, parsed)
        if not self._know_inputs(rule):
            return None
        compiled = with_deep_stack(lambda: self.work.compile(rule, again=True))
        was = load_heads(self._store.index, [last.memo]).get(last.memo)
        now = self.work.memos.head(compiled.memo)
        if was is None or now is None or _written(as_read(now)) != _written(was):
            return None
        return (last, compiled) if compiled.node.fingerprint == last.fingerprint else None

    def record(self, same: Collection[tuple[Product, CompiledRule]]) -> None:
        """Record the texts of rules as those of their products, and that all is up to date. Raises `StoreError`."""
        index = self._store.index
        fresh = {path: [path, *taken, digest] for path, taken, digest in self._files.records()}
        with index.durable(), index.transaction():
            for last, rule in same:
                record = msgspec.structs.replace(last.record, text=rule.rule.digest)
                index.set_product(msgspec.structs.replace(last, memo=rule.memo, record=record))
            files = [fresh.get(one[0], one) for one in self._built["files"]]
            index.set_snapshot("built", {**self._built, "files": files})
        self._files.save()

    def _text(self, path: str, digest: str) -> Mapping[str, Any]:
        """Return what is remembered of a text, or parse it if it is there to be parsed; {} if it is not."""
        memo = memo_of_text(self._project, path, digest)
        known = self._store.index.memo("parsed", [memo]).get(memo)
        if known is None and digest == self._files.digest(path):
            known = with_deep_stack(lambda: parse_text(self._project, path, digest))
            self._store.index.remember_own("parsed", {memo: known})
            known = self._store.index.memo("parsed", [memo]).get(memo)
        return known or {}

    def _may_compile(self, text: Mapping[str, Any]) -> bool:
        """Whether a rule calls none of the project's own functions, which only Python knows."""
        return bool(text) and not (text["functions"] and any(path.endswith(".py") for path in self._known))

    def _know_inputs(self, rule: Rule) -> bool:
        """Let the compiler know what a rule reads; False for what only the long way opens. Raises `UserError`."""
        names = {self._resolve(table) for table in rule.parsed.tables}
        sources = sorted(name for name in names if name in self._project.sources)
        if None in names or any(is_url(self._project.sources[name].path) for name in sources):
            return False
        broken: dict[str, UserError] = {}
        opened = self._sources.open_sound(sources, broken)
        states = self._store.index.states_of([name for name in names if name is not None and name not in sources])
        heads = load_heads(self._store.index, [one.memo for one in states.values()])
        self.work.known.update({name: schema_record(table.schema) for name, table in opened.items()})
        self.work.known.update({name: heads[one.memo].schema for name, one in states.items() if one.memo in heads})
        return not broken and names <= self.work.known.keys()


def _written(head: Head) -> bytes:
    """Return what is known of a compiled rule as it is written: the order of columns counts, too.

    Without its shape, by which two versions of a rule are compared: it has aliases as the author wrote them.
    """
    return msgspec.json.encode({**as_record(head), "shape": None})
