"""Each rule just inside and just outside its limit. The limit itself passes."""

import datetime as dt
from typing import Any

import pytest

from shared.domain.risk.book import RATE_WINDOW, Attempt
from shared.rules import registry
from shared.rules.judge import Rule, judge
from shared.schemas.fields import MAX_PRICE, MAX_SHARES, MIN_PRICE
from shared.schemas.values import Direction, Purpose, Reason, Side, TradingState
from tests.builders import SESSION
from tests.unit.rules.cases import (
    SLOT_AT,
    YESTERDAY,
    D,
    book,
    exit_intent,
    intent,
    leaving,
    position,
    quote,
    reservation,
)

SECOND = dt.timedelta(seconds=1)
SHORT = {
    "direction": Direction.SHORT,
    "side": Side.SELL,
    "stop": D(11),
    "target": D(8),
    "limit_price": D("9.98"),
}
SHORT_HELD = {"AAPL": position(direction=Direction.SHORT)}


def rule(name: str) -> Rule:
    return next(found for found in registry.load({}) if found.name == name)


def at(seconds: float) -> dt.datetime:
    return SLOT_AT + dt.timedelta(seconds=seconds)


def quoted(bid: str, ask: str, **changes: Any) -> Any:
    return quote(bid=D(bid), ask=D(ask), **changes)


PASSES = [
    ("trading_state", {}, {}),
    ("trading_state", {}, {"drifted": {"MSFT": True}}),
    ("valid_price_qty", {"qty": 1}, {}),
    ("valid_price_qty", {"qty": 0}, {}),
    ("valid_price_qty", {"limit_price": None}, {}),
    ("price_band", {"limit_price": D(3)}, {}),
    ("price_band", {"limit_price": D(1000)}, {}),
    ("short_selling", {}, {}),
    ("notional_per_order", {"qty": 1, "limit_price": D(75)}, {}),
    ("daily_notional", {"qty": 1, "limit_price": D(70)}, {"used": D(930)}),
    ("max_positions", {}, {"positions": {f"S{n}": position() for n in range(9)}}),
    ("gross_exposure", {"qty": 5, "limit_price": D(10)}, {"positions": {"S": position(qty=995)}}),
    ("available_cash", {"qty": 7, "limit_price": D(10)}, {"cash": D(70)}),
    ("buying_power", {"qty": 7, "limit_price": D(10)}, {"buying_power": D(70)}),
    ("not_in_universe", {}, {}),
    ("invalid_protection", {}, {}),
    ("invalid_protection", {"target": None}, {}),
    ("invalid_protection", {"limit_price": None, "quote": None}, {}),
    ("invalid_protection", {"stop": D("0.01"), "limit_price": D("0.02"), "target": None}, {}),
    ("invalid_protection", {"stop": D("10.00"), "target": D("10.02")}, {}),
    ("invalid_protection", {"stop": D("5.01"), "limit_price": D("10.02")}, {}),
    ("invalid_protection", {"limit_price": D("10.00"), "target": D("40.00")}, {}),
    ("invalid_protection", {"time_stop_bars": 1}, {}),
    ("invalid_protection", {"time_stop_bars": 250}, {}),
    ("invalid_protection", SHORT, {}),
    ("invalid_protection", {**SHORT, "stop": D("9.99"), "target": D("9.97")}, {}),
    ("valid_price_qty", {"qty": MAX_SHARES, "limit_price": MAX_PRICE}, {}),
    ("valid_price_qty", {"limit_price": MIN_PRICE}, {}),
    ("one_position_per_symbol", {}, {"external": {"MSFT": D(7), "AAPL240119C00100000": D(1)}}),
    ("price_collar", {"limit_price": D("10.30")}, {}),
    ("price_collar", {"limit_price": D("10.00"), "last_close": D("9.10")}, {}),
    ("price_collar", {"limit_price": None, "quote": None}, {}),
    ("spread", {"quote": quoted("9.90", "10.00")}, {}),
    ("spread", {"quote": None}, {}),
    ("stale_quote", {"quote": quote(at=at(-5))}, {}),
    ("stale_quote", {"quote": quote(at=at(5))}, {}),
    ("stale_quote", {"quote": None}, {}),
    ("stale_signal", {}, {}),
    ("market_hours", {"now": dt.datetime(2024, 1, 5, 20, 59, 59, tzinfo=dt.UTC)}, {}),
    ("order_rate", {}, {"approved_at": (SLOT_AT,) * 29}),
    ("order_rate", {}, {"approved_at": (SLOT_AT - RATE_WINDOW,) * 30}),
    ("repeated_entry", {}, {}),
    ("one_position_per_symbol", {}, {"positions": {"MSFT": position()}}),
    ("one_position_per_symbol", {}, {"reservations": {"k": leaving()}}),
    ("invalidated_at_open", {"stop": D("9.99"), "target": D("10.01")}, {}),
    ("invalidated_at_open", {"quote": None}, {}),
    ("invalidated_at_open", {"target": None}, {}),
    ("drawdown", {}, {"equity": D(80000), "session_equity": D(80000)}),
    ("drawdown", {}, {"equity": D(95000)}),
    ("config_pin", {}, {}),
    ("kill_switch", {}, {}),
    ("quote_required", {"quote": quoted("0", "10.00")}, {}),
    ("minimum_size", {"qty": 1}, {}),
    ("minimum_size", {"qty": 0, "quote": None}, {}),
    ("closable_quantity", {}, {}),
]

