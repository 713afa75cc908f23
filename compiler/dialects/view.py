"""What the habits of a dialect look at: one rule's text and tree, the kinds of its expressions, and what is found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from compiler.dialects.extents import Extents, fragment, is_operand, is_primary, same
from compiler.dialects.own_work import is_own_work
from compiler.sql.foreign_table import DIALECTS, TITLES

_ANCESTORS = 8
"""How far above a call the expression may be that a fix made around it."""


@dataclass(frozen=True)
class Habit:
    """A place where a dialect means something else than the engine.

    edits: what to write, as (start, end, text); none where no text is known to mean the same. part: of the node, at
    which it is shown.
    """

    code: str
    node: exp.Expr
    message: str
    hint: str | None
    edits: tuple[tuple[int, int, str], ...] = ()
    part: exp.Expr | None = None

    @property
    def at(self) -> exp.Expr:
        """The expression at which it is shown."""
        return self.node if self.part is None else self.part


@dataclass
class View:
    """One rule in a dialect. kind: returns the kind of an expression as written; see `compiler.dialects.kinds`."""

    text: str
    query: exp.Query
    dialect: str
    kind: Callable[[exp.Expr], str | None]
    extents: Extents
    nodes: list[exp.Expr]
    found: list[Habit] = field(default_factory=list)
    settled: Callable[[str, exp.Expr], bool] | None = None
    """Whether what a code finds at an expression was written out before; None: to be seen from what is around it."""
    type_of: Callable[[exp.Expr], str | None] = lambda _: None
    """Returns the Arrow type of an expression, None if it is not known."""
    is_output: Callable[[exp.Column], bool] = lambda _: False
    """Returns whether a name is an output of its own query, as in ORDER BY."""
    names: Collection[str] = ()
    """The names of the inputs' columns, in lower case."""

    @property
    def letter(self) -> str:
        """The dialect's letter in the tables."""
        return DIALECTS[self.dialect]

    @property
    def title(self) -> str:
        """The dialect's own name."""
        return TITLES[self.dialect]

    def every(self, *kinds: type[exp.Expr]) -> Iterator[exp.Expr]:
        """Yield the nodes of some kinds."""
        return (node for node in self.nodes if isinstance(node, kinds))

    def add(
        self,
        code: str,
        node: exp.Expr,
        message: str,
        hint: str | None,
        *edits: tuple[int, int, str],
        part: exp.Expr | None = None,
    ) -> None:
        """Note a habit with edits that are known. part: at which it is shown, if not at the node."""
        self.found.append(Habit(code, node, message, hint, edits, part))

    def is_unsettled(self, node: exp.Expr) -> bool:
        """Whether a literal within an expression is still to become a decimal, so that its kind is not known yet."""
        return any(one.code == "R041" and any(one.node is inner for inner in node.walk()) for one in self.found)

    def replace(self, code: str, node: exp.Expr, message: str, written: str | None, hint: str | None = None) -> None:
        """Note a habit whose whole expression is to be written as `written`, unless that is what is around it."""
        place = self.extents.of(node)
        if written is None or place is None:
            self.found.append(Habit(code, node, message, hint))
            return
        top = fragment(written)
        if top is None:
            self.found.append(Habit(code, node, message, hint))
            return
        if same(top, node):
            return
        if self.settled is not None:
            if self.settled(code, node):
                return
        elif self.is_within(node, top) or is_own_work(node, self.dialect):
            return
        text = f"({written})" if is_operand(node) and not is_primary(top) else written
        self.found.append(Habit(code, node, message, hint or f"write {shown(written)}", ((*place, text),)))

    def is_within(self, node: exp.Expr, top: exp.Expr) -> bool:
        """Whether an expression is a part of one that is written as `top`."""
        around: exp.Expr | None = node
        for _ in range(_ANCESTORS):
            around = around.parent if around is not None else None
            if around is None or isinstance(around, exp.Query):
                return False
            if same(around, top):
                return True
        return False


def shown(text: str) -> str:
    """Return a text for a hint: on one line, and short."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


_LONGEST = 160
