"""A broker and its executor as the scheduler sees them: every reconcile is answered at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

from services.scheduler.broker_calendar import SessionCalendar
from services.scheduler.handlers import HANDLERS
from services.scheduler.state import State
from services.scheduler.system_clock import SystemWork
from shared.domain.market.timetable import Hours, Timetable
from shared.runtime.clock import ManualClock
from shared.schemas import messages as m
from shared.schemas.values import MarketView, Stage, TradingSession
from tests.turning import Turning

NEW_YORK = ZoneInfo("America/New_York")
AHEAD = dt.timedelta(days=7)


def wall(day: dt.date, hour: int, minute: int, second: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute, second), NEW_YORK).astimezone(dt.UTC)


def account(session: dt.date, stage: Stage, market: MarketView | None = None) -> m.AccountSeen:
    return m.AccountSeen(
        session=session,
        stage=stage,
        account_number="SIM1",
        cash=Decimal(1),
        equity=Decimal(1),
        buying_power=Decimal(1),
        blocked=False,
        open_orders=0,
        holdings=(),
        drift=(),
        market=market,
    )


@dataclass
class AnsweringBroker:
    """`hours` is the broker's calendar; `is_away` leaves questions unanswered.

    `halted_from` to `halted_until`: the exchange is closed although the calendar has a session.
    """

    hours: Callable[[dt.date], Hours | None]
    clock: ManualClock
    is_away: bool = False
    halted_from: dt.datetime | None = None
    halted_until: dt.datetime | None = None
    asked: list[m.ReconcileDue] = field(default_factory=list)

    def market(self) -> MarketView:
        now = self.clock.now()
        today = now.astimezone(NEW_YORK).date()
        days = [today + dt.timedelta(days=number) for number in range(AHEAD.days + 1)]
        found = [each for each in map(self.hours, days) if each]
        return MarketView(
            at=now,
            is_open=any(each.opens_at <= now < each.closes_at for each in found)
            and not self._is_halted(now),
            first=days[0],
            last=days[-1],
            sessions=tuple(
                TradingSession(
                    session=each.session, opens_at=each.opens_at, closes_at=each.closes_at
                )
                for each in found
            ),
        )

    def _is_halted(self, now: dt.datetime) -> bool:
        if self.halted_from is None or now < self.halted_from:
            return False
        return self.halted_until is None or now < self.halted_until

    def answer(self, due: m.ReconcileDue) -> m.AccountSeen | None:
        self.asked.append(due)
        return None if self.is_away else account(due.session, due.stage, self.market())


@dataclass
class SchedulerDay:
    """The scheduler on a clock set by hand, with its broker."""

    turning: Turning
    broker: AnsweringBroker
    clock: ManualClock

    @classmethod
    def at(
        cls,
        now: dt.datetime,
        calendar: SessionCalendar,
        *,
        timetable: Timetable | None = None,
        broker_hours: Callable[[dt.date], Hours | None] | None = None,
    ) -> SchedulerDay:
        clock = ManualClock(now)
        work = SystemWork(timetable or Timetable(), calendar, clock)
        broker = AnsweringBroker(broker_hours or calendar.hours, clock)
        return cls(Turning(HANDLERS, State(), work, clock=clock), broker, clock)

    @property
    def state(self) -> State:
        state: State = self.turning.state
        return state

    def settle(self) -> list[m.Message]:
        """Act until nothing is due; everything announced, reconciles included."""
        announced: list[m.Message] = []
        while (messages := self.turning.act()) is not None:
            for message in messages:
                announced.append(message)
                if isinstance(message, m.ReconcileDue):
                    answer = self.broker.answer(message)
                    if answer:
                        announced += self.turning.hear(answer)
        return announced

    def run_until(self, end: dt.datetime) -> list[tuple[str, m.Message]]:
        """Sleep as long as work asks for; each message with the wall time it was announced at."""
        announced: list[tuple[str, m.Message]] = []
        while self.clock.now() < end:
            at = self.clock.now().astimezone(NEW_YORK).strftime("%a %H:%M")
            announced += [(at, message) for message in self.settle()]
            assert self.turning.work
            self.clock.advance(max(self.turning.work.wait(self.state), 1.0))
        return announced


def scans(announced: list[m.Message]) -> list[m.ScanDue]:
    return [each for each in announced if isinstance(each, m.ScanDue)]
