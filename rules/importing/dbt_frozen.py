"""What a template of dbt, or a macro that it calls, asks for that is another thing in another run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rules.importing.dbt_nodes import Manifest, Node
from rules.importing.dbt_variables import count_variables

_QUERIED = "a query that ran while it was compiled"
_WORDS = {
    "run_started_at": "run_started_at", "invocation_id": "invocation_id", "modules.datetime": "modules.datetime",
    "env_var": "env_var", "var(": "var", "target.": "target", "execute": _QUERIED,
}  # fmt: skip
"""What the Jinja of a template may hold, and how the report says so. Many macros ask `execute` and query nothing."""
_MACROS = {"macro.dbt.run_query": _QUERIED, "macro.dbt.statement": _QUERIED}


def frozen_words(node: Node, manifest: Manifest) -> tuple[str, ...]:
    """Return what a model was made with that is another thing in another run."""
    macros = reached_macros(node, manifest)
    found = [said for word, said in _WORDS.items() if _holds(node.raw, word)]
    texts = [text for name, text in macros.items() if not _is_of_dbt(name, manifest)]
    found += [said for word, said in _WORDS.items() if word != "execute" and any(_holds(text, word) for text in texts)]
    found += [said for macro, said in _MACROS.items() if macro in macros]
    return tuple(one for one in dict.fromkeys(_WORDS.values()) if one in found)


def asked_variables(node: Node, manifest: Manifest) -> int:
    """Return how often the template of a model, or a macro that it calls, asks for a variable."""
    macros = reached_macros(node, manifest)
    return count_variables(node.raw) + sum(map(count_variables, macros.values()))


def reached_macros(node: Node, manifest: Manifest) -> dict[str, str]:
    """Return the texts of the macros that a model calls, and of those that they call, by id."""
    found: dict[str, str] = {}
    todo = [*node.depends_on.macros]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        macro = manifest.macros.get(name)
        known = macro if isinstance(macro, Mapping) else {}
        found[name] = str(known.get("macro_sql", ""))
        todo += known.get("depends_on", {}).get("macros", [])
    return found


def _is_of_dbt(macro: str, manifest: Manifest) -> bool:
    return macro.split(".")[1] in ("dbt", f"dbt_{manifest.metadata.adapter_type}")


def _holds(template: str, word: str) -> bool:
    """Whether a word is in the Jinja of a template, not only in its SQL."""
    return any(re.search(rf"(?<![\w.]){re.escape(word)}", one) for one in _tags(template))


def _tags(template: str) -> Iterator[str]:
    yield from re.findall(r"\{\{.*?\}\}|\{%.*?%\}", template, re.DOTALL)
