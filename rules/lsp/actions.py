"""Quick fixes: those of `rules check`, each proved to change no meaning before it is offered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from compiler.lint.edits import fixed
from rules.config.front_matter import read_options
from rules.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.lint.findings import Finding
    from rules.lsp.workbench import Workbench

_TOGETHER = {"R001": "Qualify all columns", "R005": "Expand every *"}


class Action(NamedTuple):
    """A quick fix. finding: the one that it is for, None for all of a kind. after: the text with it."""

    title: str
    after: str
    finding: Finding | None
    preferred: bool


def actions(bench: Workbench, path: str, start: int, end: int) -> list[Action]:
    """Return the quick fixes of the findings that touch a span, then those that fix all of a kind."""
    known = bench.known
    every = [one for one in (known.findings.get(path, []) if known is not None else []) if one.found.fix is not None]
    text = bench.text(path)
    every = [one for one in every if one.found.end <= len(text)]
    here = [one for one in every if one.found.start <= end and one.found.end >= start]
    found = [(one.found.fix.message, [one], one) for one in here if one.found.fix is not None]
    codes = dict.fromkeys(one.code for one in every)
    kinds = [(_TOGETHER[code], [one for one in every if one.code == code], None) for code in codes if code in _TOGETHER]
    everything = [("Fix all that rules check can fix", every, None)] if len(every) > 1 else []
    made = []
    for title, some, one in [*found, *kinds, *everything]:
        after = _after(bench, path, text, some)
        if after is not None and after != text:
            made.append(Action(title[:1].upper() + title[1:], after, one, preferred=one is not None))
    return made


def _after(bench: Workbench, path: str, text: str, some: Sequence[Finding]) -> str | None:
    """Return the text with some fixes, None if they would change what it means."""
    world = bench.world(path)
    if world is None or not path.endswith(".sql"):
        return None
    after, _ = fixed(text, [one.found for one in some], world)
    try:
        same = read_options(text, path) == read_options(after, path)
    except UserError:
        return None
    return after if same else None
