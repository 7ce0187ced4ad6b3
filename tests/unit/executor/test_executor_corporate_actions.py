"""Splits, reverse splits with fractions, renames, removals and spin-offs of what is held."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from services.executor.brokers.protocol import Kind
from services.executor.orders.state import unprotected_symbols
from shared.schemas.corporate_actions import (
    CorporateActions,
    Ended,
    Removal,
    Rename,
    SpinOff,
    Split,
)
from shared.schemas.messages import (
    AccountSeen,
    CorporateActionsSeen,
    OrderEnded,
    PositionAdjusted,
    PositionDisputed,
    PositionRenamed,
    PositionRescaled,
    ProtectionPlaced,
)
from shared.schemas.values import Ending, OrderStatus, Protection, Stage
from tests.builders import SESSION
from tests.unit.executor.floor import Floor

MONDAY = SESSION + dt.timedelta(days=3)


def split(new: str, old: str = "1", symbol: str = "AAPL") -> CorporateActions:
    one = Split(symbol=symbol, ex_date=MONDAY, new=Decimal(new), old=Decimal(old))
    return CorporateActions(splits=(one,))


def seen(actions: CorporateActions) -> CorporateActionsSeen:
    return CorporateActionsSeen(
        session=MONDAY,
        since=SESSION,
        vendor="sample",
        symbols=1,
        splits=actions.splits,
        renames=actions.renames,
        removals=actions.removals,
    )


def broker_splits(floor: Floor, qty: str, price: str, *, cancels: bool = True) -> None:
    """Overnight the broker shows other shares at another price; its GTC stop is gone."""
    floor.broker.held_shares["AAPL"] = (Decimal(qty), Decimal(price))
    floor.broker.price["AAPL"] = Decimal(price)
    if cancels:
        floor.broker.end(floor.said(ProtectionPlaced)[0].client_order_id, OrderStatus.CANCELED)


def plan(floor: Floor) -> Protection | None:
    return floor.state.positions["AAPL"].protection


@pytest.mark.parametrize("source", ["vendor", "broker"])
@pytest.mark.parametrize("cancels", [True, False])
def test_a_split_known_before_the_open_scales_shares_lots_and_stop(
    floor: Floor, source: str, cancels: bool
) -> None:
    floor.entered()
    if source == "vendor":
        floor.hear(seen(split("2")))
        floor.run()
    else:
        floor.broker.announced = split("2")
    cost = floor.state.positions["AAPL"].cost
    broker_splits(floor, "6", "90", cancels=cancels)
    floor.open_later()
    floor.reconcile(Stage.OPEN)
    held = floor.state.positions["AAPL"]
    assert (held.qty, held.cost) == (6, cost)
    assert plan(floor) == Protection(
        stop=Decimal("85.00"), target=Decimal("102.50"), time_stop_bars=20
    )
    rescaled = floor.said(PositionRescaled)
    assert [(each.qty_before, each.qty, each.fraction, each.stop) for each in rescaled] == [
        (3, 6, Decimal(0), Decimal("85.00"))
    ]
    request = floor.broker.posts[-1]
    assert (request.qty, request.stop_price, request.kind) == (
        6,
        Decimal("85.00"),
        Kind.STOP_AND_TARGET,
    )
    assert not any(each.kind is Kind.MARKET for each in floor.broker.posts)
    floor.run(seconds=600)
    assert unprotected_symbols(floor.state) == []
    assert (floor.halts, floor.said(PositionDisputed)) == ([], [])
    assert len(floor.said(PositionRescaled)) == 1


def test_a_split_nobody_announced_sells_nothing_and_is_the_operators(floor: Floor) -> None:
    floor.entered()
    broker_splits(floor, "6", "90")
    floor.open_later()
    floor.reconcile(Stage.OPEN)
    floor.run(seconds=600)
    assert [request.kind for request in floor.broker.posts] == [
        Kind.IMMEDIATE,
        Kind.STOP_AND_TARGET,
    ]
    assert floor.state.positions["AAPL"].qty == 3
    assert [(each.standing, each.halts) for each in floor.said(PositionDisputed)] == [
        ("more", True)
    ]


def test_a_split_the_broker_follows_late_lowers_the_stop_first(floor: Floor) -> None:
    """The price is the new one at the open; a stop in the old scale would sell at once."""
    floor.entered()
    floor.hear(seen(split("2")))
    floor.run()
    assert plan(floor) == Protection(
        stop=Decimal("85.00"), target=Decimal("102.50"), time_stop_bars=20
    )
    assert floor.broker.posts[-1].stop_price == Decimal("85.00")
    assert floor.broker.posts[-1].qty == 3
    floor.open_later()
    broker_splits(floor, "6", "90", cancels=False)
    floor.reconcile(Stage.OPEN)
    assert floor.state.positions["AAPL"].qty == 6
    assert floor.broker.posts[-1].qty == 6
    assert plan(floor) == Protection(
        stop=Decimal("85.00"), target=Decimal("102.50"), time_stop_bars=20
    )


@pytest.mark.parametrize(
    ("qty", "shown", "whole", "fraction"),
    [(16, "2", 2, "0"), (20, "2.5", 2, "0.5"), (20, "2", 2, "0.5"), (7, "0.875", 0, "0.875")],
)
def test_a_reverse_split_keeps_whole_shares_and_leaves_the_fraction_to_be_paid(
    floor: Floor, qty: int, shown: str, whole: int, fraction: str
) -> None:
    floor.entered(qty=qty)
    floor.hear(seen(split("1", "8")))
    floor.run()
    assert floor.broker.posts[-1].stop_price == Decimal("170.00")
    broker_splits(floor, shown, "1440")
    floor.open_later()
    floor.reconcile(Stage.OPEN)
    rescaled = floor.said(PositionRescaled)[0]
    assert (rescaled.qty, rescaled.fraction) == (whole, Decimal(fraction))
    if whole:
        held = floor.state.positions["AAPL"]
        assert held.qty == whole
        assert held.cost / held.qty == Decimal("180.1") * 8
        assert floor.broker.posts[-1].stop_price == Decimal("1360.00")
        assert floor.broker.posts[-1].qty == whole
    else:
        assert floor.state.positions == {}
    floor.broker.held_shares["AAPL"] = (Decimal(whole), Decimal(1440))
    if not whole:
        del floor.broker.held_shares["AAPL"]
    floor.reconcile()
    floor.run(seconds=60)
    assert floor.halts == []


def test_a_rename_moves_the_position_and_protects_it_under_the_new_symbol(floor: Floor) -> None:
    floor.entered()
    rename = Rename(old="AAPL", new="APLX", date=MONDAY)
    floor.hear(seen(CorporateActions(renames=(rename,))))
    floor.broker.held_shares["APLX"] = floor.broker.held_shares.pop("AAPL")
    floor.open_later()
    floor.reconcile(Stage.OPEN)
    floor.run(seconds=35)
    assert list(floor.state.positions) == ["APLX"]
    assert [(each.symbol, each.new_symbol) for each in floor.said(PositionRenamed)] == [
        ("AAPL", "APLX")
    ]
    assert (floor.broker.posts[-1].symbol, floor.broker.posts[-1].qty) == ("APLX", 3)
    assert unprotected_symbols(floor.state) == []
    assert floor.halts == []


def test_a_rename_nobody_announced_is_known_by_the_share_itself(floor: Floor) -> None:
    floor.entered()
    floor.reconcile()
    floor.broker.held_shares["APLX"] = floor.broker.held_shares.pop("AAPL")
    floor.broker.assets["APLX"] = "asset of AAPL"
    floor.reconcile()
    floor.run(seconds=35)
    assert list(floor.state.positions) == ["APLX"]
    assert floor.halts == []


def test_a_merger_ends_the_position_on_the_second_look(floor: Floor) -> None:
    floor.entered()
    removal = Removal(symbol="AAPL", date=MONDAY, why=Ended.MERGED)
    floor.hear(seen(CorporateActions(removals=(removal,))))
    floor.open_later()
    floor.broker.empty_lists = 1
    floor.reconcile(Stage.OPEN)
    floor.run(seconds=35)
    assert floor.state.positions["AAPL"].qty == 3
    del floor.broker.held_shares["AAPL"]
    floor.reconcile()
    floor.run(seconds=35)
    assert floor.state.positions == {}
    assert [(each.qty, each.why) for each in floor.said(PositionAdjusted)] == [(-3, "merged")]
    assert floor.halts == []


def test_entries_in_a_symbol_wait_a_session_after_its_corporate_action(floor: Floor) -> None:
    floor.broker.announced = CorporateActions()
    floor.hear(seen(split("2", symbol="IBM")))
    session = floor.open_later()
    order = floor.approve_in(session, "IBM")
    floor.run()
    assert floor.posts(order.client_order_id) == 0
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.NOT_SENT]
    later = floor.open_later(days=1)
    again = floor.approve_in(later, "IBM")
    floor.run()
    assert floor.posts(again.client_order_id) == 1


def test_the_shares_of_a_spin_off_are_external(floor: Floor) -> None:
    floor.entered()
    floor.broker.announced = CorporateActions(
        spin_offs=(SpinOff(symbol="AAPL", new="SPUN", ex_date=MONDAY),)
    )
    floor.broker.held_shares["SPUN"] = (Decimal("1.5"), Decimal(10))
    session = floor.open_later()
    floor.reconcile(Stage.OPEN)
    floor.run(seconds=60)
    assert [held.symbol for held in floor.said(AccountSeen)[-1].external] == ["SPUN"]
    assert floor.halts == []
    order = floor.approve_in(session, "SPUN")
    floor.run()
    assert floor.posts(order.client_order_id) == 0
