"""The parts of fingerprints that identify the engine, known without loading it."""

from __future__ import annotations

from importlib.metadata import version

from compiler.compiled import EngineIdentity
from rules.config.profiles import Profile
from rules.engine.settings import RESULT_SETTINGS


def identity(profile: Profile) -> EngineIdentity:
    """Return the engine's version and the settings that can change results."""
    settings = {**RESULT_SETTINGS, **profile.engine_settings}
    return EngineIdentity(f"datafusion {version('datafusion')}", settings, profile.float_settings)
