"""What of the engine is part of fingerprints, known without loading the engine."""

from __future__ import annotations

from importlib.metadata import version

from compiler.compile import EngineIdentity
from rules.config.profiles import Profile
from rules.engine.settings import RESULT_SETTINGS


def identity(profile: Profile) -> EngineIdentity:
    """Return the engine's version and the settings that can change results."""
    return EngineIdentity(f"datafusion {version('datafusion')}", RESULT_SETTINGS, profile.float_settings)
