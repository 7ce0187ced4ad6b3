"""What the gate makes of the account: holdings, a block, buying power, flows, wild signals."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from shared.domain.errors import InvalidMessage
from shared.schemas import messages as m
from shared.schemas.values import Direction, Holding, Signal, TradingState
from tests.unit.risk_gate.desk import (
    RETRY_AT,
    D,
    Desk,
    approved,
    denied,
    gate_settings,
    scan_at,
    signal,
)
from tests.unit.rules.cases import YESTERDAY


def holding(symbol: str, qty: str) -> Holding:
    return Holding(symbol=symbol, qty=D(qty), average_price=D(10))


def bars(*universe: str) -> m.BarsReady:
    return m.BarsReady(
        scan=None,
        through=YESTERDAY,
        digest="d",
        symbols=len(universe),
        coverage=D(1),
        sufficient=True,
        stale=(),
        refused={},
        universe=universe,
    )


def reasons(desk: Desk, **changes: Any) -> tuple[str, ...]:
    return denied(desk.scan([signal(**changes)])).get("AAPL", ())


@pytest.mark.parametrize("qty", ["7", "0.5", "-3"])
def test_no_entry_in_a_symbol_the_account_holds_otherwise(qty: str) -> None:
    desk = Desk().open()
    desk.account(holdings=(holding("AAPL", qty),))
    said = desk.scan([signal(), signal("IBM")])
    assert denied(said) == {"AAPL": ("symbol_held",)}
    assert [order.symbol for order in approved(said)] == ["IBM"]


def test_what_is_left_of_the_users_shares_keeps_us_out_after_ours_are_sold() -> None:
    desk = Desk().open().hold("AAPL", qty=3)
    desk.account(holdings=(holding("AAPL", "10"),))
    sold = m.PositionAdjusted(symbol="AAPL", strategy="donchian", qty=-3, price=D(10), why="sold")
    desk.hear(sold)
    assert reasons(desk) == ("symbol_held",)


def test_no_entry_in_a_symbol_whose_position_cannot_be_read() -> None:
    desk = Desk().open()
    desk.account(unreadable=("AAPL",))
    assert reasons(desk) == ("symbol_held",)


def test_a_blocked_account_opens_nothing_until_it_is_free() -> None:
    desk = Desk().open()
    desk.account(blocked=True)
    assert reasons(desk) == ("reducing",)
    desk.account()
    assert approved(desk.scan([signal("IBM")], ref=scan_at(RETRY_AT)))


def test_buying_power_is_a_limit_of_its_own() -> None:
    desk = Desk().open()
    desk.account(buying_power=D(100))
    said = desk.scan([signal(), signal("IBM")])
    assert [order.symbol for order in approved(said)] == ["AAPL"]
    assert denied(said) == {"IBM": ("insufficient_cash",)}


def test_a_withdrawal_trips_no_breaker_and_a_loss_still_does() -> None:
    desk = Desk().open()
    assert desk.account("60000") == []
    assert desk.account("60000", equity=D("57001")) == []
    (changed,) = desk.account("60000", equity=D("56999"))
    assert isinstance(changed, m.TradingStateChanged)
    assert changed.state is TradingState.REDUCING


def test_a_deposit_hides_no_loss() -> None:
    desk = Desk().open()
    desk.account("150000")
    desk.account("150000", equity=D("142499"))
    assert desk.state.book.trading_state is TradingState.REDUCING


def test_the_universe_of_the_bars_is_what_may_be_entered() -> None:
    desk = Desk(gate_settings(universe=()))
    desk.open()
    assert reasons(desk) == ("not_in_universe",)
    desk.hear(bars("AAPL", "^GSPC"))
    said = desk.scan([signal(), signal("IBM")], ref=scan_at(RETRY_AT))
    assert denied(said) == {"AAPL": ("repeated_entry",), "IBM": ("not_in_universe",)}


def test_the_settings_universe_goes_before_that_of_the_bars() -> None:
    desk = Desk(gate_settings(universe=("IBM",)))
    desk.open()
    desk.hear(bars("AAPL", "IBM"))
    assert reasons(desk) == ("not_in_universe",)


def test_bars_of_more_symbols_than_allowed_are_refused() -> None:
    desk = Desk(gate_settings(universe=(), universe_maximum=2)).open()
    with pytest.raises(InvalidMessage, match="3 symbols, 2 are allowed"):
        desk.hear(bars("AAPL", "IBM", "MSFT"))


def test_bars_under_another_configuration_change_no_universe() -> None:
    desk = Desk(gate_settings(universe=())).open()
    desk.hear(bars("AAPL"), config_pin="another")
    assert desk.state.universe == ()


@pytest.mark.parametrize(
    "wild",
    [
        signal(stop=D("-2.55")),
        signal(stop=D(0)),
        signal(stop=D("10.50"), target=None),
        signal(stop=D("4.00")),
        signal(target=D("10.00")),
        signal(time_stop_bars=0),
        signal(time_stop_bars=251),
        signal(stop=D("9.001")),
    ],
)
def test_an_entry_that_could_not_be_protected_is_denied_and_the_others_go_on(wild: Signal) -> None:
    desk = Desk().open()
    said = desk.scan([wild, signal("IBM")])
    assert "invalid_protection" in denied(said)["AAPL"]
    assert [order.symbol for order in approved(said)] == ["IBM"]


def test_a_shorts_protection_is_the_mirror() -> None:
    settings = gate_settings({"short_selling": {"allowed": True}})
    short = signal(direction=Direction.SHORT, stop=D(11), target=D(8))
    assert approved(Desk(settings).open().scan([short]))
    wrong = replace(short, target=D("-1.00"))
    assert denied(Desk(settings).open().scan([wrong])) == {"AAPL": ("invalid_protection",)}
