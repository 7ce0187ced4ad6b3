"""Entries after slow exits ask for fresh quotes, once, instead of dying of stale ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest

from services.data_fetcher import handlers as fetcher
from shared.runtime.runner.contract import Context, Trigger
from shared.schemas import messages as m
from shared.schemas.values import Phase, Quote, ScanRef
from tests.builders import envelope, scan_ref
from tests.unit.risk_gate.desk import (
    D,
    Desk,
    approved,
    denied,
    gate_settings,
    leave,
    quote_of,
    signal,
    summary,
)

SLOT_AT = scan_ref().slot_at


def slow_exit(
    seconds: float, *, replay: bool = False, aborted: str = "", **settings: object
) -> tuple[Desk, list[m.Message]]:
    """A scan of one exit and two entries whose exit takes so long."""
    desk = Desk(gate_settings(replay=replay), at=SLOT_AT).open().hold("MSFT")
    said = desk.scan([signal(), signal("IBM", score=D("0.9"))], [leave("MSFT")], aborted=aborted)
    desk.at = SLOT_AT + dt.timedelta(seconds=seconds)
    return desk, desk.execute(said)


def requests(said: Sequence[m.Message]) -> list[tuple[str, ...]]:
    return [message.symbols for message in said if isinstance(message, m.QuotesRequested)]


def answer(
    desk: Desk, *, fresh: bool = True, age: float = 0.0, part: int = 1, of: int = 1
) -> list[m.Message]:
    at = desk.at - dt.timedelta(seconds=age)
    quotes = tuple(
        Quote(symbol=name, bid=D("9.99"), ask=D("10.00"), at=at) for name in ("AAPL", "IBM")
    )
    seen = m.QuotesSeen(
        scan=scan_ref(),
        part=part,
        parts=of,
        quotes=quotes if part == 1 else (),
        unquoted=(),
        fresh=fresh,
    )
    return desk.hear(seen)


def test_entries_after_slow_exits_are_judged_on_fresh_quotes() -> None:
    desk, said = slow_exit(5.1)
    assert requests(said) == [("IBM", "AAPL")]
    assert approved(said) == []
    said = answer(desk)
    assert [order.symbol for order in approved(said)] == ["IBM", "AAPL"]
    assert summary(said) == (Phase.ENTRIES, 2, 0, True)
    assert desk.execute(said) == []
    assert desk.state.scans == {}


def test_entries_after_quick_exits_need_none() -> None:
    _, said = slow_exit(5.0)
    assert requests(said) == []
    assert len(approved(said)) == 2


def test_quotes_are_asked_for_once_and_then_judged_as_they_are() -> None:
    desk, _ = slow_exit(60)
    said = answer(desk, age=6)
    assert requests(said) == []
    assert set(denied(said).values()) == {("stale_quote",)}


def test_the_answer_may_come_in_parts() -> None:
    desk, _ = slow_exit(60)
    assert answer(desk, part=2, of=2) == []
    assert len(approved(answer(desk, part=1, of=2))) == 2


def test_the_first_quotes_heard_again_are_no_answer() -> None:
    desk, _ = slow_exit(60)
    assert answer(desk, fresh=False) == []
    assert len(approved(answer(desk))) == 2


def test_fresh_quotes_nobody_asked_for_are_ignored() -> None:
    desk = Desk(gate_settings(replay=False), at=SLOT_AT).open()
    desk.due()
    assert answer(desk, fresh=True) == []
    assert desk.state.scans[scan_ref().id].quotes == ()


def test_an_aborted_scan_asks_for_nothing() -> None:
    _, said = slow_exit(60, aborted="no bars")
    assert requests(said) == []
    assert summary(said) == (Phase.ENTRIES, 0, 0, True)


def test_a_replay_never_asks() -> None:
    _, said = slow_exit(600, replay=True)
    assert requests(said) == []
    assert len(approved(said)) == 2


def test_the_wait_for_fresh_quotes_survives_a_restart() -> None:
    desk, _ = slow_exit(60)
    desk.restarting = True
    desk.account()
    assert len(approved(answer(desk))) == 2


def test_unfilled_exits_ask_too() -> None:
    desk = Desk(gate_settings(replay=False), at=SLOT_AT).open().hold("MSFT")
    said = desk.scan([signal()], [leave("MSFT")])
    desk.at = SLOT_AT + dt.timedelta(seconds=30)
    assert requests(desk.execute(said, filling=False)) == [("AAPL",)]


@pytest.mark.parametrize("first_pending", [True, False])
def test_the_data_fetcher_answers_a_request_besides_the_scans_first_quotes(
    first_pending: bool,
) -> None:
    state = fetcher.State()
    if first_pending:
        state = hear(state, completed_scan(scan_ref()))
    state = hear(state, m.QuotesRequested(scan=scan_ref(), symbols=("IBM", "AAPL")))
    wish = state.quotes[f"{scan_ref().id}/fresh"]
    assert (wish.complete, wish.symbols) == (True, ("IBM", "AAPL"))
    fetched = fetcher.QuotesFetched(
        key=wish.key, quotes=(quote_of("IBM", scan_ref()),), unquoted=("AAPL",)
    )
    trigger = Trigger("id", SLOT_AT, scan_ref().session, "", None)
    state, said = fetcher.on_quotes_fetched(state, fetched, Context(None, trigger))
    (outgoing,) = said
    seen = outgoing.message if not isinstance(outgoing, m.Message) else outgoing
    assert isinstance(seen, m.QuotesSeen)
    assert (seen.fresh, seen.unquoted) == (True, ("AAPL",))
    assert set(state.quotes) == ({scan_ref().id} if first_pending else set())


def completed_scan(ref: ScanRef) -> m.ScanCompleted:
    return m.ScanCompleted(
        scan=ref, part=1, parts=1, exits=(leave("MSFT"),), signals=(signal(),), bars_digest="d"
    )


def hear(state: fetcher.State, message: m.Message) -> fetcher.State:
    trigger = Trigger.of(envelope(message))
    state, _ = fetcher.HANDLERS[type(message)](state, message, Context(None, trigger))
    return state
