"""An intent tried again: only later, only after it ended for certain unfilled, not for ever."""

import pytest

from shared.schemas import messages as m
from shared.schemas.values import Ending, Slot, TradingState
from tests.builders import scan_ref
from tests.unit.risk_gate.desk import (
    CLOSE_AT,
    LATER_AT,
    LOOSE,
    RETRY_AT,
    D,
    Desk,
    approved,
    completed,
    decided,
    denied,
    gate_settings,
    leave,
    quote_of,
    scan_at,
    signal,
)


def test_the_same_scan_heard_again_says_nothing() -> None:
    desk = Desk().open()
    first = desk.scan([signal()])
    assert desk.scan([signal()]) == []
    desk.execute(first)
    book = desk.state.book
    assert desk.scan([signal()]) == []
    assert desk.state.book == book


def test_an_entry_without_a_quote_is_tried_at_the_next_slot_under_an_id_of_its_own() -> None:
    desk = Desk().open()
    first = desk.scan([signal()], unquoted=["AAPL"])
    assert denied(first) == {"AAPL": ("no_quote",)}
    desk.executed(decided(first))
    (order,) = approved(desk.scan([signal()], ref=scan_at(RETRY_AT)))
    (refused,) = [message for message in first if isinstance(message, m.OrderDenied)]
    assert order.attempt == 2
    assert order.signal_id == refused.signal_id
    assert order.decision_id != refused.decision_id
    assert order.decision_id.startswith("DEC_20240105_143500_AAPL_")


@pytest.mark.parametrize(
    "ending", [Ending.CANCELED, Ending.EXPIRED, Ending.NOT_SENT, Ending.HALTED]
)
def test_an_entry_that_got_nothing_is_tried_again_and_its_budget_was_returned(
    ending: Ending,
) -> None:
    desk = Desk().open()
    first = desk.scan([signal()])
    desk.end(approved(first)[0], ending)
    desk.executed(decided(first))
    assert desk.state.book.used == D(0)
    (again,) = approved(desk.scan([signal()], ref=scan_at(RETRY_AT)))
    assert again.attempt == 2
    assert again.client_order_id != approved(first)[0].client_order_id
    assert desk.state.book.used == D("70.07")


@pytest.mark.parametrize("ending", [Ending.REJECTED, Ending.ABANDONED])
def test_an_entry_that_was_refused_or_is_in_doubt_is_not_tried_again(ending: Ending) -> None:
    desk = Desk().open()
    said = desk.scan([signal()])
    desk.end(approved(said)[0], ending)
    desk.executed(decided(said))
    assert denied(desk.scan([signal()], ref=scan_at(RETRY_AT))) == {"AAPL": ("repeated_entry",)}


def test_an_entry_filled_even_in_part_is_not_tried_again_even_after_it_was_stopped_out() -> None:
    desk = Desk().open()
    said = desk.scan([signal()])
    (order,) = approved(said)
    desk.fill(order, 1)
    desk.end(order, Ending.CANCELED, 1)
    desk.executed(decided(said))
    stopped = m.PositionAdjusted(symbol="AAPL", strategy="donchian", qty=-1, price=D(9), why="gone")
    desk.hear(stopped)
    assert denied(desk.scan([signal()], ref=scan_at(RETRY_AT))) == {"AAPL": ("repeated_entry",)}


def test_an_entry_still_under_way_is_not_tried_again() -> None:
    desk = Desk().open()
    desk.scan([signal()])
    said = desk.scan([signal()], ref=scan_at(RETRY_AT))
    assert denied(said) == {"AAPL": ("symbol_held", "repeated_entry")}


def test_an_entry_refused_for_more_than_want_of_a_quote_is_refused_for_the_session() -> None:
    desk = Desk().open()
    desk.executed(decided(desk.scan([signal(stop=D(10))])))
    assert denied(desk.scan([signal()], ref=scan_at(RETRY_AT))) == {"AAPL": ("repeated_entry",)}


