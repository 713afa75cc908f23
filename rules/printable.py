"""Makes text printable: what a terminal or a CI system would obey is shown as an escape, and URLs without secrets.

Names, paths, values and the texts of other programs may hold anything. Whatever people or CI systems read goes through
here (`rules.terminal.output`, the one writer, sees to that); formats that programs read stay exact, and escape by
themselves. On the no-op path, so patterns are compiled only where they are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import re

_JOINERS = frozenset("\u200c\u200d")
_VARIANTS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_INVISIBLE = _JOINERS | _VARIANTS | _FILLERS
"""Printable to Python or not, these are seen by nobody."""
_WORDS = "##vso["


def printable(text: str) -> str:
    r"""Return a text in one line, with an escape in place of each character that is a command, or that nobody sees.

    These are controls (C0, DEL, C1), line ends, marks of the direction of text, characters of no width, lone
    surrogates. A byte of a file's name that is no text is shown as that byte. Joiners inside of emoji and of words in
    Indic and Persian scripts stay, and so does all that is printable already.

    a [ESC][2J b → a \x1b[2J b
    """
    if text.isprintable() and _INVISIBLE.isdisjoint(text):
        return text
    return "".join(char if _is_seen(char, position, text) else _escape(char) for position, char in enumerate(text))


def printable_line(text: str) -> str:
    """Return `printable` text for a line of its own, which no CI system takes for a command.

    GitHub obeys a line that begins with ::, and ##[…] anywhere in it; Azure Pipelines obeys ##vso[…].
    """
    text = printable(text)
    if "::" in text and text.lstrip().startswith("::"):
        text = text.replace(":", "\\x3a", 1)
    return _without_commands(text, "\\x23") if "##" in text else text


def printable_block(text: str) -> str:
    """Return a text of several lines for a terminal; the ends of lines and tabs stay."""
    if text.isprintable():
        return printable(text)
    return "\n".join("\t".join(printable(part) for part in line.split("\t")) for line in text.split("\n"))


def printable_json(text: str) -> str:
    """Return a JSON text that means the same and holds nothing unprintable: JSON has escapes of its own."""
    if "##" in text:
        text = _without_commands(text, "\\u0023")
    if text.isprintable() and _INVISIBLE.isdisjoint(text):
        return text
    return "".join(
        char if char == "\n" or _is_seen(char, position, text) else _json_escape(char)
        for position, char in enumerate(text)
    )


def workflow_command(command: str, properties: dict[str, str], data: str) -> str:
    """Return a workflow command of GitHub, with the escapes that GitHub undoes.

    https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
    """
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{command} {listed}::{_data(data)}"


def without_secrets(text: str) -> str:
    """Return a text whose URLs have no user, password, query or fragment.

    https://me:pass@host/x?token=1 → https://host/x
    """
    if "://" not in text:
        return text
    import re

    return re.sub(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*://)([^\s\"'`<>]*)", _shown_url, text)


class ExactText(str):
    """A text of a document that is to be used as it is: a patch."""

    __slots__ = ()


class ExactRows(list[Any]):
    """Rows of a document, which are what was asked for: their URLs stay whole."""

    __slots__ = ()


def document_without_secrets(value: Any) -> Any:
    """Return plain data with the URLs in its texts shortened, but for what is exact."""
    if isinstance(value, ExactText | ExactRows):
        return value
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: document_without_secrets(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [document_without_secrets(item) for item in value]
    return value


def _without_commands(text: str, mark: str) -> str:
    """Write the second # of ##[ and ##vso[ as `mark`."""
    text = text.replace("##[", f"#{mark}[")
    while (start := text.lower().find(_WORDS)) >= 0:
        text = f"{text[: start + 1]}{mark}{text[start + 2 :]}"
    return text


def _is_seen(char: str, position: int, text: str) -> bool:
    if char in _INVISIBLE:
        return _joins(char, position, text)
    return char.isprintable()


def _joins(char: str, position: int, text: str) -> bool:
    """Whether a joiner, or a selector of a variant, does its work here; beside ASCII it only hides."""
    before, after = text[position - 1 : position], text[position + 1 : position + 2]
    if before.isascii() or before in _JOINERS | _FILLERS or not before.isprintable():
        return False
    if char in _VARIANTS:
        return before not in _VARIANTS
    return char in _JOINERS and not after.isascii() and after.isprintable() and after not in _INVISIBLE


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # how Python reads a byte of a name that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _shown_url(match: re.Match[str]) -> str:
    scheme, rest = match.groups()
    authority, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    password = authority.partition(":")[2]
    if "@" in rest and "@" not in authority and password and not password.isdecimal():
        # A password with a / or ? that should have been written as %2F: the host is behind the last @.
        authority, slash, path = rest.rpartition("@")[2].partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}{authority.rpartition('@')[2]}{slash}{path}"


def _data(text: str) -> str:
    return printable(text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
