"""The metrics of a service, as Prometheus reads them.

Gauges are computed from the state at scrape time, so that a metric can never disagree with what the
service believes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from shared.runtime.observability.samples import MetricSample


class MetricRegistry:
    """One service's registry: counters by name and labels, gauges asked for when scraped. Thread-safe."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self._service = service
        self._lock = threading.Lock()
        self._counters: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        self._gauges: list[Callable[[], Iterable[MetricSample]]] = []
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        with self._lock:
            series = self._counters.setdefault(name, {})
            key = tuple(sorted(labels.items()))
            series[key] = series.get(key, 0.0) + amount

    def watch(self, gauges: Callable[[], Iterable[MetricSample]]) -> None:
        """Add a source of gauges; called at every scrape, must not block."""
        self._gauges.append(gauges)

    def collect(self) -> Iterable[Metric]:
        yield from self._counter_families()
        families: dict[str, GaugeMetricFamily] = {}
        for source in self._gauges:
            for sample in source():
                labels = {"service": self._service, **sample.labels}
                if sample.name not in families:
                    families[sample.name] = GaugeMetricFamily(
                        sample.name, sample.help or sample.name, labels=list(labels)
                    )
                families[sample.name].add_metric(list(labels.values()), sample.value)
        yield from families.values()

    def _counter_families(self) -> list[Metric]:
        families: list[Metric] = []
        with self._lock:
            for name, series in self._counters.items():
                names = ["service", *(key for key, _ in next(iter(series)))]
                family = CounterMetricFamily(name, name, labels=names)
                for key, value in series.items():
                    family.add_metric([self._service, *(text for _, text in key)], value)
                families.append(family)
        return families