REFUSES = [
    ("trading_state", {}, {"trading_state": TradingState.REDUCING}, Reason.REDUCING),
    ("trading_state", {}, {"trading_state": TradingState.HALTED}, Reason.REDUCING),
    ("trading_state", {}, {"drifted": {"AAPL": True}}, Reason.REDUCING),
    ("valid_price_qty", {"qty": -1}, {}, Reason.INVALID_PRICE_OR_QTY),
    ("valid_price_qty", {"limit_price": D(0)}, {}, Reason.INVALID_PRICE_OR_QTY),
    ("valid_price_qty", {"limit_price": D("-0.01")}, {}, Reason.INVALID_PRICE_OR_QTY),
    ("price_band", {"limit_price": D("2.99")}, {}, Reason.PRICE_OUT_OF_BOUNDS),
    ("price_band", {"limit_price": D("1000.01")}, {}, Reason.PRICE_OUT_OF_BOUNDS),
    ("short_selling", SHORT, {}, Reason.SHORTS_DISABLED),
    (
        "notional_per_order",
        {"qty": 1, "limit_price": D("75.01")},
        {},
        Reason.EXCEEDS_PER_ORDER_BUDGET,
    ),
    (
        "daily_notional",
        {"qty": 1, "limit_price": D("70.01")},
        {"used": D(930)},
        Reason.EXCEEDS_DAILY_BUDGET,
    ),
    (
        "max_positions",
        {},
        {"positions": {f"S{n}": position() for n in range(10)}},
        Reason.MAX_POSITIONS,
    ),
    (
        "max_positions",
        {},
        {
            "positions": {f"S{n}": position() for n in range(9)},
            "reservations": {"k": reservation(symbol="MSFT")},
        },
        Reason.MAX_POSITIONS,
    ),
    (
        "gross_exposure",
        {"qty": 5, "limit_price": D("10.01")},
        {"positions": {"S": position(qty=995)}},
        Reason.MAX_EXPOSURE,
    ),
    (
        "available_cash",
        {"qty": 7, "limit_price": D(10)},
        {"cash": D("69.99")},
        Reason.INSUFFICIENT_CASH,
    ),
    (
        "buying_power",
        {"qty": 7, "limit_price": D(10)},
        {"buying_power": D("69.99")},
        Reason.INSUFFICIENT_CASH,
    ),
    ("not_in_universe", {"in_universe": False}, {}, Reason.NOT_IN_UNIVERSE),
    *(
        ("invalid_protection", changes, {}, Reason.INVALID_PROTECTION)
        for changes in (
            {"stop": None},
            {"stop": D("-2.55")},
            {"stop": D(0)},
            {"stop": D("10.01")},
            {"stop": D("10.02")},
            {"stop": D("9.005")},
            {"stop": D("5.00"), "limit_price": D("10.02")},
            {"target": D("10.01")},
            {"target": D("9.50")},
            {"target": D(-1)},
            {"target": D("12.505")},
            {"target": D("40.01"), "limit_price": D("10.00")},
            {"stop": D(9), "target": D(9), "limit_price": None, "quote": None},
            {"stop": D(-1), "limit_price": None, "quote": None},
            {"time_stop_bars": 0},
            {"time_stop_bars": -1},
            {"time_stop_bars": 251},
            {**SHORT, "stop": D("9.98")},
            {**SHORT, "stop": D("9.50")},
            {**SHORT, "target": D("9.98")},
            {**SHORT, "target": D(0)},
            {**SHORT, "stop": D("14.98")},
        )
    ),
    ("valid_price_qty", {"qty": MAX_SHARES + 1}, {}, Reason.INVALID_PRICE_OR_QTY),
    ("valid_price_qty", {"limit_price": MAX_PRICE + 1}, {}, Reason.INVALID_PRICE_OR_QTY),
    ("trading_state", {}, {"blocked": True}, Reason.REDUCING),
    ("one_position_per_symbol", {}, {"external": {"AAPL": D(7)}}, Reason.SYMBOL_HELD),
    ("one_position_per_symbol", {}, {"unreadable": ("AAPL",)}, Reason.SYMBOL_HELD),
    ("price_collar", {"limit_price": D("10.31")}, {}, Reason.COLLAR),
    ("price_collar", {"limit_price": D("9.69")}, {}, Reason.COLLAR),
    ("price_collar", {"limit_price": D("10.02"), "last_close": D("9.10")}, {}, Reason.COLLAR),
    ("price_collar", {"limit_price": D("10.00"), "last_close": D("11.12")}, {}, Reason.COLLAR),
    ("spread", {"quote": quoted("9.89", "10.00")}, {}, Reason.SPREAD),
    ("spread", {"quote": quoted("10.00", "10.00")}, {}, Reason.SPREAD),
    ("spread", {"quote": quoted("10.01", "10.00")}, {}, Reason.SPREAD),
    ("spread", {"quote": quoted("0", "10.00")}, {}, Reason.SPREAD),
    ("stale_quote", {"quote": quote(at=at(-5.001))}, {}, Reason.STALE_QUOTE),
    ("stale_quote", {"quote": quote(at=at(5.001))}, {}, Reason.STALE_QUOTE),
    ("stale_signal", {"signal_session": dt.date(2024, 1, 3)}, {}, Reason.STALE_SIGNAL),
    ("stale_signal", {"signal_session": SESSION}, {}, Reason.STALE_SIGNAL),
    (
        "market_hours",
        {"now": dt.datetime(2024, 1, 5, 21, 0, tzinfo=dt.UTC)},
        {},
        Reason.MARKET_CLOSED,
    ),
    ("market_hours", {"session": YESTERDAY}, {}, Reason.MARKET_CLOSED),
    ("market_hours", {}, {"session": None}, Reason.MARKET_CLOSED),
    ("order_rate", {}, {"approved_at": (SLOT_AT - RATE_WINDOW + SECOND,) * 30}, Reason.ORDER_RATE),
    ("repeated_entry", {"repeated": True}, {}, Reason.REPEATED_ENTRY),
    ("one_position_per_symbol", {}, {"positions": {"AAPL": position()}}, Reason.SYMBOL_HELD),
    ("one_position_per_symbol", {}, {"reservations": {"k": reservation()}}, Reason.SYMBOL_HELD),
    ("invalidated_at_open", {"stop": D("10.00")}, {}, Reason.INVALIDATED_AT_OPEN),
    ("invalidated_at_open", {"target": D("10.00")}, {}, Reason.INVALIDATED_AT_OPEN),
    ("invalidated_at_open", {**SHORT, "stop": D("9.99")}, {}, Reason.INVALIDATED_AT_OPEN),
    ("drawdown", {}, {"equity": D("79999.99"), "session_equity": D(80000)}, Reason.REDUCING),
    ("drawdown", {}, {"equity": D("94999.99")}, Reason.REDUCING),
    ("config_pin", {"same_pin": False}, {}, Reason.CONFIG_PIN),
    ("kill_switch", {"halted": ("kill file",)}, {}, Reason.HALTED),
    ("quote_required", {"quote": None}, {}, Reason.NO_QUOTE),
    ("quote_required", {"quote": quoted("9.99", "0")}, {}, Reason.NO_QUOTE),
    ("minimum_size", {"qty": 0}, {}, Reason.SIZE_ZERO),
]


