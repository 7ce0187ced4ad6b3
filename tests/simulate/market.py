"""The market of a story: bars by its moves, and the exchange's sessions, for a few days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from decimal import Decimal
from zoneinfo import ZoneInfo

from shared.domain.market.timetable import Hours
from shared.schemas.values import Bar
from tests.simulate.story import PRICES, SESSIONS, Move, Story

NEW_YORK = ZoneInfo("America/New_York")
CENT = Decimal("0.01")
FLAT = (Decimal(1), Decimal("1.004"), Decimal("0.996"), Decimal(1))


def wall(day: dt.date, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), NEW_YORK).astimezone(dt.UTC)


def opens_at(session: dt.date) -> dt.datetime:
    return wall(session, 9, 30)


def closes_at(session: dt.date) -> dt.datetime:
    return wall(session, 16)


class StoryMarket:
    """Implements exchange.MarketData; prices are whole cents and at least one."""

    def __init__(self, story: Story) -> None:
        moves = {
            (each.session, each.symbol): (each.open, each.high, each.low, each.close)
            for each in story.elements
            if isinstance(each, Move)
        }
        self._bars: dict[tuple[str, dt.date], Bar] = {}
        for symbol, price in PRICES.items():
            close = price
            for session in SESSIONS:
                bar = _bar(close, moves.get((session, symbol), FLAT))
                self._bars[symbol, session] = bar
                close = bar.close

    def bar(self, symbol: str, session: dt.date) -> Bar | None:
        return self._bars.get((symbol, session))

    def symbols(self) -> Collection[str]:
        return PRICES.keys()

    def sessions(self) -> Sequence[dt.date]:
        return SESSIONS


def _bar(close: Decimal, factors: tuple[Decimal, ...]) -> Bar:
    opening, high, low, closing = (max(CENT, (close * each).quantize(CENT)) for each in factors)
    return Bar(
        open=opening,
        high=max(high, opening, closing),
        low=min(low, opening, closing),
        close=closing,
    )


class StoryCalendar:
    """The scheduler's SessionCalendar for the days of a story and the weekdays around."""

    def new_york_date(self, now: dt.datetime) -> dt.date:
        return now.astimezone(NEW_YORK).date()

    def hours(self, session: dt.date) -> Hours | None:
        if session not in SESSIONS:
            return None
        back = 3 if session.weekday() == 0 else 1
        return Hours(
            session=session,
            previous=session - dt.timedelta(days=back),
            opens_at=opens_at(session),
            closes_at=closes_at(session),
        )

    def session_on_or_after(self, day: dt.date) -> Hours:
        found = self.hours(
            next(each for each in (*SESSIONS, SESSIONS[-1]) if each >= day or each == SESSIONS[-1])
        )
        assert found is not None
        return found
