"""What the gateway has measured of an upstream, as the lists need it. How it is measured is not known here."""

from typing import Protocol

from msgspec import Struct


class Percentiles(Struct, frozen=True):
    p50: float
    p75: float
    p90: float
    p99: float


class Measured(Struct, frozen=True):
    """One model at one upstream. None: too little was seen to say."""

    uptime_5m: float | None = None  # percent of the requests that did not fail by the upstream's own fault
    uptime_30m: float | None = None
    uptime_1d: float | None = None
    latency_ms: Percentiles | None = None  # to the first token, of the last 30 minutes
    tokens_per_s: Percentiles | None = None  # of the last 30 minutes
    requests_1w: int = 0
    tokens_1w: int = 0  # prompt and completion
    tool_requests_1w: int = 0  # that offered tools, and of which it is known how they ended
    tool_calls_1w: int = 0  # of those, the ones that ended in calls


class Traffic(Protocol):
    def of(self, model: str, upstream: str) -> Measured | None:
        """From memory: asked once for each place of a list. None: nothing was seen."""
        ...
