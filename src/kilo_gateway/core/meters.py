"""What a worker has done since it started, as whole numbers for /metrics."""

from kilo_gateway.core.types import Outcome, Usage


class Meters:
    def __init__(self) -> None:
        self._requests: dict[str, int] = {}
        self._refusals: dict[int, int] = {}
        self.prompt_tokens = self.completion_tokens = self.cost_nanos = 0

    def ended(self, outcome: Outcome, usage: Usage, cost: int | None) -> None:
        self._requests[outcome] = self._requests.get(outcome, 0) + 1
        self.prompt_tokens += usage.prompt_tokens
        self.completion_tokens += usage.completion_tokens
        self.cost_nanos += cost or 0

    def refused(self, status: int) -> None:
        self._refusals[status] = self._refusals.get(status, 0) + 1

    def values(self) -> dict[str, int]:
        found = {f"requests:outcome={outcome}": count for outcome, count in self._requests.items()}
        found |= {f"refusals:status={status}": count for status, count in self._refusals.items()}
        return found | {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_nanodollars": self.cost_nanos,
        }
