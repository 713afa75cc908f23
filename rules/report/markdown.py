"""What a comparison came to as Markdown, for a comment on a pull request. Pure: nothing is printed here.

Names and values may hold anything. In text, what Markdown or HTML would obey is escaped; what differs in a table is in
a fenced block, whose fence is longer than any in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rules.printable import printable
from rules.report.diff import comparison_summary, data_lines, difference_sentences
from rules.wording import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.inspect.rule_diff import Comparison
    from rules.inspect.table_diff import Compared

_MOST = 30_000
"""Characters of the edits, and of the tables; GitHub refuses a comment of more than 65,536."""
_LONGEST_CELL = 2_000
_MOST_NAMES = 20
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKUP = re.compile(r"[\\`*_{}\[\]()!|~]")
_REFERENCES = re.compile(r"[@#$]")
"""What becomes a mention of somebody, a link to an issue or a formula, wherever it is in a text that is rendered."""


def rules_markdown(found: Comparison, against: str) -> list[str]:
    """Return the edits and what they reach: a heading and a table with a row for each edited rule."""
    if not found.differences:
        return [f"### No rule differs from {_text(against)}"]
    rows = [
        f"| {one.edit.reaches} | {_text(one.edit.name)} | {'<br>'.join(map(_text, difference_sentences(one)))} |"
        for one in found.differences
    ]
    heading = f"### {plural(len(rows), 'rule')} {'differs' if len(rows) == 1 else 'differ'} from {_text(against)}"
    head = [heading, "", _text(comparison_summary(found)), "", "| class | rule | edit |", "|---|---|---|"]
    return _within(head, [[row] for row in rows], "rules")


def tables_markdown(products: Sequence[Compared], unbuilt: Sequence[str]) -> list[str]:
    """Return what differs between two states of some products: a section for each table, folded.

    unbuilt: products that are not built by the rules as they are now, so that nothing is known of their rows.
    """
    differing = [one for one in products if one.diff is not None and one.diff.differs]
    same = sum(one.diff is not None and not one.diff.differs for one in products)
    unknown = [one for one in products if one.diff is None]
    count = f"{plural(len(differing), 'table')} {'differs' if len(differing) == 1 else 'differ'}"
    head = [f"### {count}, {same:,} {'is' if same == 1 else 'are'} the same", ""]
    if unbuilt:
        shown = ", ".join(map(_text, unbuilt[:_MOST_NAMES]))
        more = f" and {len(unbuilt) - _MOST_NAMES:,} more" if len(unbuilt) > _MOST_NAMES else ""
        head += [f"Not built by these rules, so nothing is known of their rows: {shown}{more}.", ""]
    sections = [[f"* {_text(one.name)}: {_text(one.note)}"] for one in unknown]
    sections += [[""]] if unknown else []
    return _within(head, [*sections, *(_table(one) for one in differing)], "tables")


def _table(one: Compared) -> list[str]:
    diff = one.diff
    assert diff is not None
    changed = f", {diff.changed:,} changed" if diff.matched else ""
    counts = f"{diff.before.rows:,} → {diff.after.rows:,} rows: {diff.added:,} added, {diff.removed:,} removed{changed}"
    lines = [printable(line)[:_LONGEST_CELL] for line in data_lines([one])[1:]]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    summary = f"<details><summary><b>{_html(one.name)}</b>: {counts}</summary>"
    return [summary, "", f"{fence}text", *lines, fence, "", "</details>", ""]


def _within(head: list[str], sections: Sequence[list[str]], what: str) -> list[str]:
    """Return as many sections as fit into a comment, and how many do not."""
    lines, size = list(head), sum(len(line) + 1 for line in head)
    for place, section in enumerate(sections):
        size += sum(len(line) + 1 for line in section)
        if size > _MOST:
            return [*lines, "", f"… and {len(sections) - place:,} more {what}, which this comment has no room for"]
        lines += section
    return lines


def _html(text: str) -> str:
    return printable(text)[:_LONGEST_CELL].translate(_ENTITIES)


def _text(text: str) -> str:
    """Return a text as Markdown that shows it."""
    return _REFERENCES.sub(r"\g<0><!-- -->", _MARKUP.sub(r"\\\g<0>", _html(text)))
