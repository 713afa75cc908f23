"""Where each rule runs, if the profile has a cluster: there, if both engines are known to make the same table of it.

With `engine = "auto"` it also has to read much. What counts is the size of the sources, its own and those of the
products that it reads: these are known before anything ran, and are the same whatever was built before, so that a
rule stays where it is, under the same key, until the sources are others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compiler.compiled import Tier
from compiler.spark.refusal import RefusedError
from rules.compiling.compiled_records import Body, load_body
from rules.compiling.compiled_rule import CompiledRule, Placement
from rules.wording import byte_size

if TYPE_CHECKING:
    from cache.index import Index
    from compiler.compiled import EngineIdentity
    from compiler.schema import Schema
    from graph.dag import Dag

_MIB = 1 << 20


@dataclass(frozen=True)
class BySize:
    """Places rules by what they read. below: the bytes of all sources below each; from_mb: of a profile."""

    below: Mapping[str, int]
    from_mb: int

    @classmethod
    def of(cls, dag: Dag, sources: Mapping[str, int], from_mb: int) -> BySize:
        """Return what places the rules of a DAG. sources: the bytes of each; one that cannot be read has none."""
        found: dict[str, frozenset[str]] = {}
        for name in dag.order:
            reads = dag.reads(name)
            found[name] = frozenset().union(*(found.get(one, (one,)) for one in reads))
        return cls({name: sum(sources.get(one, 0) for one in some) for name, some in found.items()}, from_mb)

    def place(self, name: str) -> Placement:
        """Return where a rule runs that could run on Spark."""
        read, is_large = self.below[name], self.below[name] >= self.from_mb * _MIB
        comparison = "at least" if is_large else "less than"
        reason = f"the sources below it have {byte_size(read)}, {comparison} spark_from_mb ({self.from_mb:,} MiB)"
        return Placement("spark" if is_large else "local", reason)


@dataclass(frozen=True)
class Placing:
    """Places compiled rules. schemas: of products and sources. given: sources with columns that are not in their files.

    index: the memos of the rules.
    """

    schemas: Mapping[str, Schema]
    given: Collection[str]
    index: Index

    def placed(
        self, compiled: Mapping[str, CompiledRule], identity: EngineIdentity, by_size: BySize | None = None
    ) -> dict[str, CompiledRule]:
        """Return rules with their places, those of the cluster under the fingerprints that it gives them.

        identity: of the cluster. by_size: if not all go there that can. Checks of products run locally, next to the
        tables that they read.
        """
        from compiler.spark.translation import may_run_here  # only where there is a Spark

        found = {}
        for name, rule in compiled.items():
            place = Placement("spark") if by_size is None else by_size.place(name)
            try:
                query = self._query(rule)
            except RefusedError as error:
                query, place = "", Placement("local", str(error))
            if place.engine == "local":
                found[name] = rule.placed(place)
            else:
                found[name] = rule.placed(place, identity, may_run_here=may_run_here(query))
        return found

    def why_local(self, rule: CompiledRule) -> str | None:
        """Return why a rule cannot run on Spark, None if both engines are known to make the same table of it."""
        try:
            self._query(rule)
        except RefusedError as error:
            return str(error)
        return None

    def _query(self, rule: CompiledRule) -> str:
        """Return the query of a rule for Spark. Raises `RefusedError`."""
        if rule.rule.streams is not None:
            raise RefusedError("its function is called with streams of Arrow")
        if rule.node.parts.get("functions"):
            raise RefusedError("it calls a function of the project")
        if rule.node.volatile:
            raise RefusedError("it is volatile")
        if rule.rule.tier is Tier.STABLE:
            raise RefusedError("tier 1 promises the order of its inputs' rows")
        for name in rule.scans:
            if name in self.given:
                raise RefusedError(f"{name} has columns that are not in its files")
        return spark_query(rule, load_body(self.index, rule.memo), self.schemas)


def spark_query(rule: CompiledRule, body: Body, schemas: Mapping[str, Schema]) -> str:
    """Return the query of a rule for Spark. Raises `RefusedError`."""
    from compiler.spark.translation import for_spark

    inputs = {name: schemas[name] for name in rule.scans}
    options = rule.rule.options
    order = (*options.key, *options.order_by) if rule.rule.tier is Tier.CANONICAL else ()
    return for_spark(body.meaning, inputs, rule.schema, order)
