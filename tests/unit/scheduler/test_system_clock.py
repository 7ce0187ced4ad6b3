import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from services.scheduler.handlers import HANDLERS, SlotReached, State, gauges
from services.scheduler.system_clock import SystemWork
from shared.domain.market.timetable import Timetable
from shared.runtime.calendar.xnys import Xnys
from shared.runtime.clock import ManualClock
from shared.schemas.messages import (
    BarsDue,
    Message,
    ReconcileDue,
    ScanDue,
    SessionClosed,
    SessionOpened,
)
from shared.schemas.values import Slot, Stage
from tests.turning import Turning

NEW_YORK = ZoneInfo("America/New_York")


def wall(day: dt.date, hour: int, minute: int, second: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute, second), NEW_YORK).astimezone(dt.UTC)


@pytest.fixture(scope="module")
def calendar() -> Xnys:
    return Xnys(dt.date(2024, 1, 1), dt.date(2027, 12, 31))


def started(calendar: Xnys, at: dt.datetime) -> tuple[Turning, ManualClock]:
    clock = ManualClock(at)
    return Turning(HANDLERS, State(), SystemWork(Timetable(), calendar, clock)), clock


def scans(said: list[Message]) -> list[ScanDue]:
    return [each for each in said if isinstance(each, ScanDue)]


def run_through(
    turning: Turning, clock: ManualClock, until: dt.datetime
) -> list[tuple[str, Message]]:
    """Sleep as long as work says, act on waking."""
    said: list[tuple[str, Message]] = []
    while clock.now() < until:
        at = clock.now().astimezone(NEW_YORK).strftime("%a %H:%M")
        said += [(at, message) for message in turning.act_all()]
        assert turning.work
        clock.advance(max(turning.work.wait(turning.state), 1.0))
    return said


def test_a_session_is_said_in_order_and_each_thing_once(calendar: Xnys) -> None:
    day = dt.date(2024, 1, 5)
    turning, clock = started(calendar, wall(day, 1, 0))
    said = run_through(turning, clock, wall(day, 23, 0))
    told = [(at, type(each).__name__) for at, each in said if not isinstance(each, ReconcileDue)]
    assert told == [
        ("Fri 09:00", "BarsDue"),
        ("Fri 09:30", "SessionOpened"),
        ("Fri 09:35", "ScanDue"),
        ("Fri 10:30", "ScanDue"),
        ("Fri 15:55", "ScanDue"),
        ("Fri 16:00", "SessionClosed"),
        ("Fri 16:30", "BarsDue"),
    ]
    messages = [each for _, each in said]
    assert [each.through for each in messages if isinstance(each, BarsDue)] == [
        dt.date(2024, 1, 4),
        day,
    ]
    opened = next(each for each in messages if isinstance(each, SessionOpened))
    assert (opened.previous, opened.opens_at, opened.closes_at) == (
        dt.date(2024, 1, 4),
        wall(day, 9, 30),
        wall(day, 16, 0),
    )


def test_the_broker_is_compared_with_every_five_minutes_of_a_session(calendar: Xnys) -> None:
    day = dt.date(2024, 1, 5)
    turning, clock = started(calendar, wall(day, 9, 0))
    looked = [
        each
        for each in run_through(turning, clock, wall(day, 20, 0))
        if isinstance(each[1], ReconcileDue)
    ]
    assert [at for at, _ in looked[:3]] == ["Fri 09:30", "Fri 09:35", "Fri 09:40"]
    assert len(looked) == 79
    stages = {at: each.stage for at, each in looked if isinstance(each, ReconcileDue)}
    assert (stages["Fri 15:50"], stages["Fri 15:55"], stages["Fri 16:00"]) == (
        Stage.OPEN,
        Stage.CLOSE,
        Stage.MARK,
    )


