"""What one run found: samples by gateway, measure and round, and the figures made of them."""

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from measures import Sample, StartSample

DIRECT, NGINX, NGINX_LUA, KILO = GATEWAYS = ("direct", "nginx", "nginx_lua", "kilo")

Rounds = list[float]
"""One figure of each round, in order."""


@dataclass(slots=True)
class Results:
    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    starts: dict[str, list[StartSample]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    cpu_between_s: dict[str, float] = field(default_factory=dict)
    """CPU of a gateway after its start which no measure saw: work put off beyond the booking."""
    surplus_rows: int = 0
    """Rows of the usage table beyond the answers given."""

    def add(self, gateway: str, measure: str, sample: Sample) -> None:
        self.samples.setdefault(gateway, {}).setdefault(measure, []).append(sample)
        self.check(gateway, measure, sample)

    def check(self, gateway: str, measure: str, sample: Sample) -> None:
        """An answer that is bad, or not in the usage table, spoils the run."""
        load = sample.load
        for count, what in (
            (load.errors, f"bad answers (the first with status {load.first_bad_status})"),
            (load.unfinished, "answers that never ended"),
            (load.backlog, "requests that never began"),
            (sample.missing, "answers that are not in the usage table"),
        ):
            if count:
                self.failures.append(f"{gateway}, {measure}: {count} {what}")

    def add_start(self, gateway: str, sample: StartSample) -> None:
        self.starts.setdefault(gateway, []).append(sample)
        for count, what in ((sample.errors, "bad answers"), (sample.missing, "answers that are not in the usage table")):
            if count:
                self.failures.append(f"{gateway}, start: {count} {what}")

    def of(self, gateway: str, measure: str, figure: Callable[[Sample], float]) -> Rounds:
        return [figure(sample) for sample in self.samples.get(gateway, {}).get(measure, [])]

    def of_start(self, gateway: str, figure: Callable[[StartSample], float]) -> Rounds:
        return [figure(sample) for sample in self.starts.get(gateway, [])]

    def answers(self, gateway: str) -> int:
        return sum(sample.load.total for samples in self.samples.get(gateway, {}).values() for sample in samples)

    def write(self, path: Path, machine: dict[str, str]) -> None:
        path.write_text(json.dumps({"machine": machine, **asdict(self)}, indent=1) + "\n")


def each(combine: Callable[..., float], *figures: Rounds) -> Rounds:
    """`combine` round by round, so that what a round suffered as a whole cancels out. Empty when a side is missing."""
    return [combine(*values) for values in zip(*figures, strict=True)] if all(figures) else []


def middle(figure: Rounds) -> float | None:
    return statistics.median(figure) if figure else None
