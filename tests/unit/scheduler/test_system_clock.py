import datetime as dt

import pytest

from services.scheduler.handlers import HANDLERS
from services.scheduler.metrics import gauges
from services.scheduler.state import SlotReached
from services.scheduler.system_clock import SystemWork
from shared.domain.market.timetable import Timetable
from shared.runtime.calendar.xnys import Xnys
from shared.schemas import messages as m
from shared.schemas.values import Slot, Stage
from tests.turning import Turning
from tests.unit.scheduler.answering_broker import SchedulerDay, scans, wall

pytestmark = pytest.mark.slow

FRIDAY = dt.date(2024, 1, 5)


@pytest.fixture(scope="module")
def calendar() -> Xnys:
    return Xnys(dt.date(2024, 1, 1), dt.date(2027, 12, 31))


def test_a_session_is_announced_in_order_and_each_thing_once(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 1, 0), calendar)
    announced = day.run_until(wall(FRIDAY, 23, 0))
    assert [
        (at, type(each).__name__) for at, each in announced if not isinstance(each, m.ReconcileDue)
    ] == [
        ("Fri 09:00", "BarsDue"),
        ("Fri 09:30", "SessionOpened"),
        ("Fri 09:35", "ScanDue"),
        ("Fri 10:30", "ScanDue"),
        ("Fri 15:55", "ScanDue"),
        ("Fri 16:00", "SessionClosed"),
        ("Fri 16:30", "BarsDue"),
    ]
    messages = [each for _, each in announced]
    assert [each.through for each in messages if isinstance(each, m.BarsDue)] == [
        dt.date(2024, 1, 4),
        FRIDAY,
    ]
    opened = next(each for each in messages if isinstance(each, m.SessionOpened))
    assert (opened.previous, opened.opens_at, opened.closes_at) == (
        dt.date(2024, 1, 4),
        wall(FRIDAY, 9, 30),
        wall(FRIDAY, 16, 0),
    )


def test_the_broker_is_looked_at_before_the_open_and_every_five_minutes_after_it(
    calendar: Xnys,
) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 8, 0), calendar)
    announced = day.run_until(wall(FRIDAY, 20, 0))
    looks = [(at, each.stage) for at, each in announced if isinstance(each, m.ReconcileDue)]
    assert looks[:4] == [
        ("Fri 09:00", Stage.START),
        ("Fri 09:30", Stage.OPEN),
        ("Fri 09:35", Stage.OPEN),
        ("Fri 09:40", Stage.OPEN),
    ]
    assert len(looks) == 80
    stages = dict(looks)
    assert (stages["Fri 15:50"], stages["Fri 15:55"], stages["Fri 16:00"]) == (
        Stage.OPEN,
        Stage.CLOSE,
        Stage.MARK,
    )


def test_scans_know_their_session_their_slot_and_the_bars_they_need(calendar: Xnys) -> None:
    friday = dt.date(2024, 7, 5)
    day = SchedulerDay.at(wall(friday, 9, 0), calendar)
    announced = [each for _, each in day.run_until(wall(friday, 20, 0))]
    found = [each.scan for each in scans(announced)]
    assert [each.id for each in found] == [
        "SCAN_20240705_133500",
        "SCAN_20240705_143000",
        "SCAN_20240705_195500",
    ]
    assert [each.slot for each in found] == [Slot.OPEN, Slot.RETRY, Slot.CLOSE]
    assert {each.last_completed for each in found} == {dt.date(2024, 7, 3)}
    assert {each.executions_seq for each in found} == {0}


def test_over_a_weekend_and_the_change_of_daylight_saving_all_comes_once_and_at_its_hour(
    calendar: Xnys,
) -> None:
    day = SchedulerDay.at(wall(dt.date(2024, 3, 8), 3, 0), calendar)
    announced = day.run_until(wall(dt.date(2024, 3, 12), 0, 0))
    found = [(at, each.scan.slot_at.hour) for at, each in announced if isinstance(each, m.ScanDue)]
    assert found == [
        ("Fri 09:35", 14),
        ("Fri 10:30", 15),
        ("Fri 15:55", 20),
        ("Mon 09:35", 13),
        ("Mon 10:30", 14),
        ("Mon 15:55", 19),
    ]
    assert len([each for _, each in announced if isinstance(each, m.SessionClosed)]) == 2


