"""/metrics: every worker's meters and control's own, in Prometheus' text format."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from kilo_gateway.control.importer import Importer
from kilo_gateway.control.workers import Workers

_GAUGES = frozenset({"in_flight", "connections", "resident_bytes", "journal_backlog"})


class Meters:
    def __init__(self, workers: Workers, importer: Importer) -> None:
        self._workers = workers
        self._importer = importer
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Names are `meter` or `meter{label=value}` as workers report them, here with the worker's slot."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for slot, values in sorted(self._workers.stats.items()):
            for key, value in values.items():
                name, _, label = key.partition(":")
                label_name, _, label_value = label.partition("=")
                labels = ["worker", label_name] if label else ["worker"]
                kind = GaugeMetricFamily if name in _GAUGES else CounterMetricFamily
                family = families.setdefault(name, kind(f"kilo_gateway_{name}", name.replace("_", " "), labels=labels))
                family.add_metric([str(slot), label_value] if label else [str(slot)], value)
        yield from families.values()
        yield CounterMetricFamily("kilo_gateway_usage_imported", "usage rows imported", value=self._importer.imported)
        unreadable = self._importer.unreadable
        yield CounterMetricFamily("kilo_gateway_journal_unreadable", "journal lines not read", value=unreadable)
        yield GaugeMetricFamily("kilo_gateway_workers_connected", "workers connected", value=self._workers.connected())
