"""The helper processes of one check, which start once it turns out that there is much to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

from rules.config.project import Project
from rules.engine.local import LOCAL
from rules.files.project_paths import DEFAULT_PROFILE

if TYPE_CHECKING:
    from compiler.compiled import Parsed
    from rules.compiling.helpers import Helpers
    from rules.compiling.parse_pool import KeptText
    from rules.loading.rule_texts import Text


class CheckHelpers:
    """Helpers of one check of a project; a context manager, which ends them."""

    def __init__(self, project: Project) -> None:
        self._cores = project.profile(DEFAULT_PROFILE).cores
        self.may_help = not project.unsaved and self._cores > 1
        self._helpers: Helpers | None = None
        self._kept: dict[str, KeptText] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._helpers is not None:
            self._helpers.close()

    @property
    def helpers(self) -> Helpers:
        """Return the processes, which start with their first job."""
        if self._helpers is None:
            from rules.compiling.helpers import Helpers
            from rules.lint.check_pool import Setting

            self._helpers = Helpers(self._cores, LOCAL, Setting)
        return self._helpers

    def parse(self, texts: Sequence[Text]) -> Sequence[Parsed | None]:
        """Parse texts side by side, and keep them with their trees: two kB each, read in a fifth of the time."""
        from rules.compiling.parse_pool import parse_ahead

        return parse_ahead(self.helpers, texts, self._kept)

    def take(self, digest: str) -> KeptText | None:
        """Return a file's text that was parsed, once. digest: of the file."""
        return self._kept.pop(digest, None)
