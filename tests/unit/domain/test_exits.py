import datetime as dt

import numpy as np
import pytest

from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable, signal_table
from shared.domain.trading.exits import WatchedPosition, exits_due
from shared.schemas.values import Direction, Purpose, Slot

NAN = float("nan")
DAYS = [dt.date(2024, 1, day) for day in (2, 3, 4, 5, 8)]


def panel(closes: dict[str, list[float]]) -> Panel:
    close = np.array(list(closes.values()))
    return Panel(tuple(closes), np.array(DAYS, "datetime64[D]"), close, close, close, close, close)


def table(exit_long: list[bool], exit_short: list[bool] | None = None) -> SignalTable:
    empty = np.empty(0)
    return signal_table(
        row=empty.astype(np.int32),
        column=empty.astype(np.int32),
        side=empty.astype(np.int8),
        close=empty,
        stop=empty,
        target=None,
        score=empty,
        indicators={},
        time_stop_bars=5,
        reason="",
        exit_long=np.array([exit_long]),
        exit_short=np.array([exit_short or [False] * len(exit_long)]),
    )


def position(**changes: object) -> WatchedPosition:
    values = {
        "symbol": "A",
        "strategy": "s",
        "qty": 3,
        "entry_session": DAYS[1],
        "time_stop_bars": 5,
    }
    return WatchedPosition(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("bars", "due"), [(4, True), (5, True), (6, False)])
def test_a_time_stop_counts_the_entry_bar_as_one_and_todays_as_well(bars: int, due: bool) -> None:
    found = exits_due(
        panel({"A": [1, 1, 1, 1, 1]}), [position(time_stop_bars=bars)], Slot.CLOSE, {}
    )
    assert bool(found) is due
    if due:
        assert (found[0].purpose, found[0].bars_held, found[0].entry_session) == (
            Purpose.TIME_EXIT,
            5,
            DAYS[1],
        )


def test_a_session_without_a_bar_of_its_own_does_not_count() -> None:
    held = [position(time_stop_bars=5), position(symbol="B", time_stop_bars=4)]
    found = exits_due(panel({"A": [1, 1, NAN, 1, 1], "B": [1, 1, NAN, 1, 1]}), held, Slot.CLOSE, {})
    assert [each.symbol for each in found] == ["B"]


def test_a_position_of_today_is_on_its_first_bar() -> None:
    today = position(entry_session=dt.date(2024, 1, 9), time_stop_bars=1)
    assert exits_due(panel({"A": [1.0] * 5}), [today], Slot.CLOSE, {})[0].bars_held == 1


def test_no_time_stop_is_no_exit() -> None:
    assert exits_due(panel({"A": [1.0] * 5}), [position(time_stop_bars=0)], Slot.CLOSE, {}) == ()


def test_time_stops_are_for_the_close_slot_and_signal_exits_for_the_others() -> None:
    tables = {"s": table([True] * 5)}
    at = {
        slot: [
            each.purpose for each in exits_due(panel({"A": [1.0] * 5}), [position()], slot, tables)
        ]
        for slot in Slot
    }
    signal, time = [Purpose.SIGNAL_EXIT], [Purpose.TIME_EXIT]
    assert at == {Slot.OPEN: signal, Slot.RETRY: signal, Slot.CLOSE: time}


@pytest.mark.parametrize(
    ("flags", "due"),
    [
        ([True, False, False, False, False], False),
        ([False, True, False, False, False], True),
        ([False, False, False, False, True], True),
        ([False] * 5, False),
    ],
    ids=["before the entry", "at the entry bar's close", "at the last close", "never"],
)
def test_a_signal_exit_is_due_once_its_condition_held_at_a_close_since_the_entry(
    flags: list[bool], due: bool
) -> None:
    assert (
        bool(exits_due(panel({"A": [1.0] * 5}), [position()], Slot.OPEN, {"s": table(flags)}))
        is due
    )


def test_a_condition_at_a_session_without_a_bar_is_none() -> None:
    flags = {"s": table([False, False, True, False, False])}
    assert exits_due(panel({"A": [1, 1, NAN, 1, 1]}), [position()], Slot.OPEN, flags) == ()


def test_a_position_entered_today_has_no_signal_exit_yet() -> None:
    today = position(entry_session=dt.date(2024, 1, 9))
    assert exits_due(panel({"A": [1.0] * 5}), [today], Slot.RETRY, {"s": table([True] * 5)}) == ()


def test_a_short_has_the_short_exit() -> None:
    tables = {"s": table([True] * 5, [False] * 5)}
    short = position(qty=-2)
    assert exits_due(panel({"A": [1.0] * 5}), [short], Slot.OPEN, tables) == ()
    found = exits_due(
        panel({"A": [1.0] * 5}), [short], Slot.OPEN, {"s": table([False] * 5, [True] * 5)}
    )
    assert found[0].direction is Direction.SHORT


def test_other_strategies_and_unknown_symbols_have_no_signal_exit_and_exits_come_by_symbol() -> (
    None
):
    held = [position(symbol="Z"), position(strategy="other"), position(symbol="B")]
    bars = panel({"A": [1.0] * 5, "B": [1.0] * 5})
    assert exits_due(bars, held[:2], Slot.OPEN, {"s": table([True] * 5)}) == ()
    found = exits_due(bars, [each for each in held if each.symbol != "Z"], Slot.CLOSE, {})
    assert [each.symbol for each in found] == ["A", "B"]
