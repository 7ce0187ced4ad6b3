import datetime as dt
from decimal import Decimal
from typing import Any

from services.signal_engine.handlers import HANDLERS, State, counts, ready
from shared.schemas.messages import (
    BarsReady,
    Message,
    OrderEnded,
    OrderFilled,
    PositionAdjusted,
    ScanCompleted,
    ScanDue,
)
from shared.schemas.values import Direction, Ending, Purpose, Side, Signal
from tests.builders import NOON, SESSION, scan_ref
from tests.turning import Turning


def filled(**changes: Any) -> OrderFilled:
    values: dict[str, Any] = {
        "client_order_id": "k81-a",
        "decision_id": "d",
        "strategy": "donchian",
        "symbol": "AAPL",
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "session": SESSION,
        "qty": 3,
        "price": Decimal("10.00"),
        "cumulative_qty": 3,
        "time_stop_bars": 20,
        "stop": Decimal("9.00"),
        "filled_at": NOON,
    }
    return OrderFilled(**{**values, **changes})


def engine() -> Turning:
    return Turning(HANDLERS, State())


def test_an_entry_is_watched_from_its_session_with_its_time_stop() -> None:
    turning = engine()
    turning.hear(filled(qty=1))
    turning.hear(filled(qty=2, cumulative_qty=3))
    position = turning.state.positions["AAPL"]
    assert (position.qty, position.strategy, position.entry_session, position.time_stop_bars) == (
        3,
        "donchian",
        SESSION,
        20,
    )
    assert position.direction is Direction.LONG


def test_a_position_is_forgotten_when_its_last_share_is_sold() -> None:
    for purpose in (Purpose.PROTECT, Purpose.TIME_EXIT, Purpose.SIGNAL_EXIT, Purpose.FLATTEN):
        turning = engine()
        turning.hear(filled())
        turning.hear(
            filled(
                side=Side.SELL,
                purpose=purpose,
                qty=1,
                time_stop_bars=0,
                session=dt.date(2024, 1, 9),
            )
        )
        assert turning.state.positions["AAPL"].qty == 2
        assert turning.state.positions["AAPL"].entry_session == SESSION
        turning.hear(filled(side=Side.SELL, purpose=purpose, qty=2, time_stop_bars=0))
        assert turning.state.positions == {}


def test_a_short_is_negative() -> None:
    turning = engine()
    turning.hear(filled(side=Side.SELL))
    assert turning.state.positions["AAPL"].qty == -3
    assert turning.state.positions["AAPL"].direction is Direction.SHORT


def test_an_adjustment_moves_what_is_held_and_what_was_found_has_no_time_stop() -> None:
    turning = engine()
    turning.hear(filled())
    for symbol, qty in (("AAPL", -3), ("IBM", 5)):
        adjusted = PositionAdjusted(
            symbol=symbol, strategy="", qty=qty, price=Decimal("1.00"), why="broker"
        )
        turning.hear(adjusted)
    assert set(turning.state.positions) == {"IBM"}
    assert turning.state.positions["IBM"].time_stop_bars == 0


def bars_ready(scan: Any) -> BarsReady:
    return BarsReady(
        scan=scan,
        through=SESSION,
        digest="d",
        symbols=1,
        coverage=Decimal(1),
        sufficient=True,
        stale=(),
        refused={},
    )


def test_a_scan_is_ready_when_bars_and_executions_have_been_heard_in_any_order() -> None:
    scan = scan_ref(executions_seq=7)
    said: dict[str, tuple[Message, int]] = {
        "due": (ScanDue(scan=scan), 1),
        "bars": (bars_ready(scan), 1),
        "executions": (filled(), 7),
    }
    for order in (
        ("due", "bars", "executions"),
        ("executions", "bars", "due"),
        ("bars", "executions", "due"),
    ):
        turning = engine()
        for name in order:
            assert ready(turning.state) is None
            message, seq = said[name]
            turning.hear(message, seq=seq)
        assert ready(turning.state) is not None


def test_any_message_of_the_executor_counts_and_none_counts_backwards() -> None:
    turning = engine()
    ended = OrderEnded(
        client_order_id="k",
        decision_id="d",
        strategy="s",
        symbol="A",
        side=Side.BUY,
        purpose=Purpose.ENTRY,
        ending=Ending.CANCELED,
        filled_qty=0,
        average_price=None,
    )
    turning.hear(ended, seq=9)
    turning.hear(filled(), seq=8)
    assert turning.state.executions_seq == 9


def test_bars_that_are_of_no_scan_are_not_waited_for() -> None:
    turning = engine()
    turning.hear(bars_ready(None))
    assert turning.state.scans == {}


def test_signals_are_counted_by_strategy() -> None:
    signal = Signal(
        session=SESSION,
        symbol="A",
        strategy="ibs",
        direction=Direction.LONG,
        reference_price=Decimal(1),
        stop=Decimal(1),
        target=None,
        time_stop_bars=1,
        score=Decimal(1),
        reason="",
    )
    said = ScanCompleted(
        scan=scan_ref(),
        part=1,
        parts=1,
        exits=(),
        signals=(signal, signal),
        bars_digest="d",
        aborted="x",
    )
    assert [(each.name, each.labels) for each in counts(said)] == [
        ("kobe_signals", {"strategy": "ibs"}),
        ("kobe_signals", {"strategy": "ibs"}),
        ("kobe_scans_aborted", {}),
    ]
