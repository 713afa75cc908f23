"""Tasks for helper processes, which import this module."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from rules.compiling.helpers import Task


@dataclass(frozen=True)
class Echo(Task):
    """Returns what it was made with."""

    value: Any

    def done(self) -> Any:
        return self.value


class Die(Task):
    """Ends its process as if the system had killed it."""

    def done(self) -> None:
        os._exit(9)
