import datetime as dt
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.domain.errors import TransientError
from shared.domain.market.timetable import (
    DueSlot,
    Hours,
    Occasion,
    Timetable,
    due_slot,
    invalid_times,
    missed_slots,
    next_instant,
    past_occasions,
    slots,
)
from shared.runtime.calendar.xnys import Xnys
from shared.schemas.values import Slot

NEW_YORK = ZoneInfo("America/New_York")
TIMETABLE = Timetable()
FIRST, LAST = dt.date(2024, 1, 1), dt.date(2027, 12, 31)
HALF_DAYS = {
    dt.date(2024, 7, 3),
    dt.date(2024, 11, 29),
    dt.date(2024, 12, 24),
    dt.date(2025, 7, 3),
    dt.date(2025, 11, 28),
    dt.date(2025, 12, 24),
    dt.date(2026, 11, 27),
    dt.date(2026, 12, 24),
    dt.date(2027, 11, 26),
}
HOLIDAYS = {
    *(
        dt.date(2024, *day)
        for day in [(1, 1), (1, 15), (2, 19), (3, 29), (5, 27), (6, 19), (7, 4), (9, 2), (11, 28)]
    ),
    *(
        dt.date(2025, *day)
        for day in [(1, 1), (1, 9), (1, 20), (2, 17), (4, 18), (5, 26), (6, 19), (7, 4), (9, 1)]
    ),
    *(
        dt.date(2026, *day)
        for day in [(1, 1), (1, 19), (2, 16), (4, 3), (5, 25), (6, 19), (7, 3), (9, 7), (11, 26)]
    ),
    *(
        dt.date(2027, *day)
        for day in [(1, 1), (1, 18), (2, 15), (3, 26), (5, 31), (6, 18), (7, 5), (9, 6), (11, 25)]
    ),
    *(dt.date(year, 12, 25) for year in (2024, 2025, 2026)),
    dt.date(2025, 11, 27),
    dt.date(2027, 12, 24),
}


@pytest.fixture(scope="module")
def calendar() -> Xnys:
    return Xnys(FIRST, LAST)


def wall(day: dt.date, hour: int, minute: int) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), NEW_YORK).astimezone(dt.UTC)


def days() -> list[dt.date]:
    return [FIRST + dt.timedelta(days=number) for number in range((LAST - FIRST).days + 1)]


def expected_slots(day: dt.date) -> list[DueSlot]:
    close = (12, 55) if day in HALF_DAYS else (15, 55)
    times = [(Slot.OPEN, (9, 35)), (Slot.RETRY, (10, 30)), (Slot.CLOSE, close)]
    return [DueSlot(slot, wall(day, *time)) for slot, time in times]


def test_sessions_are_the_weekdays_that_are_no_holidays_through_four_years(calendar: Xnys) -> None:
    found = [day for day in days() if calendar.hours(day)]
    assert found == [day for day in days() if day.weekday() < 5 and day not in HOLIDAYS]
    assert dt.date(2024, 2, 29) in found


def test_every_slot_of_four_years_is_at_its_wall_time_through_daylight_saving_and_half_days(
    calendar: Xnys,
) -> None:
    for day in days():
        hours = calendar.hours(day)
        if hours:
            assert list(slots(hours, TIMETABLE)) == expected_slots(day), day


def test_a_slot_is_due_from_its_instant_to_the_end_of_grace_and_at_no_other_minute(
    calendar: Xnys,
) -> None:
    second = dt.timedelta(seconds=1)
    for day in days():
        hours = calendar.hours(day)
        if hours is None:
            continue
        for expected in expected_slots(day):
            end = min(expected.at + TIMETABLE.grace, hours.closes_at - second)
            assert due_slot(hours, TIMETABLE, now=expected.at) == expected
            assert due_slot(hours, TIMETABLE, now=end) == expected
            assert due_slot(hours, TIMETABLE, now=expected.at - second) is None
            assert due_slot(hours, TIMETABLE, now=end + second) is None
        assert due_slot(hours, TIMETABLE, now=hours.closes_at) is None


def regular() -> Hours:
    day = dt.date(2024, 1, 5)
    return Hours(
        session=day,
        previous=dt.date(2024, 1, 4),
        opens_at=wall(day, 9, 30),
        closes_at=wall(day, 16, 0),
    )


@pytest.mark.parametrize(
    ("time", "slot"),
    [
        ((9, 37), Slot.OPEN),
        ((10, 31), Slot.RETRY),
        ((15, 57), Slot.CLOSE),
        ((16, 30), None),
        ((12, 0), None),
    ],
)
def test_a_late_start_runs_the_latest_slot_within_grace_or_none(
    time: tuple[int, int], slot: Slot | None
) -> None:
    found = due_slot(regular(), TIMETABLE, now=wall(regular().session, *time))
    assert (found.slot if found else None) is slot


def test_a_slot_missed_by_more_than_grace_is_not_caught_up_with_by_an_earlier_one() -> None:
    wide = Timetable(grace=dt.timedelta(hours=5), retry_slots=(dt.time(9, 40), dt.time(9, 45)))
    found = due_slot(regular(), wide, now=wall(regular().session, 9, 50))
    assert found == DueSlot(Slot.RETRY, wall(regular().session, 9, 45))


