"""The course of a scan: gathered, exits first, entries once those are terminal."""

import datetime as dt

import pytest

from shared.schemas.values import Direction, Ending, Phase, Protection, Purpose, Quote, Side, Slot
from tests.builders import SESSION, scan_ref
from tests.unit.risk_gate.desk import (
    CLOSE_AT,
    D,
    Desk,
    approved,
    decided,
    denied,
    gate_settings,
    leave,
    scan_at,
    signal,
    summary,
)


def test_an_entry_is_approved_with_its_ceiling_its_protection_and_its_end() -> None:
    desk = Desk().open()
    (order,) = approved(desk.scan([signal()]))
    assert (order.symbol, order.side, order.purpose, order.qty) == (
        "AAPL",
        Side.BUY,
        Purpose.ENTRY,
        7,
    )
    assert order.limit_price == D("10.01")
    assert order.protection == Protection(stop=D("9.00"), target=D("12.50"), time_stop_bars=20)
    assert order.expires_at == desk.at + dt.timedelta(seconds=15)
    assert order.client_order_id.startswith("k81-")
    assert order.decision_id.startswith("DEC_20240105_143500_AAPL_")
    assert desk.state.book.used == D("70.07")


def test_all_is_said_in_the_name_of_the_scan_whatever_caused_it() -> None:
    desk = Desk().open().hold("MSFT")
    desk.said.clear()
    desk.execute(desk.scan([signal()], [leave("MSFT")]))
    assert len(desk.said) == 4
    assert {(word.session, word.correlation_id) for word in desk.said} == {(SESSION, scan_ref().id)}


def test_a_scan_with_nothing_is_decided_all_the_same() -> None:
    desk = Desk().open()
    assert summary(desk.scan()) == (Phase.ENTRIES, 0, 0, True)


def test_entries_wait_until_the_exits_are_terminal() -> None:
    desk = Desk().open().hold("MSFT")
    first = desk.scan([signal()], [leave("MSFT")])
    assert [
        (order.symbol, order.side, order.qty, order.limit_price) for order in approved(first)
    ] == [("MSFT", Side.SELL, 5, D("9.98"))]
    assert approved(first)[0].protection is None
    assert approved(first)[0].expires_at == desk.at + dt.timedelta(seconds=300)
    assert summary(first) == (Phase.EXITS, 1, 0, False)
    second = desk.execute(first)
    assert [order.symbol for order in approved(second)] == ["AAPL"]
    assert summary(second) == (Phase.ENTRIES, 1, 0, True)
    assert desk.execute(second) == []
    assert desk.state.scans == {}


def test_an_exit_frees_its_symbol_for_the_entries_of_the_same_scan() -> None:
    desk = Desk().open().hold("AAPL")
    second = desk.execute(desk.scan([signal()], [leave("AAPL", Purpose.SIGNAL_EXIT)]))
    assert [order.purpose for order in approved(second)] == [Purpose.ENTRY]


def test_an_exit_that_was_not_filled_keeps_its_symbol_taken() -> None:
    desk = Desk().open().hold("AAPL")
    second = desk.execute(desk.scan([signal()], [leave("AAPL")]), filling=False)
    assert denied(second) == {"AAPL": ("symbol_held",)}


def test_with_no_exit_approved_the_entries_are_decided_in_the_same_step() -> None:
    desk = Desk().open().hold("MSFT")
    said = desk.scan([signal()], [leave("MSFT"), leave("IBM")], unquoted=["MSFT"])
    assert denied(said) == {"MSFT": ("no_quote",), "IBM": ("not_held",)}
    assert [order.symbol for order in approved(said)] == ["AAPL"]
    assert summary(said) == (Phase.ENTRIES, 1, 2, True)


def test_the_close_slot_is_one_phase_of_exits() -> None:
    desk = Desk().open().hold("MSFT")
    said = desk.scan([signal()], [leave("MSFT")], ref=scan_at(CLOSE_AT, Slot.CLOSE))
    assert summary(said) == (Phase.EXITS, 1, 0, True)
    assert desk.execute(said) == []
    assert desk.state.scans == {}


def test_an_empty_close_slot_is_final_too() -> None:
    said = Desk().open().scan(ref=scan_at(CLOSE_AT, Slot.CLOSE))
    assert summary(said) == (Phase.EXITS, 0, 0, True)


def test_one_symbol_leaves_once_though_two_exits_name_it() -> None:
    desk = Desk().open().hold("MSFT")
    said = desk.scan(exits=[leave("MSFT"), leave("MSFT", Purpose.SIGNAL_EXIT), leave("MSFT")])
    assert [order.qty for order in approved(said)] == [5]
    assert summary(said)[1:3] == (1, 2)


@pytest.mark.parametrize("purpose", [Purpose.ENTRY, Purpose.PROTECT])
def test_what_stands_among_the_exits_and_is_none_is_never_approved(purpose: Purpose) -> None:
    desk = Desk().open().hold("MSFT")
    said = desk.scan(exits=[leave("MSFT", purpose), leave("IBM", purpose)])
    assert (approved(said), set(denied(said))) == ([], {"MSFT", "IBM"})


