"""What each pass of the canonical form is good for: the equal pairs that fall apart without it.

Usage, from the root: python -m benchmarks.passes [--pair THEME/NAME]

With --pair, only one pair of fixtures/sql/pairs (equal or unequal) is looked at: does it have one canonical form, and
without which passes has it not? That is how a wrong merge is traced to the pass that makes it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sqlglot import exp

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from compiler.canonical.form import PASSES, Pass, canonical
from compiler.errors import SqlError
from compiler.names.qualify import InputSchemas, pruned, qualified
from compiler.sql.dialect import parse
from compiler.sql.encode import encode
from compiler.tree.big_stack import with_deep_stack
from rules.storage.types import to_schema
from support.compiling import TestCompiler
from support.databases import TABLES
from support.pairs import Pair, load_pairs

_SHOWN = 3


class Forms:
    """Executed forms of the pairs, from which canonical forms are made with any passes."""

    def __init__(self) -> None:
        self._compiler = TestCompiler(TABLES)
        self._schemas = InputSchemas()
        for name, schema in TABLES.items():
            self._schemas.add(name, to_schema(schema))

    def executed(self, pair: Pair) -> list[exp.Query] | None:
        """Return the executed forms of both sides, None where the dialect refuses one."""
        try:
            texts = [self._compiler.compile(sql).meaning for sql in (pair.first, pair.second)]
        except SqlError:
            return None
        return [pruned(qualified(parse(text), self._schemas)) for text in texts]

    def is_one(self, queries: list[exp.Query], passes: tuple[Pass, ...]) -> bool:
        """Whether both sides have one canonical form and one order of inputs under these passes."""

        def form(query: exp.Query) -> tuple[bytes, tuple[str, ...]]:
            tree, inputs = canonical(query, self._schemas.known, passes=passes)
            return encode(tree), inputs

        first, second = (with_deep_stack(lambda query=query: form(query)) for query in queries)
        return first == second


def main() -> None:
    """Print, pass by pass, which pairs need it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pair", metavar="THEME/NAME")
    wanted = parser.parse_args().pair
    forms = Forms()
    pairs = [pair for kind in ("equal", "unequal") for pair in load_pairs(kind)] if wanted else load_pairs("equal")
    named = {f"{pair.theme}/{pair.name}": pair for pair in pairs}
    chosen = [named[wanted]] if wanted else pairs
    sides = {f"{pair.theme}/{pair.name}": queries for pair in chosen if (queries := forms.executed(pair))}
    whole = {name for name, queries in sides.items() if forms.is_one(queries, PASSES)}
    print(f"{len(whole)} of {len(sides)} pairs have one canonical form")
    for left_out in PASSES:
        passes = tuple(one for one in PASSES if one is not left_out)
        lost = [name for name in sorted(whole) if not forms.is_one(sides[name], passes)]
        if lost or not wanted:
            shown = ", ".join([*lost[:_SHOWN], *(["…"] if len(lost) > _SHOWN else [])])
            print(f"{len(lost):>4} without {left_out.__name__:<30} {shown}")


if __name__ == "__main__":
    main()
