"""How a scan is gathered: named by the schedule, in parts, once; and how sessions begin."""

import datetime as dt
from typing import Any

import pytest
from msgspec import structs

from services.risk_gate import handlers as gate
from services.signal_engine import handlers as engine
from shared.domain.errors import InvalidMessage
from shared.runtime.runner.contract import HandlerTable
from shared.schemas import messages as m
from shared.schemas.streams import STREAM_OF, Stream
from shared.schemas.values import Phase
from tests.builders import NOON, SESSION, scan_ref
from tests.unit.risk_gate.desk import (
    CLOSE_AT,
    D,
    Desk,
    approved,
    completed,
    denied,
    quote_of,
    scan_at,
    signal,
    summary,
)


def quotes(*symbols: str, part: int = 1, parts: int = 1) -> m.QuotesSeen:
    ref = scan_ref()
    return m.QuotesSeen(
        scan=ref,
        part=part,
        parts=parts,
        quotes=tuple(quote_of(name, ref) for name in symbols),
        unquoted=(),
    )


def test_parts_come_in_any_order_and_twice() -> None:
    desk = Desk().open()
    ref = desk.due()
    parts = [
        completed(ref, [signal(name)], part=number, of=2)
        for number, name in enumerate(("AAPL", "IBM"), 1)
    ]
    seen = [quotes("AAPL", part=1, parts=2), quotes("IBM", part=2, parts=2)]
    jumbled: list[m.Message] = [seen[1], parts[1], parts[1], seen[1], parts[0]]
    for message in jumbled:
        assert desk.hear(message) == []
    assert [order.symbol for order in approved(desk.hear(seen[0]))] == ["AAPL", "IBM"]
    for message in jumbled:
        assert desk.hear(message) == []


def test_a_scan_waits_for_the_executions_it_names() -> None:
    desk = Desk().open()
    assert desk.scan([signal()], ref=scan_ref(executions_seq=desk.seq + 2)) == []
    assert desk.hear(m.OrderUnknown(client_order_id="k81-x", symbol="IBM", detail="timeout")) == []
    assert summary(desk.account())[1] == 1


def test_a_session_and_its_scans_begin_only_by_the_schedule() -> None:
    """Nobody resets the budget, or gets another try at a later slot, by naming a date or a scan."""
    desk = Desk().open()
    book = desk.state.book
    invented = scan_ref(
        id="SCAN_20240108_143500", session=dt.date(2024, 1, 8), last_completed=SESSION
    )
    assert desk.hear(completed(invented, [signal(session=SESSION)])) == []
    assert desk.hear(m.QuotesSeen(scan=invented, part=1, parts=1, quotes=(), unquoted=())) == []
    assert desk.state.book is book


def test_a_scan_heard_before_the_schedule_names_it_waits_for_that() -> None:
    """A gate that was long away reads a long schedule in pieces."""
    desk = Desk().open()
    desk.hear(completed(scan_ref(), [signal()]))
    assert desk.hear(quotes("AAPL")) == []
    assert summary(desk.hear(m.ScanDue(scan=scan_ref()))) == (Phase.ENTRIES, 1, 0, True)


def test_a_flood_of_scans_that_nobody_scheduled_is_dead_and_those_scheduled_go_on() -> None:
    desk = Desk().open()
    refused = 0
    for number in range(100):
        try:
            desk.hear(completed(scan_ref(id=f"SCAN_{number}"), [signal()]))
        except InvalidMessage:
            refused += 1
    assert (refused, len(desk.state.scans)) == (96, 4)
    assert summary(desk.scan([signal()]))[1] == 1


def test_a_scan_is_what_the_schedule_says_of_it_whatever_the_signals_and_quotes_say() -> None:
    desk = Desk().open()
    ref = desk.due()
    other = structs.replace(ref, last_completed=dt.date(2024, 1, 3), slot_at=CLOSE_AT)
    desk.hear(completed(other, [signal(session=dt.date(2024, 1, 3))]))
    assert denied(desk.hear(quotes("AAPL"))) == {"AAPL": ("stale_signal",)}


def test_a_scan_of_an_earlier_session_than_the_open_one_is_refused() -> None:
    desk = Desk().open(dt.date(2024, 1, 8))
    assert denied(desk.scan([signal()])) == {"AAPL": ("market_closed",)}


def test_a_scan_that_is_due_twice_keeps_what_was_gathered() -> None:
    desk = Desk().open()
    desk.hear(completed(desk.due(), [signal()]))
    desk.due()
    said = desk.hear(quotes("AAPL"))
    assert summary(said)[1] == 1
    desk.execute(said)
    desk.due()
    assert desk.state.scans == {}


@pytest.mark.parametrize(("part", "parts"), [(2, 1), (3, 2), (64, 63)])
def test_a_part_that_cannot_be_is_dead(part: int, parts: int) -> None:
    desk = Desk().open()
    ref = desk.due()
    with pytest.raises(InvalidMessage, match="part"):
        desk.hear(completed(ref, [signal()], part=part, of=parts))
    with pytest.raises(InvalidMessage, match="part"):
        desk.hear(quotes("AAPL", part=part, parts=parts))


def test_parts_of_two_countings_do_not_make_one_scan() -> None:
    desk = Desk().open()
    desk.hear(completed(desk.due(), [signal()], part=1, of=3))
    with pytest.raises(InvalidMessage, match="2 parts, where 3"):
        desk.hear(completed(scan_ref(), [signal()], part=2, of=2))


def test_a_due_scan_opens_its_session_for_a_gate_that_was_away() -> None:
    desk = Desk()
    desk.due()
    desk.account()
    assert len(approved(desk.scan([signal()]))) == 1


def test_a_session_begins_once_with_its_budget_and_forgets_unfinished_scans() -> None:
    desk = Desk().open()
    desk.scan([signal()])
    desk.hear(completed(desk.due(scan_at(NOON)), [signal("IBM")]))
    assert len(desk.state.scans) == 2
    desk.open()
    assert desk.state.book.used == D("70.07")
    desk.open(dt.date(2024, 1, 8))
    assert (desk.state.book.used, desk.state.scans) == (D(0), {})


@pytest.mark.parametrize("heard", ["signals", "quotes"])
def test_what_was_found_under_another_configuration_is_denied(heard: str) -> None:
    desk = Desk().open()
    pins = {"signals": "pin", "quotes": "pin", heard: "another"}
    desk.hear(completed(desk.due(), [signal()]), config_pin=pins["signals"])
    assert denied(desk.hear(quotes("AAPL"), config_pin=pins["quotes"])) == {"AAPL": ("config_pin",)}


@pytest.mark.parametrize("handlers", [gate.HANDLERS, engine.HANDLERS], ids=["gate", "engine"])
def test_every_execution_is_counted_so_that_no_scan_waits_for_one_for_ever(
    handlers: HandlerTable[Any, Any],
) -> None:
    executions = {kind for kind, stream in STREAM_OF.items() if stream is Stream.EXECUTIONS}
    assert executions <= set(handlers)
