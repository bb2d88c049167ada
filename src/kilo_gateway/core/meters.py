"""What a worker has done since it started, as whole numbers for /metrics."""

from collections import defaultdict
from collections.abc import Mapping

from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Outcome


class Meters:
    def __init__(self) -> None:
        self._requests: defaultdict[str, int] = defaultdict(int)
        self._refusals: dict[int, int] = {}
        self._repairs: defaultdict[str, int] = defaultdict(int)
        self.prompt_tokens = self.completion_tokens = self.cost_nanos = 0

    def ended(self, outcome: Outcome, usage: Usage, cost: int | None) -> None:
        self._requests[outcome] += 1
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        if cost:
            self.cost_nanos += cost

    def refused(self, status: int) -> None:
        self._refusals[status] = self._refusals.get(status, 0) + 1

    def repaired(self, mended: Mapping[str, int]) -> None:
        for kind, count in mended.items():
            self._repairs[kind] += count

    def values(self) -> dict[str, int]:
        found = {f"requests:outcome={outcome}": count for outcome, count in self._requests.items()}
        found |= {f"refusals:status={status}": count for status, count in self._refusals.items()}
        found |= {f"repairs:kind={kind}": count for kind, count in self._repairs.items()}
        return found | {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_nanodollars": self.cost_nanos,
        }
