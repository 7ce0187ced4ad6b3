"""Metrics as values: pure, so that handlers and views may make them; metrics.py exports them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product

NO_LABELS: tuple[Mapping[str, str], ...] = ({},)


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One value. Labels come from closed sets; names begin with `kobe_` and end in a unit."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    help: str = ""


@dataclass(frozen=True, slots=True)
class CounterSpec:
    """A counter and every series it can have; each is exported as zero from the start.

    An alert on `increase()` would miss the first event of a series that is born with it.
    """

    name: str
    help: str
    series: tuple[Mapping[str, str], ...] = NO_LABELS


def label_sets(**values: Iterable[str]) -> tuple[Mapping[str, str], ...]:
    """Every combination of the labels' values."""
    names = list(values)
    return tuple(dict(zip(names, row, strict=True)) for row in product(*values.values()))


def no_samples(_: object) -> Iterable[MetricSample]:
    return ()
