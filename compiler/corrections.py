"""Which rules an earlier version of rules could have computed wrongly; they run once more after an upgrade.

A corrected rule's fingerprint holds the names of the corrections, so what was computed without them is not found. Each
looks at the canonical tree, so that rules of one meaning go on sharing a fingerprint, and may say yes too often, which
costs one run; never too seldom, which would leave a wrong table in use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from compiler.passes.facts import Facts
from compiler.workarounds.distinct_counts import may_have_counted_null
from compiler.workarounds.totals import may_have_passed_totals

Correction = Callable[[exp.Query, Facts], bool]

CORRECTIONS: Mapping[str, Correction] = {
    "distinct-counts-of-null": may_have_counted_null,
    "filters-above-totals": may_have_passed_totals,
}
"""Names of faults that have been mended, and whether a rule with a canonical tree could have met them."""


def corrections(tree: exp.Query, facts: Facts) -> list[str]:
    """Return the names of the corrections that concern a canonical tree, sorted."""
    return [name for name, concerns in sorted(CORRECTIONS.items()) if concerns(tree, facts)]
