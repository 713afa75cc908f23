"""A command on a terminal of its own: what it wrote, byte for byte, and what is then on the screen."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.forks import shared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TOKEN = re.compile(r"\x1b\[(?P<args>[?0-9;]*)(?P<final>[A-Za-z])|(?P<control>[\r\n])|(?P<text>[^\x1b\r\n]+)")


@dataclass(frozen=True)
class Seen:
    """code: the exit code; raw: all that was written, stdout and stderr as they came."""

    code: int
    raw: str

    @property
    def screen(self) -> list[str]:
        """The lines a terminal without end shows at last, colours left out."""
        return replay(self.raw)[0]

    @property
    def cursor_hidden(self) -> bool:
        """Whether the cursor was left hidden."""
        return self.raw.rfind("\x1b[?25l") > self.raw.rfind("\x1b[?25h")


def run_on_terminal(
    root: Path, *arguments: str, columns: int = 100, env: Mapping[str, str] | None = None, split: bool = False
) -> Seen:
    """Run `rules` in `root` on a terminal. With `split` only stderr is the terminal, and stdout is thrown away."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    environment = {
        name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}
    }
    environment |= {"TERM": "xterm-256color", **(env or {})}
    written: list[bytes] = []
    reader = threading.Thread(target=_read, args=(leader, written))
    reader.start()
    try:
        done = shared().run(root, *arguments, env=environment, terminal=os.ttyname(follower), split=split)
    finally:
        os.close(follower)
        reader.join()
        os.close(leader)
    return Seen(done.code, b"".join(written).decode())


def _read(leader: int, written: list[bytes]) -> None:
    """Read to the end, which Linux tells by an error when the last writer has gone."""
    with contextlib.suppress(OSError):
        while data := os.read(leader, 65536):
            written.append(data)


def replay(raw: str) -> tuple[list[str], list[list[str]]]:
    """Follow what a terminal does on cursor up, erase, carriage return and newline; colours change nothing.

    Returns the last screen, and the screen before each erasure. An unknown control sequence is an error.
    """
    lines = [""]
    row = column = 0
    before: list[list[str]] = []
    position = 0
    while position < len(raw):
        match = _TOKEN.match(raw, position)
        assert match is not None, f"not understood: {raw[position : position + 20]!r}"
        position = match.end()
        if match["text"]:
            text = match["text"]
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif match["control"] == "\r":
            column = 0
        elif match["control"] == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif match["final"] == "A":
            row -= int(match["args"] or 1)
            assert row >= 0, "the cursor left the screen at the top"
        elif match["final"] == "K":
            assert match["args"] == "2"
            before.append([line.rstrip() for line in lines])
            lines[row] = ""
        else:
            assert match["final"] in "mhl", f"unknown control sequence {match[0]!r}"
    shown = [line.rstrip() for line in lines]
    while shown and not shown[-1]:
        shown.pop()
    return shown, before
