"""Text for people: numbers with their nouns, durations, and columns that fit a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rules.printable import printable

_LEAST_TEXT = 20
_MINUTE = 60


def table_lines(
    header: list[str],
    rows: Iterable[list[str]],
    *,
    right: Iterable[int] = (),
    width: int | None = None,
    widest: int | None = None,
) -> list[str]:
    """Return rows as aligned columns under a header, the columns `right` right-aligned, lines cut to `width`.

    widest: the most that a column is padded to; what is longer moves its own line only.
    """
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(cell_width, column)) for column in zip(*cells, strict=True)]
    if widest is not None:
        widths = [min(size, widest) for size in widths]
    numbers = set(right)
    lines = []
    for row in cells:
        padded = [
            " " * (size - cell_width(cell)) + cell if column in numbers else cell + " " * (size - cell_width(cell))
            for column, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(padded).rstrip()
        lines.append(line if width is None else cut(line, width))
    return lines


def wrapped_lines(rows: list[list[str]], width: int | None, *, widest: int | None = None) -> list[str]:
    """Return rows as aligned columns; on a terminal of `width` columns a long last cell continues below itself."""
    lines: list[str] = []
    rows = [[printable(cell) for cell in row] for row in rows]
    for row, line in zip(rows, table_lines(rows[0], rows[1:], widest=widest) if rows else [], strict=True):
        indent = len(line) - len(row[-1])
        if width is None or cell_width(line) <= width or width - indent < _LEAST_TEXT:
            lines.append(line)
            continue
        import textwrap

        first, *others = textwrap.wrap(row[-1], width - indent, break_on_hyphens=False)
        lines += [line[:indent] + first, *(" " * indent + other for other in others)]
    return lines


def cell_width(text: str) -> int:
    """Return how many columns a terminal needs for a text without control characters."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)


def cut(text: str, width: int) -> str:
    """Return a text that fits into `width` columns, with … where it is cut."""
    if cell_width(text) <= width:
        return text
    kept = text[: max(width - 1, 0)]
    while kept and cell_width(kept) > width - 1:
        kept = kept[:-1]
    return f"{kept}…"


def duration(seconds: float, digits: int = 2) -> str:
    """Return "0.02 s", "1.3 s", "2 min 5 s", "3 h 20 min"; `digits`: decimals below one second."""
    if round(seconds, 2) < 1:
        return f"{seconds:.{digits}f} s"
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours:,} h {minutes} min"


def plural(count: int, noun: str) -> str:
    """Return "1 row", "2,000 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def byte_size(count: int) -> str:
    """Return "512 B", "1.2 MB": powers of 1,000, three digits."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:  # noqa: PLR2004 — what would be rounded to four digits
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"  # noqa: PLR2004
        value /= 1000
    return f"{value:,.1f} TB"