def test_scans_know_their_session_their_slot_and_the_bars_they_need(calendar: Xnys) -> None:
    day = dt.date(2024, 7, 5)
    turning, clock = started(calendar, wall(day, 9, 0))
    said = run_through(turning, clock, wall(day, 20, 0))
    found = [each.scan for _, each in said if isinstance(each, ScanDue)]
    assert [each.id for each in found] == [
        "SCAN_20240705_133500",
        "SCAN_20240705_143000",
        "SCAN_20240705_195500",
    ]
    assert [each.slot for each in found] == [Slot.OPEN, Slot.RETRY, Slot.CLOSE]
    assert {each.last_completed for each in found} == {dt.date(2024, 7, 3)}
    assert {each.executions_seq for each in found} == {0}


def test_over_a_weekend_and_the_change_of_daylight_saving_nothing_is_said_twice_or_at_a_wrong_hour(
    calendar: Xnys,
) -> None:
    turning, clock = started(calendar, wall(dt.date(2024, 3, 8), 3, 0))
    said = run_through(turning, clock, wall(dt.date(2024, 3, 12), 0, 0))
    found = [(at, each.scan.slot_at.hour) for at, each in said if isinstance(each, ScanDue)]
    assert found == [
        ("Fri 09:35", 14),
        ("Fri 10:30", 15),
        ("Fri 15:55", 20),
        ("Mon 09:35", 13),
        ("Mon 10:30", 14),
        ("Mon 15:55", 19),
    ]
    assert len([each for _, each in said if isinstance(each, SessionClosed)]) == 2


def test_a_holiday_says_nothing(calendar: Xnys) -> None:
    day = dt.date(2024, 12, 25)
    turning, clock = started(calendar, wall(day, 0, 5))
    assert run_through(turning, clock, wall(day, 23, 59)) == []


@pytest.mark.parametrize(
    ("start", "runs"), [((16, 30), 0), ((15, 57), 1), ((9, 37), 1), ((9, 41), 0), ((4, 0), 0)]
)
def test_a_late_start_makes_no_storm(calendar: Xnys, start: tuple[int, int], runs: int) -> None:
    turning, _ = started(calendar, wall(dt.date(2024, 1, 5), *start))
    assert len(scans(turning.act_all())) == runs
    assert turning.act_all() == []


def test_a_slot_that_was_said_is_not_said_again_by_the_next_instance(calendar: Xnys) -> None:
    turning, clock = started(calendar, wall(dt.date(2024, 1, 5), 9, 36))
    assert len(scans(turning.act_all())) == 1
    clock.advance(60)
    later = Turning(
        HANDLERS, State(), SystemWork(Timetable(), calendar, clock), fields=turning.fields
    )
    assert scans(later.act_all()) == []


def test_a_slot_found_by_two_is_said_once(calendar: Xnys) -> None:
    turning, _ = started(calendar, wall(dt.date(2024, 1, 5), 9, 35))
    assert turning.work
    while not isinstance(
        (outcome := turning.work.act(turning.state)) and outcome.value, SlotReached
    ):
        turning.act()
    assert outcome
    assert len(scans(turning.settle(outcome))) == 1
    assert turning.settle(outcome) == []


def test_a_start_after_a_long_absence_takes_up_the_day_of_today(calendar: Xnys) -> None:
    turning, clock = started(calendar, wall(dt.date(2024, 1, 5), 15, 0))
    turning.act_all()
    clock.instant = wall(dt.date(2024, 2, 1), 9, 35)
    said = turning.act_all()
    assert {each.session for each in said if isinstance(each, SessionOpened)} == {
        dt.date(2024, 2, 1)
    }
    assert len(scans(said)) == 1


def test_the_session_being_run_is_shown(calendar: Xnys) -> None:
    turning, _ = started(calendar, wall(dt.date(2024, 1, 5), 9, 36))
    turning.act_all()
    shown = {sample.name: sample.value for sample in gauges(turning.state)}
    assert shown["kobe_session_timestamp_seconds"] == wall(dt.date(2024, 1, 5), 9, 30).timestamp()
