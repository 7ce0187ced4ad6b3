import pytest
from prometheus_client import generate_latest

from shared.domain.errors import InvariantBroken
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.observability.samples import CounterSpec, MetricSample, label_sets

ORDERS = CounterSpec("kobe_orders", "Orders", label_sets(event=["sent", "ended"], side=["buy"]))


def text_of(metrics: MetricRegistry) -> list[str]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return [line for line in lines if line.startswith("kobe_")]


def registry_of(*specs: CounterSpec) -> MetricRegistry:
    metrics = MetricRegistry("executor")
    metrics.declare(*specs)
    return metrics


def test_every_series_of_a_counter_is_there_as_zero_before_anything_happens() -> None:
    assert text_of(registry_of(ORDERS, CounterSpec("kobe_fills", "Fills"))) == [
        'kobe_orders_total{event="sent",service="executor",side="buy"} 0.0',
        'kobe_orders_total{event="ended",service="executor",side="buy"} 0.0',
        'kobe_fills_total{service="executor"} 0.0',
    ]


def test_a_count_goes_to_its_series_whatever_the_order_of_its_labels() -> None:
    metrics = registry_of(ORDERS)
    metrics.count("kobe_orders", 2, side="buy", event="sent")
    assert text_of(metrics)[0].endswith(" 2.0")


def test_a_value_nobody_declared_is_counted_as_other() -> None:
    metrics = registry_of(ORDERS)
    for side in ("left", "right"):
        metrics.count("kobe_orders", event="sent", side=side)
    assert 'kobe_orders_total{event="other",service="executor",side="other"} 2.0' in text_of(
        metrics
    )


@pytest.mark.parametrize("labels", [{}, {"event": "sent"}, {"event": "sent", "size": "1"}])
def test_another_label_set_under_the_same_name_is_refused(labels: dict[str, str]) -> None:
    with pytest.raises(InvariantBroken, match="has the labels"):
        registry_of(ORDERS).count("kobe_orders", **labels)


def test_an_undeclared_counter_is_refused() -> None:
    with pytest.raises(InvariantBroken, match="never declared"):
        registry_of().count("kobe_orders")


def test_gauges_of_one_name_share_one_label_set() -> None:
    metrics = MetricRegistry("executor")
    samples = [MetricSample("kobe_state", 1, {"state": "active"})]
    metrics.watch(lambda: samples)
    assert text_of(metrics) == ['kobe_state{service="executor",state="active"} 1.0']
    samples.append(MetricSample("kobe_state", 1, {"mode": "sim"}))
    with pytest.raises(InvariantBroken, match="kobe_state has the labels"):
        generate_latest(metrics.registry)


def test_a_counter_may_be_declared_again_but_not_in_another_way() -> None:
    metrics = registry_of(ORDERS, ORDERS)
    with pytest.raises(InvariantBroken, match="declared in two ways"):
        metrics.declare(CounterSpec("kobe_orders", "Orders"))
