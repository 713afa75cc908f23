"""Texts of rules that are parsed side by side, in helper processes: a fresh clone has to parse all of them.

What a helper cannot parse is parsed by who asked, which reports what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.compile import parse_rule
from compiler.compiled import Parsed
from compiler.errors import SqlError
from rules.compiling.helpers import Helpers, Task
from rules.loading.rule_texts import Text

_AT_ONCE = 50
"""Texts in one job: few enough that all helpers end at about the same time."""


@dataclass(frozen=True)
class _Texts(Task):
    texts: Sequence[Text]

    def done(self) -> list[Parsed | None]:
        """Return what each text parses to."""
        return [_parsed(text) for text in self.texts]


def parse_ahead(helpers: Helpers, texts: Sequence[Text]) -> list[Parsed | None]:
    """Return what each text parses to, None for one that no helper could parse."""
    some = [texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE)]
    asked = [helpers.run(_Texts(one)) for one in some]
    return [parsed for one, answer in zip(some, asked, strict=True) for parsed in answer.result() or [None] * len(one)]


def _parsed(text: Text) -> Parsed | None:
    try:
        return parse_rule(text.text, text.dialect)
    except (SqlError, RecursionError):
        return None
