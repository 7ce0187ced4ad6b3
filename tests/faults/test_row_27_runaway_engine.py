"""Row 27: a signal engine that runs away gets no more than the limits allow."""

from __future__ import annotations

from typing import Any

import pytest

from services.risk_gate.state import MAX_SCANS_AHEAD
from shared.domain.errors import InvalidMessage
from shared.schemas import messages as m
from shared.schemas.values import TradingState
from tests.builders import scan_ref
from tests.unit.risk_gate.desk import (
    RETRY_AT,
    D,
    Desk,
    approved,
    completed,
    denied,
    gate_settings,
    leave,
    scan_at,
    signal,
)

RICH: dict[str, dict[str, Any]] = {
    "daily_notional": {"maximum": "1000000"},
    "gross_exposure": {"maximum": "100000000"},
}
MANY: dict[str, dict[str, Any]] = {
    **RICH,
    "max_positions": {"maximum": 10**6},
    "order_rate": {"per_minute": 30},
}


def test_ten_thousand_intents_get_no_more_orders_than_a_minute_allows() -> None:
    desk = Desk(gate_settings(MANY)).open()
    orders = 0
    for number in range(10):
        names = [f"S{place}" for place in range(1000)]
        said = desk.scan([signal(name) for name in names], ref=scan_ref(id=f"SCAN_{number}"))
        orders += len(approved(said))
    assert orders == 30


def test_a_loop_on_one_symbol_trips_the_throttle_at_once_and_exits_go_on() -> None:
    desk = Desk().open().hold("MSFT")
    said = desk.scan([signal()] * 900)
    assert len(approved(said)) == 1
    (changed,) = [each for each in said if isinstance(each, m.TradingStateChanged)]
    assert changed.state is TradingState.REDUCING
    desk.execute(said)
    after = desk.scan([signal("IBM")], [leave("MSFT")], ref=scan_at(RETRY_AT))
    assert [order.symbol for order in approved(after)] == ["MSFT"]


def test_the_largest_scan_is_decided_whole_and_every_signal_once() -> None:
    desk = Desk(gate_settings(MANY)).open()
    names = [f"S{place:04}" for place in range(900)]
    strategies = ("donchian", "turtle_soup")
    said = desk.scan([signal(name, strategy=each) for each in strategies for name in names])
    verdicts = [
        each.decision_id for each in said if isinstance(each, m.OrderApproved | m.OrderDenied)
    ]
    assert len(verdicts) == len(set(verdicts)) == 1800


def test_scans_nobody_scheduled_fill_no_memory() -> None:
    desk = Desk().open()
    dead = 0
    for number in range(1000):
        try:
            desk.hear(completed(scan_ref(id=f"SCAN_{number}"), [signal()]))
        except InvalidMessage:
            dead += 1
    assert len(desk.state.scans) == MAX_SCANS_AHEAD
    assert dead == 1000 - MAX_SCANS_AHEAD


def test_parts_without_end_are_refused() -> None:
    desk = Desk().open()
    ref = desk.due()
    desk.hear(completed(ref, [signal()], part=1, of=64))
    with pytest.raises(InvalidMessage):
        desk.hear(completed(ref, [signal()], part=2, of=63))


def test_a_flood_spends_no_more_than_the_session_has() -> None:
    desk = Desk(gate_settings({**MANY, "daily_notional": {"maximum": "1000"}})).open()
    for number in range(10):
        desk.scan([signal(f"S{place}") for place in range(100)], ref=scan_ref(id=f"SCAN_{number}"))
    assert desk.state.book.used <= D(1000)
    assert denied(desk.scan([signal("S500")], ref=scan_at(RETRY_AT)))
