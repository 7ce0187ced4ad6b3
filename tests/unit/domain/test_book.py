import datetime as dt

import pytest
from hypothesis import given, strategies as st

from shared.domain.errors import InvariantBroken
from shared.domain.risk.account import see_account
from shared.domain.risk.book import (
    RATE_WINDOW,
    TRIED_IN_VAIN,
    Attempt,
    Book,
    Position,
    apply_fill,
    move_position,
    record_attempt,
    release,
    reserve,
    roll_session,
    settle_scan,
)
from shared.runtime.runner.state_codec import changes, state_from
from shared.schemas.values import Direction, Ending
from tests.builders import SESSION
from tests.unit.rules.cases import SLOT_AT, YESTERDAY, D, book, leaving, position, reservation

TOMORROW = dt.date(2024, 1, 8)
SCAN = "SCAN_20240105_143500"


def bought(qty: int, price: str, *, then: Ending | None = Ending.CANCELED) -> Book:
    """7 at 10.00 approved, `qty` filled at `price`."""
    state = reserve(book(cash=D(1000)), "k", reservation(), SLOT_AT)
    if qty:
        state = apply_fill(state, "k", qty=qty, price=D(price), opens=True)
        state = move_position(
            state, "AAPL", strategy="donchian", change=qty, price=D(price), session=SESSION
        )
    return release(state, "k", then) if then else state


def test_an_approval_takes_quantity_times_limit_from_budget_and_cash() -> None:
    state = bought(0, "0", then=None)
    assert (state.used, state.cash, state.exposure) == (D(70), D(930), D(70))
    assert state.approved_at == (SLOT_AT,)


def test_nothing_moves_between_approval_and_settlement() -> None:
    filled = bought(4, "9.50")
    assert (filled.used, filled.cash) == (D(70), D(930))
    assert filled.open_symbols == {"AAPL"}


@pytest.mark.parametrize(
    ("qty", "price", "used", "cash"),
    [
        (0, "0", "0", "1000"),
        (4, "9.50", "40", "962"),
        (7, "9.50", "70", "933.50"),
        (7, "10", "70", "930"),
    ],
)
def test_settlement_gives_back_what_was_not_filled_and_keeps_price_improvement_from_the_budget(
    qty: int, price: str, used: str, cash: str
) -> None:
    settled = settle_scan(bought(qty, price), SCAN)
    assert (settled.used, settled.cash, settled.reservations) == (D(used), D(cash), {})


def test_an_order_nobody_knows_the_end_of_stays_reserved() -> None:
    waiting = settle_scan(bought(0, "0", then=None), SCAN)
    assert (waiting.used, waiting.cash, set(waiting.reservations)) == (D(70), D(930), {"k"})


def test_settling_twice_or_another_scan_changes_nothing() -> None:
    ended = bought(4, "9.50")
    once = settle_scan(ended, SCAN)
    assert settle_scan(once, SCAN) == once
    assert settle_scan(ended, "SCAN_20240105_153000") == ended


def test_an_exit_costs_no_budget_and_brings_its_cash_at_settlement() -> None:
    state = reserve(book(cash=D(0), positions={"AAPL": position()}), "x", leaving(), SLOT_AT)
    assert (state.used, state.cash, state.closable("AAPL")) == (D(0), D(0), 0)
    state = apply_fill(state, "x", qty=5, price=D("10.50"), opens=False)
    state = move_position(state, "AAPL", strategy="d", change=-5, price=D("10.50"), session=SESSION)
    assert state.cash == D(0)
    state = settle_scan(release(state, "x", Ending.FILLED), SCAN)
    assert (state.used, state.cash, state.positions) == (D(0), D("52.50"), {})


def test_the_same_order_is_never_reserved_twice() -> None:
    with pytest.raises(InvariantBroken, match="reserved twice"):
        reserve(bought(0, "0", then=None), "k", reservation(), SLOT_AT)


def test_a_fill_after_its_settlement_still_uses_the_budget() -> None:
    settled = settle_scan(bought(0, "0", then=Ending.ABANDONED), SCAN)
    late = apply_fill(settled, "k", qty=7, price=D("9.90"), opens=True)
    assert late.used == D("69.30")
    assert apply_fill(settled, "stop", qty=7, price=D("9.90"), opens=False) == settled


def test_more_filled_than_approved_is_counted_as_it_is() -> None:
    assert settle_scan(bought(9, "10"), SCAN).used == D(90)


@given(st.integers(0, 7), st.booleans(), st.booleans())
def test_cash_is_the_same_whenever_the_account_is_seen(
    filled: int, seen_early: bool, seen_late: bool
) -> None:
    """Broker: 1000, less fills at 9.50. Whenever seen: once settled, cash is the broker's."""
    after = D(1000) - filled * D("9.50")
    state = reserve(book(cash=D(1000)), "k", reservation(), SLOT_AT)
    if seen_early:
        state = see_account(state, cash=D(1000), buying_power=D(1000), equity=D(1000))
        assert state.cash == D(930)
    if filled:
        state = apply_fill(state, "k", qty=filled, price=D("9.50"), opens=True)
    if seen_late:
        state = see_account(state, cash=after, buying_power=after, equity=D(1000))
        assert state.cash == D(930)
    state = settle_scan(release(state, "k", Ending.CANCELED), SCAN)
    assert state.cash == after
    assert see_account(state, cash=after, buying_power=after, equity=D(1000)).cash == after


