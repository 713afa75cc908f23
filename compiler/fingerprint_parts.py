"""The parts of a rule's fingerprint: all that its table depends on besides the contents of its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from compiler.analysis.traits import Traits
from compiler.compiled import EngineIdentity, Options, Tier
from compiler.fingerprint import EXECUTION, digest_of
from compiler.names.user_functions import CALLS, OwnFunction


def fingerprint_parts(
    form: exp.Query,
    encoded: bytes,
    options: Options,
    found: Traits,
    corrections: Sequence[str],
    engine: EngineIdentity,
    own: Mapping[str, OwnFunction],
) -> dict[str, object]:
    """Return the parts of the fingerprint of a rule.

    form: its qualified tree. encoded: its canonical AST. corrections: the names of those that it needs, see
    `compiler.engine_sql.corrections`. own: the project's functions, of which those count that it calls.
    """
    sensitive = found.float_sensitive or found.order_dependent
    canonical, stable = options.tier == Tier.CANONICAL, engine.stable_settings
    partitions = stable if canonical and stable is not None else engine.float_settings
    called = {call.name for call in form.find_all(*CALLS.values())}
    used = {name: function.digest for name, function in sorted(own.items()) if name in called}
    return {
        "execution": [EXECUTION, *corrections] if corrections else EXECUTION,
        "query": digest_of(encoded),
        "columns": form.named_selects,
        "tier": options.tier,
        "key": list(options.order) if canonical else [],
        "volatile": options.volatile,
        "engine": engine.version,
        "settings": {**engine.settings, **(partitions if sensitive else {})},
        **({"functions": used} if used else {}),
        # Every row passes that passed before; but joins may yield them in another order.
        **({"normalize": options.normalize} if options.normalize is not None and sensitive else {}),
    }


def corrected(parts: Mapping[str, object]) -> tuple[object, frozenset[object]]:
    """Return the version of the execution, and the names of the corrections, that a fingerprint's parts have."""
    execution = parts.get("execution")
    if isinstance(execution, list | tuple):
        return execution[0], frozenset(execution[1:])
    return execution, frozenset()
