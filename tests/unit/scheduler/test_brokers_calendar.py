"""The broker has the last word on whether the market is open; where it disagrees nothing runs."""

from __future__ import annotations

import datetime as dt

import pytest

from services.scheduler.metrics import gauges
from services.scheduler.state import MissReason, SessionStanding, State
from shared.domain.market.timetable import Hours
from shared.runtime.calendar.xnys import Xnys
from shared.schemas import messages as m
from shared.schemas.values import Stage
from tests.unit.scheduler.answering_broker import SchedulerDay, account, scans, wall

FRIDAY, MONDAY, TUESDAY = dt.date(2024, 1, 5), dt.date(2024, 1, 8), dt.date(2024, 1, 9)
SLOTS = ("open-143500", "retry-153000", "close-205500")


@pytest.fixture(scope="module")
def calendar() -> Xnys:
    return Xnys(dt.date(2024, 1, 1), dt.date(2024, 12, 31))


def named(announced: list[m.Message]) -> list[str]:
    return [
        type(each).__name__
        for each in announced
        if not isinstance(each, m.ReconcileDue | m.BarsDue)
    ]


def shown(state: State, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for sample in gauges(state)
        if sample.name == name
    }


def run(day: SchedulerDay, end: dt.datetime) -> list[m.Message]:
    return [each for _, each in day.run_until(end)]


def test_an_unscheduled_closure_at_the_broker_runs_no_scan_and_is_shown(calendar: Xnys) -> None:
    day = SchedulerDay.at(
        wall(FRIDAY, 8, 0),
        calendar,
        broker_hours=lambda each: None if each == FRIDAY else calendar.hours(each),
    )
    announced = run(day, wall(FRIDAY, 23, 0))
    assert named(announced) == []
    assert [each.through for each in announced if isinstance(each, m.BarsDue)] == [
        dt.date(2024, 1, 4)
    ]
    assert day.state.standing is SessionStanding.CLOSED
    assert day.state.missed == dict.fromkeys(SLOTS, MissReason.BROKER_CLOSED)
    assert shown(day.state, "kobe_scheduler_slots_missed")["broker_closed",] == 3
    assert day.state.differences == ("2024-01-05: ours 09:30-16:00, the broker's closed",)


def test_the_session_after_a_closure_needs_the_bars_of_the_session_before_it(
    calendar: Xnys,
) -> None:
    day = SchedulerDay.at(
        wall(FRIDAY, 8, 0),
        calendar,
        broker_hours=lambda each: None if each in (FRIDAY, MONDAY) else calendar.hours(each),
    )
    announced = run(day, wall(TUESDAY, 9, 40))
    assert [each.scan.last_completed for each in scans(announced)] == [dt.date(2024, 1, 4)]
    opened = [each for each in announced if isinstance(each, m.SessionOpened)]
    assert [(each.session, each.previous) for each in opened] == [(TUESDAY, dt.date(2024, 1, 4))]
    assert [each.through for each in announced if isinstance(each, m.BarsDue)] == [
        dt.date(2024, 1, 4)
    ] * 3


def test_a_shorter_day_at_the_broker_moves_the_close_slot(calendar: Xnys) -> None:
    def shortened(each: dt.date) -> Hours | None:
        hours = calendar.hours(each)
        if hours is None or each != FRIDAY:
            return hours
        return Hours(
            session=each,
            previous=hours.previous,
            opens_at=hours.opens_at,
            closes_at=wall(each, 13, 0),
        )

    day = SchedulerDay.at(wall(FRIDAY, 8, 0), calendar, broker_hours=shortened)
    announced = day.run_until(wall(FRIDAY, 20, 0))
    assert [at for at, each in announced if isinstance(each, m.ScanDue)] == [
        "Fri 09:35",
        "Fri 10:30",
        "Fri 12:55",
    ]
    (opened,) = [each for _, each in announced if isinstance(each, m.SessionOpened)]
    assert opened.closes_at == wall(FRIDAY, 13, 0)
    assert {each.scan.closes_at for each in scans([each for _, each in announced])} == {
        wall(FRIDAY, 13, 0)
    }
    assert day.state.differences == ("2024-01-05: ours 09:30-16:00, the broker's 09:30-13:00",)


