"""What nobody foresaw halts once, and everything else goes on, through restarts too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from shared.schemas.messages import AccountSeen, OrderEnded, OrderFilled
from shared.schemas.values import Ending, Side
from tests.unit.executor.floor import Floor


def other_orders_go_on(floor: Floor) -> None:
    """An exit of what was held before is still carried out, a restart later too."""
    floor.restart().run(seconds=30)
    assert floor.resume().state.positions["IBM"].qty == 3
    exit_ = floor.approve_exit("IBM", qty=3)
    floor.run()
    ends = {said.client_order_id: said.ending for said in floor.said(OrderEnded)}
    assert ends[exit_.client_order_id] is Ending.FILLED


def test_a_fill_at_an_impossible_price_halts_and_nothing_dies(floor: Floor) -> None:
    floor.entered("IBM")
    floor.broker.stubborn = True
    order = floor.entered("AAPL")
    filled = floor.broker.orders[order.client_order_id]
    floor.broker.orders[order.client_order_id] = replace(
        filled, filled_qty=Decimal(3), average_price=Decimal(-5)
    )
    before = floor.broker.requests_made
    floor.run(seconds=120)
    assert any("could not be handled" in why for why in floor.halts)
    assert floor.broker.requests_made - before < 120
    floor.broker.stubborn = False
    other_orders_go_on(floor)
    floor.broker.orders[order.client_order_id] = replace(
        filled, filled_qty=Decimal(3), average_price=Decimal(180)
    )
    floor.run(seconds=120)
    assert [fill.price for fill in floor.said(OrderFilled) if fill.symbol == "AAPL"] == [180]


@pytest.mark.parametrize("question", ["order", "position", "cancel"])
def test_an_adapter_that_breaks_halts_and_nothing_dies(
    floor: Floor, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    floor.entered("IBM")
    floor.entered("AAPL")
    real = getattr(floor.broker, question)
    broken = {"AAPL", floor.broker.posts[-1].client_order_id}
    ids = {view.broker_order_id for view in floor.broker.orders.values() if view.symbol == "AAPL"}

    def breaks(name: str) -> Any:
        if name in broken | ids:
            raise ZeroDivisionError("a bug in the adapter")
        return real(name)

    monkeypatch.setattr(floor.broker, question, breaks)
    floor.approve_exit("AAPL", qty=3)
    before = floor.broker.requests_made
    floor.run(seconds=60)
    assert floor.broker.requests_made - before < 200
    assert any("a bug in the adapter" in why for why in floor.halts)
    other_orders_go_on(floor)


def test_a_comparison_that_breaks_halts_once_and_is_asked_for_later(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    floor.entered("IBM")
    real = floor.broker.account

    def breaks() -> Any:
        raise ZeroDivisionError("a bug in the adapter")

    monkeypatch.setattr(floor.broker, "account", breaks)
    floor.reconcile()
    floor.run(seconds=90)
    assert len(set(floor.halts)) == 1
    monkeypatch.setattr(floor.broker, "account", real)
    seen = len(floor.said(AccountSeen))
    floor.reconcile()
    floor.run(seconds=70)
    assert len(floor.said(AccountSeen)) > seen


def test_a_foreign_position_of_any_size_is_no_accident(floor: Floor) -> None:
    floor.entered()
    floor.broker.held_shares["BTC/USD"] = (Decimal("123456789.123456789"), Decimal("0.00001"))
    floor.broker.held_shares["A" * 64] = (Decimal("-0.000000001"), Decimal(0))
    floor.reconcile()
    floor.run(seconds=40)
    assert floor.halts == []
    assert len(floor.said(AccountSeen)[-1].external) == 2
    assert floor.broker.orders[floor.broker.posts[-1].client_order_id].side is Side.SELL
