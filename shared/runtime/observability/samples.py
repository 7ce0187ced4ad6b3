"""A metric value as a service hands it to telemetry: pure, so handlers and views may make them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One metric value. Labels come from closed sets; names carry the `kobe_` prefix and a unit."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    help: str = ""


def no_samples(_: object) -> Iterable[MetricSample]:
    return ()
