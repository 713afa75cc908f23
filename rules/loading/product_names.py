"""The names of products: which a rule can have, and which are taken."""

from __future__ import annotations

from rules.config.project import NAME, Project
from rules.errors import FAILED, UserError, Where

_LONGEST_NAME = 240
"""Of a product, in ASCII: file systems take 255 bytes, and its file's name goes on after it."""


def name_of(path: str) -> str:
    """Return the name of the product of a file that holds a query."""
    return path.rsplit("/", 1)[-1].removesuffix(".sql")


class ProductNames:
    """The names that are taken in a project."""

    def __init__(self, project: Project) -> None:
        self._owners = {name.lower(): (name, project.source_owner(name)) for name in project.sources}
        self._claimed: dict[str, UserError] = {}

    def take(self, name: str, where: Where, hint: str) -> str:
        """Return `name`, which is a product's from now on. Raises `UserError` if it is no name, or taken."""
        if not NAME.match(name):
            message = f"'{name}' is not a usable product name: letters, digits and _ only, no digit first"
            raise UserError(message, code="rule-name", where=where, hint=hint, exit_code=FAILED)
        if len(name) > _LONGEST_NAME:
            message = f"'{name[:40]}…' has {len(name)} letters, and a product's name at most {_LONGEST_NAME}"
            hint = f"the product is a file of that name; {hint}"
            raise UserError(message, code="rule-name", where=where, hint=hint, exit_code=FAILED)
        other = self._owners.get(name.lower())
        if other is not None:
            facts = {"here": str(where), "there": other[1]}
            message = f"two tables are named '{name}'"
            hint = "the product of a rule is called after its file or function; rename one"
            error = UserError(message, code="duplicate-name", where=where, facts=facts, hint=hint, exit_code=FAILED)
            self._claimed.setdefault(other[0], error)
            raise error
        self._owners[name.lower()] = (name, str(where))
        return name

    def is_free(self, name: str, path: str) -> bool:
        """Take a name that has been found to be one, for the rule of a file; False if another table has it."""
        folded = name.lower()
        if folded in self._owners:
            return False
        self._owners[folded] = (name, path)
        return True

    def blame(self, unloaded: dict[str, UserError]) -> None:
        """Let names that two tables claim be broken: nobody can tell which of them is meant."""
        for name, error in self._claimed.items():
            unloaded.setdefault(name, error)
