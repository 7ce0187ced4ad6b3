"""The metrics of a service, as Prometheus reads them.

Gauges are computed from the state at scrape time, so that a metric can never disagree with what the
service believes. Counters are declared with all their series.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import cast

import prometheus_client
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from shared.domain.errors import InvariantBroken
from shared.runtime.observability.samples import CounterSpec, MetricSample

# Where a label value goes that was not declared: a metric has a bounded number of series.
OTHER = "other"
SERVICE = "service"

# A time of birth per series says nothing here: all are born with the process.
cast("Callable[[], None]", prometheus_client.disable_created_metrics)()


class MetricRegistry:
    """One service's registry. Thread-safe."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self._service = service
        self._counters: dict[str, _DeclaredCounter] = {}
        self._gauges: list[Callable[[], Iterable[MetricSample]]] = []
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def declare(self, *specs: CounterSpec) -> None:
        """Export every series of these counters as zero.

        Again is harmless; raises InvariantBroken if a name comes again with other series.
        """
        for spec in specs:
            known = self._counters.get(spec.name)
            if known is None:
                self._counters[spec.name] = _DeclaredCounter(spec, self._service, self.registry)
            elif known.spec != spec:
                raise InvariantBroken(f"the counter {spec.name} is declared in two ways")

    def count(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Add to a declared series; raises InvariantBroken for an unknown counter or label."""
        if name not in self._counters:
            raise InvariantBroken(f"the counter {name} was never declared")
        self._counters[name].add(amount, labels)

    def watch(self, gauges: Callable[[], Iterable[MetricSample]]) -> None:
        """Add a source of gauges; called at every scrape, must not block."""
        self._gauges.append(gauges)

    def collect(self) -> Iterable[Metric]:
        """The gauges; prometheus_client collects the counters by itself."""
        families: dict[str, tuple[GaugeMetricFamily, list[str]]] = {}
        for source in self._gauges:
            for sample in source():
                names = sorted(sample.labels)
                family, known = families.setdefault(sample.name, (self._family(sample), names))
                if names != known:
                    raise InvariantBroken(f"{sample.name} has the labels {known} and {names}")
                family.add_metric(
                    [self._service, *(sample.labels[name] for name in names)], sample.value
                )
        return [family for family, _ in families.values()]

    def _family(self, sample: MetricSample) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            sample.name, sample.help or sample.name, labels=[SERVICE, *sorted(sample.labels)]
        )


class _DeclaredCounter:
    """A prometheus_client counter that knows which series it may have."""

    def __init__(self, spec: CounterSpec, service: str, registry: CollectorRegistry) -> None:
        self.spec, self._service = spec, service
        self._names = tuple(spec.series[0])
        self._counter = Counter(spec.name, spec.help, (SERVICE, *self._names), registry=registry)
        self._series = {self._key(labels): self._child(labels) for labels in spec.series}

    def add(self, amount: float, labels: Mapping[str, str]) -> None:
        child = self._series.get(self._key(labels))
        (child or self._child(dict.fromkeys(self._names, OTHER))).inc(amount)

    def _key(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        if set(labels) != set(self._names):
            raise InvariantBroken(
                f"{self.spec.name} has the labels {self._names}, not {tuple(labels)}"
            )
        return tuple(labels[name] for name in self._names)

    def _child(self, labels: Mapping[str, str]) -> Counter:
        return self._counter.labels(service=self._service, **labels)
