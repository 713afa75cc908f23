"""Every alias that the canonical form writes as another name is, to the engine, a name of that very function."""

from __future__ import annotations

from datafusion import SessionConfig, SessionContext

from compiler.canonical.calls import ALIASES
from compiler.sql.functions import lookup


def test_the_engine_registers_both_names_as_one_function() -> None:
    context = SessionContext(SessionConfig().with_information_schema(True))  # noqa: FBT003 — the engine's signature
    query = "SELECT DISTINCT routine_name, function_type, description, syntax_example FROM information_schema.routines"
    described = {row["routine_name"]: row for row in context.sql(query).to_pylist()}
    for alias, name in ALIASES.items():
        one, other = dict(described[alias]), dict(described[name])
        assert one.pop("routine_name") != other.pop("routine_name")
        assert one == other, f"{alias} is described otherwise than {name}"
        first, second = lookup(alias), lookup(name)
        assert first is not None
        assert second is not None
        assert (first.kinds, first.volatility) == (second.kinds, second.volatility)
        assert name not in ALIASES
