"""Logs and metrics of a service: JSON lines to stdout and a rotated file; Prometheus samples from state.

Gauges are computed from the state at scrape time, so that a metric can never disagree with what the
service believes. Secrets never reach either: values that look like ours are masked before a line is
written.
"""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
import threading
from collections.abc import Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from shared.runtime.config.settings import Settings
from shared.runtime.observability.samples import Sample

LONG_LIST = 8


def configure_logging(settings: Settings, service: str) -> None:
    """JSON lines with `ts, level, event, service, …` on stdout and in `<log_dir>/<service>/events.jsonl`."""
    limits = settings.steering.logging
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    folder = settings.environment.log_dir / service
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handlers.append(
            _rotated(folder / "events.jsonl", limits.rotate_megabytes << 20, limits.keep_files)
        )
    except OSError as error:
        print(
            f"logs go to stdout only: {folder} cannot be written ({error.strerror})",
            file=sys.stderr,
        )
    logging.basicConfig(
        level=limits.level.upper(), handlers=handlers, format="%(message)s", force=True
    )
    for noisy in ("uvicorn", "uvicorn.access", "urllib3", "websockets"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            _Mask(settings),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service, mode=settings.mode.value)


def _rotated(file: Path, size: int, keep: int) -> logging.Handler:
    return logging.handlers.RotatingFileHandler(file, maxBytes=size, backupCount=keep, delay=True)


class _Mask:
    """A structlog processor that blots out every secret this process holds."""

    def __init__(self, settings: Settings) -> None:
        environment = settings.environment
        held = (
            environment.redis_password,
            environment.broker_key_id,
            environment.broker_secret_key,
            environment.polygon_api_key,
        )
        self._secrets = [secret.reveal() for secret in held if secret]

    def __call__(
        self, _: Any, __: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = self._masked(value)
        return event

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def logger() -> Any:
    return structlog.get_logger()


def event_name(kind: type) -> str:
    """`OrderFilled` is logged as `order_filled`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def brief(message: msgspec.Struct) -> dict[str, Any]:
    """A message for a log line: long lists as their length."""
    plain = msgspec.to_builtins(message)
    return {
        key: len(value) if isinstance(value, list) and len(value) > LONG_LIST else value
        for key, value in plain.items()
    }


class Metrics:
    """One service's registry: counters by name and labels, gauges asked for when scraped. Thread-safe."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        self._service = service
        self._lock = threading.Lock()
        self._counters: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        self._gauges: list[Callable[[], Iterable[Sample]]] = []
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        with self._lock:
            series = self._counters.setdefault(name, {})
            key = tuple(sorted(labels.items()))
            series[key] = series.get(key, 0.0) + amount

    def watch(self, gauges: Callable[[], Iterable[Sample]]) -> None:
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
