"""The parts of fingerprints that identify the engine, known without loading it."""

from __future__ import annotations

import functools
from importlib.metadata import version

from compiler.compiled import EngineIdentity
from rules.config.profiles import Profile
from rules.engine.settings import RESULT_SETTINGS


def identity(profile: Profile) -> EngineIdentity:
    """Return the engine's version and the settings that can change results."""
    settings = {**RESULT_SETTINGS, **profile.engine_settings}
    stable = profile.of_tier(2, sensitive=True).float_settings
    return EngineIdentity(_engine(), settings, profile.float_settings, stable)


@functools.cache
def _engine() -> str:
    """Name and version of the engine, which a process keeps: reading a package's metadata takes a millisecond."""
    return f"datafusion {version('datafusion')}"