@pytest.mark.parametrize(("name", "intent_changes", "book_changes"), PASSES)
def test_what_is_within_the_limit_passes(
    name: str, intent_changes: dict[str, Any], book_changes: dict[str, Any]
) -> None:
    assert rule(name).check(intent(**intent_changes), book(**book_changes)) is None


@pytest.mark.parametrize(("name", "intent_changes", "book_changes", "reason"), REFUSES)
def test_what_is_beyond_the_limit_is_refused_with_its_reason(
    name: str, intent_changes: dict[str, Any], book_changes: dict[str, Any], reason: Reason
) -> None:
    denial = rule(name).check(intent(**intent_changes), book(**book_changes))
    assert denial is not None
    assert denial.reason is reason


EXITS_REFUSED = [
    ({}, {}, Reason.NOT_HELD),
    ({"qty": 6}, {"positions": {"AAPL": position()}}, Reason.NOT_HELD),
    ({"qty": 0}, {"positions": {"AAPL": position()}}, Reason.NOT_HELD),
    ({"purpose": Purpose.PROTECT}, {"positions": {"AAPL": position()}}, Reason.NOT_HELD),
    ({}, {"positions": SHORT_HELD}, Reason.NOT_HELD),
    (
        {},
        {"positions": {"AAPL": position()}, "reservations": {"k": leaving(qty=1)}},
        Reason.NOT_HELD,
    ),
    ({"quote": None, "limit_price": None}, {"positions": {"AAPL": position()}}, Reason.NO_QUOTE),
    ({"halted": ("killed: x",)}, {"positions": {"AAPL": position()}}, Reason.HALTED),
    ({"same_pin": False}, {"positions": {"AAPL": position()}}, Reason.CONFIG_PIN),
]


