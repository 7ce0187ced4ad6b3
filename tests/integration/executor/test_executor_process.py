"""The executor as it runs.

Its own process, a real Redis, the simulated broker over HTTP and websocket.
"""

from __future__ import annotations

import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sim_broker.fault_injection.kinds import Delay
from shared.domain.trading.ids import is_ours
from shared.runtime.signing import Signer
from shared.schemas.messages import OrderEnded, OrderFilled, ProtectionPlaced, ScanExecuted
from shared.schemas.streams import DEAD
from shared.schemas.values import Ending, Purpose
from tests.integration.executor.process import Stack, running


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with running(tmp_path) as stack:
        yield stack


def test_an_approval_becomes_a_protected_position(stack: Stack) -> None:
    stack.approve()
    stack.decide(1)
    stack.until(lambda: stack.said(ScanExecuted))
    assert len(stack.said(ProtectionPlaced)) == 1
    placed = stack.said(ProtectionPlaced)[0].broker_order_id
    assert stack.simulator.exchange.book.orders[placed].is_open


def test_a_killed_executor_comes_back_and_nothing_is_doubled(stack: Stack) -> None:
    orders = [stack.approve(f"S{number}") for number in range(40)]
    stack.decide(40)
    stack.until(lambda: len(stack.said(OrderFilled)) >= 5)
    stack.end(signal.SIGKILL)
    stack.start()
    stack.until(lambda: stack.said(ScanExecuted))
    assert [stack.orders(order.client_order_id) for order in orders] == [1] * 40
    ends = [said for said in stack.said(OrderEnded) if said.purpose is Purpose.ENTRY]
    assert sorted(said.client_order_id for said in ends) == sorted(
        order.client_order_id for order in orders
    )
    assert len({placed.symbol for placed in stack.said(ProtectionPlaced)}) == 40
    resting = [
        order.symbol
        for order in stack.simulator.exchange.book.open_orders()
        if is_ours(order.client_order_id)
    ]
    assert sorted(resting) == sorted(order.symbol for order in orders)


def test_after_a_kill_nothing_is_opened_and_a_forged_order_is_never_obeyed(stack: Stack) -> None:
    forged = stack.approve("S1", signer=Signer.generate())
    stack.until(lambda: stack.redis.one("XLEN", DEAD))
    stack.kill()
    order = stack.approve("S2")
    stack.until(lambda: stack.said(OrderEnded))
    assert [said.ending for said in stack.said(OrderEnded)] == [Ending.HALTED]
    assert stack.orders(order.client_order_id) == stack.orders(forged.client_order_id) == 0


def test_it_ends_cleanly_when_asked_and_shows_its_metrics(stack: Stack) -> None:
    stack.approve()
    stack.until(lambda: stack.said(ProtectionPlaced))
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.port}/metrics", timeout=5) as reply:
        shown = reply.read().decode()
    assert 'kobe_executor_positions_open{service="executor"} 1.0' in shown
    assert 'kobe_executor_orders_total{event="submitted",service="executor"} 1.0' in shown
    assert stack.end(signal.SIGTERM) == 0


def test_the_brokers_stream_tells_of_a_protection_that_ended(stack: Stack) -> None:
    stack.approve()
    stack.until(lambda: stack.said(ProtectionPlaced))
    stop = stack.said(ProtectionPlaced)[0]
    reply = urllib.request.Request(
        f"{stack.environment['KOBE_BROKER_URL']}/v2/orders/{stop.broker_order_id}", method="DELETE"
    )
    urllib.request.urlopen(reply, timeout=5).close()
    stack.until(lambda: len(stack.said(ProtectionPlaced)) == 2)
    assert stack.said(OrderEnded)[-1].purpose is Purpose.PROTECT


def test_a_stop_is_obeyed_between_two_orders_however_long_the_queue(stack: Stack) -> None:
    """Twelve approvals at a broker that takes a second for each, then SIGTERM."""
    stack.simulator.schedule(Delay(times=0, seconds=1.0))
    orders = [stack.approve(f"S{number}") for number in range(12)]
    stack.until(lambda: any(stack.orders(order.client_order_id) for order in orders))
    begun = time.monotonic()
    assert stack.end(signal.SIGTERM) == 0
    assert time.monotonic() - begun < 10
    assert sum(stack.orders(order.client_order_id) for order in orders) < 12
