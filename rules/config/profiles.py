"""Profiles: named engine settings. What can change a result is told apart from what only changes speed."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from rules.files.project_paths import DEFAULT_PROFILE

_SORTED_AT_ONCE = 32 << 20
_BATCH_ROWS = 32_768
"""Against the engine's default, 8,192, sorts take a fifth less, scans of strings a fifth and windows a twentieth; the
rest is alike. See `benchmarks/parts/test_execution.py`."""


Evidence = Literal["none", "summary", "full"]
"""How much evidence of an execution is kept. summary: the SQL, the plan that ran, time, rows and spill by operator.
full: also the rule as written, its canonical form, logical plans, all metrics, all settings, Substrait."""

_FIXED = {"name", "evidence", "fuse_selects"}
"""Settings that belong to the built-in profiles: rules.toml cannot override them."""


class Profile(msgspec.Struct, frozen=True):
    """Engine settings. A field is a key of [profiles.NAME] in rules.toml, unless it is one of _FIXED."""

    name: str
    jobs: int = 0
    """Products executed at once. 0: one more than there are cores, so that none is idle while one product waits for the
    disk."""
    partitions: int = 1
    """Of each product's execution."""
    batch_size: int = _BATCH_ROWS
    """Rows."""
    memory_limit_mb: int | None = None
    """Pool for one product's execution, in MiB; None for no limit."""
    evidence: Evidence = "summary"
    """What is kept of every executed product; of failed ones, the SQL is always kept."""
    fuse_selects: bool = True
    """Whether the operations of an Ibis expression become as few SELECTs as can be, or one each, which reads like the
    expression."""

    @property
    def workers(self) -> int:
        """Number of products executed at once."""
        return self.jobs or self.cores + 1

    @property
    def cores(self) -> int:
        """Number of cores that may be busy."""
        return self.jobs or os.cpu_count() or 1

    @property
    def sorted_at_once(self) -> int | None:
        """Bytes that are sorted as one batch, beyond which sorted batches are merged; None for the engine's default.

        The default, 1 MiB, makes sorting 100,000 rows take half as long again. With a limit of memory, a sort that
        spills may not get as much at once, and fails.
        """
        return _SORTED_AT_ONCE if self.memory_limit_mb is None else None

    @property
    def float_settings(self) -> dict[str, object]:
        """What can change the last bits of float aggregates, and which of several ties wins; nothing else."""
        return {
            "partitions": self.partitions,
            "batch_size": self.batch_size,
            "memory_limit_mb": self.memory_limit_mb,
            "sorted_at_once": self.sorted_at_once,
        }


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(DEFAULT_PROFILE),
        Profile("dev_debug", jobs=1, evidence="full", fuse_selects=False),
        Profile("memory_tight", jobs=1, batch_size=8192, memory_limit_mb=512),
    )
}

ProfileTable = msgspec.defstruct(
    "ProfileTable",
    [(one.name, one.type | None, None) for one in msgspec.structs.fields(Profile) if one.name not in _FIXED],
    forbid_unknown_fields=True,
)
"""[profiles.NAME] of rules.toml: overrides of a built-in profile, None for what it leaves. Numbers are at least 1."""
