"""How each endpoint has done lately, out of our own requests: uptime, time to the first event, speed, requests, tool calls.

Kept in memory and fed by the importer, which at a start tells what was booked lately. Knows no database.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from kilo_gateway.control.listing.traffic import Measured, Percentiles
from kilo_gateway.core.types import Ended

MINUTE_MS = 60_000
DAY_MINUTES = 24 * 60
WEEK_HOURS = 7 * 24
SAMPLES = 500  # of one endpoint
SAMPLES_MS = 30 * MINUTE_MS


class _Endpoint:
    def __init__(self) -> None:
        self.minutes: deque[list[int]] = deque(maxlen=DAY_MINUTES)  # [minute, served, failed], ascending
        self.hours: deque[list[int]] = deque(maxlen=WEEK_HOURS)  # [hour, requests, tokens], ascending
        self.tools: deque[list[int]] = deque(maxlen=WEEK_HOURS)  # [hour, requests with tools, those that ended in calls]
        self.samples: deque[tuple[int, float, float]] = deque(maxlen=SAMPLES)  # (at_ms, latency ms, tokens/s), 0: unknown

    def count(self, minute: int, *, served: int = 0, failed: int = 0) -> None:
        _add(self.minutes, minute, served, failed)

    def weigh(self, hour: int, tokens: int) -> None:
        _add(self.hours, hour, 1, tokens)

    def offered(self, hour: int, *, called: int) -> None:
        _add(self.tools, hour, 1, called)


class Traffic:
    """`now_ms` is asked when something is read."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._endpoints: dict[tuple[str, str], _Endpoint] = {}

    def add(self, rows: Iterable[Ended]) -> None:
        for row in rows:
            minute = row.at_ms // MINUTE_MS
            for provider in row.down.split():
                self._of(row.model, provider).count(minute, failed=1)
            endpoint = self._of(row.model, row.provider)
            if row.outcome == "ok":
                endpoint.count(minute, served=1)
                endpoint.weigh(minute // 60, row.prompt_tokens + row.completion_tokens)
                endpoint.samples.append((row.at_ms, max(row.first_us, 0) / 1000, _tokens_per_s(row)))
                if row.has_tools and row.finish:
                    endpoint.offered(minute // 60, called=row.finish == "tool_calls")
            elif row.outcome == "broken_off":
                endpoint.count(minute, failed=1)

    def of(self, model: str, provider: str) -> Measured | None:
        """None when nothing was seen there within a week."""
        endpoint = self._endpoints.get((model, provider))
        if endpoint is None:
            return None
        now_ms = self._now_ms()
        minute = now_ms // MINUTE_MS
        recent = [sample for sample in endpoint.samples if sample[0] >= now_ms - SAMPLES_MS]
        day = [bucket for bucket in endpoint.minutes if bucket[0] > minute - DAY_MINUTES]
        week, tools = (
            [bucket for bucket in buckets if bucket[0] > minute // 60 - WEEK_HOURS]
            for buckets in (endpoint.hours, endpoint.tools)
        )
        if not day and not week:
            return None
        return Measured(
            _uptime(day, minute - 5), _uptime(day, minute - 30), _uptime(day, minute - DAY_MINUTES),
            _percentiles([latency for _, latency, _ in recent if latency]),
            _percentiles([speed for _, _, speed in recent if speed]),
            sum(bucket[1] for bucket in week), sum(bucket[2] for bucket in week),
            sum(bucket[1] for bucket in tools), sum(bucket[2] for bucket in tools),
        )  # fmt: skip

    def _of(self, model: str, provider: str) -> _Endpoint:
        return self._endpoints.setdefault((model, provider), _Endpoint())


def _add(buckets: deque[list[int]], time: int, first: int, second: int) -> None:
    """Journals of several workers are a little out of order: what is late goes into the newest bucket."""
    if not buckets or time > buckets[-1][0]:
        buckets.append([time, 0, 0])
    buckets[-1][1] += first
    buckets[-1][2] += second


def _tokens_per_s(row: Ended) -> float:
    """Of a stream: after its first event. Of a JSON answer, whose first byte is its last: over all of it."""
    after_us = row.duration_us - max(row.first_us, 0)
    return row.completion_tokens * 1e6 / after_us if after_us > 0 else 0.0


def _uptime(day: Sequence[Sequence[int]], since: int) -> float | None:
    served = sum(bucket[1] for bucket in day if bucket[0] > since)
    failed = sum(bucket[2] for bucket in day if bucket[0] > since)
    return round(100 * served / (served + failed), 2) if served + failed else None


def _percentiles(values: list[float]) -> Percentiles | None:
    if not values:
        return None
    values.sort()
    return Percentiles(*(round(values[min(len(values) * share // 100, len(values) - 1)], 1) for share in (50, 75, 90, 99)))
