"""Profiles: named engine settings. What can change a result is told apart from what only changes speed."""

from __future__ import annotations

import os

import msgspec

from rules.roots import DEFAULT_PROFILE


class Profile(msgspec.Struct, frozen=True):
    """Engine settings.

    jobs: products executed at once (0: one more than there are cores, so that none is idle while one product waits for
    the disk). partitions: of each product's execution. batch_size: rows.
    memory_limit_mb: pool for one product's execution, in MiB; None for no limit. evidence: keep SQL, plans and
    settings of every executed product, not only of failed ones. fuse_selects: whether the operations of an Ibis
    expression become as few SELECTs as can be, or one each, which reads like the expression.
    """

    name: str
    jobs: int = 0
    partitions: int = 1
    batch_size: int = 8192
    memory_limit_mb: int | None = None
    evidence: bool = False
    fuse_selects: bool = True

    @property
    def workers(self) -> int:
        """Number of products executed at once."""
        return self.jobs or self.cores + 1

    @property
    def cores(self) -> int:
        """Number of cores that may be busy."""
        return self.jobs or os.cpu_count() or 1

    @property
    def float_settings(self) -> dict[str, object]:
        """What can change the last bits of float aggregates, and which of several ties wins; nothing else."""
        return {"partitions": self.partitions, "batch_size": self.batch_size, "memory_limit_mb": self.memory_limit_mb}


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(DEFAULT_PROFILE),
        Profile("dev_debug", jobs=1, evidence=True, fuse_selects=False),
        Profile("memory_tight", jobs=1, memory_limit_mb=512),
    )
}