@pytest.mark.parametrize(("bid", "seconds"), [("9.00", 0), ("9.99", -60)])
def test_a_quote_too_wide_or_too_old_is_no_quote_and_may_be_better_later(
    bid: str, seconds: int
) -> None:
    desk, ref = Desk().open(), scan_ref()
    bad = quote_of("AAPL", ref, "10.00")
    bad = type(bad)(
        symbol="AAPL",
        bid=D(bid),
        ask=bad.ask,
        at=ref.slot_at.replace(second=0, minute=35 + seconds // 60),
    )
    desk.executed(decided(desk.scan([signal()], quotes=[bad])))
    assert [order.attempt for order in approved(desk.scan([signal()], ref=scan_at(RETRY_AT)))] == [
        2
    ]


def test_an_earlier_slot_heard_late_is_no_new_try() -> None:
    desk = Desk().open()
    desk.execute(desk.scan([signal()], ref=scan_at(RETRY_AT)), filling=False)
    assert denied(desk.scan([signal()])) == {"AAPL": ("repeated_entry",)}


def test_the_same_signal_twice_in_one_scan_is_one_order() -> None:
    said = Desk().open().scan([signal(), signal()])
    assert len(approved(said)) == 1
    assert denied(said) == {"AAPL": ("symbol_held", "repeated_entry")}


def test_a_refused_repeat_never_bears_the_decision_id_of_the_order_it_repeats() -> None:
    said = Desk().open().scan([signal(), signal()])
    assert (
        len(
            {
                message.decision_id
                for message in said
                if isinstance(message, m.OrderApproved | m.OrderDenied)
            }
        )
        == 2
    )


def test_an_intent_that_keeps_coming_moves_trading_to_reducing_until_the_operator_acts() -> None:
    desk = Desk().open().hold("MSFT")
    loop = [signal()] * 6
    said = desk.scan(loop)
    assert [message.state for message in said if isinstance(message, m.TradingStateChanged)] == [
        TradingState.REDUCING
    ]
    assert "came 6 times" in desk.state.book.why
    desk.execute(said)
    after = desk.scan([signal("IBM")], [leave("MSFT")], ref=scan_at(RETRY_AT))
    assert [order.symbol for order in approved(after)] == ["MSFT"]
    assert denied(desk.execute(after)) == {"IBM": ("reducing",)}
    back = desk.hear(m.ActivateRequested(by="ann", why="the loop was mended"))
    assert back == [
        m.TradingStateChanged(state=TradingState.ACTIVE, why="ann: the loop was mended")
    ]
    assert [
        order.symbol for order in approved(desk.scan([signal("GE")], ref=scan_at(LATER_AT)))
    ] == ["GE"]


def test_a_flood_of_fresh_wishes_ends_at_the_rate() -> None:
    desk = Desk(
        gate_settings(
            {**LOOSE, "order_rate": {"per_minute": 30}, "daily_notional": {"maximum": "1000000"}}
        )
    )
    said = desk.open().scan([signal(f"S{number:04}") for number in range(1000)])
    assert len(approved(said)) == 30
    assert set(denied(said).values()) == {("order_rate",)}


def test_exits_are_never_throttled_by_the_rate() -> None:
    symbols = [f"S{number}" for number in range(40)]
    said = Desk().open().hold(*symbols).scan(exits=[leave(symbol) for symbol in symbols])
    assert len(approved(said)) == 40


def test_a_forgotten_scan_heard_again_at_its_own_slot_approves_nothing_new() -> None:
    """The memory of decided scans is short; the attempts are not."""
    desk = Desk().open().hold("MSFT")
    entries = desk.execute(desk.scan([signal()], [leave("MSFT")]))
    desk.execute(entries)
    desk.state = type(desk.state)(book=desk.state.book, executions_seq=desk.state.executions_seq)
    again = desk.scan([signal()], [leave("MSFT")])
    assert approved(again) == []
    late = desk.scan(exits=[leave("MSFT")], ref=scan_at(CLOSE_AT, Slot.CLOSE))
    assert approved(late) == []


def test_parts_of_a_scan_that_is_being_executed_change_nothing() -> None:
    desk = Desk().open()
    desk.scan([signal()])
    state = desk.state
    assert desk.hear(completed(scan_ref(), [signal("IBM")], part=2, of=2)) == []
    assert desk.state is state
