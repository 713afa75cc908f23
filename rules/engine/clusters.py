"""The engine that a profile has beside the local one, which plans all rules and runs what the other cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.errors import UserError

if TYPE_CHECKING:
    from rules.config.profiles import Profile
    from rules.engine.protocol import Engine


def cluster(profile: Profile) -> Engine | None:
    """Return the engine of a profile's cluster; None if it has none. Nothing is imported for it, or connected to.

    Raises `UserError`.
    """
    if profile.engine == "local":
        return None
    if profile.remote is None:
        raise UserError(
            f"profile '{profile.name}' runs rules on Spark, but names no server",
            code="setting",
            hint='add remote = "sc://HOST:PORT" to it; `rules engine up spark` starts a server here',
        )
    from rules.engine.spark.engine import SparkEngine

    if profile.spark_staging is None:
        return SparkEngine(profile.remote)
    from rules.engine.spark.staging import Staging

    return SparkEngine(profile.remote, Staging(profile.spark_staging))