@pytest.mark.parametrize(("intent_changes", "book_changes", "reason"), EXITS_REFUSED)
def test_an_exit_is_refused_only_when_it_could_not_reduce(
    intent_changes: dict[str, Any], book_changes: dict[str, Any], reason: Reason
) -> None:
    denials = judge(exit_intent(**intent_changes), book(**book_changes), registry.load({}))
    assert [denial.reason for denial in denials] == [reason]


def test_an_exit_passes_whatever_budget_band_spread_age_and_state_say() -> None:
    hard = book(
        positions={"AAPL": position()},
        used=D(1000),
        cash=D(-5),
        buying_power=D(-5),
        blocked=True,
        external={"AAPL": D(7)},
        equity=D(1),
        trading_state=TradingState.REDUCING,
        drifted={"AAPL": True},
        approved_at=(SLOT_AT,) * 99,
    )
    wide = exit_intent(quote=quoted("0.50", "2000", at=at(-3600)), limit_price=D("0.49"))
    assert judge(wide, hard, registry.load({})) == ()


def test_the_shares_that_are_not_on_their_way_out_yet_may_leave() -> None:
    held = book(positions={"AAPL": position()}, reservations={"k": leaving(qty=3, filled_qty=1)})
    assert judge(exit_intent(qty=3), held, registry.load({})) == ()


def test_the_throttle_trips_when_one_wish_keeps_coming() -> None:
    def asked(times: int) -> str:
        attempt = Attempt(number=1, first_slot_at=SLOT_AT, slot_at=SLOT_AT, asked=times)
        return rule("repeated_entry").breach(book(attempts={"s1": attempt}))

    assert asked(5) == ""
    assert "came 6 times" in asked(6)


def test_the_breakers_name_what_was_breached() -> None:
    assert "below its peak" in rule("drawdown").breach(book(equity=D(1), session_equity=D(1)))
    assert "session's start" in rule("drawdown").breach(book(equity=D(94000)))
    assert rule("available_cash").breach(book(cash=D(-1))) == ""
