"""The errors of rules and sources before anything runs, and the products that they leave without a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.plan import Judgement
from rules.errors import UserErrors

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from graph.dag import Dag
    from rules.errors import UserError
    from rules.planning.prepared import Prepared


def lost_products(
    order: Iterable[str], dag: Dag, compiled: Container[str], broken: Mapping[str, UserError]
) -> dict[str, Judgement]:
    """Return a verdict for each product of `order` that was not compiled: it failed, or is skipped for an input."""
    lost: dict[str, Judgement] = {}
    for name in order:
        if name in broken:
            lost[name] = Judgement(name, "failed", broken[name].message)
        elif name not in compiled:
            lost[name] = Judgement(name, "skipped", f"its input {failed_input(name, dag, compiled, broken)} failed")
    return lost


def broken_sources(
    order: Iterable[str], dag: Dag, broken: Mapping[str, UserError], sources: Iterable[str]
) -> dict[str, UserError]:
    """Return the errors of sources that the products of `order` read, directly or through others."""
    candidates = [name for name in sorted(sources) if name in broken]
    if not candidates:  # as nearly always: the closure of a large project takes a while
        return {}
    read = {one for name in dag.closure(order) for one in dag.inputs[name]}
    return {name: broken[name] for name in candidates if name in read}


def failed_input(name: str, dag: Dag, compiled: Container[str], broken: Container[str]) -> str:
    """Return the input because of which a rule without errors of its own was not compiled."""
    inputs = dag.inputs[name]
    return next(one for one in inputs if one in broken or (one in dag.inputs and one not in compiled))


def refuse_broken(prepared: Prepared) -> None:
    """Raise `UserErrors` for rules and sources that cannot be built or read, unless the request is to build the rest.

    Of rules that are not selected, only those that cannot even be loaded count, and functions that no rule can call.
    """
    if prepared.request.keep_going:
        return
    session, compiled = prepared.session, prepared.compiled.rules
    errors = [error for name, error in session.broken.items() if name in prepared.order or name not in compiled]
    errors += [function.error for function in session.functions.values() if function.error is not None]
    if errors:
        raise UserErrors(list(dict.fromkeys(errors)))
