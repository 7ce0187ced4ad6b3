"""Half days end at 13:00 in the broker's calendar, clock and stages."""

from __future__ import annotations

import datetime as dt
from typing import Any

import exchange_calendars

from services.sim_broker.exchange.market_hours import closes_early, closing_time, stage_at
from shared.schemas.values import Stage


def test_early_closes_are_those_of_the_exchange_since_2013() -> None:
    library: Any = exchange_calendars.get_calendar("XNYS", start="2013-01-01", end="2027-12-31")
    early = {day.date() for day in library.early_closes}
    assert {day.date() for day in library.sessions if closes_early(day.date())} == early


def test_the_stages_of_a_half_day_come_three_hours_earlier_after_the_open() -> None:
    half = dt.date(2026, 11, 27)
    times = [f"{stage_at(half, stage):%H:%M}" for stage in Stage]
    assert times == ["14:00", "14:35", "17:54", "17:55", "18:00"]
    assert f"{closing_time(half):%H:%M}" == "18:00"
    assert f"{closing_time(dt.date(2026, 11, 25)):%H:%M}" == "21:00"
