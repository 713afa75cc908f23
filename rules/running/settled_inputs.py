"""What the actions of a build read: of each settled table, its content for keys and its artifact for the engine.

The objects of artifacts may have been damaged since they were made: an input is looked at before it is read, and the
one of a source is made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cache.errors import ObjectError
from rules.compiling.reach import BeyondReach
from rules.errors import FAILED, UserError
from rules.sources.contents import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cache.keys import Content
    from rules.planning.prepared import Prepared


class SettledInputs:
    """The sources of a build, and its products as they are settled."""

    def __init__(self, prepared: Prepared, say: Callable[[str], None]) -> None:
        """say: is told of objects that are not sound."""
        self._session, self._say = prepared.session, say
        self._project, self._store = self._session.project, self._session.store
        self.sources = self._session.sources
        self.contents: dict[str, Content] = dict(prepared.contents)
        self.artifacts: dict[str, str] = prepared.artifacts

    def settle(self, name: str, artifact: str) -> None:
        """Let what reads a product read this artifact of it."""
        self.artifacts[name], self.contents[name] = artifact, self._store.content(artifact)

    def of(self, names: Iterable[str]) -> tuple[dict[str, str], dict[str, Content]]:
        """Return the artifacts and contents of those of some tables that are settled."""
        read = list(names)
        return (
            {name: self.artifacts[name] for name in read if name in self.artifacts},
            {name: self.contents[name] for name in read if name in self.contents},
        )

    def is_sound(self, name: str) -> bool:
        """Whether the object of an input is whole. Of one in parts, whoever reads some of them compares their bytes."""
        artifact = self._store.artifact(self.artifacts[name])
        assert artifact is not None
        if artifact.parts and self._store.is_linked(artifact):
            return True
        try:
            self._store.verify(artifact)
        except ObjectError as error:
            self._say(f"warning: the object of {name} is not sound: {error}")
            return False
        return True

    def ingest_again(self, name: str) -> None:
        """Make the object of an input that no rule of this run yields again.

        Raises `UserError` if that fails, and `BeyondReach` if the build looked at too little to do it.
        """
        if name not in self._project.sources:
            if self._session.reach is not None:
                raise BeyondReach(name)
            raise UserError(
                f"the stored object of its input {name} is corrupt",
                code="corrupt-object",
                hint=f"rules build -s {name} makes it again",
                exit_code=FAILED,
            )
        # Opened again with the digests in the keys: a source without an object is ingested, the others are known.
        sources = Sources(
            self._project, self._store.index, self._store.objects, self._session.files, self.sources.copies
        )
        table = sources.open([source for source in self.contents if source in self._project.sources])[name]
        self.sources = sources
        assert table.artifact is not None
        self.artifacts[name] = table.artifact.artifact
        self.contents[name] = sources.content(name, sorted(self.contents[name].columns))
