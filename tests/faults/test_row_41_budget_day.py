"""Row 41: the budget belongs to a session of the exchange; no midnight and no restart renews it."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from shared.domain.errors import InvalidMessage
from shared.schemas import messages as m
from tests.builders import SESSION
from tests.unit.risk_gate.desk import D, Desk, approved, gate_settings, signal

MONDAY = dt.date(2024, 1, 8)


def opened(session: dt.date) -> m.SessionOpened:
    return m.SessionOpened(
        session=session,
        previous=session - dt.timedelta(days=3),
        opens_at=dt.datetime.combine(session, dt.time(14, 30, tzinfo=dt.UTC)),
        closes_at=dt.datetime.combine(session, dt.time(21, tzinfo=dt.UTC)),
    )


def spent(*, restarting: bool) -> Desk:
    desk = Desk(gate_settings(replay=False), restarting=restarting)
    desk.hear(opened(SESSION))
    desk.account()
    said = desk.scan([signal()])
    assert approved(said)
    desk.execute(said)
    assert desk.state.book.used == D("70.07")
    return desk


@pytest.mark.parametrize("restarting", [False, True])
@pytest.mark.parametrize(
    "later",
    [
        dt.datetime(2024, 1, 5, 23, 59, 59, tzinfo=dt.UTC),
        dt.datetime(2024, 1, 6, 0, 0, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 1, 6, 5, 0, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 1, 8, 14, 29, tzinfo=dt.UTC),
    ],
    ids=["before midnight UTC", "after it", "after midnight in New York", "before the next open"],
)
def test_no_midnight_renews_the_budget(later: dt.datetime, restarting: bool) -> None:
    desk = spent(restarting=restarting)
    desk.at = later
    desk.account()
    with pytest.raises(InvalidMessage):
        desk.hear(opened(SESSION + dt.timedelta(days=1)))
    assert desk.state.book.used == D("70.07")


@pytest.mark.parametrize("restarting", [False, True])
def test_the_next_session_renews_it_exactly_once(restarting: bool) -> None:
    desk = spent(restarting=restarting)
    desk.at = dt.datetime(2024, 1, 8, 14, 30, tzinfo=dt.UTC)
    desk.hear(opened(MONDAY))
    assert desk.state.book.used == D(0)
    desk.state = replace(desk.state, book=replace(desk.state.book, used=D(500)))
    for _ in range(3):
        desk.hear(opened(MONDAY))
    assert desk.state.book.used == D(500)
