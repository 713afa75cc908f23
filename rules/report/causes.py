"""The causes of a verdict, as text lines or plain data. Pure: nothing is printed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rules.wording import plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.causes import Cause, Step
    from rules.planning.prepared import Prepared

_MOST = 8


def causes_fields(product: str, causes: Iterable[Cause], prepared: Prepared) -> list[dict[str, Any]]:
    """Return causes as plain data. path: of the rule that was edited or is new."""
    return [
        {
            "kind": cause.kind,
            "product": _concerned(product, cause),
            "sentences": list(cause.sentences),
            "path": prepared.session.rules[_concerned(product, cause)].path if cause.kind in {"edit", "new"} else None,
            "steps": [{"product": step.product, "columns": list(step.columns) or None} for step in cause.steps],
        }
        for cause in causes
    ]


def cause_lines(product: str, causes: list[Cause], prepared: Prepared, most: int = _MOST) -> list[str]:
    """Return a line for each cause, from the product down to it; of more than `most` their number."""
    lines = [
        "".join(f"← {part} " for part in (*map(_step, cause.steps), _beginning(product, cause, prepared))).rstrip()
        for cause in causes[:most]
    ]
    return lines if len(causes) <= most else [*lines, f"and {plural(len(causes) - most, 'more cause')}"]


def _step(step: Step) -> str:
    if not step.columns:
        return step.product
    names = ", ".join(step.columns)
    return f"{step.product}.{names if len(step.columns) == 1 else f'({names})'}"


def _beginning(product: str, cause: Cause, prepared: Prepared) -> str:
    name, sentences = _concerned(product, cause), "; ".join(cause.sentences)
    rule = prepared.session.rules[name]
    if cause.kind == "new":
        return f"{rule.path} is new"
    if cause.kind == "edit":
        if prepared.known.products[name].record.text != rule.digest:
            return f"{rule.path} was edited: {sentences}"
        variables = f" (see {', '.join(f'${one}' for one in rule.parsed.variables)})" if rule.parsed.variables else ""
        return f"{rule.path} is unchanged, but means something else{variables}: {sentences}"
    return sentences


def _concerned(product: str, cause: Cause) -> str:
    return cause.steps[-1].product if cause.steps else product