def test_a_holiday_is_silent(calendar: Xnys) -> None:
    christmas = dt.date(2024, 12, 25)
    day = SchedulerDay.at(wall(christmas, 0, 5), calendar)
    assert day.run_until(wall(christmas, 23, 59)) == []


@pytest.mark.parametrize(
    ("start", "runs"), [((16, 30), 0), ((15, 57), 1), ((9, 37), 1), ((9, 41), 0), ((4, 0), 0)]
)
def test_a_late_start_runs_the_latest_slot_within_grace_or_none(
    calendar: Xnys, start: tuple[int, int], runs: int
) -> None:
    day = SchedulerDay.at(wall(FRIDAY, *start), calendar)
    announced = day.settle()
    assert len(scans(announced)) == runs
    assert day.settle() == []


def test_a_start_after_the_close_opens_no_session_and_closes_none(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 16, 10), calendar)
    announced = [each for _, each in day.run_until(wall(FRIDAY, 20, 0))]
    assert [each.through for each in announced if isinstance(each, m.BarsDue)] == [
        dt.date(2024, 1, 4),
        FRIDAY,
    ]
    assert not [each for each in announced if isinstance(each, m.SessionOpened | m.SessionClosed)]


def test_a_slot_that_was_announced_is_not_announced_by_the_next_instance(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 36), calendar)
    assert len(scans(day.settle())) == 1
    day.clock.advance(60)
    day.turning = Turning(
        HANDLERS,
        day.turning.initial,
        SystemWork(Timetable(), calendar, day.clock),
        fields=day.turning.fields,
        clock=day.clock,
    )
    assert scans(day.settle()) == []


def test_a_slot_found_by_two_is_announced_once(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 32), calendar)
    day.settle()
    day.clock.instant = wall(FRIDAY, 9, 35)
    assert day.turning.work
    outcome = day.turning.work.act(day.state)
    assert outcome
    assert isinstance(outcome.value, SlotReached)
    assert len(scans(day.turning.settle(outcome))) == 1
    assert day.turning.settle(outcome) == []


def test_a_start_after_a_long_absence_takes_up_the_day_of_today(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 15, 0), calendar)
    day.settle()
    day.clock.instant = wall(dt.date(2024, 2, 1), 9, 35)
    announced = day.settle()
    assert {each.session for each in announced if isinstance(each, m.SessionOpened)} == {
        dt.date(2024, 2, 1)
    }
    assert len(scans(announced)) == 1


def test_a_clock_set_back_opens_no_session_a_second_time(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 36), calendar)
    day.settle()
    for earlier in (wall(FRIDAY, 9, 29), wall(dt.date(2024, 1, 4), 9, 35)):
        day.clock.instant = earlier
        assert not [
            each
            for each in day.settle()
            if isinstance(each, m.SessionOpened | m.SessionClosed | m.ScanDue)
        ]
    day.clock.instant = wall(FRIDAY, 10, 30)
    assert [each.scan.slot for each in scans(day.settle())] == [Slot.RETRY]


def test_a_clock_that_jumps_ahead_opens_nothing_and_does_no_lasting_harm(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 0), calendar)
    day.settle()
    brokers_clock, day.broker.is_away = day.clock.instant, True
    day.clock.instant = wall(dt.date(2024, 1, 22), 9, 35)
    assert not [each for each in day.settle() if isinstance(each, m.SessionOpened | m.ScanDue)]
    day.clock.instant, day.broker.is_away = brokers_clock, False
    day.clock.instant = wall(FRIDAY, 9, 35)
    announced = day.settle()
    assert [each.session for each in announced if isinstance(each, m.SessionOpened)] == [FRIDAY]
    assert len(scans(announced)) == 1


def test_the_session_being_run_is_shown(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 36), calendar)
    day.settle()
    shown = {(sample.name, *sample.labels.values()): sample.value for sample in gauges(day.state)}
    assert shown["kobe_session_timestamp_seconds",] == wall(FRIDAY, 9, 30).timestamp()
    assert shown["kobe_session_is_open",] == 1
    assert shown["kobe_scheduler_session_standing", "confirmed"] == 1
    assert shown["kobe_scheduler_calendar_differences",] == 0