def test_the_account_seen_between_an_exits_fill_and_its_settlement_counts_the_proceeds_once() -> (
    None
):
    state = reserve(book(cash=D(100), positions={"AAPL": position()}), "x", leaving(), SLOT_AT)
    state = apply_fill(state, "x", qty=5, price=D(10), opens=False)
    state = see_account(state, cash=D(150), buying_power=D(150), equity=D(150))
    assert settle_scan(release(state, "x", Ending.FILLED), SCAN).cash == D(150)


def test_the_peak_only_rises_and_the_sessions_equity_is_the_first_seen() -> None:
    state = see_account(Book(), cash=D(100), buying_power=D(100), equity=D(100))
    state = see_account(state, cash=D(100), buying_power=D(100), equity=D(90))
    assert (state.peak_equity, state.session_equity, state.equity) == (D(100), D(100), D(90))
    assert roll_session(state, SESSION).session_equity == D(90)


def test_a_session_begins_once_and_never_backwards() -> None:
    spent = bought(7, "10")
    assert roll_session(spent, SESSION) is spent
    assert roll_session(spent, YESTERDAY) is spent
    rolled = roll_session(
        record_attempt(spent, "s", Attempt(number=1, first_slot_at=SLOT_AT, slot_at=SLOT_AT)),
        TOMORROW,
    )
    assert (rolled.session, rolled.used, rolled.attempts) == (TOMORROW, D(0), {})
    assert rolled.positions == spent.positions


def test_what_ended_without_its_scan_being_executed_is_settled_by_the_day() -> None:
    rolled = roll_session(bought(4, "9.50"), TOMORROW)
    assert (rolled.used, rolled.cash, rolled.reservations) == (D(0), D(962), {})


def test_an_order_of_yesterday_that_ends_today_gives_its_cash_but_no_budget() -> None:
    rolled = roll_session(bought(0, "0", then=None), TOMORROW)
    assert (rolled.cash, rolled.exposure) == (D(930), D(70))
    ended = release(rolled, "k", Ending.ABANDONED)
    assert (ended.used, ended.cash, ended.reservations) == (D(0), D(1000), {})


@pytest.mark.parametrize("ending", Ending)
@pytest.mark.parametrize("filled", [0, 1])
def test_only_an_order_that_ended_for_certain_without_a_fill_may_be_tried_again(
    ending: Ending, filled: int
) -> None:
    attempt = Attempt(number=1, first_slot_at=SLOT_AT, slot_at=SLOT_AT)
    state = record_attempt(bought(filled, "10", then=None), "s1", attempt)
    assert release(state, "k", ending).attempts["s1"].over == (
        ending in TRIED_IN_VAIN and filled == 0
    )


def test_an_order_that_is_not_ours_ends_without_a_trace() -> None:
    assert release(book(), "stop", Ending.FILLED) == book()


def moved(held: Position | None, change: int, price: str) -> Position | None:
    state = book(positions={"AAPL": held} if held else {})
    return move_position(
        state, "AAPL", strategy="rsi2", change=change, price=D(price), session=SESSION
    ).positions.get("AAPL")


def test_positions_grow_shrink_turn_and_vanish() -> None:
    opened = moved(None, -3, "7")
    assert opened == position(
        strategy="rsi2", direction=Direction.SHORT, qty=3, average_price=D(7), entry_session=SESSION
    )
    assert moved(position(), 5, "11") == position(qty=10, average_price=D("10.5"))
    assert moved(position(qty=2), 1, "11") == position(qty=3, average_price=D("10.3333"))
    assert moved(position(), -2, "11") == position(qty=3)
    assert moved(position(), -5, "11") is None
    turned = moved(position(), -12, "8")
    assert turned is not None
    assert (turned.signed_qty, turned.average_price) == (-7, D(8))


def test_the_rate_window_keeps_only_the_last_minute() -> None:
    state = reserve(book(approved_at=(SLOT_AT - RATE_WINDOW, SLOT_AT)), "k", reservation(), SLOT_AT)
    assert state.approved_at == (SLOT_AT, SLOT_AT)


def test_a_book_is_written_and_read_back_whole() -> None:
    state = record_attempt(
        bought(4, "9.50"), "s1", Attempt(number=1, first_slot_at=SLOT_AT, slot_at=SLOT_AT)
    )
    fields, removed = changes(Book(), state)
    assert removed == []
    assert {"used", "cash", "positions:AAPL", "reservations:k", "attempts:s1"} <= fields.keys()
    assert state_from(Book(), fields) == state
