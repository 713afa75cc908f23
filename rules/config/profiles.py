"""Runtime profiles: named settings of the engine, each declared once, with what it can change of a table.

What only costs or saves time stays out of fingerprints. What can change a result enters those of the rules that it can
change, and only where it is not the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from rules.config.engine_keys import is_speed_only
from rules.config.machine import usable_cores
from rules.files.project_paths import DEFAULT_PROFILE
from rules.storage.writer_options import PLAIN, WriterOptions

_SORTED_AT_ONCE = 32 << 20
BATCH_ROWS = 32_768
"""Against the engine's default, 8,192, sorts take a fifth less, scans of strings a fifth and windows a twentieth; the
rest is alike. See `benchmarks/parts/test_execution.py`."""
_MIB = 1 << 20
POOL_PERCENT = 25
"""How much of a product's memory the engine's operators share as their pool, see `rules.engine.memory`. In fingerprints
of rules that it can change, where a profile limits the memory."""

Tier = Literal[0, 1, 2]
Place = Literal["local", "spark"]
"""An engine that rules can run on."""
Evidence = Literal["none", "summary", "full"]
"""How much evidence of an execution is kept. summary: the SQL, the plan that ran, time, rows and spill by operator.
full: also the rule as written, its canonical form, logical plans, all metrics, all settings, Substrait."""


class Effect(Enum):
    """What a setting can change of a table, in the words of the documented list."""

    SPEED = "speed only"
    ORDER = "order, ties, last bits of floats"
    SPREAD = "the same, at several partitions"
    TIER = "order, as the tier says"
    ENGINE = "rules that run there"
    ANY = "any rule"


@dataclass(frozen=True)
class Setting:
    """What a field of a profile is: its key in the engine, if it is one of the engine's, and what it can change.

    factor: by what a number is multiplied for the engine; suffix: what is appended to it there. least: the least
    number that is allowed.
    """

    effect: Effect
    key: str | None = None
    factor: int = 1
    suffix: str = ""
    least: int = 1

    def engine_text(self, value: Any) -> str:
        """Return a value as the engine spells it."""
        if isinstance(value, bool):
            return str(value).lower()
        return f"{value * self.factor}{self.suffix}" if isinstance(value, int) else str(value)


_SPEED, _ORDER, _SPREAD = Effect.SPEED, Effect.ORDER, Effect.SPREAD
_EXECUTION, _PARQUET = "datafusion.execution", "datafusion.execution.parquet"
_OPTIMIZER, _RUNTIME = "datafusion.optimizer", "datafusion.runtime"


class RuntimeProfile(msgspec.Struct, frozen=True):
    """Settings of a run. A field with a `Setting` is a key of [profiles.NAME] in rules.toml, and of --set."""

    name: str
    jobs: Annotated[int, Setting(_SPEED)] = 0
    """Products executed at once. 0: as many as the cores can bear, see `workers`."""
    partitions: Annotated[int, Setting(_ORDER, f"{_EXECUTION}.target_partitions")] = 1
    """Of each product's execution."""
    batch_size: Annotated[int, Setting(_ORDER, f"{_EXECUTION}.batch_size")] = BATCH_ROWS
    """Rows at once. A query that cannot show it in its table takes 16,384, or 65,536 from 4 million rows on; never more
    than a profile says that sets another number or limits the memory."""
    memory_limit_mb: Annotated[int | None, Setting(_ORDER, f"{_RUNTIME}.memory_limit", suffix="M")] = None
    """Memory of one product's execution, in MiB, a quarter of it the pool of the engine's operators; None: a share of
    the machine's or container's memory."""
    memory_pool: Annotated[Literal["fair", "greedy"], Setting(_ORDER)] = "fair"
    """Whether operators that can spill share the pool evenly, or the first takes what it wants."""
    sort_reservation_mb: Annotated[int, Setting(_ORDER, f"{_EXECUTION}.sort_spill_reservation_bytes", factor=_MIB)] = 0
    """What each sort reserves for merging, in MiB; 0: its share of a third of the pool, at least 10."""
    spill_fan_in: Annotated[int, Setting(_ORDER, f"{_RUNTIME}.max_spill_merge_fan_in", least=2)] = 0
    """The most spilled files that are merged at once; 0: all."""
    text_views: Annotated[bool, Setting(_ORDER, f"{_PARQUET}.schema_force_view_types")] = True
    """Whether the texts of a batch may be views of what was read for many, each of which the pool counts as having all
    of it; else they are copies."""
    spill_file_mb: Annotated[int, Setting(_SPEED, f"{_EXECUTION}.max_spill_file_size_bytes", factor=_MIB)] = 128
    """Size of a spilled file, in MiB."""
    temp_directory: Annotated[str | None, Setting(_SPEED, f"{_RUNTIME}.temp_directory")] = None
    """Where operators spill to; None: a temporary folder of the store."""
    temp_limit_mb: Annotated[int | None, Setting(_SPEED, f"{_RUNTIME}.max_temp_directory_size", suffix="M")] = None
    """The most that may be spilled, in MiB; None: the engine's limit, 100 GiB."""
    arrow_threads: Annotated[int, Setting(_SPEED)] = 0
    """Threads with which Arrow computes; 0: what the products at once leave of the cores, at least one."""
    arrow_io_threads: Annotated[int, Setting(_SPEED)] = 0
    """Threads with which Arrow reads and writes; 0: Arrow's default."""
    pruning: Annotated[bool, Setting(_SPEED, f"{_PARQUET}.pruning")] = True
    """Whether row groups are skipped by their statistics."""
    page_index: Annotated[bool, Setting(_SPEED, f"{_PARQUET}.enable_page_index")] = True
    """Whether pages are."""
    bloom_filters: Annotated[bool, Setting(_SPEED, f"{_PARQUET}.bloom_filter_on_read")] = True
    """Whether row groups are skipped by their Bloom filters."""
    pushdown_filters: Annotated[bool, Setting(_ORDER, f"{_PARQUET}.pushdown_filters")] = False
    """Whether filters are evaluated while Parquet is decoded."""
    reorder_filters: Annotated[bool, Setting(_ORDER, f"{_PARQUET}.reorder_filters")] = False
    """Whether those filters are evaluated in another order than they are written in."""
    metadata_size_hint: Annotated[int, Setting(_SPEED, f"{_PARQUET}.metadata_size_hint")] = 512 << 10
    """Bytes at a Parquet file's end that are read at once."""
    metadata_cache_mb: Annotated[int, Setting(_SPEED, f"{_RUNTIME}.metadata_cache_limit", suffix="M")] = 50
    """What the products of a build remember of Parquet files, in MiB."""
    dynamic_filters: Annotated[bool, Setting(_SPEED, f"{_OPTIMIZER}.enable_dynamic_filter_pushdown")] = True
    """Whether operators tell scans, while they run, which rows they do not need."""
    join_dynamic_filters: Annotated[bool, Setting(_SPEED, f"{_OPTIMIZER}.enable_join_dynamic_filter_pushdown")] = True
    """Whether joins do."""
    topk_dynamic_filters: Annotated[bool, Setting(_SPEED, f"{_OPTIMIZER}.enable_topk_dynamic_filter_pushdown")] = True
    """Whether ORDER BY … LIMIT does."""
    aggregate_dynamic_filters: Annotated[
        bool, Setting(_SPEED, f"{_OPTIMIZER}.enable_aggregate_dynamic_filter_pushdown")
    ] = True
    """Whether MIN and MAX do."""
    repartition_aggregations: Annotated[bool, Setting(_SPREAD, f"{_OPTIMIZER}.repartition_aggregations")] = True
    repartition_joins: Annotated[bool, Setting(_SPREAD, f"{_OPTIMIZER}.repartition_joins")] = True
    repartition_windows: Annotated[bool, Setting(_SPREAD, f"{_OPTIMIZER}.repartition_windows")] = True
    repartition_file_scans: Annotated[bool, Setting(_SPREAD, f"{_OPTIMIZER}.repartition_file_scans")] = True
    round_robin: Annotated[bool, Setting(_SPREAD, f"{_OPTIMIZER}.enable_round_robin_repartition")] = True
    """Whether rows are dealt out to idle partitions."""
    prefer_hash_join: Annotated[bool, Setting(_SPREAD, f"{_OPTIMIZER}.prefer_hash_join")] = True
    """Whether joins hash rather than sort. There is no sort-merge join at one partition."""
    preserve_order: Annotated[bool, Setting(_SPREAD, f"{_OPTIMIZER}.prefer_existing_sort")] = False
    """Whether rows that are sorted stay so from partition to partition, rather than being sorted again."""
    coalesce_batches: Annotated[bool, Setting(_SPEED, f"{_EXECUTION}.coalesce_batches")] = True
    """Whether small batches are put together between operators."""
    fuse_selects: Annotated[bool, Setting(_SPEED)] = True
    """Whether the operations of an Ibis expression become as few SELECTs as can be, or one each, which reads like the
    expression."""
    analyze_level: Annotated[Literal["summary", "dev"], Setting(_SPEED, "datafusion.explain.analyze_level")] = "dev"
    """How many metrics EXPLAIN ANALYZE shows."""
    evidence: Annotated[Evidence, Setting(_SPEED)] = "summary"
    """What is kept of every executed product. Of a failed one SQL and settings are kept in any case."""
    timeout: Annotated[str | None, Setting(_SPEED)] = None
    """How long a build may take, such as "10m"; None: as long as it takes."""
    product_timeout: Annotated[str | None, Setting(_SPEED)] = None
    """How long each product may take; None: as long as it takes."""
    tier: Annotated[Tier | None, Setting(Effect.TIER)] = None
    """The determinism tier of rules that declare none, and whose folders do not; None: the project's."""
    engine: Annotated[Literal["local", "spark", "auto"], Setting(Effect.ENGINE)] = msgspec.field(
        default="local", name="runs_on"
    )
    """Where rules run: in this process, or on Spark, as far as both are known to make the same table; auto: there if
    they read much. In JSON it has another name, since `engine` has always been the keys there."""
    spark_from_mb: Annotated[int, Setting(Effect.ENGINE)] = 10_240
    """From how many MiB of sources on, read by a rule itself or by those above it, `auto` means Spark."""
    remote: Annotated[str | None, Setting(_SPEED)] = None
    """The server of Spark Connect, `sc://host:port`."""
    spark_writes: Annotated[bool, Setting(_SPEED)] = False
    """Whether Spark writes its tables to files in the store's temporary folder, which its executors may then write to,
    or into `spark_staging`, from which they are taken. Otherwise rows come back through the server."""
    spark_staging: Annotated[str | None, Setting(_SPEED)] = None
    """s3://BUCKET/PREFIX for what Spark reads and writes, if it shares no folder with this process; None: it does."""
    writer: WriterOptions = PLAIN
    """How the published files of products are written whose rules do not say."""
    engine_keys: Mapping[str, str] = msgspec.field(default_factory=dict, name="engine")
    """Further keys of the engine (`datafusion.…`), as it spells their values."""

    def of_tier(self, tier: int, *, sensitive: bool) -> RuntimeProfile:
        """Return the profile for a rule of a tier. sensitive: whether partitions can change its values.

        Tier 1: rows come from one partition in the order of the scans. Tier 2: they are sorted, so only a rule whose
        values depend on partitions has to do with one.
        """
        if tier == 1:
            stable = {"partitions": 1, "pushdown_filters": False, "reorder_filters": False}
            return msgspec.structs.replace(self, tier=1, **stable)
        if tier == 2:  # noqa: PLR2004
            return msgspec.structs.replace(self, tier=2, partitions=1 if sensitive else self.partitions)
        return msgspec.structs.replace(self, tier=0) if self.tier else self

    @property
    def workers(self) -> int:
        """Number of products executed at once.

        At one partition one more than there are cores, so that none is idle while one product waits for the disk. With
        more, as many as fit: products times partitions never exceed the cores, unless one product does by itself.
        """
        if self.partitions == 1:
            return self.jobs or self.cores + 1
        fit = max(1, usable_cores() // self.partitions)
        return min(self.jobs, fit) if self.jobs else fit

    @property
    def cores(self) -> int:
        """Number of cores that may be busy."""
        return self.jobs or usable_cores()

    @property
    def spread_cores(self) -> int:
        """Number of cores that one product may be spread over, if nothing else needs them.

        Not where memory is limited: each partition has batches under way, which no pool counts.
        """
        may = self.partitions == 1 and self.memory_limit_mb is None
        return min(self.cores, usable_cores()) if may else 1

    @property
    def arrow_cores(self) -> int:
        """Number of threads that Arrow may compute with."""
        return self.arrow_threads or max(1, usable_cores() - self.workers * self.partitions)

    @property
    def sorted_at_once(self) -> int | None:
        """Bytes that are sorted as one batch, beyond which sorted batches are merged; None for the engine's default.

        The default, 1 MiB, makes sorting 100,000 rows take half as long again. With a limit of memory, a sort that
        spills may not get as much at once, and fails.
        """
        return _SORTED_AT_ONCE if self.memory_limit_mb is None else None

    @property
    def keeps_order(self) -> bool:
        """Whether rows that need no order are yielded in the order of their input."""
        return self.partitions == 1 and not (self.pushdown_filters or self.reorder_filters or self.engine_settings)

    @property
    def engine_settings(self) -> dict[str, str]:
        """Further keys of the engine that may change any table."""
        return {key: value for key, value in sorted(self.engine_keys.items()) if not is_speed_only(key)}

    @property
    def float_settings(self) -> dict[str, object]:
        """What can change the order of rows, the last bits of float aggregates, and which of several ties wins.

        The four that were always part of fingerprints, and of the others those that differ from the default.
        """
        shown: dict[str, object] = {
            "partitions": self.partitions,
            "batch_size": self.batch_size,
            "memory_limit_mb": self.memory_limit_mb,
            "sorted_at_once": self.sorted_at_once,
        }
        if self.memory_limit_mb is not None:
            shown["pool_percent"] = POOL_PERCENT
        counted = {Effect.ORDER, Effect.SPREAD} if self.partitions > 1 else {Effect.ORDER}
        given = {name: value for name, value in self.changed().items() if SETTINGS[name].effect in counted}
        return shown | given

    def changed(self) -> dict[str, Any]:
        """Return the settings that are not the default, in the order of their declaration."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {name: value for name, value in values.items() if value != DEFAULTS[name]}


SETTINGS: Mapping[str, Setting] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(RuntimeProfile, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
"""Every setting that has a name of its own."""
KINDS: Mapping[str, Any] = {name: hint for name, hint in get_type_hints(RuntimeProfile).items() if name in SETTINGS}
DEFAULTS: Mapping[str, Any] = {
    one.name: one.default for one in msgspec.structs.fields(RuntimeProfile) if one.name in SETTINGS
}
FIELDS_BY_KEY: Mapping[str, str] = {one.key: name for name, one in SETTINGS.items() if one.key is not None}
"""Keys of the engine that are settings with a name."""

PROFILES = {
    profile.name: profile
    for profile in (
        RuntimeProfile(DEFAULT_PROFILE),
        RuntimeProfile("dev_debug", jobs=1, evidence="full", fuse_selects=False),
        RuntimeProfile("memory_tight", jobs=1, batch_size=8192, memory_limit_mb=512),
    )
}

Profile = RuntimeProfile
"""Its name in signatures."""
