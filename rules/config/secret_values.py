"""Values of a project's settings that must not be shown, by what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rules.printable import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rules.config.project import Project

_WORDS = ("password", "passwd", "secret", "token", "apikey", "api_key", "credential", "private_key")
_MASK = "•••"
_SHORTEST = 4
"""Characters of a value that is hidden: what is shorter is no secret, and occurs in everything."""


def secret_values(project: Project) -> tuple[str, ...]:
    """Return the values of variables whose names say that they are secrets, the longest first."""
    found = {
        str(value)
        for name, value in project.variables.items()
        if any(word in name.lower() for word in _WORDS) and not isinstance(value, bool)
    }
    return tuple(sorted((one for one in found if len(one) >= _SHORTEST), key=lambda one: (-len(one), one)))


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets of URLs and without these values."""
    text = without_secrets(text)
    for secret in secrets:
        text = text.replace(secret, _MASK)
    return text
