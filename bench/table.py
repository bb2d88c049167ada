"""The one table: a line a measure, a column a gateway, and each floor and goal beside what was reached."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import sub, truediv

from measures import MEASURES, Sample, StartSample
from results import DIRECT, GATEWAYS, KILO, NGINX, NGINX_LUA, Results, Rounds, each, middle

TITLES = {DIRECT: "direct", NGINX: "nginx", NGINX_LUA: "nginx + Lua", KILO: "this gateway"}
HEAD = ("measure", *TITLES.values(), "floor", "goal")
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Bar:
    """What must be reached and what is hoped for."""

    floor: float
    goal: float
    more_is_better: bool = False

    def verdicts(self, value: float | None) -> tuple[str, str]:
        return self._verdict(self.floor, value), self._verdict(self.goal, value)

    def _verdict(self, limit: float, value: float | None) -> str:
        sign = "≥" if self.more_is_better else "≤"
        if value is None:
            return f"{sign} {limit:g}"
        is_reached = value >= limit if self.more_is_better else value <= limit
        return f"{sign} {limit:g} {'ok' if is_reached else '**MISSED**'}"


def render(results: Results) -> str:
    """A Markdown table, its columns aligned."""
    lines = [HEAD, *(line for line in _lines(results) if any(cell != NOTHING for cell in line[1:5]))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    lines.insert(1, tuple("-" * width for width in widths))
    padded = ((cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def _lines(results: Results) -> list[tuple[str, ...]]:
    return [
        *_request_lines(results),
        *_latency_lines(results),
        *_stream_lines(results),
        *_body_lines(results),
        *_tls_lines(results),
        *_start_lines(results),
        *_account_lines(results),
    ]


def _request_lines(results: Results) -> list[tuple[str, ...]]:
    def per_core(gateway: str) -> Rounds:
        return [1e6 / us for us in results.of(gateway, "requests", lambda sample: sample.us_per_answer) if us]

    return [
        _plain(results, "requests/s, 64 connections", "requests", lambda sample: sample.load.answers_per_s, "{:,.0f}"),
        _plain(results, "share of the core busy", "requests", lambda sample: sample.busy, "{:.0%}", is_cpu=True),
        _plain(results, "CPU µs a request, load only", "requests", lambda s: s.us_per_answer_load_only, is_cpu=True),
        _plain(results, "CPU µs a request, until booked", "requests", lambda sample: sample.us_per_answer, is_cpu=True),
        _line("requests/s per core", {name: _cell(per_core(name), "{:,.0f}") for name in GATEWAYS if name != DIRECT}),
        _judged("÷ nginx", each(truediv, per_core(KILO), per_core(NGINX)), Bar(0.25, 0.35, more_is_better=True)),
        _judged("÷ nginx + Lua", each(truediv, per_core(KILO), per_core(NGINX_LUA)), Bar(0.75, 1.0, more_is_better=True)),
    ]


def _latency_lines(results: Results) -> list[tuple[str, ...]]:
    added = _added(results, "latency", lambda sample: sample.load.p50_us)
    return [
        _plain(results, "p50 at 100 requests/s, µs", "latency", lambda sample: sample.load.p50_us, "{:,.0f}"),
        _plain(results, "p99 at 100 requests/s, µs", "latency", lambda sample: sample.load.p99_us, "{:,.0f}"),
        _line("added p50, µs", {name: _cell(rounds, "{:+,.0f}") for name, rounds in added.items()}),
        _judged("÷ nginx's own", each(truediv, added[KILO], added[NGINX]), Bar(1.7, 1.3)),
    ]


def _stream_lines(results: Results) -> list[tuple[str, ...]]:
    added = _added(results, "first_token", lambda sample: sample.load.ttft_p50_us)

    def paced(gateway: str) -> Rounds:
        return results.of(gateway, "paced", lambda sample: sample.us_per_chunk)

    return [
        _plain(results, "burst chunks/s", "burst", lambda sample: sample.load.chunks_per_s, "{:,.0f}"),
        _plain(results, "CPU µs a burst chunk", "burst", lambda sample: sample.us_per_chunk, "{:.2f}", is_cpu=True),
        _plain(results, "paced chunks/s (50,000 offered)", "paced", lambda sample: sample.load.chunks_per_s, "{:,.0f}"),
        _plain(results, "CPU µs a paced chunk", "paced", lambda sample: sample.us_per_chunk, "{:.2f}", is_cpu=True),
        _judged("÷ nginx", each(truediv, paced(KILO), paced(NGINX)), Bar(1.4, 1.15)),
        _plain(results, "TTFT p50, µs", "first_token", lambda sample: sample.load.ttft_p50_us, "{:,.0f}"),
        _line("added TTFT p50, µs", {name: _cell(rounds, "{:+,.0f}") for name, rounds in added.items()}),
    ]


def _body_lines(results: Results) -> list[tuple[str, ...]]:
    def cpu_ms(sample: Sample) -> float:
        return sample.us_per_answer / 1000

    small = _plain(results, "100 KB body, CPU ms a request", "body_100k", cpu_ms, "{:.3f}", is_cpu=True)
    large = _plain(results, "500 KB body, CPU ms a request", "body_500k", cpu_ms, "{:.3f}", is_cpu=True)
    verdicts = Bar(0.6, 0.4).verdicts(middle(results.of(KILO, "body_500k", cpu_ms)))
    return [small, (*large[:-2], *verdicts)]


def _tls_lines(results: Results) -> list[tuple[str, ...]]:
    def cpu_us(gateway: str) -> Rounds:
        return results.of(gateway, "tls", lambda sample: sample.us_per_answer)

    return [
        _plain(results, "TLS upstream, CPU µs a request", "tls", lambda sample: sample.us_per_answer, is_cpu=True),
        _judged("÷ nginx with proxy_ssl", each(truediv, cpu_us(KILO), cpu_us(NGINX)), Bar(3, 2)),
    ]


def _start_lines(results: Results) -> list[tuple[str, ...]]:
    def line(label: str, figure: Callable[[StartSample], float], form: str, bar: Bar | None = None) -> tuple[str, ...]:
        found = {name: results.of_start(name, figure) for name in GATEWAYS}
        cells = {name: _cell(rounds, form) for name, rounds in found.items()}
        return _line(label, cells, bar.verdicts(middle(found[KILO])) if bar else None)

    return [
        line("worker RSS idle, MB", lambda sample: sample.worker_rss_mb, "{:.1f}", Bar(60, 40)),
        line("worker PSS idle, MB", lambda sample: sample.worker_pss_mb, "{:.1f}"),
        line("all processes PSS idle, MB", lambda sample: sample.tree_pss_mb, "{:.1f}"),
        line("KB an open idle stream, of 1,000", lambda sample: sample.kb_per_stream, "{:.1f}", Bar(10, 4)),
        line("start to first 200, new data, s", lambda sample: sample.first_start_s, "{:.2f}"),
        line("start to first 200, s", lambda sample: sample.second_start_s, "{:.2f}", Bar(0.6, 0.3)),
    ]


def _account_lines(results: Results) -> list[tuple[str, ...]]:
    used = {name: sum(sum(results.of(name, measure, lambda s: s.cpu_s)) for measure in MEASURES) for name in GATEWAYS}
    between = {name: f"{max(cpu_s, 0.0):.2f}" for name, cpu_s in results.cpu_between_s.items()}
    return [
        _line("answers checked", {name: f"{results.answers(name):,}" for name in results.samples}),
        _line("CPU s measured", {name: f"{cpu_s:.2f}" for name, cpu_s in used.items() if cpu_s}),
        _line("CPU s between measures", between),
    ]


def _added(results: Results, measure: str, figure: Callable[[Sample], float]) -> dict[str, Rounds]:
    direct = results.of(DIRECT, measure, figure)
    return {name: each(sub, results.of(name, measure, figure), direct) for name in GATEWAYS if name != DIRECT}


def _plain(
    results: Results,
    label: str,
    measure: str,
    figure: Callable[[Sample], float],
    form: str = "{:.1f}",
    *,
    is_cpu: bool = False,
) -> tuple[str, ...]:
    """The medians of one figure. CPU has no direct column: there is no gateway to use any."""
    names = [name for name in GATEWAYS if not (is_cpu and name == DIRECT)]
    cells = {name: _cell(results.of(name, measure, figure), form) for name in names}
    return _line(label, cells)


def _judged(label: str, ratios: Rounds, bar: Bar) -> tuple[str, ...]:
    value = middle(ratios)
    cell = NOTHING if value is None else f"{value:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return _line(f"  {label}", {KILO: cell}, bar.verdicts(value))


def _line(label: str, cells: dict[str, str], verdicts: tuple[str, str] | None = None) -> tuple[str, ...]:
    return (label, *(cells.get(name, NOTHING) for name in GATEWAYS), *(verdicts or ("", "")))


def _cell(rounds: Rounds, form: str) -> str:
    value = middle(rounds)
    return NOTHING if value is None else form.format(value)
