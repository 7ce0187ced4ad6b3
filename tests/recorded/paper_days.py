"""Three trading days in some minutes: the stretches of business time a paper stack is tried on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from shared.runtime.clock import SystemClock
from shared.runtime.recorded_time import Stretch, StretchedClock
from tests.recorded.market import NEW_YORK

DAYS = (dt.date(2024, 3, 5), dt.date(2024, 3, 6), dt.date(2024, 3, 7))
OCCASIONS = (
    (dt.time(9, 0, 2), 8.0),
    (dt.time(9, 29, 55), 10.0),
    (dt.time(9, 34, 55), 30.0),
    (dt.time(10, 29, 58), 14.0),
    (dt.time(15, 54, 58), 22.0),
    (dt.time(15, 59, 55), 12.0),
    (dt.time(16, 30, 2), 8.0),
)
"""Before the open, at the open, at each slot, at the close and after it: where something is due."""


def stretches(days: Sequence[dt.date], *, lead_seconds: float) -> StretchedClock:
    """From the evening before, for as long as a stack takes to start.

    Then occasion after occasion.
    """
    evening = dt.datetime.combine(days[0] - dt.timedelta(days=1), dt.time(19), NEW_YORK)
    parts = [Stretch(evening, lead_seconds)]
    parts += [
        Stretch(dt.datetime.combine(day, time, NEW_YORK), seconds)
        for day in days
        for time, seconds in OCCASIONS
    ]
    return StretchedClock(SystemClock().now(), tuple(parts))
