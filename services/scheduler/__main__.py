"""Entry point of the scheduler: timetable, calendar and one of its two clocks."""

import datetime as dt

from services.scheduler.handlers import HANDLERS
from services.scheduler.metrics import COUNTERS, counts, gauges
from services.scheduler.replay_clock import Replay, ReplayWork, SimBrokerControl
from services.scheduler.state import State
from services.scheduler.system_clock import SystemWork
from shared.domain.errors import UserError
from shared.domain.market.timetable import Timetable, invalid_times
from shared.runtime.calendar.xnys import Xnys
from shared.runtime.config.settings import CONFIG_PIN_ERROR, Settings
from shared.runtime.runner.contract import Service, Work
from shared.runtime.runner.wiring import Wiring, run_service
from shared.schemas.streams import ServiceName


def timetable(settings: Settings) -> Timetable:
    """The timetable of kobe.toml. Raises UserError if one of its times is invalid."""
    table = settings.config.timetable
    day = Timetable(
        open_slot=_time("open_slot", table.open_slot),
        retry_slots=tuple(_time("retry_slots", text) for text in table.retry_slots),
        before_close=dt.timedelta(minutes=table.close_slot_minutes_before_close),
        bars_before_open=dt.timedelta(minutes=table.bars_minutes_before_open),
        bars_after_close=dt.timedelta(minutes=table.bars_delay_minutes),
        reconcile_every=dt.timedelta(seconds=table.reconcile_seconds),
        grace=dt.timedelta(seconds=table.grace_seconds),
    )
    problem = invalid_times(day)
    if problem:
        raise UserError(f"kobe.toml: [timetable] {problem}.", exit_code=CONFIG_PIN_ERROR)
    return day


def replay(settings: Settings) -> Replay:
    table = settings.config.timetable
    try:
        start = dt.date.fromisoformat(table.start) if table.start else None
    except ValueError:
        raise _invalid("start", table.start, "a date like 2024-01-31") from None
    return Replay(
        sessions=table.sessions, start=start, pace_seconds=table.pace_seconds, loop=table.loop
    )


def _time(key: str, text: str) -> dt.time:
    try:
        return dt.time.fromisoformat(text)
    except ValueError:
        raise _invalid(key, text, "a time like 09:35") from None


def _invalid(key: str, text: str, expected: str) -> UserError:
    return UserError(
        f"kobe.toml: timetable.{key} is {text!r}; it must be {expected}.",
        exit_code=CONFIG_PIN_ERROR,
    )


def work(wiring: Wiring) -> Work[State]:
    settings, clock = wiring.settings, wiring.clock
    today = clock.now().date()
    if settings.config.timetable.clock == "system":
        return SystemWork(timetable(settings), Xnys(today, today), clock)
    return ReplayWork(
        replay(settings),
        timetable(settings),
        calendar=Xnys(dt.date(2000, 1, 3), today),
        archive=settings.environment.archive_dir,
        market=SimBrokerControl(settings.environment.broker_url),
        clock=clock,
    )


def build(wiring: Wiring) -> Service[State, None]:
    return Service(
        name=ServiceName.SCHEDULER,
        initial=State(),
        handlers=HANDLERS,
        settings=None,
        work=work(wiring),
        gauges=gauges,
        counters=COUNTERS,
        counts=counts,
    )


if __name__ == "__main__":
    run_service(ServiceName.SCHEDULER, build)
