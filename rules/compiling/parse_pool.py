"""Texts of rules that are parsed side by side, in helper processes: a fresh clone has to parse all of them.

What a helper cannot parse is parsed by who asked, which reports what is wrong with it.
"""

from __future__ import annotations

import pickle
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlglot import exp

from compiler.compiled import Parsed
from compiler.errors import SqlError
from compiler.parse_rule import parse_written, parsed_of
from compiler.tree.big_stack import with_deep_stack
from compiler.tree.packing import packed, unpacked
from rules.compiling.helpers import Helpers, Task
from rules.loading.rule_texts import Text

_AT_ONCE = 50
"""Texts in one job: few enough that all helpers end at about the same time."""


@dataclass(frozen=True)
class _Texts(Task):
    texts: Sequence[Text]
    keeps: bool

    def done(self) -> list[_Answer]:
        """Return what each text parses to, and, if it is to be kept, its tree."""
        return [_parsed(text, keeps=self.keeps) for text in self.texts]


class KeptText(NamedTuple):
    """A text that was parsed. tree: as `kept_tree` takes it."""

    text: str
    tree: bytes


_Answer = tuple[Parsed | None, bytes | None]


def parse_ahead(
    helpers: Helpers, texts: Sequence[Text], trees: MutableMapping[str, KeptText] | None = None
) -> list[Parsed | None]:
    """Return what each text parses to, None for one that no helper could parse.

    trees: gets the texts in the engine's own dialect with their trees, by the digests of their files.
    """
    some = [texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE)]
    asked = [helpers.run(_Texts(one, trees is not None)) for one in some]
    found: list[Parsed | None] = []
    for one, answer in zip(some, asked, strict=True):
        answers: list[_Answer] = answer.result() or [(None, None)] * len(one)
        found += [parsed for parsed, _ in answers]
        if trees is not None:
            pairs = ((text, tree) for text, (_, tree) in zip(one, answers, strict=True) if tree is not None)
            trees.update({text.digest: KeptText(text.text, tree) for text, tree in pairs})
    return found


def kept_tree(tree: bytes | None) -> exp.Query | None:
    """Return a tree that was kept by `parse_ahead`."""
    if tree is None:
        return None
    query = unpacked(pickle.loads(tree))  # noqa: S301 — from our own helper
    assert isinstance(query, exp.Query)
    return query


def _parsed(text: Text, *, keeps: bool) -> _Answer:
    def work() -> _Answer:
        query = parse_written(text.text, text.dialect)
        parsed = parsed_of(query)
        rows = packed(query) if keeps and text.dialect is None else None
        return parsed, pickle.dumps(rows, pickle.HIGHEST_PROTOCOL) if rows is not None else None

    try:
        return with_deep_stack(work)
    except (SqlError, RecursionError):
        return None, None