def test_an_aborted_scan_still_lets_positions_go_and_opens_nothing() -> None:
    desk = Desk().open().hold("MSFT")
    said = desk.scan([signal()], [leave("MSFT")], aborted="half of the universe has no bar")
    assert [order.symbol for order in approved(said)] == ["MSFT"]
    assert summary(desk.execute(said)) == (Phase.ENTRIES, 0, 0, True)


def test_entries_come_in_rank_order_strategies_first_then_score_then_symbol() -> None:
    signals = [
        signal("E", strategy="unheard_of"),
        signal("D", strategy="turtle_soup", score=D(9)),
        signal("C", score=D("0.10")),
        signal("B", score=D("0.1")),
        signal("A", score=D("0.10000000000000002")),
        signal("F", score=D("-1E-7")),
    ]
    said = Desk().open().scan(signals)
    assert [order.symbol for order in approved(said)] == ["A", "B", "C", "F", "D", "E"]


def test_the_first_in_rank_gets_a_symbol_that_two_want() -> None:
    said = Desk().open().scan([signal(strategy="turtle_soup"), signal()])
    assert [order.strategy for order in approved(said)] == ["donchian"]
    assert denied(said) == {"AAPL": ("symbol_held",)}


def test_a_quote_without_an_ask_is_no_quote() -> None:
    ref = scan_ref()
    odd = Quote(symbol="AAPL", bid=D(1), ask=D(0), at=ref.slot_at)
    assert denied(Desk().open().scan([signal()], quotes=[odd]))["AAPL"][0] == "no_quote"


def test_a_signal_of_another_session_than_the_last_completed_is_stale() -> None:
    said = Desk().open().scan([signal(session=dt.date(2024, 1, 3))])
    assert denied(said) == {"AAPL": ("stale_signal",)}


def test_a_short_takes_the_sellers_side_of_everything() -> None:
    short = signal(direction=Direction.SHORT, stop=D(11), target=D(8))
    assert denied(Desk().open().scan([short])) == {"AAPL": ("shorts_disabled",)}
    desk = Desk(gate_settings({"short_selling": {"allowed": True}})).open()
    (order,) = approved(desk.scan([short]))
    assert (order.side, order.limit_price) == (Side.SELL, D("9.98"))
    desk.fill(order, price="9.98")
    assert desk.state.book.positions["AAPL"].signed_qty == -7


def test_outside_a_replay_quotes_and_hours_are_judged_by_the_time_of_the_message() -> None:
    late = Desk(gate_settings(replay=False), at=scan_ref().slot_at + dt.timedelta(seconds=6)).open()
    assert denied(late.scan([signal()])) == {"AAPL": ("stale_quote",)}
    closed = Desk(gate_settings(replay=False), at=scan_ref().closes_at).open().hold("MSFT")
    assert denied(closed.scan(exits=[leave("MSFT")])) == {"MSFT": ("market_closed",)}


def test_what_costs_more_than_an_order_may_is_an_explicit_refusal() -> None:
    dear = signal(reference_price=D(200), stop=D(190), target=D(250))
    assert denied(Desk().open().scan([dear], price="200")) == {"AAPL": ("size_zero",)}


def test_a_one_sided_or_crossed_quote_opens_nothing() -> None:
    ref = scan_ref()
    signals = [signal(name) for name in ("NOASK", "NOBID", "CROSSED")]
    odd = [
        Quote(symbol="NOASK", bid=D(10), ask=D(0), at=ref.slot_at),
        Quote(symbol="NOBID", bid=D(0), ask=D(10), at=ref.slot_at),
        Quote(symbol="CROSSED", bid=D("10.02"), ask=D("10.00"), at=ref.slot_at),
    ]
    assert denied(Desk().open().scan(signals, quotes=odd)) == {
        "NOASK": ("no_quote", "spread"),
        "NOBID": ("spread",),
        "CROSSED": ("spread",),
    }


def test_an_exit_nobody_bids_for_waits_for_the_next_slot() -> None:
    desk = Desk().open().hold("MSFT")
    assert denied(desk.scan(exits=[leave("MSFT")], unquoted=["MSFT"])) == {"MSFT": ("no_quote",)}
    desk.executed(decided([word.message for word in desk.said]))
    said = desk.scan(exits=[leave("MSFT")], ref=scan_at(CLOSE_AT, Slot.CLOSE))
    assert [order.attempt for order in approved(said)] == [2]


def test_an_exit_filled_in_part_may_close_the_rest_at_the_next_slot() -> None:
    desk = Desk().open().hold("MSFT")
    said = desk.scan(exits=[leave("MSFT")])
    (order,) = approved(said)
    desk.fill(order, 2)
    desk.end(order, Ending.CANCELED, 2)
    desk.executed(decided(desk.executed(decided(said))))
    said = desk.scan(exits=[leave("MSFT")], ref=scan_at(CLOSE_AT, Slot.CLOSE))
    assert [(each.qty, each.attempt) for each in approved(said)] == [(3, 2)]


def test_an_exit_whose_end_nobody_knows_is_not_sent_again() -> None:
    desk = Desk().open().hold("MSFT")
    desk.scan(exits=[leave("MSFT")])
    said = desk.scan(exits=[leave("MSFT")], ref=scan_at(CLOSE_AT, Slot.CLOSE))
    assert denied(said) == {"MSFT": ("not_held",)}
