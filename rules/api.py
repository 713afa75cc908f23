"""The Python API: a project, opened from a program or a notebook.

    from rules import Project

    project = Project.open("flights")
    project.build("+carrier_delay")
    for batch in project.read("carrier_delay"):
        ...
    project.table("carrier_delay").order_by("mean_delay").limit(3).to_pyarrow()

What is returned is plain data with a text and an HTML form. Whatever the user can correct is raised as
`UserError` (or `UserErrors`), as the command line reports it.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rules.errors import UserError, UserErrors
from rules.files.project_paths import find_root, profile_name

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

    from graph.plan import Judgement
    from rules.core import Core
    from rules.inspect.product_streams import Product
    from rules.inspect.rule_diff import Comparison
    from rules.planning.prepared import Request
    from rules.report.lineage import Answer
    from rules.running.results import BuildReport, Result

__all__ = ["Build", "Diff", "Lineage", "Plan", "Project"]


class _Shown:
    """A result with a text and an HTML form, for consoles and notebooks."""

    def lines(self) -> list[str]:
        """Return what the command line would print."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


class _Listed(_Shown):
    """A result with one row for each product."""

    def rows(self) -> list[tuple[str, ...]]:
        """Return the header, then a row for each product."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        header, *rows = self.rows()
        cells = [f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
        names = "".join(f"<th>{html.escape(name)}</th>" for name in header)
        return f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(cells)}</tbody></table>"


@dataclass(frozen=True, repr=False)
class Build(_Listed):
    """A finished build. results: by product."""

    report: BuildReport

    @property
    def ok(self) -> bool:
        """Whether every selected product is up to date now."""
        return self.report.ok

    @property
    def results(self) -> Mapping[str, Result]:
        """What became of each product; a failed one carries its `error`."""
        return self.report.results

    @property
    def summary(self) -> Mapping[str, int]:
        """Number of products by status."""
        return self.report.summary

    def lines(self) -> list[str]:
        """Return the lines of `rules build`."""
        from rules.report.runs import build_lines, error_lines

        errors = self.report.errors
        warnings = [one.warning for one in self.report.failing if one.severity == "warn"]
        return [*warnings, *(line for error in errors for line in error_lines(error)), *build_lines(self.report)]

    def rows(self) -> list[tuple[str, ...]]:
        """Return product, status, rows and reason."""
        found = [(one.name, one.status, _number(one.rows), one.reason) for one in self.results.values()]
        return [("product", "status", "rows", "reason"), *found]


@dataclass(frozen=True, repr=False)
class Plan(_Listed):
    """What a build would do. judgements: by product, with verdict and reason. errors: what prevents a build."""

    judgements: Mapping[str, Judgement]
    _lines: Sequence[str]
    errors: Sequence[UserError] = ()

    @property
    def dirty(self) -> list[str]:
        """The products that are not clean."""
        return [name for name, one in self.judgements.items() if one.verdict != "clean"]

    def lines(self) -> list[str]:
        """Return the lines of `rules plan`."""
        return list(self._lines)

    def rows(self) -> list[tuple[str, ...]]:
        """Return product, verdict and reason."""
        found = [(name, one.verdict, one.reason) for name, one in self.judgements.items()]
        return [("product", "verdict", "reason"), *found]


@dataclass(frozen=True, repr=False)
class Lineage(_Shown):
    """What columns are made of, and what is made of them. answers: one for each column."""

    answers: Sequence[Answer]

    @property
    def sources(self) -> list[str]:
        """The columns of sources that take part, as TABLE.COLUMN."""
        return list(dict.fromkeys(str(name) for one in self.answers for name in one.sources))

    def lines(self) -> list[str]:
        """Return the lines of `rules lineage`."""
        from rules.report.lineage import column_tree

        return [line for one in self.answers for line in column_tree(one, None)]


@dataclass(frozen=True, repr=False)
class Diff(_Shown):
    """How rules differ from their last build, or from those of a commit."""

    comparison: Comparison
    against: str

    def __bool__(self) -> bool:
        """Whether some rule means something else."""
        return any(not one.edit.means_the_same for one in self.comparison.differences)

    @property
    def rules(self) -> dict[str, str]:
        """The rules that differ, and how far each edit reaches: cosmetic, additive, column, row, new or removed."""
        return {one.edit.name: one.edit.reaches for one in self.comparison.differences}

    def lines(self) -> list[str]:
        """Return the lines of `rules diff`."""
        from rules.report.diff import comparison_lines

        return comparison_lines(self.comparison, self.against, None)


class Project:
    """A project on disk. Every method looks at the files as they are now, and holds nothing open.

    What an object has found out it keeps: to plan or build again costs what has changed since.
    """

    def __init__(
        self, path: str | Path = ".", *, profile: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        """Find the project at `path` or above. profile, settings: as `open` has them. Raises `UserError`."""
        with _told():
            self.root = find_root(str(path))
        self.profile = profile or profile_name()
        self.settings = {key: _setting(value) for key, value in (settings or {}).items()}
        self._backend: Any = None
        self._core: Core | None = None

    @classmethod
    def open(
        cls, path: str | Path = ".", *, profile: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> Project:
        """Open the project at `path` or above. Raises `UserError`.

        profile: the runtime profile to build with, by default the one that RULES_PROFILE names, or prod_fast. settings:
        changes of it, as `rules build --set` makes them.
        """
        return cls(path, profile=profile, settings=settings)

    def build(
        self,
        *select: str,
        exclude: Sequence[str] = (),
        force: Sequence[str] = (),
        jobs: int | None = None,
        keep_going: bool = False,
        timeout: float | str | None = None,
        product_timeout: float | str | None = None,
        lazy: bool = False,
    ) -> Build:
        """Bring products up to date, all or those that `select` names as `rules build -s` does.

        timeout, product_timeout: how long the build, and each product, may take, in seconds or as "10m".
        lazy: tables of a shared cache are fetched only once something reads them.
        A product that fails is in the result, also one that was stopped by a limit of time. An interrupt
        (`KeyboardInterrupt`) ends the queries, too; what was finished is kept either way. Raises `UserError`, or
        `UserErrors` for rules that do not compile.
        """
        from dataclasses import replace

        from rules.engine.stoppable import STOPPABLE

        with _told():
            limits = (_seconds("timeout", timeout), _seconds("product_timeout", product_timeout))
            request = self._request(select, exclude, force, jobs=jobs, keep_going=keep_going)
            request = replace(request, timeout=limits[0], product_timeout=limits[1], lazy=lazy)
            if threading.current_thread() is threading.main_thread():  # no other is interrupted
                request = replace(request, engine=STOPPABLE)
            found = Build(self._held().build(request, _Quiet()))
            self._held().tidy(_Quiet().say)
            return found

    def plan(
        self, *select: str, exclude: Sequence[str] = (), force: Sequence[str] = (), keep_going: bool = False
    ) -> Plan:
        """Say what `build` would do, and why, without doing it. Raises as `build` does.

        keep_going: rules that do not compile and sources that cannot be read are in the result.
        """
        from rules.report.runs import plan_lines

        with _told():
            request = self._request(select, exclude, force, keep_going=keep_going)
            found = self._held().plan(request, _Quiet())
        judgements = found.judgements
        return Plan(judgements, plan_lines(judgements, found.summary, {}, verbose=True), found.errors)

    def lineage(self, column: str) -> Lineage:
        """Tell what TABLE.COLUMN is made of and what is made of it, or each column of TABLE. Raises as `build`."""
        from rules.inspect.lineage import find_columns, trace
        from rules.report.lineage import Question, answer

        with _told():
            traced = trace(self.root, _Quiet().say)
            _, names = find_columns(traced, column, self.root)
        return Lineage([answer(traced.lineage, name, Question()) for name in names])

    def diff(self, *select: str, against: str | None = None) -> Diff:
        """Tell how the rules differ from their last build, or from the commit `against`. Raises as `build` does."""
        from rules.inspect.rule_diff import since_commit, since_last_build
        from rules.storage.store import open_store

        with _told():
            request = self._request(select)
            project = self._held().project()
        with _told(), open_store(self.root, _Quiet().say, building=False) as store:
            if against is None:
                return Diff(since_last_build(project, request, store), "last build")
            return Diff(since_commit(project, request, store, against), against)

    def products(self) -> list[str]:
        """Return the names of the products that have been built. Raises `UserError`."""
        from rules.storage.store import open_store

        with _told(), open_store(self.root, _Quiet().say, building=False) as store:
            return sorted(store.index.products())

    def read(self, name: str, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """Return a product's rows as last committed, batch by batch. Raises `UserError`."""
        return self.product(name, columns).read()

    def product(self, name: str, columns: Sequence[str] | None = None) -> Product:
        """Return a product's table as last committed, to be read in whatever way. Raises `UserError`."""
        from rules.inspect.product_streams import Product

        with self._committed(name) as path:
            return Product(name, path, columns)

    def table(self, name: str) -> ibis.Table:
        """Return a product as an Ibis table, for expressions that run on our engine. Raises `UserError`."""
        from rules.python.backend import ProjectBackend
        from rules.storage.store import reading

        if self._backend is None:
            self._backend = ProjectBackend(self.path, self.products, lambda: reading(self.root))
        return self._backend.table(name)

    def path(self, name: str) -> Path:
        """Return where a product's table is, as last committed: an immutable Parquet file, or a folder of several.

        Once the product is another table, a build may remove it; whoever has opened it can read on. Raises `UserError`.
        """
        with self._committed(name) as path:
            return path

    @contextmanager
    def _committed(self, name: str) -> Iterator[Path]:
        """Find a product's table, which nobody removes inside. Raises `UserError`."""
        from compiler.suggestions import suggestion
        from rules.storage.store import open_store

        with _told(), open_store(self.root, _Quiet().say, building=False) as store:
            products = store.index.products()
            if name not in products:
                hint = suggestion(name, products) or f"rules build -s +{name}"
                raise UserError(f"there is no product '{name}' that has been built", code="not-built", hint=hint)
            yield store.objects.path(store.stored(name, products[name].artifact).artifact)

    def __repr__(self) -> str:
        return f"<project {self.root.name}>"

    def _held(self) -> Core:
        """Return what this object keeps, which is begun when it is first needed: importing it takes a while."""
        if self._core is None:
            from rules.core import Core

            self._core = Core(self.root, settings=[f"{key}={value}" for key, value in self.settings.items()])
        return self._core

    def _request(
        self,
        select: Sequence[str],
        exclude: Sequence[str] = (),
        force: Sequence[str] = (),
        *,
        jobs: int | None = None,
        keep_going: bool = False,
    ) -> Request:
        from rules.planning.prepared import Request

        if jobs is not None and (type(jobs) is not int or jobs < 1):
            raise UserError(f"jobs must be a whole number of at least 1, not {jobs!r}", code="usage")
        return Request(
            select=_selectors("select", select),
            exclude=_selectors("exclude", exclude),
            force=_selectors("force", force),
            profile=self.profile,
            jobs=jobs,
            keep_going=keep_going,
        )


