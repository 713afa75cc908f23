"""The error of a product whose query needs more memory than there is, in one sentence that says what to raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.engine.fallbacks import fallbacks
from rules.engine.memory import memory_mb
from rules.errors import FAILED, UserError, Where

if TYPE_CHECKING:
    from rules.compiling.compiled_rule import CompiledRule
    from rules.engine.protocol import MemoryExhaustedError
    from rules.running.evidence import Run


def out_of_memory(error: MemoryExhaustedError, rule: CompiledRule, run: Run, place: str) -> UserError:
    """Return the error of a rule that no fallback could run either. place: of its SQL."""
    profile = run.profile
    memory = memory_mb(profile)
    facts = {"executed SQL": place}
    if not error.is_of_pool:
        limit = f"{profile.temp_limit_mb:,} MiB" if profile.temp_limit_mb is not None else "100 GiB"
        message = f"the query spills more to disk than the {limit} that profile '{profile.name}' allows"
        hint = f"raise temp_limit_mb in [profiles.{profile.name}], or give the query more memory by memory_limit_mb"
    else:
        texts = any(entry.has_texts for entry in run.inputs)
        tried = [one.name for one in fallbacks(profile, spread=not rule.needs_one_partition, texts=texts)]
        facts["tried"] = "; ".join(["as the profile says", *tried])
        if rule.needs_one_partition:
            facts["tier"] = f"{rule.rule.tier.value}: it may run on one partition only, where joins do not spill"
        if profile.memory_limit_mb is not None:
            message = (
                f"the query needs more memory than the {memory:,} MiB that profile '{profile.name}' gives a product"
            )
            hint = f"raise memory_limit_mb in [profiles.{profile.name}], or try --set memory_limit_mb={2 * memory}"
        else:
            message = f"the query needs more memory than the {memory:,} MiB that one product may have on this machine"
            fewer = "run fewer products at once (--jobs 1), or " if profile.workers > 1 else ""
            hint = f"{fewer}set memory_limit_mb in [profiles.{profile.name}]"
    where = Where(rule.rule.path, rule.rule.line)
    return UserError(message, code="memory", where=where, facts=facts, hint=hint, exit_code=FAILED)
