"""The measurements of a comparison, in a file that every single one is added to at once."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Measurement:
    """One run of one tool in one scenario.

    ideal, executed: models. load: of the machine, before. wall, cpu: seconds; cpu is that of all processes. peak: MiB,
    of the largest process. agrees: are the tables of a sample those that the engine computes from nothing? None: not
    looked at. Without figures it is a run that failed or took too long, as `error` says.
    """

    size: int
    tool: str
    scenario: str
    run: int
    ideal: int
    load: float
    wall: float | None = None
    cpu: float | None = None
    peak: float | None = None
    executed: int | None = None
    agrees: bool | None = None
    error: str = ""

    @property
    def key(self) -> tuple[int, str, str, int]:
        """Return what it is a measurement of."""
        return self.size, self.tool, self.scenario, self.run


@dataclass(frozen=True)
class Summary:
    """The medians of a tool's runs in a scenario."""

    runs: int
    wall: float | None
    cpu: float | None
    peak: float | None
    executed: int | None
    ideal: int
    agrees: bool | None
    error: str


@dataclass
class Results:
    """All measurements, and on what they were made."""

    path: Path
    about: dict[str, str]
    found: dict[tuple[int, str, str, int], Measurement] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, about: Mapping[str, str]) -> Results:
        """Read what there is, but for runs that failed: they are tried again. Raises ValueError if made otherwise."""
        if not path.is_file():
            return cls(path, dict(about))
        record = json.loads(path.read_text(encoding="utf-8"))
        if about and record["about"] != about:
            differing = sorted(key for key in about if record["about"].get(key) != about[key])
            message = f"{path} was made with another {', '.join(differing)}; choose another folder, or remove it"
            raise ValueError(message)
        measured = [Measurement(**one) for one in record["measurements"]]
        return cls(path, record["about"], {one.key: one for one in measured if not (about and one.error)})

    def add(self, measurement: Measurement) -> None:
        """Add a measurement, and write all."""
        self.found[measurement.key] = measurement
        record = {"about": self.about, "measurements": [asdict(one) for one in self.found.values()]}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(record, indent=1), encoding="utf-8")
        fresh.replace(self.path)

    def summary(self, size: int, tool: str, scenario: str) -> Summary | None:
        """Return the medians of a tool in a scenario."""
        runs = [one for one in self.found.values() if one.key[:3] == (size, tool, scenario)]
        if not runs:
            return None
        checked = [one.agrees for one in runs if one.agrees is not None]
        executed = [one.executed for one in runs if one.executed is not None]
        return Summary(
            len(runs),
            _median(one.wall for one in runs),
            _median(one.cpu for one in runs),
            _median(one.peak for one in runs),
            max(executed, default=None),
            runs[0].ideal,
            all(checked) if checked else None,
            next((one.error for one in runs if one.error), ""),
        )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def code(root: Path, packages: Iterable[str]) -> str:
    """Return a digest of our own code: figures of two versions of it must not be mixed."""
    state = hashlib.sha256()
    for path in sorted(path for package in packages for path in (root / package).rglob("*.py")):
        state.update(path.read_bytes())
    return state.hexdigest()[:12]


def machine() -> dict[str, str]:
    """Describe the machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "system": platform.system(),
        "python": platform.python_version(),
    }
