"""When nothing may be opened, or nothing at all: kill, breakers, drift; and the way back."""

import datetime as dt

from shared.schemas import messages as m
from shared.schemas.values import Stage, TradingState
from tests.builders import SESSION
from tests.unit.risk_gate.desk import (
    LATER_AT,
    RETRY_AT,
    D,
    Desk,
    account_seen,
    approved,
    denied,
    leave,
    scan_at,
    signal,
    summary,
)

REDUCED = [TradingState.REDUCING]


FRIDAY = 4


def states(said: list[m.Message]) -> list[TradingState]:
    return [message.state for message in said if isinstance(message, m.TradingStateChanged)]


def test_halted_denies_everything_exits_too() -> None:
    desk = Desk(halted=("killed: drill",)).open().hold("MSFT")
    said = desk.scan([signal()], [leave("MSFT")])
    assert denied(said) == {"MSFT": ("halted",), "AAPL": ("halted",)}
    assert summary(said)[1:] == (0, 2, True)
    assert [message.details for message in said if isinstance(message, m.OrderDenied)] == [
        {"halted": "killed: drill"}
    ] * 2
    assert desk.state.book.reservations == {}


def test_a_kill_between_the_phases_denies_the_entries() -> None:
    desk = Desk().open().hold("MSFT")
    exits = desk.scan([signal()], [leave("MSFT")])
    desk.halted = ("killed: now",)
    assert denied(desk.execute(exits)) == {"AAPL": ("halted",)}


def test_after_a_resume_what_the_kill_denied_is_tried_at_the_next_slot() -> None:
    desk = Desk(halted=("killed: now",)).open().hold("MSFT")
    desk.execute(desk.scan([signal()], [leave("MSFT")]))
    desk.halted = ()
    exits = desk.scan([signal()], [leave("MSFT")], ref=scan_at(RETRY_AT))
    assert [order.symbol for order in approved(exits)] == ["MSFT"]
    assert [(order.symbol, order.attempt) for order in approved(desk.execute(exits))] == [
        ("AAPL", 2)
    ]


def test_an_entry_that_was_wrong_besides_the_kill_is_not_tried_again() -> None:
    desk = Desk(halted=("killed: now",)).open()
    desk.execute(desk.scan([signal(stop=D(10))]))
    desk.halted = ()
    assert denied(desk.scan([signal()], ref=scan_at(RETRY_AT))) == {"AAPL": ("repeated_entry",)}


def test_a_loss_in_the_session_moves_to_reducing_before_the_scan_that_waited_for_the_account() -> (
    None
):
    desk = Desk().open()
    desk.scan([signal()], ref=scan_at(RETRY_AT, executions_seq=desk.seq + 1))
    said = desk.account(equity=D(94999))
    assert states(said) == REDUCED
    assert isinstance(said[0], m.TradingStateChanged)
    assert denied(said) == {"AAPL": ("reducing",)}
    assert len(next(message for message in said if isinstance(message, m.OrderDenied)).reasons) == 1
    assert states(desk.account(equity=D(94000))) == []


def test_a_fall_from_the_peak_over_many_sessions_moves_to_reducing() -> None:
    desk = Desk()
    day, equity = SESSION, 100000
    seen: list[TradingState] = []
    while not seen and equity > 70000:
        desk.hear(
            m.SessionOpened(session=day, previous=None, opens_at=desk.at, closes_at=desk.at),
            session=day,
        )
        seen = states(desk.hear(account_seen(equity=D(equity), session=day, stage=Stage.MARK)))
        days = 3 if day.weekday() == FRIDAY else 1
        day, equity = day + dt.timedelta(days=days), int(equity * 0.97)
    assert seen == REDUCED
    assert D(76000) < desk.state.book.equity < D(80000)
    assert "peak 100000" in desk.state.book.why


def test_the_operator_moves_back_to_active_and_the_high_water_begins_anew() -> None:
    desk = Desk().open()
    desk.account(equity=D(94000))
    assert desk.hear(m.ActivateRequested(by="ann", why="seen"))
    assert desk.state.book.trading_state is TradingState.ACTIVE
    assert states(desk.account(equity=D(94000))) == []
    assert len(approved(desk.scan([signal()]))) == 1
    assert states(desk.account(equity=D(89000))) == REDUCED


def test_an_activation_of_what_is_active_changes_nothing() -> None:
    desk = Desk().open()
    state = desk.state
    assert desk.hear(m.ActivateRequested(by="ann", why="again")) == []
    assert desk.state is state


def test_a_drifted_symbol_opens_nothing_until_it_is_acknowledged_and_may_always_leave() -> None:
    desk = Desk().open().hold("MSFT")
    desk.account(drift=("AAPL", "MSFT"))
    desk.account(drift=())
    exits = desk.scan([signal(), signal("IBM")], [leave("MSFT")])
    assert [order.symbol for order in approved(exits)] == ["MSFT"]
    entries = desk.execute(exits)
    assert denied(entries) == {"AAPL": ("reducing",)}
    assert [order.symbol for order in approved(entries)] == ["IBM"]
    desk.execute(entries)
    desk.hear(m.DriftAcknowledged(symbol="AAPL", by="ann"))
    assert set(desk.state.book.drifted) == {"MSFT"}
    retry = desk.scan([signal("GE")], ref=scan_at(LATER_AT))
    assert [order.symbol for order in approved(retry)] == ["GE"]
