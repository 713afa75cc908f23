"""TOML texts → documents, or what is wrong with them and where: of rules.toml, options of rules, unit tests."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from rules.config.toml_positions import HUGE, huge_number

if TYPE_CHECKING:
    from rules.config.toml_positions import Place


class TomlError(Exception):
    """A text that is no TOML, or none that can be used. place: where, from 1; None where something lacks at its end."""

    def __init__(self, message: str, place: Place | None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


def parse_toml(text: str) -> dict[str, Any]:
    """Return a TOML document. Raises `TomlError`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, str(error)) from error
    except RecursionError:
        raise TomlError("not usable: nested too deeply", (1, 1)) from None
    except ValueError as error:
        raise TomlError(HUGE, huge_number(text)) from error


def end_of(text: str) -> Place:
    """Return the place behind the last character of a text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _syntax_error(text: str, message: str) -> TomlError:
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    place = (int(found[1]), int(found[2])) if found else None
    if place is not None and message.startswith("Cannot "):  # reported at the end of the repeated line: its beginning
        said = text.split("\n")[place[0] - 1]
        place = place[0], len(said) - len(said.lstrip()) + 1
    clean = re.sub(r" \(at .*\)$", "", message)
    clean = re.sub(r"\('(.*)',\)", r"[\1]", clean)
    return TomlError(f"not valid TOML: {clean[0].lower()}{clean[1:]}", place)