def test_an_early_close_ordered_during_the_day_is_heard_at_the_next_look(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 0), calendar)
    run(day, wall(FRIDAY, 11, 0))
    hours = calendar.hours(FRIDAY)
    assert hours
    early = Hours(
        session=FRIDAY,
        previous=hours.previous,
        opens_at=hours.opens_at,
        closes_at=wall(FRIDAY, 12, 0),
    )
    day.broker.hours = lambda each: early if each == FRIDAY else calendar.hours(each)
    announced = day.run_until(wall(FRIDAY, 20, 0))
    assert [at for at, each in announced if isinstance(each, m.ScanDue)] == ["Fri 11:55"]
    assert [at for at, each in announced if isinstance(each, m.SessionClosed)] == ["Fri 12:00"]


def test_a_session_only_the_broker_has_is_shown_and_not_run(calendar: Xnys) -> None:
    saturday = dt.date(2024, 1, 6)
    extra = Hours(
        session=saturday,
        previous=FRIDAY,
        opens_at=wall(saturday, 9, 30),
        closes_at=wall(saturday, 16, 0),
    )
    day = SchedulerDay.at(
        wall(FRIDAY, 8, 0),
        calendar,
        broker_hours=lambda each: extra if each == saturday else calendar.hours(each),
    )
    announced = day.run_until(wall(dt.date(2024, 1, 7), 12, 0))
    assert {at[:3] for at, _ in announced} == {"Fri"}
    assert shown(day.state, "kobe_scheduler_calendar_differences")[()] == 1


def test_before_the_broker_has_confirmed_nothing_opens_and_it_is_asked_every_half_minute(
    calendar: Xnys,
) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 29), calendar)
    day.broker.is_away = True
    announced = run(day, wall(FRIDAY, 9, 37))
    assert named(announced) == []
    assert len(day.broker.asked) == 16
    assert {each.stage for each in day.broker.asked} == {Stage.START}
    day.broker.is_away = False
    assert named(run(day, wall(FRIDAY, 9, 39))) == ["SessionOpened", "ScanDue"]


def test_a_slot_that_stayed_unconfirmed_through_its_grace_is_missed_with_that_reason(
    calendar: Xnys,
) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 29), calendar)
    day.broker.is_away = True
    assert named(run(day, wall(FRIDAY, 9, 42))) == []
    assert day.state.missed == {"open-143500": MissReason.UNCONFIRMED}
    day.broker.is_away = False
    assert named(run(day, wall(FRIDAY, 10, 31))) == ["SessionOpened", "ScanDue"]


def test_a_market_halted_at_its_open_delays_the_scan_within_grace_and_no_longer(
    calendar: Xnys,
) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 0), calendar)
    day.broker.halted_from = wall(FRIDAY, 9, 30)
    day.broker.halted_until = wall(FRIDAY, 9, 38)
    announced = day.run_until(wall(FRIDAY, 10, 0))
    assert [at for at, each in announced if isinstance(each, m.ScanDue)] == ["Fri 09:38"]
    later = SchedulerDay.at(wall(FRIDAY, 9, 0), calendar)
    later.broker.halted_from = wall(FRIDAY, 9, 30)
    later.broker.halted_until = wall(FRIDAY, 9, 41)
    assert scans(run(later, wall(FRIDAY, 10, 0))) == []
    assert later.state.missed == {"open-143500": MissReason.BROKER_CLOSED}


def test_an_answer_from_another_day_confirms_nothing(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 34), calendar)
    day.broker.is_away = True
    day.settle()
    stale = SchedulerDay.at(wall(dt.date(2024, 1, 4), 9, 35), calendar).broker.market()
    day.turning.hear(account(FRIDAY, Stage.START, stale))
    assert named(run(day, wall(FRIDAY, 9, 36))) == []


def test_an_answer_without_the_market_confirms_nothing(calendar: Xnys) -> None:
    day = SchedulerDay.at(wall(FRIDAY, 9, 34), calendar)
    day.broker.is_away = True
    day.settle()
    day.turning.hear(account(FRIDAY, Stage.START))
    assert named(run(day, wall(FRIDAY, 9, 36))) == []