def test_retry_slots_after_the_close_slot_fall_away_on_a_half_day(calendar: Xnys) -> None:
    late = Timetable(retry_slots=(dt.time(10, 30), dt.time(13, 30)))
    half = calendar.hours(dt.date(2026, 11, 27))
    assert half
    assert [each.slot for each in slots(half, late)] == [Slot.OPEN, Slot.RETRY, Slot.CLOSE]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"open_slot": dt.time(9, 29)}, "before the open"),
        ({"retry_slots": (dt.time(15, 55),)}, "at or after its close slot"),
        ({"retry_slots": (dt.time(9, 35),)}, "equal or out of order"),
        ({"retry_slots": (dt.time(11, 0), dt.time(10, 30))}, "equal or out of order"),
        ({"before_close": dt.timedelta(0)}, "above zero"),
        ({"grace": dt.timedelta(seconds=-1)}, "above zero"),
        ({"reconcile_every": dt.timedelta(0)}, "above zero"),
        ({"bars_after_close": dt.timedelta(minutes=-1)}, "negative"),
        ({"bars_after_close": dt.timedelta(hours=8)}, "too far"),
        ({}, None),
        ({"open_slot": dt.time(9, 30), "retry_slots": ()}, None),
    ],
)
def test_a_timetable_that_cannot_be_kept_is_named(
    changes: dict[str, Any], problem: str | None
) -> None:
    found = invalid_times(replace(TIMETABLE, **changes))
    assert (problem is None) == (found is None)
    assert (problem or "") in (found or "")


def test_slots_that_can_no_longer_run_are_those_before_the_due_one_and_all_after_grace() -> None:
    hours = regular()
    missed = {
        time: [each.slot for each in missed_slots(hours, TIMETABLE, now=wall(hours.session, *time))]
        for time in [(9, 34), (9, 40), (9, 41), (10, 31), (16, 30)]
    }
    assert missed == {
        (9, 34): [],
        (9, 40): [],
        (9, 41): [Slot.OPEN],
        (10, 31): [Slot.OPEN],
        (16, 30): [Slot.OPEN, Slot.RETRY, Slot.CLOSE],
    }


def test_occasions_come_in_their_order_and_an_open_that_is_over_is_not_announced() -> None:
    hours = regular()
    at = [
        past_occasions(hours, TIMETABLE, now=wall(hours.session, *time))
        for time in [(8, 59), (9, 0), (9, 30), (16, 0), (16, 30)]
    ]
    before, opened, closed, after = Occasion
    assert at == [(), (before,), (before, opened), (before, closed), (before, closed, after)]


def test_what_is_upcoming_leads_through_all_that_comes() -> None:
    hours, now, seen = regular(), wall(regular().session, 0, 0), []
    while instant := next_instant(hours, TIMETABLE, now=now):
        seen.append(instant.astimezone(NEW_YORK).strftime("%H:%M"))
        now = instant
    assert seen == ["09:00", "09:30", "09:35", "10:30", "15:55", "16:00", "16:30"]


def test_the_calendar_reaches_further_by_itself_both_ways() -> None:
    narrow = Xnys(dt.date(2024, 1, 5), dt.date(2024, 1, 5))
    early, late = narrow.hours(dt.date(1995, 7, 5)), narrow.hours(dt.date(2027, 3, 1))
    assert early
    assert early.previous == dt.date(1995, 7, 3)
    assert late
    assert late.previous == dt.date(2027, 2, 26)


def test_sessions_after_one_day_through_another_are_listed(calendar: Xnys) -> None:
    assert calendar.sessions(dt.date(2024, 1, 11), dt.date(2024, 1, 16)) == [
        dt.date(2024, 1, 12),
        dt.date(2024, 1, 16),
    ]
    assert calendar.sessions(dt.date(2024, 1, 12), dt.date(2024, 1, 15)) == []
    assert calendar.sessions(dt.date(2024, 1, 16), dt.date(2024, 1, 12)) == []


def test_a_session_of_foreign_bars_has_the_usual_hours(calendar: Xnys) -> None:
    saturday = dt.date(2024, 7, 6)
    hours = calendar.usual_hours(saturday, dt.date(2024, 7, 5))
    assert (hours.opens_at, hours.closes_at) == (wall(saturday, 9, 30), wall(saturday, 16, 0))
    half = calendar.usual_hours(dt.date(2024, 7, 3), dt.date(2024, 7, 1))
    assert half.closes_at == wall(dt.date(2024, 7, 3), 13, 0)
    assert half.previous == dt.date(2024, 7, 1)


def test_the_day_is_new_yorks(calendar: Xnys) -> None:
    assert calendar.new_york_date(dt.datetime(2024, 1, 6, 3, 0, tzinfo=dt.UTC)) == dt.date(
        2024, 1, 5
    )
    assert calendar.session_on_or_after(dt.date(2024, 1, 6)).session == dt.date(2024, 1, 8)


def test_a_calendar_that_cannot_be_made_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.runtime.calendar.xnys.sys.executable", "/nowhere/python")
    with pytest.raises(TransientError, match="calendar could not be made"):
        Xnys(FIRST, LAST).hours(FIRST)
