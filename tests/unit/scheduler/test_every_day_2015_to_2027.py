"""Thirteen years, day by day, through the scheduler's own work: exactly the expected slots."""

from __future__ import annotations

import datetime as dt
from typing import Any

import exchange_calendars
import pytest

from services.scheduler import system_clock
from shared.domain.market.timetable import Timetable
from shared.runtime.calendar.xnys import Xnys
from shared.schemas import messages as m
from shared.schemas.values import Slot
from tests.unit.scheduler.answering_broker import NEW_YORK, SchedulerDay, wall
from tests.unit.scheduler.nyse_days import FIRST, LAST, all_days, closes_early, is_session

pytestmark = pytest.mark.slow

QUIET = Timetable(reconcile_every=dt.timedelta(hours=7))
"""One look a session: the looks between are another test's."""


@pytest.fixture(scope="module")
def calendar() -> Xnys:
    return Xnys(FIRST, LAST)


def expected(day: dt.date) -> list[tuple[str, dt.datetime]]:
    """Everything announced on a day but the looks at the broker, with its instant."""
    if not is_session(day):
        return []
    closes = (13, 0) if closes_early(day) else (16, 0)
    close_slot = (12, 55) if closes_early(day) else (15, 55)
    bars_after = (13, 30) if closes_early(day) else (16, 30)
    return [
        ("BarsDue", wall(day, 9, 0)),
        ("SessionOpened", wall(day, 9, 30)),
        ("open", wall(day, 9, 35)),
        ("retry", wall(day, 10, 30)),
        ("close", wall(day, *close_slot)),
        ("SessionClosed", wall(day, *closes)),
        ("BarsDue", wall(day, *bars_after)),
    ]


def label(message: m.Message) -> str:
    return message.scan.slot.value if isinstance(message, m.ScanDue) else type(message).__name__


def test_the_sessions_are_those_of_the_exchange_by_two_independent_sources(
    calendar: Xnys,
) -> None:
    library: Any = exchange_calendars.get_calendar("XNYS", start=FIRST, end=LAST)
    theirs = {day.date() for day in library.sessions}
    assert {day for day in all_days() if is_session(day)} == theirs
    assert {day for day in all_days() if closes_early(day)} == {
        day.date() for day in library.early_closes
    }
    assert {day for day in all_days() if calendar.hours(day)} == theirs


def test_each_day_announces_exactly_its_slots_and_occasions(
    calendar: Xnys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_clock, "LONGEST_WAIT", 86_400.0)  # no wake-up but those asked for
    day = SchedulerDay.at(wall(FIRST, 0, 0), calendar, timetable=QUIET)
    announced: dict[dt.date, list[tuple[str, dt.datetime]]] = {}
    end = wall(LAST + dt.timedelta(days=1), 0, 0)
    while day.clock.now() < end:
        now = day.clock.now()
        for message in day.settle():
            if not isinstance(message, m.ReconcileDue):
                announced.setdefault(calendar.new_york_date(now), []).append((label(message), now))
        day.clock.instant = min(next_instant(day), end)
    for each in all_days():
        assert announced.get(each, []) == expected(each), each


def next_instant(day: SchedulerDay) -> dt.datetime:
    """When work wants to act next, or the next midnight in New York."""
    now = day.clock.now()
    assert day.turning.work
    midnight = wall(now.astimezone(NEW_YORK).date() + dt.timedelta(days=1), 0, 0)
    return min(now + dt.timedelta(seconds=day.turning.work.wait(day.state)), midnight)


@pytest.mark.parametrize(
    "day",
    [dt.date(2024, 3, 11), dt.date(2024, 11, 4), dt.date(2026, 11, 27), dt.date(2024, 2, 29)],
    ids=["daylight saving begins", "daylight saving ends", "half day", "leap day"],
)
def test_at_every_minute_of_a_special_day_the_slots_come_when_they_should(
    calendar: Xnys, day: dt.date
) -> None:
    scheduler = SchedulerDay.at(wall(day, 0, 0), calendar)
    found = []
    for _ in range(24 * 60):
        found += [
            (each.scan.slot, scheduler.clock.now())
            for each in scheduler.settle()
            if isinstance(each, m.ScanDue)
        ]
        scheduler.clock.advance(60)
    assert found == [
        (Slot(name), at) for name, at in expected(day) if name in ("open", "retry", "close")
    ]
