"""Would a second look by the engine catch edits that the canonical form misses?

Usage, from the root: python -m benchmarks.second_look

For every SQL pair of fixtures/sql/pairs this compares the serialised optimised logical plans of both sides (planned on
the same empty tables and settings, aliases as the canonical form names them) with what the canonical form says. Equal
plans are a sound proof that two queries mean the same; the question is only whether they prove anything new.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from compiler.compiled import Compiled
from compiler.errors import SqlError
from rules.config.profiles import PROFILES
from rules.engine.session import make_session
from rules.files.project_paths import DEFAULT_PROFILE
from support.compiling import TestCompiler
from support.databases import TABLES
from support.forms import canonical_sql
from support.pairs import Pair, load_pairs


def plans(compiled: Compiled, folder: Path) -> list[bytes]:
    """Return the optimised plans of a rule's executed and canonical form. Raises what the engine raises."""
    session = make_session(PROFILES[DEFAULT_PROFILE])
    for number, name in enumerate(compiled.inputs):
        for shown in (name, str(number)):  # tables in memory cannot be serialised, empty files can
            session.register_parquet(f'"{shown}"', str(folder / f"{name}.parquet"))
    texts = (compiled.meaning, canonical_sql(compiled))
    return [session.sql(text.replace('"input".', "")).optimized_logical_plan().to_bytes(session) for text in texts]


def main() -> None:
    """Print what each kind of pair comes to."""
    compiler = TestCompiler(TABLES)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, schema in TABLES.items():
            pq.write_table(schema.empty_table(), folder / f"{name}.parquet")
        for kind in ("equal", "unequal"):
            counts = Counter(outcome(compiler, pair, folder) for pair in load_pairs(kind))
            print(f"{kind} pairs:")
            for what, count in counts.most_common():
                print(f"  {count:>4}  {what}")


def outcome(compiler: TestCompiler, pair: Pair, folder: Path) -> str:
    """Say what the canonical form and the engine's plans make of a pair."""
    try:
        first, second = compiler.compile(pair.first), compiler.compile(pair.second)
    except SqlError:
        return "refused by the dialect"
    if (first.fingerprint, first.inputs) == (second.fingerprint, second.inputs):
        return "one canonical form"
    try:
        same = any(one == other for one, other in zip(plans(first, folder), plans(second, folder), strict=True))
    except Exception as error:  # noqa: BLE001 — the engine raises plain Exception where it cannot serialise a plan
        return f"no plan to compare ({str(error).splitlines()[0][:60]})"
    return "two canonical forms, ONE PLAN" if same else "two canonical forms, two plans"


if __name__ == "__main__":
    main()
