"""Load the pairs of SQL by which the canonical form is judged; the format is told in fixtures/sql/pairs/README.md."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PAIRS = Path(__file__).resolve().parents[2] / "fixtures" / "sql" / "pairs"

_HOOK = re.compile(r"--\s*(pair|why|vs)\b:?\s*(.*?)\s*$")
_SKIPPED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_TOKENS = re.compile(r"[()]|\border\s+by\b", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """Two queries and where they stand: ``theme`` is the file's stem, ``line`` the 1-based line of the pair's name."""

    name: str
    theme: str
    first: str
    second: str
    why: str
    path: Path
    line: int


def load_pairs(kind: Literal["equal", "unequal"]) -> list[Pair]:
    """Every pair of one kind, by file name and then by line.

    Raises ValueError, with file and line, for a pair that breaks the format or a name that is used twice.
    """
    pairs: list[Pair] = []
    for path in sorted((PAIRS / kind).glob("*.sql")):
        pairs.extend(_pairs_of(path))
    seen: dict[str, Pair] = {}
    for pair in pairs:
        if pair.name in seen:
            message = f"{pair.path.name}:{pair.line}: the name {pair.name} is taken by {seen[pair.name].path.name}"
            raise ValueError(message)
        seen[pair.name] = pair
    return pairs


def is_ordered(sql: str) -> bool:
    """Whether the outermost query has an ORDER BY, which makes the order of its rows part of its result."""
    depth = 0
    for token in _TOKENS.findall(_SKIPPED.sub(" ", sql)):
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
        elif depth == 0:
            return True
    return False


def _pairs_of(path: Path) -> list[Pair]:
    """The pairs of one file: each starts at its ``-- pair:`` line and ends where the next one starts."""
    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("-- pair:")]
    if any(line.strip() and not line.startswith("--") for line in lines[: starts[0] if starts else None]):
        message = f"{path.name}:1: SQL before the first '-- pair:' line"
        raise ValueError(message)
    ends = [*starts[1:], len(lines)]
    return [_pair(path, lines[start:end], start + 1) for start, end in zip(starts, ends, strict=True)]


def _pair(path: Path, lines: list[str], line: int) -> Pair:
    name, why = "", ""
    sides: list[list[str]] = [[]]
    for text in lines:
        hook = _HOOK.match(text)
        if hook and hook[1] == "pair":
            name = hook[2]
        elif hook and hook[1] == "why" and not any(sides[0]):
            why = hook[2]
        elif hook and hook[1] == "vs" and not hook[2]:
            sides.append([])
        else:
            sides[-1].append(text)
    queries = ["\n".join(side).strip() for side in sides]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or len(queries) != 2 or not all(q.endswith(";") for q in queries):
        message = f"{path.name}:{line}: a pair is '-- pair: name', a query, '-- vs', a query, each ended by ';'"
        raise ValueError(message)
    first, second = (query[:-1].rstrip() for query in queries)
    return Pair(name, path.stem, first, second, why, path, line)