class _Quiet:
    """An observer that prints nothing: the result has it all."""

    def planned(self, total: int, ahead: Sequence[str]) -> None:
        """Say nothing."""

    def started(self, name: str) -> None:
        """Say nothing."""

    def finished(self, result: Result) -> None:
        """Say nothing."""

    def say(self, message: str) -> None:
        """Warn, as Python programs do."""
        import warnings

        warnings.warn(message.removeprefix("warning: "), stacklevel=2)

    def close(self) -> None:
        """Say nothing."""


@contextmanager
def _told() -> Iterator[None]:
    """Let an error tell where it is and what to do, where a traceback is all that is seen of it."""
    from rules.report.runs import error_lines

    try:
        yield
    except UserError as error:
        _note(error, error_lines(error)[1:])
        raise
    except UserErrors as several:
        _note(several, [line for error in several.errors for line in error_lines(error)])
        raise


def _note(error: BaseException, lines: list[str]) -> None:
    text = "\n".join(lines)
    if text and text not in getattr(error, "__notes__", ()):
        error.add_note(text)


def _seconds(name: str, given: float | str | None) -> float | None:
    """Return a length of time in seconds. Raises `UserError`."""
    from rules.config.durations import SHAPE, seconds_of

    try:
        return None if given is None else seconds_of(str(given))
    except ValueError:
        raise UserError(f"{name} must be {SHAPE}, or a number of seconds, not {given!r}", code="usage") from None


def _selectors(name: str, given: Any) -> tuple[str, ...]:
    """Return selectors, given as a text or a sequence of texts. Raises `UserError`."""
    words = (given,) if isinstance(given, str) else given
    if isinstance(words, Sequence | set | frozenset) and all(isinstance(one, str) for one in words):
        return tuple(words)
    wrong = words if not isinstance(words, Sequence) else next(one for one in words if not isinstance(one, str))
    raise UserError(
        f"{name} takes selectors, each a text, not {wrong!r}",
        code="usage",
        hint=f'{name} NAME as "NAME", what it reads too as "+NAME", and all as "*"',
    )


def _setting(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
