"""Crashes, standbys, redelivery and kills: the same verdicts, once, whoever gives them."""

import datetime as dt
from itertools import pairwise

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from services.risk_gate.state import State
from shared.runtime.bus.protocol import Fenced
from shared.runtime.runner.state_codec import changes, state_from
from shared.runtime.signing import Keyring
from shared.schemas import messages as m
from shared.schemas.messages import Message
from shared.schemas.streams import DEAD
from shared.schemas.values import Ending, Mode, TradingState
from tests.builders import SESSION, scan_ref
from tests.integration.risk_gate.floor import Floor, started, turned
from tests.unit.risk_gate.desk import (
    LOOSE,
    RETRY_AT,
    D,
    Desk,
    account_seen,
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

OPENED = m.SessionOpened(
    session=SESSION, previous=None, opens_at=scan_ref().slot_at, closes_at=scan_ref().closes_at
)


def quotes(*symbols: str) -> m.QuotesSeen:
    ref = scan_ref()
    return m.QuotesSeen(
        scan=ref, part=1, parts=1, quotes=tuple(quote_of(s, ref) for s in symbols), unquoted=()
    )


def opened(floor: Floor) -> Floor:
    floor.write(OPENED)
    floor.write(m.ScanDue(scan=scan_ref()))
    floor.write(account_seen())
    return floor


def whole_scan(floor: Floor, *symbols: str) -> None:
    floor.write(completed(scan_ref(), [signal(symbol) for symbol in symbols]))
    floor.write(quotes(*symbols))


def day(*, restarting: bool) -> list[Message]:
    """Exits, entries of which one gets nothing, a retry."""
    desk = Desk(restarting=restarting).open().hold("MSFT", "AAPL")
    entries = desk.execute(
        desk.scan([signal(name) for name in ("AAPL", "IBM", "GE")], [leave("MSFT")])
    )
    ge, ibm = approved(entries)
    desk.fill(ibm, 3)
    desk.end(ibm, Ending.CANCELED, 3)
    desk.end(ge, Ending.CANCELED)
    desk.executed(decided(entries))
    desk.scan([signal(name) for name in ("AAPL", "IBM", "GE")], ref=scan_at(RETRY_AT))
    return [word.message for word in desk.said]


def test_a_gate_that_restarts_after_every_message_gives_the_same_verdicts() -> None:
    calm, restarted = day(restarting=False), day(restarting=True)
    assert restarted == calm
    assert [order.symbol for order in approved(calm)] == ["MSFT", "GE", "IBM", "GE"]


def test_only_what_changed_is_written() -> None:
    desk = Desk().open().hold("MSFT")
    before = desk.state
    desk.scan([signal()])
    changed, removed = changes(before, desk.state)
    assert removed == []
    assert {field.split(":")[0] for field in changed} == {
        "book.used",
        "book.cash",
        "book.buying_power",
        "book.approved_at",
        "book.reservations",
        "book.attempts",
        "scans",
    }


def test_a_decided_scan_is_remembered_without_its_signals() -> None:
    desk = Desk().open()
    desk.scan([signal(f"S{number}") for number in range(10)])
    (kept,) = desk.state.scans.values()
    assert (kept.signals, kept.quotes, kept.exits) == ((), (), ())


def test_a_state_of_all_its_parts_is_read_back_whole() -> None:
    desk = Desk().open().hold("MSFT")
    desk.scan([signal()], [leave("MSFT")])
    assert state_from(State(), changes(State(), desk.state)[0]) == desk.state


def test_every_verdict_is_signed_numbered_and_caused() -> None:
    floor = opened(Floor())
    whole_scan(floor, "AAPL", "IBM")
    turned(started(floor.gate()))
    keyring = Keyring.of([floor.signer.public_key("risk-gate")])
    written = floor.envelopes()
    assert [sealed.type for sealed in written] == ["OrderApproved", "OrderApproved", "ScanDecided"]
    for sealed in written:
        keyring.verify(sealed)
        assert (sealed.correlation_id, sealed.session, sealed.config_pin) == (
            scan_ref().id,
            SESSION,
            "pin",
        )
        assert sealed.causation_id
    assert all(later.seq == sealed.seq + 1 for sealed, later in pairwise(written))


def test_a_hundred_copies_of_the_same_scan_are_one_decision() -> None:
    floor = opened(Floor())
    for _ in range(100):
        whole_scan(floor, "AAPL")
    turned(started(floor.gate()))
    assert len(approved(floor.orders())) == 1
    assert len(floor.orders()) == 2


def test_a_gate_killed_before_its_commit_leaves_nothing_and_the_next_decides_the_same() -> None:
    calm, crashed = opened(Floor()), opened(Floor())
    for floor in (calm, crashed):
        whole_scan(floor, "AAPL", "IBM")
    turned(started(calm.gate()))
    started(crashed.gate())
    crashed.bus.read(count=256, block_ms=0)
    assert crashed.orders() == []
    turned(started(crashed.gate()))
    assert crashed.orders() == calm.orders()


def test_two_gates_racing_the_daily_cap_approve_14_of_320() -> None:
    """The standby takes over in the middle; the zombie wakes and may commit nothing."""
    floor = opened(Floor(gate_settings(LOOSE)))
    first, second = floor.gate("one"), floor.gate("two")
    turned(started(first))
    wishes = [
        signal(f"S{n:03}", reference_price=D(70), stop=D(60), target=D(90)) for n in range(320)
    ]
    for number, wish in enumerate(wishes):
        ref = scan_ref(id=f"SCAN_{number}")
        seen = m.QuotesSeen(
            scan=ref, part=1, parts=1, quotes=(quote_of(wish.symbol, ref, "69.93"),), unquoted=()
        )
        floor.write(m.ScanDue(scan=ref))
        floor.write(completed(ref, [wish]))
        floor.write(seen)
    first.turn(0)
    assert not second.start()
    floor.clock.advance(16)
    turned(started(second), 8)
    with pytest.raises(Fenced):
        turned(first)
    assert len(approved(floor.orders())) == 14
    assert len([word for word in floor.orders() if isinstance(word, m.OrderDenied)]) == 306
    assert second.state.book.used == D(980)


def test_a_kill_between_decision_and_commit_makes_it_a_denial() -> None:
    floor = opened(Floor())
    gate = turned(started(floor.gate()))
    whole_scan(floor, "AAPL")
    floor.server.append("kobe:kill:log", {"why": "now"})
    turned(gate)
    assert denied(floor.orders()) == {"AAPL": ("halted",)}
    assert gate.state.book.reservations == {}


@pytest.mark.parametrize("changes", [{"mode": Mode.PAPER}, {"account": "another"}])
def test_what_is_said_for_another_mode_or_account_never_touches_the_book(
    changes: dict[str, str],
) -> None:
    floor = opened(Floor())
    floor.write(account_seen("7"), **changes)
    gate = turned(started(floor.gate()))
    assert gate.state.book.cash == D(100000)
    assert len(floor.server.stream(DEAD).entries) == 1


def test_the_log_names_a_veto_and_a_missing_quote() -> None:
    floor = opened(Floor())
    floor.write(completed(scan_ref(), [signal(), signal("IBM", stop=D(10)), signal("GE")]))
    floor.write(quotes("AAPL", "IBM"))
    with capture_logs() as lines:
        turned(started(floor.gate()))
    events = [line["event"] for line in lines]
    assert events[-4:] == ["order_approved", "skip_no_best_ask", "policy_veto", "scan_decided"]
    counted = floor.metrics.registry.get_sample_value
    for verdict, reason in (
        ("approved", "entry"),
        ("denied", "no_quote"),
        ("denied", "invalidated_at_open"),
    ):
        labels = {"service": "risk-gate", "verdict": verdict, "reason": reason}
        assert counted("kobe_gate_verdicts_total", labels) == 1


def test_the_gauges_show_the_book() -> None:
    floor = opened(Floor())
    whole_scan(floor, "AAPL")
    turned(started(floor.gate()))
    read = floor.metrics.registry.get_sample_value
    service = {"service": "risk-gate"}
    assert read("kobe_gate_budget_used_dollars", service) == 70.07
    assert read("kobe_gate_budget_limit_dollars", service) == 1000
    assert read("kobe_gate_cash_dollars", service) == 99929.93
    assert read("kobe_gate_positions_open", service) == 0
    assert read("kobe_gate_reservations_open", service) == 1
    states = {
        each: read("kobe_gate_trading_state", {**service, "state": each.value})
        for each in TradingState
    }
    assert states == {TradingState.ACTIVE: 1, TradingState.REDUCING: 0, TradingState.HALTED: 0}


def test_a_message_that_crosses_midnight_does_not_give_the_budget_anew() -> None:
    floor = opened(Floor())
    whole_scan(floor, "AAPL")
    gate = turned(started(floor.gate()))
    floor.clock.advance(dt.timedelta(hours=14).total_seconds())
    floor.write(OPENED)
    floor.write(account_seen("99929.93"))
    gate = turned(started(floor.gate()))
    assert gate.state.book.used == D("70.07")
    floor.write(replace(OPENED, session=dt.date(2024, 1, 8)))
    floor.write(replace(OPENED, session=dt.date(2024, 1, 8)))
    assert turned(gate).state.book.used == D(0)


def test_a_scan_of_1800_signals_in_parts_is_decided_whole_and_every_signal_once() -> None:
    floor, ref = opened(Floor()), scan_ref()
    symbols = [f"S{number:03}" for number in range(900)]
    wishes = [
        signal(name, strategy=strategy)
        for strategy in ("donchian", "turtle_soup")
        for name in symbols
    ]
    for part in range(5):
        floor.write(completed(ref, wishes[part * 400 : part * 400 + 400], part=part + 1, of=5))
    for part in range(3):
        seen = tuple(quote_of(name, ref) for name in symbols[part * 400 : part * 400 + 400])
        floor.write(m.QuotesSeen(scan=ref, part=part + 1, parts=3, quotes=seen, unquoted=()))
    turned(started(floor.gate()))
    said = floor.orders()
    assert (decided(said).approved, decided(said).denied) == (10, 1790)
    assert (
        len(
            {word.decision_id for word in said if isinstance(word, m.OrderApproved | m.OrderDenied)}
        )
        == 1800
    )
    assert len(floor.server.stream(DEAD).entries) == 0
