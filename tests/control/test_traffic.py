"""How endpoints have done, told from what was booked."""

from msgspec.structs import replace

from kilo_gateway.control.listing.traffic import Percentiles
from kilo_gateway.control.traffic import DAY_MINUTES, MINUTE_MS, Traffic
from kilo_gateway.core.types import Ended, Outcome

NOW_MS = 2_000_000 * MINUTE_MS


def ended(age_minutes: float, outcome: Outcome = "ok", *, down: str = "", first_us: int = 200_000, provider: str = "one") -> Ended:
    at_ms = NOW_MS - int(age_minutes * MINUTE_MS)
    return Ended("g", "", at_ms, "k", "a/m", provider, outcome, 10, 100, False, 1, 1, 1_200_000, first_us, down)


def traffic(*rows: Ended) -> Traffic:
    made = Traffic(lambda: NOW_MS)
    made.add(sorted(rows, key=lambda row: row.at_ms))
    return made


def test_an_endpoint_that_was_never_asked_has_no_figures() -> None:
    assert traffic().of("a/m", "one") is None


def test_uptime_is_told_for_each_window() -> None:
    found = traffic(ended(100, "broken_off"), ended(20, "broken_off"), ended(1), ended(1)).of("a/m", "one")
    assert found is not None
    assert (found.uptime_5m, found.uptime_30m, found.uptime_1d) == (100.0, 66.67, 50.0)
    assert found.requests_1w == 2 and found.tokens_1w == 220


def test_what_is_old_is_forgotten() -> None:
    yesterday = traffic(ended(DAY_MINUTES + 1)).of("a/m", "one")
    assert yesterday is not None and yesterday.uptime_1d is None and yesterday.requests_1w == 1
    assert traffic(ended(8 * DAY_MINUTES)).of("a/m", "one") is None


def test_an_endpoint_that_was_replaced_by_the_next_counts_as_down() -> None:
    made = traffic(ended(1, down="one", provider="two"))
    one, two = made.of("a/m", "one"), made.of("a/m", "two")
    assert one is not None and two is not None
    assert (one.uptime_5m, two.uptime_5m) == (0.0, 100.0)


def test_a_request_that_failed_everywhere_counts_once_for_each() -> None:
    made = traffic(ended(1, "upstream_failed", down="one two", provider="two"))
    two = made.of("a/m", "two")
    assert two is not None and two.uptime_5m == 0.0


def test_a_caller_who_left_says_nothing_about_the_endpoint() -> None:
    assert traffic(ended(1, "client_gone")).of("a/m", "one") is None


def test_latency_and_speed_are_of_the_last_half_hour() -> None:
    rows = [ended(1, first_us=ms * 1000) for ms in range(100, 201)] + [ended(40, first_us=9_000_000)]
    found = traffic(*rows).of("a/m", "one")
    assert found is not None
    assert found.latency_ms == Percentiles(150.0, 175.0, 190.0, 199.0)
    assert found.tokens_per_s is not None and 90 <= found.tokens_per_s.p50 <= 100


def test_an_answer_in_one_piece_has_a_speed_and_no_first_event() -> None:
    found = traffic(ended(1, first_us=-1)).of("a/m", "one")
    assert found is not None and found.latency_ms is None
    assert found.tokens_per_s == Percentiles(83.3, 83.3, 83.3, 83.3)


def test_of_requests_with_tools_those_that_ended_in_calls_are_counted_for_a_week() -> None:
    def offered(age_minutes: float, finish: str) -> Ended:
        return replace(ended(age_minutes), has_tools=True, finish=finish)

    rows = [offered(1, "tool_calls"), offered(60, "tool_calls"), offered(1, "stop"), offered(2, "length"), offered(1, "")]
    old, plain = offered(8 * DAY_MINUTES, "tool_calls"), replace(ended(1), finish="tool_calls")
    found = traffic(*rows, old, plain, replace(offered(1, "error"), outcome="broken_off")).of("a/m", "one")
    assert found is not None and (found.tool_requests_1w, found.tool_calls_1w) == (4, 2)
