"""What a look at the account does to the book: money, flows, shares not ours, overdue orders."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st

from shared.domain.risk.account import OVERDUE_AFTER, cash_flow, count_trade, take_account
from shared.domain.risk.book import Book, move_position, release, reserve, settle
from shared.schemas.values import Ending, Holding
from tests.builders import SESSION
from tests.unit.risk_gate.desk import account_seen
from tests.unit.rules.cases import SLOT_AT, D, book, leaving, position, reservation

EXPIRY = SLOT_AT + dt.timedelta(seconds=15)
LATE = EXPIRY + OVERDUE_AFTER
START = D(100000)


def seen(cash: Decimal, equity: Decimal, previous: Book | None = None, **changes: Any) -> Book:
    message = account_seen(cash=cash, equity=equity, buying_power=cash, **changes)
    return take_account(previous or Book(session=SESSION), message, at=SLOT_AT)


def holding(symbol: str, qty: str) -> Holding:
    return Holding(symbol=symbol, qty=D(qty), average_price=D(10))


# --- deposits and withdrawals ---------------------------------------------------------------------


@pytest.mark.parametrize("flow", ["-50000", "-20001", "-131", "131", "250000"])
@pytest.mark.parametrize("gain", ["-30000", "-3000", "0", "3000", "30000"])
def test_a_deposit_or_withdrawal_changes_no_drawdown(flow: str, gain: str) -> None:
    """Peak 100,000, then 90,000 of it left; the flow and a move of the market come together."""
    low = seen(D(40000), D(90000), seen(D(40000), START))
    after = seen(D(40000) + D(flow), D(90000) + D(flow) + D(gain), low)
    before = D(90000) + D(gain)
    scaled = START * (before + D(flow)) / before
    assert after.session_equity == pytest.approx(scaled, abs=D("0.01"))
    assert after.peak_equity == max(after.equity, after.session_equity)


def test_what_our_fills_move_is_no_flow() -> None:
    state = move_position(
        count_trade(seen(START, START), change=700, price=D(70)),
        "AAPL",
        strategy="donchian",
        change=700,
        price=D(70),
        session=SESSION,
    )
    after = seen(START - 49000, D(99000), state, holdings=(holding("AAPL", "700"),))
    assert (after.peak_equity, after.session_equity) == (START, START)
    sold = count_trade(after, change=-700, price=D(65))
    assert seen(START - 3500, START - 3500, sold).peak_equity == START


@pytest.mark.parametrize("spent", ["30000", "-30000"])
def test_a_trade_by_hand_or_a_merger_is_no_flow(spent: str) -> None:
    """Cash turned into shares or came out of them; equity is what it was but for the market."""
    shares = (holding("IBM", "3000"),)
    before = seen(START, START, holdings=() if D(spent) > 0 else shares)
    after = seen(START - D(spent), D(99500), before, holdings=shares if D(spent) > 0 else ())
    assert (after.peak_equity, after.session_equity) == (START, START)


def test_a_fill_that_is_reported_after_the_account_is_no_flow_either() -> None:
    early = seen(START - 49000, START, seen(START, START), holdings=(holding("AAPL", "700"),))
    late = move_position(
        count_trade(early, change=700, price=D(70)),
        "AAPL",
        strategy="donchian",
        change=700,
        price=D(70),
        session=SESSION,
    )
    held = (holding("AAPL", "700"),)
    assert seen(START - 49000, START, late, holdings=held).peak_equity == START


def test_a_deposit_is_one_although_shares_were_traded_by_hand_meanwhile() -> None:
    """50,000 came in and 3,000 shares went out for 30,000."""
    before = seen(START, D(130000), holdings=(holding("IBM", "3000"),))
    after = seen(D(180000), D(180000), before)
    assert after.peak_equity == D(180000)
    assert after.session_equity == D(180000)


def test_fees_interest_and_dividends_are_profit_or_loss() -> None:
    after = seen(START - 99, START - 99, seen(START, START))
    assert (after.peak_equity, after.session_equity) == (START, START)


def test_the_first_look_has_no_flow_and_sets_the_base() -> None:
    state = seen(START, START)
    assert (state.peak_equity, state.session_equity) == (START, START)


@pytest.mark.parametrize("equity", ["0", "-5"])
def test_an_account_that_shows_nothing_is_a_loss_not_a_withdrawal(equity: str) -> None:
    after = seen(D(0), D(equity), seen(START, START))
    assert after.peak_equity == START


money = st.decimals(min_value=0, max_value=10**9, places=2)


@given(money, money, money, money, st.booleans())
def test_a_flow_is_never_more_than_the_unexplained_cash(
    cash: Decimal, equity: Decimal, next_cash: Decimal, next_equity: Decimal, traded: bool
) -> None:
    state, other = seen(cash, equity), {"IBM": D(1)} if traded else {}
    flow = cash_flow(state, account_seen(cash=next_cash, equity=next_equity), other)
    assert flow == 0 or flow * (next_cash - cash) > 0
    assert abs(flow) <= abs(next_cash - cash)


# --- shares that are not ours ---------------------------------------------------------------------


def test_shares_that_are_not_ours_are_external_and_ours_are_not() -> None:
    state = book(positions={"AAPL": position(qty=5), "MSFT": position(qty=3)})
    held = (
        holding("AAPL", "5"),
        holding("MSFT", "10"),
        holding("IBM", "0.5"),
        holding("AAPL240119C00100000", "-1"),
    )
    after = seen(START, START, state, holdings=held)
    assert after.external == {"AAPL240119C00100000": D(-1), "IBM": D("0.5"), "MSFT": D(7)}
    again = seen(START, START, after, holdings=(*held[:1], holding("MSFT", "3")))
    assert again.external == {}


def test_a_blocked_account_is_remembered_until_it_is_free() -> None:
    blocked = seen(START, START, blocked=True)
    assert blocked.blocked
    assert not seen(START, START, blocked).blocked


# --- buying power ---------------------------------------------------------------------------------


def test_buying_power_is_the_brokers_less_what_is_reserved_and_returns_with_it() -> None:
    state = seen(D(1000), D(1000))
    state = reserve(state, "k", reservation(), SLOT_AT)
    assert state.buying_power == D(930)
    state = seen(D(1000), D(1000), state)
    assert state.buying_power == D(930)
    state = settle(release(state, "k", Ending.CANCELED), ["k"])
    assert state.buying_power == D(1000)


# --- orders that nobody will end ------------------------------------------------------------------


def overdue(live: tuple[str, ...] | None, at: dt.datetime, **changes: Any) -> Book:
    state = reserve(seen(START, START), "k", reservation(expires_at=EXPIRY, **changes), SLOT_AT)
    message = account_seen(live_orders=live)
    return take_account(state, message, at=at)


def test_an_order_the_executor_does_not_have_is_dropped_after_its_time_and_stays_spent() -> None:
    state = overdue((), LATE)
    assert (state.reservations, state.used, state.cash) == ({}, D(70), START)


@pytest.mark.parametrize("live", [("k",), None])
def test_an_order_that_lives_or_may_live_keeps_its_reservation(
    live: tuple[str, ...] | None,
) -> None:
    assert "k" in overdue(live, LATE).reservations


def test_an_order_that_could_still_be_sent_keeps_its_reservation() -> None:
    assert "k" in overdue((), LATE - dt.timedelta(microseconds=1)).reservations


def test_an_ended_order_of_a_scan_that_is_never_executed_is_settled_after_its_time() -> None:
    state = overdue((), LATE, ended=True)
    assert (state.reservations, state.used, state.cash) == ({}, D(0), START)


def test_a_lost_exit_frees_its_shares() -> None:
    state = book(
        positions={"AAPL": position()},
        reservations={"k": leaving(expires_at=EXPIRY)},
    )
    assert state.closable("AAPL") == 0
    after = take_account(state, account_seen(live_orders=()), at=LATE)
    assert after.closable("AAPL") == 5
