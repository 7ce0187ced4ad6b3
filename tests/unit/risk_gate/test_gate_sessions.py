"""One wrong announcement of a session gives no budget anew and blocks no day."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.risk_gate.__main__ import only_of
from shared.domain.errors import InvalidMessage
from shared.runtime.clock import ManualClock
from shared.schemas import messages as m
from shared.schemas.values import MarketView, Mode, TradingSession
from tests.builders import SESSION, envelope, scan_ref
from tests.unit.risk_gate.desk import (
    RETRY_AT,
    D,
    Desk,
    approved,
    completed,
    gate_settings,
    scan_at,
    signal,
)

MONDAY = dt.date(2024, 1, 8)
OPENS, CLOSES = dt.time(14, 30, tzinfo=dt.UTC), dt.time(21, tzinfo=dt.UTC)


def opened(session: dt.date, **changes: Any) -> m.SessionOpened:
    values: dict[str, Any] = {
        "session": session,
        "previous": session - dt.timedelta(days=1),
        "opens_at": dt.datetime.combine(session, OPENS),
        "closes_at": dt.datetime.combine(session, CLOSES),
    }
    return m.SessionOpened(**{**values, **changes})


def traded(*, replay: bool) -> Desk:
    desk = Desk(gate_settings(replay=replay))
    desk.hear(opened(SESSION))
    desk.account()
    assert approved(desk.scan([signal()]))
    return desk


@pytest.mark.parametrize("replay", [True, False])
@pytest.mark.parametrize(
    "wrong",
    [
        opened(dt.date(2031, 1, 6)),
        opened(dt.date(2023, 12, 29)),
        opened(dt.date(1970, 1, 5)),
        opened(dt.date(2199, 12, 30)),
        opened(dt.date(2024, 1, 6)),
        opened(dt.date(2024, 1, 9), previous=MONDAY),
        opened(dt.date(2024, 1, 12), previous=dt.date(2024, 1, 11)),
    ],
)
def test_a_wrong_session_is_refused_and_the_day_goes_on(
    wrong: m.SessionOpened, replay: bool
) -> None:
    desk = traded(replay=replay)
    before = desk.state
    with pytest.raises(InvalidMessage, match="cannot be opened"):
        desk.hear(wrong)
    assert desk.state is before
    desk.at = RETRY_AT
    assert approved(desk.scan([signal("IBM")], ref=scan_at(RETRY_AT)))
    assert desk.state.book.used > D(70)


@pytest.mark.parametrize("replay", [True, False])
def test_a_repeated_session_changes_nothing(replay: bool) -> None:
    desk = traded(replay=replay)
    before = desk.state.book
    desk.hear(opened(SESSION, closes_at=dt.datetime.combine(SESSION, CLOSES)))
    assert desk.state.book is before


@pytest.mark.parametrize("replay", [True, False])
def test_a_scan_of_a_session_that_cannot_be_opens_none(replay: bool) -> None:
    desk = traded(replay=replay)
    before = desk.state
    far = scan_ref(
        id="SCAN_20310106_143500",
        session=dt.date(2031, 1, 6),
        slot_at=dt.datetime(2031, 1, 6, 14, 35, tzinfo=dt.UTC),
        closes_at=dt.datetime(2031, 1, 6, 21, tzinfo=dt.UTC),
        last_completed=dt.date(2031, 1, 3),
    )
    with pytest.raises(InvalidMessage, match="cannot be opened"):
        desk.due(far)
    assert desk.state is before


def test_the_next_session_opens_at_its_time_and_renews_the_budget() -> None:
    desk = traded(replay=False)
    desk.at = dt.datetime.combine(MONDAY, OPENS)
    desk.hear(opened(MONDAY, previous=SESSION))
    assert (desk.state.book.session, desk.state.book.used) == (MONDAY, D(0))


def test_a_session_the_brokers_calendar_does_not_have_is_refused() -> None:
    desk = traded(replay=False)
    tuesday = MONDAY + dt.timedelta(days=1)
    view = MarketView(
        at=desk.at,
        is_open=True,
        first=SESSION,
        last=SESSION + dt.timedelta(days=7),
        sessions=(
            TradingSession(
                session=tuesday,
                opens_at=dt.datetime.combine(tuesday, OPENS),
                closes_at=dt.datetime.combine(tuesday, CLOSES),
            ),
        ),
    )
    desk.account(market=view)
    desk.at = dt.datetime.combine(MONDAY, OPENS)
    with pytest.raises(InvalidMessage, match="broker's calendar has no such session"):
        desk.hear(opened(MONDAY, previous=SESSION))
    desk.account()
    assert desk.state.market == view


def test_invented_scans_of_days_to_come_are_forgotten_with_the_next_session() -> None:
    desk = traded(replay=True)
    for number in range(4):
        invented = scan_ref(id=f"SCAN_{number}", session=dt.date(2100, 1, 4))
        desk.hear(completed(invented, [signal()]))
    desk.hear(opened(MONDAY, previous=SESSION))
    assert desk.state.scans == {}


def test_a_schedule_from_the_future_is_refused_before_it_is_read() -> None:
    now = dt.datetime(2024, 1, 5, 15, tzinfo=dt.UTC)
    verify = only_of(Mode.SIM, "sim", ManualClock(now))
    verify(envelope(opened(SESSION), at=now + dt.timedelta(seconds=59)))
    with pytest.raises(InvalidMessage, match="in the future"):
        verify(envelope(opened(SESSION), at=now + dt.timedelta(seconds=61)))
    only_of(Mode.SIM, "sim")(envelope(opened(SESSION), at=now + dt.timedelta(days=900)))
